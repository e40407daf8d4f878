//! Copy-up: filling an empty volume from the directory it is going to hide, once. It never touches a volume that holds
//! anything, and a crash leaves the volume empty or, after the last rename, to be finished by the next call.
use super::resolve::{self, identity, is_empty, make_dir, mount_id};
use super::walk::Watch;
use super::{copy, remove_tree};
use crate::error::{Error, Result};
use rustix::fs::{self, FlockOperation, RenameFlags};
use rustix::io::Errno;
use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

/// What to fill, from where.
#[derive(Clone, Copy)]
pub struct Fill<'a> {
    /// The directory of the rootfs at the mount's target.
    pub source: BorrowedFd<'a>,
    /// The volume's directory (or the sub-directory that will be mounted).
    pub data: BorrowedFd<'a>,
    /// A directory only the host reaches, on the same mount as `data` if possible: it is locked, and the copy is
    /// prepared there. None: `data` itself serves (volumes of plugins).
    pub home: Option<BorrowedFd<'a>>,
}

/// Copies if `data` is empty; true if it did. Two callers at once: the second waits and finds it full.
///
/// Steps: copy to `.copy-up.INODE.part`, rename that to `.full`, rename its entries into `data` one by one, remove it.
/// A `.part` found is thrown away, a `.full` found is finished.
///
/// # Errors
/// `Unavailable` when stopped (the volume is empty again), `Exhausted` on a full disk, ...
pub fn fill(what: Fill<'_>, watch: Watch<'_>) -> Result<bool> {
    let _lock = lock(what.home.unwrap_or(what.data), watch)?;
    let stage = stage(&what)?;
    let inode = identity(what.data)?.1;
    let (part, full) = (name(inode, "part"), name(inode, "full"));
    if let Ok(ready) = resolve::open_child_dir(stage, &full) {
        finish(&ready, stage, &full, what.data)?;
        return Ok(true);
    }
    remove_tree(stage, &part, Watch::none())?;
    if !is_empty(what.data)? {
        return Ok(false);
    }
    let made = make_dir(stage, &part, 0o700, (0, 0))?;
    let copied = copy::copy_tree(what.source, &made, watch)
        .and_then(|_| copy::copy_attributes(what.source, &made))
        .and_then(|()| untouched(&what, stage, &part));
    if !matches!(copied, Ok(true)) {
        remove_tree(stage, &part, Watch::none())?;
        return copied;
    }
    fs::renameat_with(stage, &part, stage, &full, RenameFlags::NOREPLACE)
        .map_err(|e| Error::os("finish a volume's copy", &e.into()))?;
    finish(&made, stage, &full, what.data)?;
    Ok(true)
}

/// Finishes a copy whose maker was killed while it moved the entries into place: part of them is in `data`, and whoever uses
/// that without [`fill`] would never know. A copy that is still being made is left alone. True if there was one.
///
/// # Errors
/// As the calls say.
pub fn settle(data: BorrowedFd<'_>, home: BorrowedFd<'_>) -> Result<bool> {
    let full = name(identity(data)?.1, "full");
    if resolve::open_child_dir(home, &full).is_err() {
        return Ok(false);
    }
    let own = resolve::open_beneath(home, ".".as_ref())?;
    match fs::flock(&own, FlockOperation::NonBlockingLockExclusive) {
        Err(Errno::WOULDBLOCK) => return Ok(false),
        locked => locked.map_err(|e| Error::os("lock a volume", &e.into()))?,
    }
    // Whoever had the lock until now may have finished it.
    let Ok(ready) = resolve::open_child_dir(home, &full) else { return Ok(false) };
    finish(&ready, home, &full, data).map(|()| true)
}

/// Whether `data` is still empty, our own staging directory aside.
fn untouched(what: &Fill<'_>, stage: BorrowedFd<'_>, part: &OsStr) -> Result<bool> {
    let inside = identity(stage)? == identity(what.data)?;
    let names = entries(what.data)?;
    Ok(names.iter().all(|name| inside && name == part))
}

fn name(inode: u64, state: &str) -> OsString {
    format!(".copy-up.{inode:x}.{state}").into()
}

/// Where the copy is prepared: `home` if a rename from there into `data` can work.
fn stage<'a>(what: &Fill<'a>) -> Result<BorrowedFd<'a>> {
    match what.home {
        Some(home) if mount_id(home)? == mount_id(what.data)? => Ok(home),
        _ => Ok(what.data),
    }
}

/// Moves the entries of the finished copy into `data`; one that appeared there meanwhile is kept as it is.
fn finish(ready: &OwnedFd, stage: BorrowedFd<'_>, full: &OsStr, data: BorrowedFd<'_>) -> Result<()> {
    let failed = |e: Errno| Error::os("move a volume's copy into place", &e.into());
    let stat = fs::fstat(ready).map_err(failed)?;
    for name in entries(ready.as_fd())? {
        match fs::renameat_with(ready, &name, data, &name, RenameFlags::NOREPLACE) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(e) => return Err(failed(e)),
        }
    }
    copy::copy_attributes(ready, data)?;
    fs::futimens(data, &copy::times(&stat)).map_err(failed)?;
    remove_tree(stage, full, Watch::none()).map(drop)
}

fn entries(dir: BorrowedFd<'_>) -> Result<Vec<OsString>> {
    let failed = |e: Errno| Error::os("read a directory", &e.into());
    let mut names = Vec::new();
    for entry in fs::Dir::read_from(dir).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name().to_bytes();
        if !matches!(name, b"." | b"..") {
            names.push(OsStr::from_bytes(name).to_owned());
        }
    }
    Ok(names)
}

/// flock(2) on a descriptor of our own, so that it ends with us; waits, but can be stopped.
fn lock(dir: BorrowedFd<'_>, watch: Watch<'_>) -> Result<OwnedFd> {
    let own = resolve::open_beneath(dir, ".".as_ref())?;
    loop {
        match fs::flock(&own, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(own),
            Err(Errno::WOULDBLOCK | Errno::INTR) => watch.step(Default::default())?,
            Err(e) => return Err(Error::os("lock a volume", &e.into())),
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}
