//! Which mounts of volumes are gone. The kernel tells of every change of the table of mounts, and other programs mount for
//! every container of theirs: whoever has no volume mounted does not listen.
use super::{super::kernel::MountVolumes, note};
use crate::{
    error::{Error, Result},
    host::Suspect,
};
use nix::{
    poll::{PollFd, PollFlags},
    sys::eventfd::{EfdFlags, EventFd},
};
use std::{collections::BTreeMap, fs::File, os::fd::AsFd, sync::Arc};

/// Rung when a volume is mounted by us, or was by the daemon before.
#[derive(Debug)]
pub struct Bell(EventFd);

impl Bell {
    pub fn new() -> Result<Self> {
        let made = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK);
        made.map(Bell).map_err(|error| Error::os("make a bell for mounts", &error.into()))
    }
    pub fn ring(&self) {
        // Full (2^64 - 2 unread rings) is rung enough.
        let _ = self.0.write(1);
    }
}

pub struct Mounts {
    bell: Arc<Bell>,
    rung: bool,
    table: File,
    volumes: Arc<dyn MountVolumes>,
    /// Volumes that were mounted at the last look.
    mounted: Vec<String>,
}

impl Mounts {
    pub fn open(volumes: Arc<dyn MountVolumes>, bell: Arc<Bell>) -> Result<Self> {
        let mountinfo = "/proc/self/mountinfo";
        let table = File::open(mountinfo).map_err(|error| Error::os(format!("open {mountinfo}"), &error))?;
        Ok(Mounts { bell, rung: false, table, volumes, mounted: Vec::new() })
    }

    pub fn poll(&self) -> PollFd<'_> {
        match self.rung {
            // proc_pid_mountinfo(5): a change is an exceptional condition
            true => PollFd::new(self.table.as_fd(), PollFlags::POLLPRI),
            false => PollFd::new(self.bell.0.as_fd(), PollFlags::POLLIN),
        }
    }

    /// `poll` said that there is something.
    pub fn look(&mut self, suspects: &mut BTreeMap<Suspect, String>) {
        self.rung = true;
        let now = self.volumes.mounted();
        let before = std::mem::replace(&mut self.mounted, now);
        let gone: Vec<String> = before.into_iter().filter(|volume| !self.mounted.contains(volume)).collect();
        if !gone.is_empty() {
            note(suspects, Suspect::Mounts, format!("volume {} was unmounted", gone.join(", ")));
        }
    }
}
