//! The command's standard input, output and error. A terminal of the host's never gets inside (its settings and its
//! keystrokes would be the command's): it is relayed through a pipe; anything else is passed as it is.
use super::relay::Relay;
use super::{Launch, scratch};
use crate::error::{Error, Result};
use rustix::fs::{Mode, OFlags};
use rustix::pipe::{PipeFlags, pipe_with};
use std::io::{IsTerminal, stderr, stdin, stdout};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Both sides of it.
pub(super) struct Stdio {
    /// What the command gets; none: a terminal of its own, made inside.
    pub(super) inside: Option<[OwnedFd; 3]>,
    pub(super) relays: Vec<Relay>,
    /// Where a terminal's output goes.
    outside: OwnedFd,
    interactive: bool,
}

/// # Errors
/// `Invalid` for `-it` without a terminal.
pub(super) fn plan(launch: &Launch, dir: &OwnedFd) -> Result<Stdio> {
    if launch.tty && launch.interactive && !launch.detach && !stdin().is_terminal() {
        return Err(Error::invalid("the input device is not a TTY: leave out -t, or run it from a terminal"));
    }
    let outside = match launch.detach {
        true => scratch::open_log(dir)?,
        false => copy(stdout().as_fd())?,
    };
    let mut stdio = Stdio { inside: None, relays: Vec::new(), outside, interactive: launch.interactive };
    if launch.tty {
        return Ok(stdio);
    }
    let inside = match launch.detach {
        true => [null()?, copy(stdio.outside.as_fd())?, copy(stdio.outside.as_fd())?],
        false => {
            let input = match launch.interactive {
                true => stdio.input()?,
                false => null()?,
            };
            let output = stdio.output(stdout().as_fd(), stdout().is_terminal())?;
            [input, output, stdio.output(stderr().as_fd(), stderr().is_terminal())?]
        }
    };
    stdio.inside = Some(inside);
    Ok(stdio)
}

impl Stdio {
    fn input(&mut self) -> Result<OwnedFd> {
        if !stdin().is_terminal() {
            return copy(stdin().as_fd());
        }
        let (read, write) = pipe()?;
        self.relays.push(Relay::new(copy(stdin().as_fd())?, write, true));
        Ok(read)
    }

    fn output(&mut self, to: BorrowedFd<'_>, terminal: bool) -> Result<OwnedFd> {
        if !terminal {
            return copy(to);
        }
        let (read, write) = pipe()?;
        self.relays.push(Relay::new(read, copy(to)?, false));
        Ok(write)
    }

    /// Connects the master of the command's terminal.
    pub(super) fn connect(&mut self, master: &OwnedFd, detached: bool) -> Result<()> {
        let outside = copy(self.outside.as_fd())?;
        self.relays.push(Relay::new(copy(master.as_fd())?, outside, false));
        if self.interactive && !detached {
            self.relays.push(Relay::new(copy(stdin().as_fd())?, copy(master.as_fd())?, true));
        }
        Ok(())
    }
}

fn pipe() -> Result<(OwnedFd, OwnedFd)> {
    pipe_with(PipeFlags::CLOEXEC).map_err(|e| Error::os("make a pipe", &e.into()))
}

/// A copy above the standard ones; a closed one is replaced by /dev/null.
fn copy(fd: BorrowedFd<'_>) -> Result<OwnedFd> {
    match rustix::io::fcntl_dupfd_cloexec(fd, 3) {
        Err(rustix::io::Errno::BADF) => null(),
        other => other.map_err(|e| Error::os("copy a descriptor", &e.into())),
    }
}

fn null() -> Result<OwnedFd> {
    rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())
        .map_err(|e| Error::os("open /dev/null", &e.into()))
}
