//! Finding, and making, the place inside a rootfs where something is to be mounted. Every step is one component by
//! descriptor: symlinks are read and followed inside the rootfs, so it never makes or opens anything outside.
use super::resolve;
use crate::error::{Error, Result};
use rustix::fs::{self, FileType, Mode, OFlags};
use rustix::io::Errno;
use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Symlinks followed before giving up, as the kernel does (path_resolution(7)).
const MAX_LINKS: usize = 40;

/// What to make if the target is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Make {
    Dir,
    File,
}

/// Opens (O_PATH) the mount point `target` beneath `root`, making missing directories (0755) and, at the end, a
/// directory or an empty file.
///
/// # Errors
/// `Invalid` if the target is the root itself or what exists there is of the other sort; `Denied` on a read-only
/// rootfs.
pub fn open_target(root: BorrowedFd<'_>, target: &Path, make: Make) -> Result<OwnedFd> {
    let mut walk = Walk { stack: vec![], todo: names(target), links: 0, root, target };
    while let Some(name) = walk.todo.pop_front() {
        walk.step(&name, make)?;
    }
    let Some(found) = walk.stack.pop() else {
        return Err(Error::invalid(format!("invalid target {}: it is the root itself", target.display())));
    };
    let is_dir = file_type(&found)? == FileType::Directory;
    match (is_dir, make) {
        (true, Make::Dir) | (false, Make::File) => Ok(found),
        (false, Make::Dir) => Err(walk.refuse("it is a file, but the source is a directory")),
        (true, Make::File) => Err(walk.refuse("it is a directory, but the source is a file")),
    }
}

struct Walk<'a> {
    /// Directories from below the root down to here; the last may be a file at the end.
    stack: Vec<OwnedFd>,
    todo: VecDeque<OsString>,
    links: usize,
    root: BorrowedFd<'a>,
    target: &'a Path,
}

impl Walk<'_> {
    fn here(&self) -> BorrowedFd<'_> {
        self.stack.last().map_or(self.root, |fd| fd.as_fd())
    }

    fn step(&mut self, name: &OsStr, make: Make) -> Result<()> {
        if name == ".." {
            self.stack.pop();
            return Ok(());
        }
        let next = match self.open(name) {
            Err(Errno::NOENT) => {
                self.create(name, make).map_err(|e| self.failed(e))?;
                self.open(name)
            }
            other => other,
        };
        let next = next.map_err(|e| self.failed(e))?;
        if file_type(&next)? != FileType::Symlink {
            self.stack.push(next);
            return Ok(());
        }
        self.links += 1;
        if self.links > MAX_LINKS {
            return Err(self.refuse("too many symlinks"));
        }
        let link = fs::readlinkat(&next, c"", Vec::new()).map_err(|e| self.failed(e))?;
        let link = PathBuf::from(OsStr::from_bytes(link.as_bytes()));
        if link.is_absolute() {
            self.stack.clear();
        }
        names(&link).into_iter().rev().for_each(|name| self.todo.push_front(name));
        Ok(())
    }

    fn open(&self, name: &OsStr) -> Result<OwnedFd, Errno> {
        fs::openat(self.here(), name, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())
    }

    /// Makes `name`: a directory, or at the very end what the source asks for. Somebody else's making it first is fine.
    fn create(&self, name: &OsStr, make: Make) -> Result<(), Errno> {
        let made = if make == Make::File && self.todo.is_empty() {
            let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            fs::openat(self.here(), name, flags, Mode::from_raw_mode(0o644)).map(drop)
        } else {
            fs::mkdirat(self.here(), name, Mode::from_raw_mode(0o755))
        };
        match made {
            Err(Errno::EXIST) => Ok(()),
            other => other,
        }
    }

    fn failed(&self, e: Errno) -> Error {
        Error::os(format!("make the mount point {}", self.target.display()), &e.into())
    }

    fn refuse(&self, why: &str) -> Error {
        Error::invalid(format!("invalid target {}: {why}", self.target.display()))
    }
}

fn names(path: &Path) -> VecDeque<OsString> {
    use std::path::Component;
    let keep = |component| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        _ => None,
    };
    path.components().filter_map(keep).collect()
}

fn file_type(fd: &OwnedFd) -> Result<FileType> {
    let stat = fs::fstat(fd).map_err(|e| Error::os("stat a mount point", &e.into()))?;
    Ok(FileType::from_raw_mode(stat.st_mode))
}

/// The directory at `target` as a process inside would see it, or nothing if it is missing or no directory.
pub fn existing_dir(root: BorrowedFd<'_>, target: &Path) -> Option<OwnedFd> {
    resolve::open_inside(root, target.strip_prefix("/").unwrap_or(target)).ok()
}
