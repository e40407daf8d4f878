//! Makes network namespaces that have a file of their own, and takes them away; it never touches a foreign file.
use super::{Home, Return, file::open};
use crate::{
    error::{Error, Result},
    host::linux::netlink::inside::{Visit, furnish},
};
use nix::{
    mount::{MntFlags, MsFlags, mount, umount2},
    sched::{CloneFlags, unshare},
};
use std::{
    fs::{self, DirBuilder, OpenOptions},
    io::ErrorKind,
    os::{fd::OwnedFd, unix::fs::DirBuilderExt},
    path::Path,
};

/// Makes `folder` a shared mount of its own, as `ip netns` does with /run/netns: what is mounted below is seen by, and what
/// is unmounted vanishes from, every mount namespace copied from ours. Otherwise a copy would keep dead namespaces alive.
pub fn prepare_folder(folder: &Path) -> Result<()> {
    let step = |what: &str| format!("{what} {}", folder.display());
    DirBuilder::new()
        .recursive(true)
        .mode(0o755)
        .create(folder)
        .map_err(|e| Error::os(step("make folder"), &e))?;
    let share = || mount(None::<&str>, folder, None::<&str>, MsFlags::MS_SHARED, None::<&str>);
    if share() != Err(nix::Error::EINVAL) {
        return share().map_err(|e| Error::os(step("share mount"), &e.into()));
    }
    // EINVAL: it is no mount point yet.
    mount(Some(folder), folder, None::<&str>, MsFlags::MS_BIND, None::<&str>)
        .map_err(|e| Error::os(step("bind"), &e.into()))?;
    share().map_err(|e| Error::os(step("share mount"), &e.into()))
}

/// Takes the mount of `prepare_folder` away, and the folder if it is empty. Not being one is fine.
pub fn give_up_folder(folder: &Path) -> Result<()> {
    match umount2(folder, MntFlags::MNT_DETACH) {
        Ok(()) | Err(nix::Error::EINVAL | nix::Error::ENOENT) => {}
        Err(error) => return Err(Error::os(format!("unmount {}", folder.display()), &error.into())),
    }
    // What somebody else put there keeps the folder.
    let _ = std::fs::remove_dir(folder);
    Ok(())
}

/// Makes a network namespace with lo up, held by the file `path`, which must not exist. The calling thread leaves `home`
/// for it and comes back. 0.4 ms.
pub fn make(path: &Path, home: &Home) -> Result<OwnedFd> {
    let shown = path.display();
    OpenOptions::new().write(true).create_new(true).open(path).map_err(|e| match e.kind() {
        ErrorKind::AlreadyExists => {
            Error::conflict(format!("make network namespace: {shown} exists already"))
        }
        _ => Error::os(format!("make network namespace {shown}"), &e),
    })?;
    let made = fresh(path, home).and_then(|()| open(path, home));
    if made.is_err() {
        // The first error is the one to tell; this only takes the file away again.
        let _ = remove(path);
    }
    made
}

fn fresh(path: &Path, home: &Home) -> Result<()> {
    let shown = path.display();
    unshare(CloneFlags::CLONE_NEWNET)
        .map_err(|e| Error::os(format!("make network namespace {shown}"), &e.into()))?;
    let _return = Return(home);
    mount(Some("/proc/thread-self/ns/net"), path, None::<&str>, MsFlags::MS_BIND, None::<&str>)
        .map_err(|e| Error::os(format!("hold network namespace {shown}"), &e.into()))?;
    furnish(&Visit { loopback: true, ..Visit::default() })
}

/// Takes a namespace's file away; gone already is fine. The namespace itself dies with its last process and socket.
pub fn remove(path: &Path) -> Result<()> {
    let step = |what: &str| format!("{what} network namespace {}", path.display());
    match umount2(path, MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW) {
        // EINVAL: nothing is mounted there (any more).
        Ok(()) | Err(nix::Error::EINVAL | nix::Error::ENOENT) => {}
        Err(e) => return Err(Error::os(step("unmount"), &e.into())),
    }
    match fs::remove_file(path) {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(Error::os(step("remove the file of"), &e)),
        _ => Ok(()),
    }
}
