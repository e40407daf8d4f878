//! Opening and making directories beneath an open one (openat2(2)). It never leaves the root it is given, and follows
//! no magic links.
use crate::error::{Error, Result};
use rustix::fs::{self, AtFlags, Gid, Mode, OFlags, ResolveFlags, Uid};
use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Component, Path};

/// Opens a directory that its caller trusts (the daemon's root, a host path the user named), symlinks followed.
///
/// # Errors
/// `NotFound`, `Denied`, ... naming `path`.
pub fn open_root(path: &Path) -> Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    fs::open(path, flags, Mode::empty()).map_err(|e| Error::os(format!("open {}", path.display()), &e.into()))
}

/// Opens the directory `relative` beneath `root`; no symlink anywhere, no `..` past the root.
///
/// # Errors
/// `Denied` if a symlink or `..` is in the way, else as openat2(2) says.
pub fn open_beneath(root: impl AsFd, relative: &Path) -> Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    open(root, relative, flags, resolve).map_err(|e| refusal(relative, e))
}

/// Opens the file or directory `relative` of a volume (O_PATH), as `volume-subpath` does: it must exist.
///
/// # Errors
/// As [`open_beneath`]; `Invalid` if `relative` is absolute.
pub fn open_subpath(root: impl AsFd, relative: &Path) -> Result<OwnedFd> {
    if relative.is_absolute() {
        return Err(Error::invalid(format!("invalid subpath {}: it must be relative", relative.display())));
    }
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    open(root, relative, OFlags::PATH | OFlags::CLOEXEC, resolve).map_err(|e| refusal(relative, e))
}

/// Opens the directory `path` as a process whose root is `root` would see it: symlinks are followed, but inside.
///
/// # Errors
/// As openat2(2) says.
pub fn open_inside(root: impl AsFd, path: &Path) -> Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    open(root, path, flags, resolve).map_err(|e| refusal(path, e))
}

/// How often a way is tried; each try takes microseconds.
const TRIES: usize = 256;

/// openat2(2) gives up a way with `..` in it (EAGAIN) when somebody anywhere renames or mounts something meanwhile.
fn open(
    root: impl AsFd,
    path: &Path,
    flags: OFlags,
    resolve: ResolveFlags,
) -> Result<OwnedFd, rustix::io::Errno> {
    let once = || fs::openat2(&root, path, flags, Mode::empty(), resolve);
    (1..TRIES)
        .map(|_| once())
        .find(|tried| !matches!(tried, Err(rustix::io::Errno::AGAIN)))
        .unwrap_or_else(once)
}

fn refusal(path: &Path, errno: rustix::io::Errno) -> Error {
    let step = format!("open {}", path.display());
    match errno {
        rustix::io::Errno::LOOP | rustix::io::Errno::XDEV => {
            Error::denied(format!("{step}: the path leaves its root or goes through a symlink"))
        }
        other => Error::os(step, &other.into()),
    }
}

/// Makes the one directory `name` in `parent` (or takes the one there is), with this mode and owner, and opens it.
///
/// # Errors
/// `Denied` if `name` is a symlink or not a directory; else as mkdirat(2) says.
pub fn make_dir(parent: impl AsFd, name: &OsStr, mode: u32, owner: (u32, u32)) -> Result<OwnedFd> {
    let failed =
        |step: &str, e: rustix::io::Errno| Error::os(format!("{step} {}", name.display()), &e.into());
    let new = match fs::mkdirat(&parent, name, Mode::from_raw_mode(mode & 0o700)) {
        Ok(()) => true,
        Err(rustix::io::Errno::EXIST) => false,
        Err(e) => return Err(failed("make directory", e)),
    };
    let dir = open_child_dir(&parent, name)?;
    if new {
        fs::fchown(&dir, Some(Uid::from_raw(owner.0)), Some(Gid::from_raw(owner.1)))
            .map_err(|e| failed("chown", e))?;
        fs::fchmod(&dir, Mode::from_raw_mode(mode)).map_err(|e| failed("chmod", e))?;
    }
    Ok(dir)
}

/// Opens the directory `name` of `parent`, which must be one: a symlink is refused.
///
/// # Errors
/// As openat(2) says.
pub fn open_child_dir(parent: impl AsFd, name: &OsStr) -> Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match fs::openat(parent, name, flags, Mode::empty()) {
        Ok(dir) => Ok(dir),
        Err(rustix::io::Errno::LOOP | rustix::io::Errno::NOTDIR) => {
            Err(Error::denied(format!("{} is not a directory: move it away", name.display())))
        }
        Err(e) => Err(Error::os(format!("open {}", name.display()), &e.into())),
    }
}

/// Makes every directory of an absolute host path, as `-v /new/dir:/x` does: 0755, root's.
///
/// # Errors
/// As mkdirat(2) and openat(2) say; `Invalid` if the path is not absolute.
pub fn make_host_dirs(path: &Path) -> Result<OwnedFd> {
    if !path.is_absolute() {
        return Err(Error::invalid(format!("invalid path {}: it must be absolute", path.display())));
    }
    std::fs::create_dir_all(path)
        .map_err(|e| Error::os(format!("make the bind source {}", path.display()), &e))?;
    open_root(path)
}

/// Whether `dir` has no entries.
///
/// # Errors
/// As getdents64(2) says.
pub fn is_empty(dir: impl AsFd) -> Result<bool> {
    let failed = |e: rustix::io::Errno| Error::os("read a directory", &e.into());
    let dir = fs::Dir::read_from(dir).map_err(failed)?;
    for entry in dir {
        let entry = entry.map_err(failed)?;
        if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Device and inode: what makes a file itself.
pub fn identity(fd: impl AsFd) -> Result<(u64, u64)> {
    let stat = fs::fstat(fd).map_err(|e| Error::os("stat an open file", &e.into()))?;
    Ok((stat.st_dev, stat.st_ino))
}

/// The id of the mount a file was opened on (statx(2), Linux 5.8).
pub fn mount_id(fd: impl AsFd) -> Result<u64> {
    let mask = fs::StatxFlags::from_bits_retain(libc::STATX_MNT_ID);
    let stat = fs::statx(fd, c"", AtFlags::EMPTY_PATH, mask)
        .map_err(|e| Error::os("stat an open file", &e.into()))?;
    Ok(stat.stx_mnt_id)
}

/// The path's normal components; `.` is dropped, `..` and prefixes are refused.
///
/// # Errors
/// `Invalid`.
pub fn components(path: &Path) -> Result<Vec<OsString>> {
    let mut names = Vec::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => names.push(name.to_owned()),
            Component::RootDir | Component::CurDir => {}
            _ => return Err(Error::invalid(format!("invalid path {}: it holds ..", path.display()))),
        }
    }
    Ok(names)
}

/// Borrows a descriptor as `/proc/self/fd/N`, for calls that take only text.
pub fn proc_path(fd: BorrowedFd<'_>) -> String {
    use std::os::fd::AsRawFd;
    format!("/proc/self/fd/{}", fd.as_raw_fd())
}
