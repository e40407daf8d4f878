//! Opens a network namespace by its path and tells which one it is; it never enters it.
use super::Home;
use crate::error::{Error, Kind, Result};
use crate::host::linux::mounter::{self, Order};
use nix::sys::{
    stat::fstat,
    statfs::{FsType, fstatfs},
};
use std::{
    fs::OpenOptions,
    io::ErrorKind,
    os::{
        fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
        unix::fs::OpenOptionsExt,
    },
    path::{Path, PathBuf},
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
    let file = open_or_ask(path)?;
    check(file.as_fd(), path, home)?;
    Ok(file)
}

/// Refuses what is no network namespace, or that of `home`. `path` is how it is called.
pub fn check(file: BorrowedFd<'_>, path: &Path, home: &Home) -> Result<()> {
    let shown = path.display();
    if !is_network_namespace(file) {
        return Err(Error::invalid(format!("{shown} is not a network namespace")));
    }
    if identity(file)? == home.identity() {
        return Err(Error::invalid(format!("{shown} is the host's own network namespace")));
    }
    Ok(())
}

fn open_or_ask(path: &Path) -> Result<OwnedFd> {
    let shown = path.display();
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(libc::O_CLOEXEC | libc::O_NONBLOCK | libc::O_NOCTTY);
    let refused = match options.open(path) {
        Ok(file) => return Ok(file.into()),
        Err(e) if e.kind() == ErrorKind::NotFound => {
            return Err(Error::not_found(format!("network namespace {shown}: no such file")));
        }
        Err(e) => Error::os(format!("open network namespace {shown}"), &e),
    };
    // A process may be looked into only by those who can do all that it can, and more (ptrace(2), PTRACE_MODE_READ).
    match process_of(path).filter(|_| refused.kind == Kind::Denied && mounter::is_chosen()) {
        Some(pid) => {
            let (_, opened) = mounter::ask(&Order::NamespaceOf { pid }, None)?;
            opened.ok_or_else(|| Error::internal(format!("open network namespace {shown}: none came")))
        }
        None => Err(refused),
    }
}

/// The path of a process's network namespace.
pub fn of_process(pid: i32) -> PathBuf {
    format!("/proc/{pid}/ns/net").into()
}

/// The process in `/proc/PID/ns/net`.
fn process_of(path: &Path) -> Option<i32> {
    path.to_str()?.strip_prefix("/proc/")?.strip_suffix("/ns/net")?.parse().ok().filter(|pid| *pid > 0)
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
