//! Where a successor knocks. In two steps, so that there is never a moment in which nobody is at work: first it gets
//! what can be shared (sockets), and once it works with that, the rest (conversations), which only one can go on with.
use super::Parcel;
use crate::error::{Error, Result};
use nix::{
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::socket::{getsockopt, sockopt::PeerCredentials},
};
use std::{
    io::{self, Read, Write},
    os::{
        fd::AsFd,
        unix::net::{UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// How long a parcel may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a successor may take to get to work: it puts the whole kernel right before.
const START: Duration = Duration::from_secs(60);
/// Go on: give me the rest.
const REST: u8 = b'r';

/// The door of one run folder.
pub struct Door {
    listener: UnixListener,
    path: PathBuf,
}

/// Somebody who gave the first parcel and has the rest.
pub struct Giver(UnixStream);

/// The socket in a run folder.
pub fn path(run: &Path) -> PathBuf {
    run.join("handover.sock")
}

impl Door {
    /// For root alone; a leftover socket is replaced.
    pub fn open(path: PathBuf) -> Result<Self> {
        let failed = |error: io::Error| Error::os(format!("open {}", path.display()), &error);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
        let old = nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o177));
        let listener = UnixListener::bind(&path);
        nix::sys::stat::umask(old);
        Ok(Door { listener: listener.map_err(failed)?, path })
    }

    /// Waits for a successor of the same user, at the most until `until`, or until somebody takes the socket's file away:
    /// nobody could come any more.
    pub fn knocked(&self, until: Instant) -> Option<UnixStream> {
        while Instant::now() < until && self.path.exists() {
            let mut wait = [PollFd::new(self.listener.as_fd(), PollFlags::POLLIN)];
            if !matches!(poll(&mut wait, PollTimeout::from(250u16)), Ok(1..)) {
                continue;
            }
            let Ok((stream, _)) = self.listener.accept() else { continue };
            if is_own_user(&stream) {
                return Some(stream);
            }
        }
        None
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

fn is_own_user(stream: &UnixStream) -> bool {
    getsockopt(stream, PeerCredentials).is_ok_and(|peer| peer.uid() == nix::unistd::geteuid().as_raw())
}

/// Asks at the door for what can be shared. None: nobody is there.
pub fn knock(path: &Path) -> Option<(Giver, Parcel)> {
    let stream = UnixStream::connect(path).ok()?;
    if !is_own_user(&stream) {
        tracing::warn!(path = %path.display(), "a socket of another user is where the daemon before would be");
        return None;
    }
    take(stream).inspect_err(|error| tracing::warn!(%error, "the daemon before gave nothing")).ok()
}

/// The first parcel of whoever is at the other end.
pub fn take(stream: UnixStream) -> io::Result<(Giver, Parcel)> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let parcel = Parcel::receive(&stream)?;
    Ok((Giver(stream), parcel))
}

impl Giver {
    /// Says that we are at work; from now on the other side does nothing any more but to give the rest.
    pub fn rest(mut self) -> io::Result<Parcel> {
        self.0.write_all(&[REST])?;
        Parcel::receive(&self.0)
    }
}

/// Gives to the other end what can be shared, waits until it is at work, and gives the rest. False: it never got there, and
/// `rest` was not asked for.
pub fn give(mut to: &UnixStream, shared: &Parcel, rest: impl FnOnce() -> Parcel) -> io::Result<bool> {
    to.set_write_timeout(Some(PATIENCE))?;
    to.set_read_timeout(Some(START))?;
    shared.send(to)?;
    let mut word = [0];
    match to.read(&mut word) {
        Ok(1) if word == [REST] => {}
        Ok(_) => return Ok(false),
        Err(error) => return Err(error),
    }
    rest().send(to)?;
    // Until it has read everything: closed before, the kernel might drop descriptors on their way.
    let _ = to.read(&mut word);
    Ok(true)
}
