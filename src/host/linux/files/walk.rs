//! One walk over a directory tree for removing, measuring and copying. It stays on one mount, opens every directory by
//! descriptor, never follows a symlink, and holds one descriptor however deep the tree is.
use crate::error::{Error, Result};
use rustix::fs::{self, AtFlags, FileType, Mode, OFlags, RawDir, ResolveFlags, Stat};
use rustix::io::Errno;
use std::ffi::{CStr, CString};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// How far a walk has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    pub entries: u64,
    /// Bytes copied, freed or counted.
    pub bytes: u64,
}

/// How a long walk is watched and stopped.
#[derive(Clone, Copy)]
pub struct Watch<'a> {
    /// Asked at every entry; true ends the walk with an `Unavailable` "interrupted".
    pub stop: &'a dyn Fn() -> bool,
    /// Told at every entry; it decides itself how often to show something.
    pub seen: &'a dyn Fn(Tally),
}

impl Watch<'static> {
    /// Neither watched nor stopped.
    pub fn none() -> Self {
        Watch { stop: &|| false, seen: &|_| {} }
    }
}

impl Watch<'_> {
    /// # Errors
    /// `Unavailable` if the walk is to stop.
    pub fn step(&self, tally: Tally) -> Result<()> {
        (self.seen)(tally);
        match (self.stop)() {
            true => Err(Error::unavailable("interrupted")),
            false => Ok(()),
        }
    }
}

/// What is done on the way. `dir` is always the directory that holds `name`.
pub trait Visit {
    /// Anything but a directory, and a directory on another mount (`stat` tells).
    fn leaf(&mut self, dir: BorrowedFd<'_>, name: &CStr, stat: &Stat) -> Result<()>;
    /// Before a directory's entries.
    fn enter(&mut self, _dir: BorrowedFd<'_>, _name: &CStr, _stat: &Stat) -> Result<()> {
        Ok(())
    }
    /// After a directory's entries; `opened` is the directory itself.
    fn leave(&mut self, _dir: BorrowedFd<'_>, _name: &CStr, _opened: BorrowedFd<'_>) -> Result<()> {
        Ok(())
    }
}

/// A directory on the way down, its sub-directories still to visit.
struct Level {
    name: CString,
    identity: (u64, u64),
    todo: Vec<CString>,
}

/// Visits everything below `root`, not `root` itself, directories after the other entries beside them.
///
/// # Errors
/// What the visitor returns; `Conflict` if a directory moved while it was being walked; else system errors.
pub fn walk(root: BorrowedFd<'_>, visit: &mut dyn Visit) -> Result<()> {
    let mut here = reopen(root)?;
    let mut levels = vec![Level { name: c"".into(), identity: identity(&here)?, todo: list(&here, visit)? }];
    while let Some(level) = levels.last_mut() {
        if let Some(name) = level.todo.pop() {
            let Some((dir, stat)) = open_dir(here.as_fd(), &name, visit)? else { continue };
            visit.enter(here.as_fd(), &name, &stat)?;
            let todo = list(&dir, visit)?;
            levels.push(Level { name, identity: (stat.st_dev, stat.st_ino), todo });
            here = dir;
            continue;
        }
        let Some(done) = levels.pop() else { break };
        let Some(parent) = levels.last() else { break };
        let up = open_parent(&here, parent.identity)?;
        visit.leave(up.as_fd(), &done.name, here.as_fd())?;
        here = up;
    }
    Ok(())
}

fn failed(e: Errno) -> Error {
    Error::os("walk a directory tree", &e.into())
}

const DIR: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC)
    .union(OFlags::NOATIME);

fn reopen(dir: BorrowedFd<'_>) -> Result<OwnedFd> {
    fs::openat(dir, c".", DIR, Mode::empty()).map_err(failed)
}

fn identity(dir: &OwnedFd) -> Result<(u64, u64)> {
    let stat = fs::fstat(dir).map_err(failed)?;
    Ok((stat.st_dev, stat.st_ino))
}

/// `..`, only if it is still the directory we came from.
fn open_parent(dir: &OwnedFd, expected: (u64, u64)) -> Result<OwnedFd> {
    let up = fs::openat(dir, c"..", DIR, Mode::empty()).map_err(failed)?;
    match identity(&up)? == expected {
        true => Ok(up),
        false => Err(Error::conflict("a directory was moved while its tree was being walked: try again")),
    }
}

/// Opens a sub-directory of the same mount; what is none any more, or lies on another mount, is a leaf or nothing.
fn open_dir(dir: BorrowedFd<'_>, name: &CStr, visit: &mut dyn Visit) -> Result<Option<(OwnedFd, Stat)>> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
    match fs::openat2(dir, name, DIR, Mode::empty(), resolve) {
        Ok(fd) => {
            let stat = fs::fstat(&fd).map_err(failed)?;
            Ok(Some((fd, stat)))
        }
        Err(Errno::NOENT) => Ok(None),
        Err(Errno::XDEV | Errno::NOTDIR | Errno::LOOP) => {
            if let Some(stat) = stat_of(dir, name)? {
                visit.leaf(dir, name, &stat)?;
            }
            Ok(None)
        }
        Err(e) => Err(failed(e)),
    }
}

fn stat_of(dir: BorrowedFd<'_>, name: &CStr) -> Result<Option<Stat>> {
    match fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT) {
        Ok(stat) => Ok(Some(stat)),
        Err(Errno::NOENT) => Ok(None),
        Err(e) => Err(failed(e)),
    }
}

/// Visits the leaves of one directory and returns the names of its sub-directories.
fn list(dir: &OwnedFd, visit: &mut dyn Visit) -> Result<Vec<CString>> {
    let mut buffer = [MaybeUninit::uninit(); 16 << 10];
    let mut entries = RawDir::new(dir, &mut buffer);
    let mut dirs = Vec::new();
    while let Some(entry) = entries.next() {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        if entry.file_type() == FileType::Directory {
            dirs.push(name.to_owned());
            continue;
        }
        let Some(stat) = stat_of(dir.as_fd(), name)? else { continue };
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => dirs.push(name.to_owned()),
            _ => visit.leaf(dir.as_fd(), name, &stat)?,
        }
    }
    Ok(dirs)
}
