//! Hides and locks the parts of /proc and /sys that reach the whole host, as container runtimes do. A path this kernel
//! has not is passed over.
use crate::error::{Error, Result};
use crate::host::linux::files::{Attributes, Fresh, Tree};
use rustix::fs::{self, FileType, Mode, OFlags, ResolveFlags};
use std::os::fd::{BorrowedFd, OwnedFd};

const HIDDEN: [&str; 12] = [
    "proc/acpi",
    "proc/asound",
    "proc/interrupts",
    "proc/kcore",
    "proc/keys",
    "proc/latency_stats",
    "proc/sched_debug",
    "proc/scsi",
    "proc/timer_list",
    "proc/timer_stats",
    "sys/devices/virtual/powercap",
    "sys/firmware",
];

const READ_ONLY: [&str; 5] = ["proc/bus", "proc/fs", "proc/irq", "proc/sys", "proc/sysrq-trigger"];

/// Covers them beneath `root`.
pub(super) fn apply(root: BorrowedFd<'_>) -> Result<()> {
    let null =
        open(root, "dev/null").ok_or_else(|| Error::internal("/dev/null of the sandbox is missing"))?;
    for path in HIDDEN {
        let Some(place) = open(root, path) else { continue };
        let kind = fs::fstat(&place).map(|stat| FileType::from_raw_mode(stat.st_mode));
        match kind {
            Ok(FileType::Directory) => {
                let empty = Fresh::new("tmpfs").set("size", "4k").set("mode", "0555");
                empty.mount(Attributes::MOUNT_ATTR_RDONLY)?.attach(&place)?;
            }
            _ => Tree::clone_of(&null, false)?.attach(&place)?,
        }
    }
    for path in READ_ONLY {
        let Some(place) = open(root, path) else { continue };
        let tree = Tree::clone_of(&place, true)?;
        tree.add(Attributes::MOUNT_ATTR_RDONLY, true)?;
        tree.attach(&place)?;
    }
    Ok(())
}

fn open(root: BorrowedFd<'_>, path: &str) -> Option<OwnedFd> {
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_SYMLINKS;
    fs::openat2(root, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), resolve).ok()
}
