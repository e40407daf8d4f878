//! Volumes with `type` and `device`: mounting over `_data` at first use and unmounting after the last. Who is first and
//! last the engine counts. It never waits longer than a limit: what a dead server holds up is left to a thread.
use super::layout::{DATA, Layout};
use super::options::MountOrder;
use crate::error::{Error, Result};
use crate::host::linux::files::{Attributes, Tree, mount, mountinfo, patient, resolve};
use crate::model::Name;
use std::ffi::OsStr;
use std::net::{IpAddr, ToSocketAddrs};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

/// How long a mount may take (mount.nfs(8) gives up after two minutes; nobody waits that long for a container).
pub const PATIENCE: Duration = Duration::from_secs(30);

impl Layout {
    /// Whether something is mounted over the data of `name`. It does not touch what is mounted.
    ///
    /// # Errors
    /// If /proc cannot be read.
    pub fn is_mounted(&self, name: &Name) -> Result<bool> {
        let path = self.path(name);
        // The root may be reached through symlinks; mountinfo knows the real path. Neither step enters the mount.
        let real = path.parent().and_then(|own| own.canonicalize().ok()).map(|own| own.join(DATA));
        mountinfo::is_mount_point(real.as_deref().unwrap_or(&path))
    }

    /// The volumes over whose data something is mounted.
    ///
    /// # Errors
    /// If /proc cannot be read.
    pub fn mounted(&self) -> Result<Vec<Name>> {
        mounted_below(self.root())
    }

    /// Mounts `order` over the data of `name`; already mounted is fine.
    ///
    /// # Errors
    /// `NotFound` (device, server's export), `Unavailable` after `limit` or if its host has no address, `Unsupported`
    /// file system; the message holds no password.
    pub fn mount_volume(&self, name: &Name, order: MountOrder, limit: Duration) -> Result<()> {
        if self.is_mounted(name)? {
            return Ok(());
        }
        let step = format!("mount volume {name}: {}", order.describe());
        let (own, data) = (self.own(name)?, self.data(name)?);
        patient::within(
            limit,
            &step.clone(),
            move || make(order, &data).map(|()| own).map_err(|e| e.while_doing(step)),
            |own| drop(mount::unmount(own.as_fd(), Path::new(DATA))),
        )
        .map(drop)
    }

    /// Unmounts what lies over the data of `name`; nothing there is fine. One that is busy or dead is detached.
    ///
    /// # Errors
    /// `Unavailable` after `limit`.
    pub fn unmount_volume(&self, name: &Name, limit: Duration) -> Result<()> {
        if !self.is_mounted(name)? {
            return Ok(());
        }
        let own = self.own(name)?;
        let step = format!("unmount volume {name}");
        patient::within(limit, &step, move || mount::unmount(own.as_fd(), Path::new(DATA)), |()| ())
            .map_err(|e| e.while_doing(step))
    }
}

/// The volumes over whose data something is mounted, as far as this mount namespace shows it; `volumes` is their directory,
/// into which it does not look.
///
/// # Errors
/// If /proc cannot be read.
pub fn mounted_below(volumes: &Path) -> Result<Vec<Name>> {
    let root = volumes.canonicalize().unwrap_or_else(|_| volumes.to_owned());
    let name = |entry: &mountinfo::Entry| {
        let own = entry.point.strip_prefix(&root).ok()?.parent()?;
        let name = Name::parse(own.to_str()?).ok()?;
        (entry.point == root.join(own).join(DATA)).then_some(name)
    };
    let mut names: Vec<Name> = mountinfo::read()?.iter().filter_map(name).collect();
    // One mount is there twice where its directory is (a bind of the root on itself).
    names.sort_unstable();
    names.dedup();
    Ok(names)
}

/// The address of the server that `order` names, if it has to be found. It asks the host's names and may take seconds.
///
/// # Errors
/// `Unavailable` if there is none.
pub fn address_for(order: &MountOrder) -> Result<Option<IpAddr>> {
    let Some(lookup) = &order.lookup else { return Ok(None) };
    let address = (lookup.host.as_str(), 0).to_socket_addrs().ok().and_then(|mut all| all.next());
    address.map(|address| Some(address.ip())).ok_or_else(|| order.no_address(&lookup.host))
}

fn make(order: MountOrder, data: &OwnedFd) -> Result<()> {
    if order.is_bind() {
        return bind(&order, data);
    }
    let order = match address_for(&order)? {
        Some(address) => order.resolved(address),
        None => order,
    };
    mount::mount_over(&order.device, data.as_fd(), &order.fs_type, order.flags, &order.data.join(","))
        .map_err(|e| Error::os("mount", &e))
}

/// `o=bind`: the device is a directory of the host, which has to exist.
fn bind(order: &MountOrder, data: &OwnedFd) -> Result<()> {
    let source = resolve::open_root(Path::new(OsStr::new(&order.device)))?;
    let tree = Tree::clone_of(&source, order.flags & libc::MS_REC != 0)?;
    const SAME: [(u64, Attributes); 4] = [
        (libc::MS_RDONLY, Attributes::MOUNT_ATTR_RDONLY),
        (libc::MS_NOSUID, Attributes::MOUNT_ATTR_NOSUID),
        (libc::MS_NODEV, Attributes::MOUNT_ATTR_NODEV),
        (libc::MS_NOEXEC, Attributes::MOUNT_ATTR_NOEXEC),
    ];
    let wanted = SAME.iter().filter(|(bit, _)| order.flags & bit != 0);
    let attributes = wanted.fold(Attributes::empty(), |all, (_, attribute)| all | *attribute);
    tree.add(attributes, order.flags & libc::MS_REC != 0)?;
    tree.attach(data)
}
