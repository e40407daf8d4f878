//! Measuring a tree: the disk it really takes. It counts a hard-linked file once, stays on one mount, and changes
//! nothing, not even access times.
use super::walk::{Tally, Visit, Watch, walk};
use crate::error::{Error, Result};
use rustix::fs::{FileType, Stat};
use std::collections::HashSet;
use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd};

/// What a tree takes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Allocated bytes (blocks, so holes are free), the directory itself included.
    pub bytes: u64,
    /// Files, directories, symlinks, ... below it.
    pub entries: u64,
}

/// Measures everything below `dir` and `dir` itself.
///
/// # Errors
/// `Unavailable` when stopped; `Conflict` if directories were moved about meanwhile.
pub fn measure(dir: impl AsFd, watch: Watch<'_>) -> Result<Usage> {
    let own = rustix::fs::fstat(&dir).map_err(|e| Error::os("measure a directory", &e.into()))?;
    let tally = Tally { entries: 0, bytes: own.st_blocks as u64 * 512 };
    let mut measure = Measure { tally, linked: HashSet::new(), watch };
    walk(dir.as_fd(), &mut measure)?;
    Ok(Usage { bytes: measure.tally.bytes, entries: measure.tally.entries })
}

struct Measure<'a> {
    tally: Tally,
    linked: HashSet<(u64, u64)>,
    watch: Watch<'a>,
}

impl Visit for Measure<'_> {
    fn leaf(&mut self, _dir: BorrowedFd<'_>, _name: &CStr, stat: &Stat) -> Result<()> {
        if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
            return Ok(()); // another file system is mounted there
        }
        self.tally.entries += 1;
        if stat.st_nlink == 1 || self.linked.insert((stat.st_dev, stat.st_ino)) {
            self.tally.bytes += stat.st_blocks as u64 * 512;
        }
        self.watch.step(self.tally)
    }

    fn enter(&mut self, _dir: BorrowedFd<'_>, _name: &CStr, stat: &Stat) -> Result<()> {
        self.tally.entries += 1;
        self.tally.bytes += stat.st_blocks as u64 * 512;
        self.watch.step(self.tally)
    }
}
