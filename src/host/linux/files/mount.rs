//! Mounts by descriptor (open_tree(2), mount_setattr(2), fsopen(2), move_mount(2)): a mount is made detached, dressed,
//! and attached to an open place. It never resolves the place again, so nothing can be swapped in between.
use super::mountinfo;
use super::resolve::{mount_id, proc_path};
use crate::error::{Error, Result};
use crate::model::mount::Propagation;
use rustix::io::Errno;
use rustix::mount::{self as m, FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;

/// mount_setattr(2) flags: `MOUNT_ATTR_RDONLY`, `_NOSUID`, `_NODEV`, `_NOEXEC`.
pub type Attributes = MountAttrFlags;

/// A mount (with those below it, if cloned so) that is attached nowhere yet; dropped, it is gone.
#[derive(Debug)]
pub struct Tree(OwnedFd);

impl Tree {
    /// A bind clone of an open file or directory; `recursive` takes the mounts below along.
    ///
    /// # Errors
    /// As open_tree(2) says.
    pub fn clone_of(source: impl AsFd, recursive: bool) -> Result<Self> {
        let mut flags = OpenTreeFlags::OPEN_TREE_CLONE
            | OpenTreeFlags::OPEN_TREE_CLOEXEC
            | OpenTreeFlags::AT_EMPTY_PATH
            | OpenTreeFlags::AT_NO_AUTOMOUNT;
        if recursive {
            flags |= OpenTreeFlags::AT_RECURSIVE;
        }
        m::open_tree(source, c"", flags).map(Tree).map_err(|e| Error::os("bind a directory", &e.into()))
    }

    /// Adds attributes, on every mount of the tree if `recursive` (Linux 5.12).
    ///
    /// # Errors
    /// `Unsupported` on an older kernel.
    pub fn add(&self, attributes: Attributes, recursive: bool) -> Result<()> {
        set(self.0.as_fd(), u64::from(attributes.bits()), 0, recursive)
    }

    /// Sets how mount events travel.
    ///
    /// # Errors
    /// As mount_setattr(2) says.
    pub fn propagate(&self, propagation: Propagation) -> Result<()> {
        let (kind, recursive) = match propagation {
            Propagation::Private => (libc::MS_PRIVATE, false),
            Propagation::Rprivate => (libc::MS_PRIVATE, true),
            Propagation::Slave => (libc::MS_SLAVE, false),
            Propagation::Rslave => (libc::MS_SLAVE, true),
            Propagation::Shared => (libc::MS_SHARED, false),
            Propagation::Rshared => (libc::MS_SHARED, true),
        };
        set(self.0.as_fd(), 0, kind, recursive)
    }

    /// Puts it over `place`, an open file or directory.
    ///
    /// # Errors
    /// As move_mount(2) says.
    pub fn attach(&self, place: impl AsFd) -> Result<()> {
        let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
        m::move_mount(&self.0, c"", place, c"", flags).map_err(|e| Error::os("attach a mount", &e.into()))
    }

    /// The root of the tree.
    pub fn root(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

fn set(tree: BorrowedFd<'_>, add: u64, propagation: u64, recursive: bool) -> Result<()> {
    let attr = libc::mount_attr { attr_set: add, attr_clr: 0, propagation, userns_fd: 0 };
    let flags = libc::AT_EMPTY_PATH | if recursive { libc::AT_RECURSIVE } else { 0 };
    // SAFETY: the path is a C string, `attr` outlives the call and its size is passed along.
    let done = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            tree.as_raw_fd(),
            c"".as_ptr(),
            flags,
            &raw const attr,
            size_of_val(&attr),
        )
    };
    match done {
        0 => Ok(()),
        _ => Err(Error::os("change a mount's attributes", &std::io::Error::last_os_error())),
    }
}

/// Makes every mount of this namespace private, so that nothing we mount reaches the host.
///
/// # Errors
/// As mount(2) says.
pub fn make_all_private() -> Result<()> {
    m::mount_change(c"/", m::MountPropagationFlags::PRIVATE | m::MountPropagationFlags::REC)
        .map_err(|e| Error::os("make the mounts private", &e.into()))
}

/// Makes the mount at whose root `place` was opened shared; EINVAL: it is no mount point.
pub fn share(place: BorrowedFd<'_>) -> rustix::io::Result<()> {
    m::mount_change(proc_path(place).as_str(), m::MountPropagationFlags::SHARED)
}

/// Refuses `shared` or `slave` from a source whose own mount does not share, as it would do nothing.
///
/// # Errors
/// `Invalid`, naming the source.
pub fn check_propagation(source: impl AsFd, propagation: Propagation, label: &str) -> Result<()> {
    let (shared, slave) = match propagation {
        Propagation::Shared | Propagation::Rshared => (true, false),
        Propagation::Slave | Propagation::Rslave => (false, true),
        Propagation::Private | Propagation::Rprivate => return Ok(()),
    };
    let id = mount_id(source)?;
    let mounts = mountinfo::read()?;
    let entry = mounts.iter().find(|entry| entry.id == id);
    match entry.is_some_and(|e| e.shared && (shared || slave) || e.slave && slave) {
        true => Ok(()),
        false => Err(Error::invalid(format!(
            "{label}: the source is not on a shared mount: run `mount --make-shared` on it or use rprivate"
        ))),
    }
}

/// A file system of its own, made by fsopen(2).
#[derive(Debug, Clone, Default)]
pub struct Fresh {
    fs_type: String,
    options: Vec<(String, Option<String>)>,
}

impl Fresh {
    /// `tmpfs`, `proc`, `overlay`, ...
    pub fn new(fs_type: &str) -> Self {
        Fresh { fs_type: fs_type.to_owned(), options: Vec::new() }
    }
    pub fn set(mut self, key: &str, value: impl ToString) -> Self {
        self.options.push((key.to_owned(), Some(value.to_string())));
        self
    }
    pub fn flag(mut self, key: &str) -> Self {
        self.options.push((key.to_owned(), None));
        self
    }

    /// Makes it, detached.
    ///
    /// # Errors
    /// As fsopen(2), fsconfig(2) and fsmount(2) say, with what the kernel logged as cause.
    pub fn mount(&self, attributes: Attributes) -> Result<Tree> {
        let context = m::fsopen(self.fs_type.as_str(), FsOpenFlags::FSOPEN_CLOEXEC)
            .map_err(|e| Error::os(format!("mount {}", self.fs_type), &e.into()))?;
        let configured = self.options.iter().try_for_each(|(key, value)| match value {
            Some(value) => m::fsconfig_set_string(&context, key.as_str(), value.as_str()),
            None => m::fsconfig_set_flag(&context, key.as_str()),
        });
        let mounted = configured
            .and_then(|()| m::fsconfig_create(&context))
            .and_then(|()| m::fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes));
        mounted.map(Tree).map_err(|e| self.failed(&context, e))
    }

    /// The file system context holds a log; one line is read at a time (fsopen(2)).
    fn failed(&self, context: &OwnedFd, e: Errno) -> Error {
        let mut error = Error::os(format!("mount {}", self.fs_type), &e.into());
        let mut line = [0u8; 1024];
        while let Ok(n @ 1..) = rustix::io::read(context, &mut line[..]) {
            error = error.because(String::from_utf8_lossy(&line[..n]).trim());
        }
        error
    }
}

