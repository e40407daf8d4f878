//! Opens a network namespace by its path and tells which one it is; it never enters it.
use super::Home;
use crate::error::{Error, Result};
use nix::sys::{
    stat::fstat,
    statfs::{FsType, fstatfs},
};
use std::{
    fs::OpenOptions,
    os::{
        fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
        unix::fs::OpenOptionsExt,
    },
    path::Path,
};

/// NSFS_MAGIC (include/uapi/linux/magic.h).
const NSFS: FsType = FsType(0x6e73_6673);
/// NS_GET_NSTYPE (ioctl_nsfs(2)): answers with the CLONE_NEW* flag.
const NS_GET_NSTYPE: libc::c_ulong = 0xb703;
/// include/uapi/linux/sockios.h.
const SIOCGSKNS: libc::c_ulong = 0x894c;

/// Which namespace it is, whatever paths lead to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identity {
    pub device: u64,
    pub inode: u64,
}

/// Opens the network namespace at `path` (`/run/netns/x`, `/proc/PID/ns/net`). `NotFound` without such a file, `Invalid`
/// if it is something else or the namespace of `home`.
pub fn open(path: &Path, home: &Home) -> Result<OwnedFd> {
    let shown = path.display();
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_CLOEXEC | libc::O_NONBLOCK | libc::O_NOCTTY)
        .open(path)
        .map_err(|e| match e.kind() {
            std::io::ErrorKind::NotFound => {
                Error::not_found(format!("network namespace {shown}: no such file"))
            }
            _ => Error::os(format!("open network namespace {shown}"), &e),
        })?;
    if !is_network_namespace(file.as_fd()) {
        return Err(Error::invalid(format!("{shown} is not a network namespace")));
    }
    if identity(file.as_fd())? == home.identity() {
        return Err(Error::invalid(format!("{shown} is the host's own network namespace")));
    }
    Ok(file.into())
}

/// Which namespace a descriptor stands for.
pub fn identity(namespace: BorrowedFd<'_>) -> Result<Identity> {
    let stat = fstat(namespace).map_err(|e| Error::os("identify a network namespace", &e.into()))?;
    Ok(Identity { device: stat.st_dev, inode: stat.st_ino })
}

/// Inodes of the calling thread's network namespace and of the one at `path`, if the thread sees one there.
pub fn inodes(path: Option<&Path>) -> (u64, Option<u64>) {
    let Ok(home) = Home::here() else { return (0, None) };
    let there = path.and_then(|path| open(path, &home).ok()).and_then(|file| identity(file.as_fd()).ok());
    (home.identity().inode, there.map(|there| there.inode))
}

/// The kernel's name of this boot (random(4)): inodes of namespaces mean nothing in the next one.
pub fn boot() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}

/// The namespace a socket belongs to.
pub fn of_socket(socket: BorrowedFd<'_>) -> std::io::Result<OwnedFd> {
    // SAFETY: SIOCGSKNS takes no argument and returns a new descriptor or -1.
    let raw = unsafe { libc::ioctl(socket.as_raw_fd(), SIOCGSKNS as _) };
    match raw {
        // SAFETY: the kernel just returned this descriptor and nobody else knows it.
        0.. => Ok(unsafe { OwnedFd::from_raw_fd(raw) }),
        _ => Err(std::io::Error::last_os_error()),
    }
}

fn is_network_namespace(file: BorrowedFd<'_>) -> bool {
    if !fstatfs(file).is_ok_and(|fs| fs.filesystem_type() == NSFS) {
        return false;
    }
    // SAFETY: NS_GET_NSTYPE takes no argument and writes no memory.
    unsafe { libc::ioctl(file.as_raw_fd(), NS_GET_NSTYPE as _) == libc::CLONE_NEWNET }
}
