//! The supervisor's signals, read from a descriptor. It never runs code in a handler; the old mask returns at the end.
use crate::error::{Error, Result};
use nix::sys::signal::{SigHandler, SigSet, SigmaskHow, Signal, signal, sigprocmask};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use std::os::fd::{AsFd, BorrowedFd};

/// What is passed on to the command.
const PASSED: [Signal; 8] = [
    Signal::SIGINT,
    Signal::SIGTERM,
    Signal::SIGHUP,
    Signal::SIGQUIT,
    Signal::SIGUSR1,
    Signal::SIGUSR2,
    Signal::SIGWINCH,
    Signal::SIGALRM,
];

/// The signals above, blocked and readable.
#[derive(Debug)]
pub(super) struct Signals {
    fd: SignalFd,
    old: SigSet,
    pipe: SigHandler,
}

impl Signals {
    pub(super) fn take() -> Result<Self> {
        let failed = |e: nix::Error| Error::os("take over signals", &e.into());
        let set: SigSet = PASSED.into_iter().collect();
        let mut old = SigSet::empty();
        sigprocmask(SigmaskHow::SIG_BLOCK, Some(&set), Some(&mut old)).map_err(failed)?;
        let fd =
            SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK).map_err(failed)?;
        // SAFETY: ignoring installs no handler. A relay writes to a command that may have closed its input.
        let pipe = unsafe { signal(Signal::SIGPIPE, SigHandler::SigIgn) }.map_err(failed)?;
        Ok(Signals { fd, old, pipe })
    }

    /// The next signal that came, if any.
    pub(super) fn next(&self) -> Option<i32> {
        self.fd.read_signal().ok().flatten().map(|info| info.ssi_signo as i32)
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        let _ = sigprocmask(SigmaskHow::SIG_SETMASK, Some(&self.old), None);
        // SAFETY: what was there before we came is put back.
        let _ = unsafe { signal(Signal::SIGPIPE, self.pipe) };
    }
}