/// mount(2) of `device` over `place`, for file systems that read their options from one text (nfs, cifs, ...).
///
/// # Errors
/// As mount(2) says.
pub fn mount_over(
    device: &str,
    place: BorrowedFd<'_>,
    fs_type: &str,
    flags: u64,
    data: &str,
) -> std::io::Result<()> {
    let flags = nix::mount::MsFlags::from_bits_truncate(flags);
    let data = (!data.is_empty()).then_some(data);
    nix::mount::mount(Some(device), proc_path(place).as_str(), Some(fs_type), flags, data).map_err(Into::into)
}

/// Unmounts what lies over `name` of the open directory `parent`; busy or dead, it is detached and ends by itself.
///
/// # Errors
/// As umount2(2) says; nothing mounted there is fine.
pub fn unmount(parent: BorrowedFd<'_>, name: &Path) -> Result<()> {
    let path = format!("{}/{}", proc_path(parent), name.display());
    let gently = m::unmount(path.as_str(), m::UnmountFlags::NOFOLLOW);
    let done = match gently {
        Err(Errno::BUSY) => m::unmount(path.as_str(), m::UnmountFlags::NOFOLLOW | m::UnmountFlags::DETACH),
        other => other,
    };
    match done {
        Ok(()) | Err(Errno::INVAL | Errno::NOENT) => Ok(()),
        Err(e) => Err(Error::os(format!("unmount {}", name.display()), &e.into())),
    }
}
