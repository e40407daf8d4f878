//! The user's terminal while a command with its own one runs: raw, and raw no longer however we leave.
use nix::sys::termios::{SetArg, Termios, cfmakeraw, tcgetattr, tcsetattr};
use std::io::{IsTerminal, Stdin, stdin};
use std::os::fd::{AsFd, AsRawFd};

/// Standard input's terminal in raw mode; its settings return when this is dropped, a panic included.
pub(super) struct Raw {
    terminal: Stdin,
    old: Termios,
}

impl Raw {
    /// None if standard input is no terminal.
    pub(super) fn enter() -> Option<Self> {
        let terminal = stdin();
        let old = terminal.is_terminal().then(|| tcgetattr(&terminal).ok()).flatten()?;
        let mut raw = old.clone();
        cfmakeraw(&mut raw);
        tcsetattr(&terminal, SetArg::TCSANOW, &raw).ok()?;
        Some(Raw { terminal, old })
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        let _ = tcsetattr(&self.terminal, SetArg::TCSADRAIN, &self.old);
    }
}

/// Gives `master` the size of the user's terminal, if there is one (ioctl_tty(2)).
pub(super) fn copy_size(master: impl AsFd) {
    // SAFETY: winsize is four numbers; all zero is a value of it, and both calls outlive neither descriptor nor struct.
    unsafe {
        let mut size: libc::winsize = std::mem::zeroed();
        if libc::ioctl(0, libc::TIOCGWINSZ, &raw mut size) == 0 {
            libc::ioctl(master.as_fd().as_raw_fd(), libc::TIOCSWINSZ, &raw const size);
        }
    }
}
