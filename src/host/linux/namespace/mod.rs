//! Network namespaces: makes, opens, names and visits them; it never leaves a thread in the wrong one.
//!
//! Whoever visits comes home, and a thread that cannot come home takes the whole process down: a thread that believes
//! itself on the host while it stands in a container is worse than a restart.
mod file;
mod make;
mod opener;
#[cfg(test)]
pub(crate) mod testbed;
#[cfg(test)]
mod tests;
mod tour;

pub use file::{Identity, boot, check, identity, inodes, of_process, of_socket, open};
pub use make::{give_up_folder, hold, make, prepare_folder, remove};
pub use opener::{Asked, Opener, Transport, connected};
pub use tour::tour;

use crate::error::{Error, Result};
use nix::sched::{CloneFlags, setns};
use std::{
    fs::File,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

/// The network namespace a thread belongs in.
#[derive(Debug)]
pub struct Home {
    fd: OwnedFd,
    identity: Identity,
}

impl Home {
    /// The namespace the calling thread is in now.
    pub fn here() -> Result<Self> {
        let file = File::open("/proc/thread-self/ns/net")
            .map_err(|e| Error::os("open the own network namespace", &e))?;
        let fd = OwnedFd::from(file);
        let identity = identity(fd.as_fd())?;
        Ok(Home { fd, identity })
    }

    pub fn identity(&self) -> Identity {
        self.identity
    }

    /// Runs `visit` inside `namespace` on the calling thread, which must be at home, and returns. 3 µs there and back.
    pub fn enter<T>(&self, namespace: BorrowedFd<'_>, visit: impl FnOnce() -> T) -> Result<T> {
        setns(namespace, CloneFlags::CLONE_NEWNET)
            .map_err(|e| Error::os("enter a network namespace", &e.into()))?;
        let _return = Return(self);
        Ok(visit())
    }
}

impl AsFd for Home {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Goes home when dropped, also while a panic unwinds.
struct Return<'a>(&'a Home);

impl Drop for Return<'_> {
    fn drop(&mut self) {
        if let Err(error) = setns(&self.0.fd, CloneFlags::CLONE_NEWNET) {
            tracing::error!("cannot return to the host's network namespace, giving up: {error}");
            std::process::abort();
        }
    }
}
