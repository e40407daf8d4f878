//! The root: a copy-on-write view of the host (overlayfs over `/` and over each real file system below it), or a given
//! directory. Nothing written to the view reaches the host, and nothing of the daemon's own is seen in it.
use super::Launch;
use crate::error::{Error, Result};
use crate::host::linux::files::mountinfo::{self, Entry};
use crate::host::linux::files::resolve::{self, make_dir, mount_id, proc_path};
use crate::host::linux::files::target::{Make, existing_dir, open_target};
use crate::host::linux::files::{Attributes, Fresh, Tree};
use rustix::fs::{self, FileType, Mode, OFlags, ResolveFlags};
use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

/// Directories that are made afresh, or shown to nobody.
const FRESH: [&str; 5] = ["/proc", "/sys", "/dev", "/run", "/tmp"];

/// File systems without files of the host's, and other containers' roots.
const NOT_SHOWN: [&str; 24] = [
    "proc",
    "sysfs",
    "devtmpfs",
    "devpts",
    "mqueue",
    "cgroup",
    "cgroup2",
    "bpf",
    "debugfs",
    "tracefs",
    "securityfs",
    "pstore",
    "configfs",
    "fusectl",
    "autofs",
    "binfmt_misc",
    "hugetlbfs",
    "rpc_pipefs",
    "nsfs",
    "efivarfs",
    "selinuxfs",
    "overlay",
    "fuse.gvfsd-fuse",
    "fuse.portal",
];

/// File systems that overlayfs takes badly as a lower layer or that may not answer: shown read-only instead.
const FOREIGN: [&str; 9] = ["nfs", "nfs4", "cifs", "smb3", "9p", "ceph", "fuse", "vfat", "fuseblk"];

/// The root, attached, and the mounts of ours that belong to it (those of /usr, /home, /tmp, ...).
pub(super) struct Root {
    pub(super) tree: Tree,
    below: Vec<Tree>,
}

impl Root {
    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.tree.root()
    }

    /// Makes it read-only, but not what was mounted into it by others of this room.
    pub(super) fn lock(&self) -> Result<()> {
        let mut all = self.below.iter().chain([&self.tree]);
        all.try_for_each(|tree| tree.add(Attributes::MOUNT_ATTR_RDONLY, false))
    }
}

/// Builds the root and attaches it at `<scratch>/root`.
pub(super) fn build(launch: &Launch, scratch: &OwnedFd) -> Result<Root> {
    let place = resolve::open_child_dir(scratch, OsStr::new("root"))?;
    match &launch.rootfs {
        Some(dir) => given(dir, &place),
        None => view(launch, scratch, &place),
    }
}

fn given(dir: &Path, place: &OwnedFd) -> Result<Root> {
    let failed = |e: Error| e.while_doing(format!("use the rootfs {}", dir.display()));
    let tree = resolve::open_root(dir).and_then(|source| Tree::clone_of(source, true)).map_err(failed)?;
    tree.propagate(crate::model::mount::Propagation::Rprivate)?;
    tree.attach(place)?;
    Ok(Root { tree, below: Vec::new() })
}

fn owned(tree: &Tree) -> Result<OwnedFd> {
    tree.root().try_clone_to_owned().map_err(|e| Error::os("copy a descriptor", &e))
}

fn view(launch: &Launch, scratch: &OwnedFd, place: &OwnedFd) -> Result<Root> {
    let mut layers = Layers { dir: resolve::open_child_dir(scratch, OsStr::new("layers"))?, count: 0 };
    let host = resolve::open_root(Path::new("/"))?;
    let tree = match layers.over(host.as_fd()) {
        Ok(tree) => tree,
        Err(_) => {
            // The scratch directory's file system cannot be an upper layer (overlay, NFS, ...): memory can.
            let memory = Fresh::new("tmpfs").set("mode", "0755").mount(Attributes::empty())?;
            memory.attach(&layers.dir)?;
            layers = Layers { dir: owned(&memory)?, count: 0 };
            layers.over(host.as_fd()).map_err(|e| e.while_doing("make the view of the host"))?
        }
    };
    tree.attach(place)?;
    let mut root = Root { tree, below: Vec::new() };
    let hidden = hidden(launch);
    for entry in mountinfo::read()? {
        let shown = show(&entry, &hidden, root.fd(), &mut layers)?;
        root.below.extend(shown);
    }
    for path in &hidden {
        hide(root.fd(), path)?;
    }
    let fresh = fresh_dirs(root.fd(), &layers)?;
    root.below.extend(fresh);
    Ok(root)
}

