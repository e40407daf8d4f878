//! Carries bytes from one descriptor to another, never more than a piece ahead, so that a slow reader slows the writer.
use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;
use std::os::fd::{AsFd, OwnedFd};

const PIECE: usize = 32 << 10;

/// One direction.
#[derive(Debug)]
pub(super) struct Relay {
    ends: Option<(OwnedFd, OwnedFd)>,
    pending: Vec<u8>,
    /// Towards the command: it need not end before we do.
    pub(super) input: bool,
}

impl Relay {
    /// `to` is made non-blocking if it is our own (`input`); the user's terminal is left as it is.
    pub(super) fn new(from: OwnedFd, to: OwnedFd, input: bool) -> Self {
        if input {
            let _ = rustix::io::ioctl_fionbio(&to, true);
        }
        Relay { ends: Some((from, to)), pending: Vec::new(), input }
    }

    pub(super) fn is_done(&self) -> bool {
        self.ends.is_none()
    }

    /// What to wait for.
    pub(super) fn poll(&self) -> Option<PollFd<'_>> {
        let (from, to) = self.ends.as_ref()?;
        Some(match self.pending.is_empty() {
            true => PollFd::from_borrowed_fd(from.as_fd(), PollFlags::IN),
            false => PollFd::from_borrowed_fd(to.as_fd(), PollFlags::OUT),
        })
    }

    /// Carries on after poll(2) said so; closes both ends when it is over.
    pub(super) fn carry(&mut self) {
        if self.step().is_err() {
            self.ends = None;
        }
    }

    fn step(&mut self) -> Result<(), Errno> {
        let Some((from, to)) = &self.ends else { return Ok(()) };
        if self.pending.is_empty() {
            self.pending.resize(PIECE, 0);
            let read = rustix::io::read(from, &mut self.pending[..]);
            self.pending.truncate(*read.as_ref().unwrap_or(&0));
            match read {
                Ok(0) => return Err(Errno::PIPE),
                Ok(_) => {}
                Err(Errno::INTR | Errno::AGAIN) => return Ok(()),
                Err(e) => return Err(e),
            }
        }
        match rustix::io::write(to, &self.pending) {
            Ok(n) => drop(self.pending.drain(..n)),
            Err(Errno::INTR | Errno::AGAIN) => {}
            Err(e) => return Err(e),
        }
        Ok(())
    }
}
