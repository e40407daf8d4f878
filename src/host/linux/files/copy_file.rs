//! Copying one regular file: shared blocks where the file system can, else its data without the holes. It never
//! follows a symlink and never writes to a file that exists.
use super::copy::times;
use crate::error::Error;
use rustix::fs::{self, FileType, Gid, Mode, OFlags, SeekFrom, Stat, Uid, XattrFlags};
use rustix::io::Errno;
use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Bytes between two looks at the watch.
const CHUNK: u64 = 8 << 20;

/// Why a copy ended early.
pub(super) enum Stop {
    Errno(Errno),
    Error(Error),
}

impl From<Errno> for Stop {
    fn from(e: Errno) -> Self {
        Stop::Errno(e)
    }
}

/// Copies `name` of `from` to `name` of `to` with all attributes; `step` hears of the bytes done and may stop it.
/// Returns the bytes of data copied.
pub(super) fn copy(
    from: BorrowedFd<'_>,
    name: &CStr,
    to: BorrowedFd<'_>,
    stat: &Stat,
    step: &dyn Fn(u64) -> Result<(), Error>,
) -> Result<u64, Stop> {
    // NONBLOCK: should the file have become a FIFO meanwhile, do not wait for a writer.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOATIME | OFlags::CLOEXEC;
    let source = fs::openat(from, name, flags, Mode::empty())?;
    if FileType::from_raw_mode(fs::fstat(&source)?.st_mode) != FileType::RegularFile {
        return Err(Errno::INVAL.into());
    }
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let target = fs::openat(to, name, flags, Mode::from_raw_mode(0o600))?;
    let bytes = match fs::ioctl_ficlone(&target, &source) {
        Ok(()) => stat.st_size as u64,
        Err(_) => data(&source, &target, stat.st_size as u64, step)?,
    };
    fs::fchown(&target, Some(Uid::from_raw(stat.st_uid)), Some(Gid::from_raw(stat.st_gid)))?;
    fs::fchmod(&target, Mode::from_raw_mode(stat.st_mode & 0o7777))?;
    extended(source.as_fd(), target.as_fd())?;
    fs::futimens(&target, &times(stat))?;
    Ok(bytes)
}

/// Copies every stretch of data, leaves the holes, and gives the file its length.
fn data(
    source: &OwnedFd,
    target: &OwnedFd,
    size: u64,
    step: &dyn Fn(u64) -> Result<(), Error>,
) -> Result<u64, Stop> {
    let (mut at, mut done) = (0, 0);
    while at < size {
        let start = match fs::seek(source, SeekFrom::Data(at)) {
            Ok(start) => start,
            Err(Errno::NXIO) => break,
            Err(_) => at,
        };
        let end = fs::seek(source, SeekFrom::Hole(start)).unwrap_or(size).min(size);
        at = start;
        while at < end {
            let n = piece(source, target, at, (end - at).min(CHUNK))?;
            if n == 0 {
                break;
            }
            at += n;
            done += n;
            step(done).map_err(Stop::Error)?;
        }
        if at < end {
            break; // the source became shorter
        }
    }
    fs::ftruncate(target, size)?;
    Ok(done)
}

/// One piece inside the kernel: copy_file_range(2), or sendfile(2) between different sorts of file systems.
fn piece(source: &OwnedFd, target: &OwnedFd, at: u64, len: u64) -> Result<u64, Errno> {
    let (mut from, mut to) = (at, at);
    match fs::copy_file_range(source, Some(&mut from), target, Some(&mut to), len as usize) {
        Err(Errno::XDEV | Errno::INVAL | Errno::OPNOTSUPP | Errno::NOSYS) => {}
        other => return other.map(|n| n as u64),
    }
    fs::seek(target, SeekFrom::Start(at))?;
    let mut from = at;
    Ok(fs::sendfile(target, source, Some(&mut from), len as usize)? as u64)
}

/// Copies extended attributes (ACLs and file capabilities among them); those the target cannot hold are left out, and
/// so are overlayfs's own, which would be obeyed there.
pub(super) fn extended(source: BorrowedFd<'_>, target: BorrowedFd<'_>) -> Result<(), Errno> {
    let mut names = vec![0u8; 1024];
    let len = loop {
        match fs::flistxattr(source, &mut names[..]) {
            Ok(len) => break len,
            Err(Errno::RANGE) if names.len() < 1 << 16 => names.resize(1 << 16, 0),
            Err(Errno::OPNOTSUPP) => return Ok(()),
            Err(e) => return Err(e),
        }
    };
    let mut value = vec![];
    for name in names[..len].split_inclusive(|byte| *byte == 0) {
        let Ok(name) = CStr::from_bytes_with_nul(name) else { continue };
        if name.to_bytes().starts_with(b"trusted.overlay.") {
            continue;
        }
        value.resize(1 << 16, 0); // XATTR_SIZE_MAX
        let Ok(len) = fs::fgetxattr(source, name, &mut value[..]) else { continue };
        match fs::fsetxattr(target, name, &value[..len], XattrFlags::empty()) {
            Ok(()) | Err(Errno::OPNOTSUPP | Errno::PERM) => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}
