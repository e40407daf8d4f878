//! Pipes through which relayed bytes pass from socket to socket without being copied to us and back (splice(2)).
use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice};
use std::{
    fs::File,
    io::{self, Read},
    os::fd::{AsFd, OwnedFd},
    sync::Arc,
};

/// Bytes in flight in one direction. The more at once, the seldomer both ends are woken, which costs more than the bytes: a
/// quarter of the relay's CPU time less than with 256 KiB.
pub(super) const ROOM: usize = 1 << 20;
/// Most pipes at once, two descriptors each. Only what its receiver does not take at once keeps one.
const MOST: usize = 8;
/// Those that wait for work.
const IDLE: usize = 2;

pub(super) struct Pipe {
    read: OwnedFd,
    write: OwnedFd,
    held: usize,
    _one: Arc<()>,
}

#[derive(Default)]
pub(super) struct Pipes {
    idle: Vec<Pipe>,
    /// One reference each, wherever it is, and ours.
    count: Arc<()>,
}

impl Pipes {
    /// An empty one. None: too many are in use, or the kernel gives no more; there is always the way by `read` and `write`.
    pub(super) fn take(&mut self) -> Option<Pipe> {
        if let Some(pipe) = self.idle.pop() {
            return Some(pipe);
        }
        if Arc::strong_count(&self.count) > MOST {
            return None;
        }
        let (read, write) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK).ok()?;
        // Whoever may not have a larger one has one of 64 KiB.
        let _ = fcntl_setpipe_size(&write, ROOM);
        Some(Pipe { read, write, held: 0, _one: self.count.clone() })
    }

    pub(super) fn give(&mut self, pipe: Pipe) {
        if pipe.is_empty() && self.idle.len() < IDLE {
            self.idle.push(pipe);
        }
    }
}

impl Pipe {
    pub(super) fn is_empty(&self) -> bool {
        self.held == 0
    }

    /// Takes what `from` has, for an empty pipe; 0: it has ended. WouldBlock: nothing now.
    pub(super) fn fill(&mut self, from: impl AsFd) -> io::Result<usize> {
        self.held += splice(from, None, &self.write, None, ROOM, SpliceFlags::MOVE | SpliceFlags::NONBLOCK)?;
        Ok(self.held)
    }

    /// Gives `to` what it takes.
    pub(super) fn drain(&mut self, to: impl AsFd) -> io::Result<usize> {
        let flags = SpliceFlags::MOVE | SpliceFlags::NONBLOCK;
        let count = splice(&self.read, None, to, None, self.held, flags)?;
        self.held -= count;
        Ok(count)
    }

    /// What it holds.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        let mut bytes = vec![0; self.held];
        match File::from(self.read).read_exact(&mut bytes) {
            Ok(()) => bytes,
            Err(error) => {
                tracing::error!("read back {} relayed bytes: {error}", bytes.len());
                Vec::new()
            }
        }
    }
}
