//! The user's mounts: sources are opened on the host before the namespaces change, attached inside afterwards. A target
//! is resolved beneath the root by descriptor, so a symlink planted there never leads a mount outside.
use super::view::Root;
use super::{ResolvedMount, Source};
use crate::error::{Error, Kind, Result};
use crate::host::linux::files::target::{Make, existing_dir, open_target};
use crate::host::linux::files::{self, Attributes, Fresh, Tree, Watch, mount, resolve};
use crate::model::mount::{Propagation, ReadOnly};
use rustix::fs::{self, FileType, Mode, OFlags};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

/// A mount whose source is open.
pub(super) struct Prepared {
    mount: ResolvedMount,
    made: Made,
}

enum Made {
    /// A clone of `source`, detached, and what its target has to be.
    Tree {
        tree: Tree,
        source: OwnedFd,
        make: Make,
        home: Option<OwnedFd>,
    },
    Tmpfs(Fresh, Attributes),
}

impl Prepared {
    /// Opens the source; makes a missing host directory if it is to be made.
    pub(super) fn open(mount: &ResolvedMount) -> Result<Self> {
        let failed = |e: Error| e.while_doing(mount.label.clone());
        if resolve::components(&mount.target).map_err(failed)?.is_empty() || !mount.target.is_absolute() {
            return Err(Error::invalid(format!(
                "{}: the target must be an absolute path, and not /",
                mount.label
            )));
        }
        let made = match &mount.source {
            Source::Tmpfs { size, mode, options } => tmpfs(*size, *mode, options, mount.read_only),
            Source::Bind { path, create } => {
                open_bind(path, *create).and_then(|source| cloned(mount, source, None)).map_err(failed)?
            }
            Source::Volume { data, subpath, home, .. } => {
                let home = home.as_deref().map(resolve::open_root).transpose().map_err(failed)?;
                let source = open_volume(data, subpath.as_deref()).map_err(failed)?;
                cloned(mount, source, home).map_err(failed)?
            }
        };
        Ok(Prepared { mount: mount.clone(), made })
    }

    /// A generated file over `target`.
    pub(super) fn file(scratch: &OwnedFd, name: &str) -> Result<Self> {
        let source =
            fs::openat(scratch, name, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())
                .map_err(|e| Error::os(format!("open {name}"), &e.into()))?;
        let mount = ResolvedMount {
            source: Source::Bind { path: name.into(), create: false },
            target: Path::new("/etc").join(name),
            read_only: ReadOnly::No,
            propagation: Propagation::Rprivate,
            non_recursive: true,
            label: format!("generated /etc/{name}"),
        };
        let made = cloned(&mount, source, None)?;
        Ok(Prepared { mount, made })
    }

    pub(super) fn target(&self) -> &PathBuf {
        &self.mount.target
    }

    /// Fills an empty volume from what `root` has at its target. Call it before anything is mounted over that.
    pub(super) fn copy_up(&self, root: BorrowedFd<'_>, watch: Watch<'_>) -> Result<()> {
        let (Source::Volume { copy_up: true, .. }, Made::Tree { source, make: Make::Dir, home, .. }) =
            (&self.mount.source, &self.made)
        else {
            return Ok(());
        };
        let Some(from) = existing_dir(root, &self.mount.target).filter(|dir| !is_proc(dir)) else {
            return Ok(());
        };
        let data = resolve::open_beneath(source, Path::new("."))?;
        let home = home.as_ref().map(|home| home.as_fd());
        files::fill(files::Fill { source: from.as_fd(), data: data.as_fd(), home }, watch)
            .map(drop)
            .map_err(|e| e.while_doing(format!("{}: copy the content at its target", self.mount.label)))
    }

    /// Attaches it beneath `root`, making the mount point if it is missing.
    pub(super) fn attach(&self, root: &Root) -> Result<()> {
        let attach = || {
            let make = match &self.made {
                Made::Tree { make, .. } => *make,
                Made::Tmpfs(..) => Make::Dir,
            };
            let place = open_target(root.fd(), &self.mount.target, make)?;
            if is_proc(&place) {
                return Err(Error::invalid("invalid target: nothing can be mounted in /proc"));
            }
            match &self.made {
                Made::Tree { tree, .. } => tree.attach(place),
                Made::Tmpfs(fresh, attributes) => fresh.mount(*attributes)?.attach(place),
            }
        };
        attach().map_err(|e: Error| e.while_doing(self.mount.label.clone()))
    }
}

