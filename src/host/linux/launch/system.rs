//! /proc, /sys and /dev of a sandbox: those of its own namespaces, with the devices every program expects and no other.
use crate::error::{Error, Result};
use crate::host::linux::files::target::{Make, open_target};
use crate::host::linux::files::{Attributes, Fresh, Tree, resolve};
use rustix::fs::{self, FileType, Mode, OFlags};
use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

const NOSUID: Attributes = Attributes::MOUNT_ATTR_NOSUID;
const BARE: Attributes = NOSUID.union(Attributes::MOUNT_ATTR_NODEV).union(Attributes::MOUNT_ATTR_NOEXEC);

/// Character devices: name, major, minor (Documentation/admin-guide/devices.txt).
const DEVICES: [(&str, u32, u32); 6] =
    [("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9), ("tty", 5, 0)];

const LINKS: [(&str, &str); 6] = [
    ("ptmx", "pts/ptmx"),
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("core", "/proc/kcore"),
];

/// Mounts them beneath `root`; the umask must be 0. Call it in the sandbox's namespaces: all three show the caller's.
pub(super) fn mount(root: BorrowedFd<'_>) -> Result<()> {
    let over = |path: &str, tree: Tree| tree.attach(open_target(root, Path::new(path), Make::Dir)?);
    over("/proc", Fresh::new("proc").mount(BARE)?)?;
    over("/sys", Fresh::new("sysfs").mount(BARE | Attributes::MOUNT_ATTR_RDONLY)?)?;
    let dev = devices()?;
    over("/dev", dev)?;
    let pts = Fresh::new("devpts").set("ptmxmode", "0666").set("mode", "0620").set("gid", 5);
    over("/dev/pts", pts.mount(NOSUID | Attributes::MOUNT_ATTR_NOEXEC)?)?;
    over("/dev/shm", Fresh::new("tmpfs").set("mode", "1777").set("size", "64m").mount(BARE)?)?;
    if let Ok(mqueue) = Fresh::new("mqueue").mount(BARE) {
        over("/dev/mqueue", mqueue)?; // a kernel may lack it
    }
    Ok(())
}

fn devices() -> Result<Tree> {
    let failed = |name: &str, e: rustix::io::Errno| Error::os(format!("make /dev/{name}"), &e.into());
    let tree = Fresh::new("tmpfs").set("mode", "0755").set("size", "64k").mount(NOSUID)?;
    let dir = tree.root();
    for (name, major, minor) in DEVICES {
        let mode = Mode::from_raw_mode(0o666);
        fs::mknodat(dir, name, FileType::CharacterDevice, mode, fs::makedev(major, minor))
            .map_err(|e| failed(name, e))?;
    }
    for (name, to) in LINKS {
        fs::symlinkat(to, dir, name).map_err(|e| failed(name, e))?;
    }
    for name in ["pts", "shm", "mqueue"] {
        resolve::make_dir(dir, OsStr::new(name), 0o755, (0, 0))?;
    }
    Ok(tree)
}

/// A new terminal of the sandbox's own devpts: master and slave; the slave is also its /dev/console.
pub(super) fn terminal(root: BorrowedFd<'_>) -> Result<(OwnedFd, OwnedFd)> {
    use std::os::fd::{AsRawFd, FromRawFd};
    let failed = |e: &std::io::Error| Error::os("make a terminal", e);
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let pts = resolve::open_inside(root, Path::new("dev/pts"))?;
    let master = fs::openat(&pts, "ptmx", flags, Mode::empty()).map_err(|e| failed(&e.into()))?;
    let unlocked: libc::c_int = 0;
    // SAFETY: TIOCSPTLCK reads one int, TIOCGPTPEER takes open(2) flags and returns a descriptor (ioctl_tty(2)).
    let slave = unsafe {
        if libc::ioctl(master.as_raw_fd(), libc::TIOCSPTLCK, &raw const unlocked) != 0 {
            return Err(failed(&std::io::Error::last_os_error()));
        }
        libc::ioctl(master.as_raw_fd(), libc::TIOCGPTPEER, libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC)
    };
    if slave < 0 {
        return Err(failed(&std::io::Error::last_os_error()));
    }
    // SAFETY: the kernel just gave us this descriptor; nobody else owns it.
    let slave = unsafe { OwnedFd::from_raw_fd(slave) };
    let console = open_target(root, Path::new("/dev/console"), Make::File)?;
    Tree::clone_of(slave.as_fd(), false)?.attach(console)?;
    Ok((master, slave))
}

/// Lets unprivileged programs bind low ports and ping, as Docker does. Only in a network namespace that is not the host's.
pub(super) fn network_sysctls(root: BorrowedFd<'_>) -> Result<()> {
    let dir = resolve::open_inside(root, Path::new("proc/sys/net/ipv4"))?;
    for (name, value) in [("ip_unprivileged_port_start", "0"), ("ping_group_range", "0 2147483647")] {
        let flags = OFlags::WRONLY | OFlags::CLOEXEC;
        let written = fs::openat(&dir, name, flags, Mode::empty())
            .and_then(|file| rustix::io::write(&file, value.as_bytes()));
        written.map_err(|e| Error::os(format!("set net.ipv4.{name}"), &e.into()))?;
    }
    Ok(())
}
