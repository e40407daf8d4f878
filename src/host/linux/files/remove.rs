//! Removing a tree beneath an open directory. It never follows a symlink and never crosses into another mount; stopped
//! half way it can simply be called again.
use super::walk::{Tally, Visit, Watch, walk};
use crate::error::{Error, Result};
use rustix::fs::{self, AtFlags, FileType, OFlags, Stat};
use std::ffi::{CStr, OsStr};
use std::os::fd::{AsFd, BorrowedFd};

/// Removes `name` of `parent`, whatever it is, and all below it. A missing one is fine. Returns what was freed:
/// entries, and bytes of files that had no other name.
///
/// # Errors
/// `Conflict` if something is mounted below; `Unavailable` when stopped.
pub fn remove_tree(parent: impl AsFd, name: &OsStr, watch: Watch<'_>) -> Result<Tally> {
    let failed = |e: rustix::io::Errno| Error::os(format!("remove {}", name.display()), &e.into());
    let parent = parent.as_fd();
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut remove = Remove { tally: Tally::default(), watch };
    match fs::openat(parent, name, flags, fs::Mode::empty()) {
        Ok(dir) => {
            walk(dir.as_fd(), &mut remove)
                .map_err(|e| e.while_doing(format!("remove {}", name.display())))?;
            fs::unlinkat(parent, name, AtFlags::REMOVEDIR).map_err(failed)?;
        }
        Err(rustix::io::Errno::NOENT) => return Ok(remove.tally),
        Err(rustix::io::Errno::NOTDIR | rustix::io::Errno::LOOP) => {
            fs::unlinkat(parent, name, AtFlags::empty()).map_err(failed)?;
        }
        Err(e) => return Err(failed(e)),
    }
    remove.tally.entries += 1;
    Ok(remove.tally)
}

struct Remove<'a> {
    tally: Tally,
    watch: Watch<'a>,
}

impl Visit for Remove<'_> {
    fn leaf(&mut self, dir: BorrowedFd<'_>, name: &CStr, stat: &Stat) -> Result<()> {
        let is_dir = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
        let flags = if is_dir { AtFlags::REMOVEDIR } else { AtFlags::empty() };
        gone(fs::unlinkat(dir, name, flags), name)?;
        self.tally.entries += 1;
        if !is_dir && stat.st_nlink == 1 {
            self.tally.bytes += stat.st_blocks as u64 * 512;
        }
        self.watch.step(self.tally)
    }

    fn leave(&mut self, dir: BorrowedFd<'_>, name: &CStr, _opened: BorrowedFd<'_>) -> Result<()> {
        gone(fs::unlinkat(dir, name, AtFlags::REMOVEDIR), name)?;
        self.tally.entries += 1;
        self.watch.step(self.tally)
    }
}

fn gone(result: rustix::io::Result<()>, name: &CStr) -> Result<()> {
    match result {
        Ok(()) | Err(rustix::io::Errno::NOENT) => Ok(()),
        Err(rustix::io::Errno::BUSY) => {
            Err(Error::conflict(format!("{} is a mount point: unmount it first", name.to_string_lossy())))
        }
        Err(e) => Err(Error::os(format!("remove {}", name.to_string_lossy()), &e.into())),
    }
}
