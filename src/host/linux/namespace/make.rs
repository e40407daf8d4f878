//! Makes network namespaces and the files that hold them, and takes them away. It opens a file's folder first and works
//! beneath it, so that a planted symlink leads nowhere; it never touches a foreign file.
use super::{Home, Return};
use crate::{
    error::{Error, Kind, Result},
    host::linux::{
        files::{Tree, mount, resolve},
        mounter::{self, Order},
        netlink::inside::{Visit, furnish},
    },
    model::Name,
};
use nix::sched::{CloneFlags, unshare};
use rustix::{
    fs::{self, AtFlags, Mode, OFlags},
    io::Errno,
};
use std::{
    ffi::OsStr,
    fs::File,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::Path,
};

/// Makes `folder` a shared mount of its own, as `ip netns` does with /run/netns: what is mounted below is seen by, and what
/// is unmounted vanishes from, every mount namespace copied from ours. Otherwise a copy would keep dead namespaces alive.
pub fn prepare_folder(folder: &Path) -> Result<()> {
    if mounter::is_chosen() {
        // It does so at its own start too: what is there already is served without it.
        if let Err(error) = mounter::ask(&Order::Prepare {}, None) {
            tracing::warn!(%error, "no sandbox and no volume can be made meanwhile");
        }
        return Ok(());
    }
    let failed = |e: Error| e.while_doing(format!("prepare folder {}", folder.display()));
    let (above, name) = split(folder)?;
    let above = resolve::make_host_dirs(above).map_err(failed)?;
    let open = || resolve::make_dir(&above, name, 0o755, (0, 0)).map_err(failed);
    let plain = open()?;
    match mount::share(plain.as_fd()) {
        // It is no mount point yet.
        Err(Errno::INVAL) => {}
        shared => return shared.map_err(|e| failed(Error::os("share the mount", &e.into()))),
    }
    Tree::clone_of(&plain, false).and_then(|own| own.attach(&plain)).map_err(failed)?;
    mount::share(open()?.as_fd()).map_err(|e| failed(Error::os("share the mount", &e.into())))
}

/// Takes the mount of `prepare_folder` away, and the folder if it is empty. Not being one is fine.
pub fn give_up_folder(folder: &Path) -> Result<()> {
    if mounter::is_chosen() {
        return mounter::ask(&Order::GiveUp {}, None).map(drop);
    }
    let (above, name) = split(folder)?;
    let Some(above) = there(resolve::open_root(above))? else { return Ok(()) };
    mount::unmount(above.as_fd(), Path::new(name))?;
    // What somebody else put there keeps the folder.
    let _ = fs::unlinkat(&above, name, AtFlags::REMOVEDIR);
    Ok(())
}

/// Makes a network namespace with lo up, held by the file `path`, which must not exist. The calling thread leaves `home`
/// for it and comes back. 0.4 ms.
pub fn make(path: &Path, home: &Home) -> Result<OwnedFd> {
    let made = fresh(home).and_then(|made| hold(path, made.as_fd()).map(|()| made));
    made.map_err(|e| e.while_doing(format!("make network namespace {}", path.display())))
}

fn fresh(home: &Home) -> Result<OwnedFd> {
    unshare(CloneFlags::CLONE_NEWNET).map_err(|e| Error::os("leave the own one", &e.into()))?;
    let _return = Return(home);
    let made = File::open("/proc/thread-self/ns/net").map_err(|e| Error::os("open it", &e))?;
    furnish(&Visit { loopback: true, ..Visit::default() })?;
    Ok(made.into())
}

/// Keeps `namespace` alive by a mount on the new file `path`.
pub fn hold(path: &Path, namespace: BorrowedFd<'_>) -> Result<()> {
    let (folder, name) = split(path)?;
    if mounter::is_chosen() {
        let order = Order::Hold { name: Name::parse(&name.to_string_lossy())? };
        return mounter::ask(&order, Some(namespace)).map(drop);
    }
    let folder = open_folder(folder)?;
    let flags = OFlags::RDONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = fs::openat(&folder, name, flags, Mode::from_raw_mode(0o444)).map_err(|e| match e {
        Errno::EXIST => Error::conflict("the file exists already"),
        e => Error::os("make the file", &e.into()),
    })?;
    let held = Tree::clone_of(namespace, false).and_then(|tree| tree.attach(&file));
    if held.is_err() {
        // The first error is the one to tell; this only takes the file away again.
        let _ = fs::unlinkat(&folder, name, AtFlags::empty());
    }
    held
}

/// Takes a namespace's file away; gone already is fine. The namespace itself dies with its last process and socket.
pub fn remove(path: &Path) -> Result<()> {
    let failed = |e: Error| e.while_doing(format!("remove network namespace {}", path.display()));
    let (folder, name) = split(path)?;
    if mounter::is_chosen() {
        let order = Order::LetGo { name: Name::parse(&name.to_string_lossy())? };
        return mounter::ask(&order, None).map(drop).map_err(failed);
    }
    let Some(folder) = there(open_folder(folder)).map_err(failed)? else { return Ok(()) };
    mount::unmount(folder.as_fd(), Path::new(name)).map_err(failed)?;
    match fs::unlinkat(&folder, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(e) => Err(failed(Error::os("remove its file", &e.into()))),
    }
}

fn split(path: &Path) -> Result<(&Path, &OsStr)> {
    let parts = path.parent().zip(path.file_name());
    parts.ok_or_else(|| Error::invalid(format!("invalid path {}: it names no file", path.display())))
}

/// The folder of namespaces' files: whoever made what is above it is trusted, and it is no symlink.
fn open_folder(folder: &Path) -> Result<OwnedFd> {
    let (above, name) = split(folder)?;
    resolve::open_child_dir(resolve::open_root(above)?, name)
}

fn there(opened: Result<OwnedFd>) -> Result<Option<OwnedFd>> {
    match opened {
        Ok(opened) => Ok(Some(opened)),
        Err(e) if e.kind == Kind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}