fn hidden(launch: &Launch) -> Vec<PathBuf> {
    let real = |path: &PathBuf| path.canonicalize().ok();
    launch.hide.iter().chain([&launch.scratch]).filter_map(real).collect()
}

/// Where upper and work directories are made.
struct Layers {
    dir: OwnedFd,
    count: u32,
}

impl Layers {
    /// A copy-on-write view of `lower`. Volatile: nothing here has to survive, so syncing it is skipped.
    fn over(&mut self, lower: BorrowedFd<'_>) -> Result<Tree> {
        self.count += 1;
        let own = make_dir(&self.dir, OsStr::new(&self.count.to_string()), 0o755, (0, 0))?;
        let stat = fs::fstat(lower).map_err(|e| Error::os("stat a lower layer", &e.into()))?;
        let upper = make_dir(&own, OsStr::new("upper"), stat.st_mode & 0o7777, (stat.st_uid, stat.st_gid))?;
        let work = make_dir(&own, OsStr::new("work"), 0o700, (0, 0))?;
        Fresh::new("overlay")
            .set("lowerdir", proc_path(lower))
            .set("upperdir", proc_path(upper.as_fd()))
            .set("workdir", proc_path(work.as_fd()))
            .flag("volatile")
            .mount(Attributes::MOUNT_ATTR_NODEV)
    }
}

/// Shows one of the host's other mounts; one that cannot be is left out.
fn show(
    entry: &Entry,
    hidden: &[PathBuf],
    root: BorrowedFd<'_>,
    layers: &mut Layers,
) -> Result<Option<Tree>> {
    let point = entry.point.as_path();
    let aside = point == Path::new("/")
        || FRESH.iter().any(|dir| point.starts_with(dir))
        || hidden.iter().any(|dir| point.starts_with(dir))
        || NOT_SHOWN.contains(&entry.fs_type.as_str());
    if aside {
        return Ok(None);
    }
    let Ok(source) = fs::open(point, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty()) else {
        return Ok(None);
    };
    if mount_id(&source)? != entry.id {
        return Ok(None); // something lies over it
    }
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_SYMLINKS;
    let relative = point.strip_prefix("/").unwrap_or(point);
    let Ok(place) = fs::openat2(root, relative, OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), resolve)
    else {
        return Ok(None);
    };
    let kind = FileType::from_raw_mode(fs::fstat(&source).map_or(0, |stat| stat.st_mode));
    let foreign = FOREIGN.contains(&entry.fs_type.as_str()) || entry.fs_type.starts_with("fuse.");
    if kind == FileType::Directory
        && !entry.read_only
        && !foreign
        && let Ok(tree) = layers.over(source.as_fd())
    {
        tree.attach(&place)?;
        return Ok(Some(tree));
    }
    let Ok(tree) = Tree::clone_of(&source, false) else { return Ok(None) };
    tree.add(Attributes::MOUNT_ATTR_RDONLY | Attributes::MOUNT_ATTR_NODEV, false)?;
    tree.attach(&place)?;
    Ok(None)
}

/// Lays an empty directory over `path`, if the view has it.
fn hide(root: BorrowedFd<'_>, path: &Path) -> Result<()> {
    let Some(place) = existing_dir(root, path) else { return Ok(()) };
    let empty = Fresh::new("tmpfs").set("mode", "0700").set("size", "4k");
    empty.mount(Attributes::MOUNT_ATTR_RDONLY | Attributes::MOUNT_ATTR_NODEV)?.attach(place)
}

/// An empty /tmp (on disk if the view is) and an empty /run, whatever mounts the host had there.
fn fresh_dirs(root: BorrowedFd<'_>, layers: &Layers) -> Result<[Tree; 2]> {
    let safe = Attributes::MOUNT_ATTR_NOSUID | Attributes::MOUNT_ATTR_NODEV;
    let tmp = make_dir(&layers.dir, OsStr::new("tmp"), 0o1777, (0, 0))?;
    let tmp = Tree::clone_of(&tmp, false)?;
    tmp.add(safe, false)?;
    tmp.attach(open_target(root, Path::new("/tmp"), Make::Dir)?)?;
    let run = Fresh::new("tmpfs").set("mode", "0755").mount(safe)?;
    make_dir(run.root(), OsStr::new("lock"), 0o1777, (0, 0))?;
    run.attach(open_target(root, Path::new("/run"), Make::Dir)?)?;
    Ok([tmp, run])
}