fn is_proc(fd: &OwnedFd) -> bool {
    fs::fstatfs(fd).is_ok_and(|fs| fs.f_type == libc::PROC_SUPER_MAGIC)
}

fn open_bind(path: &Path, create: bool) -> Result<OwnedFd> {
    let open = || fs::open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty());
    match open() {
        Err(rustix::io::Errno::NOENT) if create => resolve::make_host_dirs(path),
        Err(rustix::io::Errno::NOENT) => Err(Error::not_found(format!(
            "bind source path does not exist: {}: make it first, or use -v",
            path.display()
        ))),
        other => other.map_err(|e| Error::os(format!("open {}", path.display()), &e.into())),
    }
}

/// The last component of `data` is opened without following a symlink: above it is only the daemon's own.
fn open_volume(data: &Path, subpath: Option<&Path>) -> Result<OwnedFd> {
    let bad = || Error::invalid(format!("invalid volume path {}", data.display()));
    let (parent, name) = (data.parent().ok_or_else(bad)?, data.file_name().ok_or_else(bad)?);
    let dir = resolve::open_child_dir(resolve::open_root(parent)?, name)?;
    match subpath {
        Some(subpath) => resolve::open_subpath(dir, subpath),
        None => Ok(dir),
    }
}

/// Clones and dresses the tree.
fn cloned(mount: &ResolvedMount, source: OwnedFd, home: Option<OwnedFd>) -> Result<Made> {
    let stat = fs::fstat(&source).map_err(|e| Error::os("stat the source", &e.into()))?;
    let make = match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => Make::Dir,
        _ => Make::File,
    };
    let tree = Tree::clone_of(&source, make == Make::Dir && !mount.non_recursive)?;
    mount::check_propagation(&source, mount.propagation, "bind-propagation")?;
    tree.propagate(mount.propagation)?;
    if matches!(mount.source, Source::Volume { .. }) {
        tree.add(Attributes::MOUNT_ATTR_NODEV, false)?;
    }
    read_only(&tree, mount)?;
    Ok(Made::Tree { tree, source, make, home })
}

fn read_only(tree: &Tree, mount: &ResolvedMount) -> Result<()> {
    let ro = Attributes::MOUNT_ATTR_RDONLY;
    match mount.read_only {
        ReadOnly::No => Ok(()),
        ReadOnly::NonRecursive => tree.add(ro, false),
        ReadOnly::ForceRecursive if mount.propagation != Propagation::Rprivate => {
            Err(Error::invalid("a mount that must be read-only recursively needs bind-propagation=rprivate"))
        }
        ReadOnly::ForceRecursive => tree.add(ro, true),
        ReadOnly::Recursive => match tree.add(ro, true) {
            Err(e) if e.kind == Kind::Unsupported => tree.add(ro, false),
            other => other,
        },
    }
}

fn tmpfs(size: Option<u64>, mode: Option<u32>, options: &[String], read_only: ReadOnly) -> Made {
    let mut fresh = Fresh::new("tmpfs").set("mode", format!("{:o}", mode.unwrap_or(0o1777)));
    if let Some(size) = size {
        fresh = fresh.set("size", size);
    }
    let mut attributes =
        Attributes::MOUNT_ATTR_NOEXEC | Attributes::MOUNT_ATTR_NOSUID | Attributes::MOUNT_ATTR_NODEV;
    attributes.set(Attributes::MOUNT_ATTR_RDONLY, read_only != ReadOnly::No);
    for word in options {
        match word.as_str() {
            "exec" => attributes.remove(Attributes::MOUNT_ATTR_NOEXEC),
            "noexec" => attributes.insert(Attributes::MOUNT_ATTR_NOEXEC),
            "suid" => attributes.remove(Attributes::MOUNT_ATTR_NOSUID),
            "nosuid" => attributes.insert(Attributes::MOUNT_ATTR_NOSUID),
            "dev" => attributes.remove(Attributes::MOUNT_ATTR_NODEV),
            "nodev" => attributes.insert(Attributes::MOUNT_ATTR_NODEV),
            "ro" => attributes.insert(Attributes::MOUNT_ATTR_RDONLY),
            "rw" => attributes.remove(Attributes::MOUNT_ATTR_RDONLY),
            other => {
                fresh = match other.split_once('=') {
                    Some((key, value)) => fresh.set(key, value),
                    None => fresh.flag(other),
                }
            }
        }
    }
    Made::Tmpfs(fresh, attributes)
}
