//! Copying a tree with everything that makes it: owners, modes, times, extended attributes, symlinks, hard links,
//! devices, holes. It writes only beneath the directory it is given, and never onto something that is there already.
use super::copy_file;
use super::resolve;
use super::walk::{Tally, Visit, Watch, walk};
use crate::error::{Error, Result};
use rustix::fs::{self, AtFlags, FileType, Gid, Mode, OFlags, Stat, Timespec, Timestamps, Uid};
use rustix::io::Errno;
use std::collections::HashMap;
use std::ffi::{CStr, OsStr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// Copies all entries of `source` into `target`, which should be empty. `target`'s own attributes stay:
/// see [`copy_attributes`].
///
/// # Errors
/// `Exhausted` on a full disk, `Conflict` if an entry exists, `Unavailable` when stopped.
pub fn copy_tree(source: impl AsFd, target: impl AsFd, watch: Watch<'_>) -> Result<Tally> {
    let root = target.as_fd().try_clone_to_owned().map_err(|e| Error::os("copy a tree", &e))?;
    let mut copy = Copy {
        dirs: vec![root],
        path: PathBuf::new(),
        links: HashMap::new(),
        tally: Tally::default(),
        watch,
    };
    walk(source.as_fd(), &mut copy)?;
    Ok(copy.tally)
}

/// Gives `target` the owner, mode, extended attributes and times of `source` (both open directories or files).
///
/// # Errors
/// As the calls say.
pub fn copy_attributes(source: impl AsFd, target: impl AsFd) -> Result<()> {
    let failed = |e: Errno| Error::os("copy a directory's attributes", &e.into());
    let stat = fs::fstat(&source).map_err(failed)?;
    fs::fchown(&target, Some(Uid::from_raw(stat.st_uid)), Some(Gid::from_raw(stat.st_gid)))
        .map_err(failed)?;
    fs::fchmod(&target, Mode::from_raw_mode(stat.st_mode & 0o7777)).map_err(failed)?;
    copy_file::extended(source.as_fd(), target.as_fd()).map_err(failed)?;
    fs::futimens(&target, &times(&stat)).map_err(failed)
}

/// The times of a file, for utimensat(2).
pub fn times(stat: &Stat) -> Timestamps {
    Timestamps {
        last_access: Timespec { tv_sec: stat.st_atime, tv_nsec: stat.st_atime_nsec as _ },
        last_modification: Timespec { tv_sec: stat.st_mtime, tv_nsec: stat.st_mtime_nsec as _ },
    }
}

struct Copy<'a> {
    /// Open directories of the copy, from its root to where we are.
    dirs: Vec<OwnedFd>,
    /// Where we are, from the copy's root.
    path: PathBuf,
    /// Where the first name of a file with several was put.
    links: HashMap<(u64, u64), PathBuf>,
    tally: Tally,
    watch: Watch<'a>,
}

impl Copy<'_> {
    fn here(&self) -> Result<BorrowedFd<'_>> {
        self.dirs
            .last()
            .map(|d| d.as_fd())
            .ok_or_else(|| Error::internal("copy a tree: no directory is open"))
    }

    fn failed(&self, name: &CStr, e: Errno) -> Error {
        Error::os(format!("copy {}", self.path.join(name.to_string_lossy().as_ref()).display()), &e.into())
    }

    /// Gives the file a second name if its first is copied already.
    fn linked(&mut self, name: &CStr, stat: &Stat) -> Result<bool> {
        if stat.st_nlink < 2 {
            return Ok(false);
        }
        let path = self.path.join(OsStr::from_bytes(name.to_bytes()));
        let Some(first) = self.links.get(&(stat.st_dev, stat.st_ino)) else {
            self.links.insert((stat.st_dev, stat.st_ino), path);
            return Ok(false);
        };
        let root = self.dirs.first().ok_or_else(|| Error::internal("copy a tree: no root is open"))?;
        let first = resolve::open_subpath(root, first)?;
        fs::linkat(&first, c"", self.here()?, name, AtFlags::EMPTY_PATH).map_err(|e| self.failed(name, e))?;
        Ok(true)
    }

    fn node(&mut self, dir: BorrowedFd<'_>, name: &CStr, stat: &Stat) -> Result<(), Errno> {
        let here = self.here().map_err(|_| Errno::BADF)?;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Symlink => {
                let link = fs::readlinkat(dir, name, Vec::new())?;
                fs::symlinkat(&link, here, name)?;
            }
            kind => fs::mknodat(here, name, kind, Mode::from_raw_mode(stat.st_mode & 0o7777), stat.st_rdev)?,
        }
        let owner = (Some(Uid::from_raw(stat.st_uid)), Some(Gid::from_raw(stat.st_gid)));
        fs::chownat(here, name, owner.0, owner.1, AtFlags::SYMLINK_NOFOLLOW)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::Symlink {
            // mknod(2) obeys the umask and chown(2) drops set-id bits: set the mode on the node itself.
            let node =
                fs::openat(here, name, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?;
            let path = resolve::proc_path(node.as_fd());
            fs::chmod(path, Mode::from_raw_mode(stat.st_mode & 0o7777))?;
        }
        fs::utimensat(here, name, &times(stat), AtFlags::SYMLINK_NOFOLLOW)
    }
}

impl Visit for Copy<'_> {
    fn leaf(&mut self, dir: BorrowedFd<'_>, name: &CStr, stat: &Stat) -> Result<()> {
        let kind = FileType::from_raw_mode(stat.st_mode);
        if matches!(kind, FileType::Directory | FileType::Socket) {
            return Ok(()); // another mount; a socket means nothing without its server
        }
        self.tally.entries += 1;
        if self.linked(name, stat)? {
            return self.watch.step(self.tally);
        }
        if kind != FileType::RegularFile {
            self.node(dir, name, stat).map_err(|e| self.failed(name, e))?;
            return self.watch.step(self.tally);
        }
        let (tally, watch, target) = (self.tally, self.watch, self.here()?);
        let step = |bytes| watch.step(Tally { bytes: tally.bytes + bytes, ..tally });
        let copied = copy_file::copy(dir, name, target, stat, &step);
        self.tally.bytes += copied.map_err(|e| match e {
            copy_file::Stop::Errno(e) => self.failed(name, e),
            copy_file::Stop::Error(e) => e,
        })?;
        self.watch.step(self.tally)
    }

    fn enter(&mut self, _dir: BorrowedFd<'_>, name: &CStr, _stat: &Stat) -> Result<()> {
        let name = OsStr::from_bytes(name.to_bytes());
        let made = fs::mkdirat(self.here()?, name, Mode::RWXU);
        made.map_err(|e| Error::os(format!("copy {}", self.path.join(name).display()), &e.into()))?;
        let made = resolve::open_child_dir(self.here()?, name)?;
        self.dirs.push(made);
        self.path.push(name);
        self.tally.entries += 1;
        self.watch.step(self.tally)
    }

    fn leave(&mut self, _dir: BorrowedFd<'_>, _name: &CStr, opened: BorrowedFd<'_>) -> Result<()> {
        self.path.pop();
        match self.dirs.pop() {
            Some(copy) => copy_attributes(opened, copy),
            None => Ok(()),
        }
    }
}
