//! `<root>/volumes/<name>/_data`: making, finding and measuring volumes. It opens everything beneath the one directory
//! it holds open, so a name or a planted symlink never leads elsewhere.
use crate::error::{Error, Result};
use crate::host::linux::files::{self, Usage, Watch, resolve};
use crate::model::{Name, volume};
use rustix::fs;
use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

/// The directory below a volume's own that holds its data.
pub const DATA: &str = "_data";
/// Removed volumes wait here for their deletion. No volume can have this name.
pub(super) const TRASH: &str = ".trash";

/// The open `<root>/volumes`.
#[derive(Debug)]
pub struct Layout {
    path: PathBuf,
    pub(super) volumes: OwnedFd,
    pub(super) trash: OwnedFd,
}

impl Layout {
    /// Opens `<root>/volumes` (0701: others may pass, not look), making it and `root` if need be.
    ///
    /// # Errors
    /// `Denied` if one of them is a symlink or no directory; else as the system says.
    pub fn open(root: &Path) -> Result<Self> {
        let failed = |e: Error| e.while_doing(format!("open the volumes below {}", root.display()));
        let parent = resolve::make_host_dirs(root).map_err(failed)?;
        let volumes = resolve::make_dir(&parent, OsStr::new("volumes"), 0o701, (0, 0)).map_err(failed)?;
        let trash = resolve::make_dir(&volumes, OsStr::new(TRASH), 0o700, (0, 0)).map_err(failed)?;
        Ok(Layout { path: root.join("volumes"), volumes, trash })
    }

    /// `<root>/volumes`
    pub(super) fn root(&self) -> &Path {
        &self.path
    }

    /// Where the data of `name` is, for showing and for handing to others.
    pub fn path(&self, name: &Name) -> PathBuf {
        self.path.join(name.as_str()).join(DATA)
    }

    /// Makes the directories of `name`: the volume's own 0701, its data 0755, both root's. They are durable after
    /// [`Layout::sync`]. One that exists is taken as it is.
    ///
    /// # Errors
    /// `Invalid` name (one character), `Exhausted`, ...
    pub fn create(&self, name: &Name) -> Result<()> {
        volume::check_name(name)?;
        let failed = |e: Error| e.while_doing(format!("make the directory of volume {name}"));
        let own =
            resolve::make_dir(&self.volumes, OsStr::new(name.as_str()), 0o701, (0, 0)).map_err(failed)?;
        resolve::make_dir(&own, OsStr::new(DATA), 0o755, (0, 0)).map_err(failed).map(drop)
    }

    /// Makes the directories of these volumes durable. Those that were removed meanwhile are passed over.
    ///
    /// # Errors
    /// As fsync(2) says.
    pub fn sync(&self, names: &[Name]) -> Result<()> {
        for name in names {
            let Ok(own) = self.own(name) else { continue };
            // What is mounted over its data is not ours: the way there is enough.
            fs::fsync(own).map_err(|e| {
                Error::os(format!("sync the directory of volume {name}"), &io::Error::from(e))
            })?;
        }
        fs::fsync(&self.volumes).map_err(|e| Error::os("sync the directory of volumes", &io::Error::from(e)))
    }

    /// Whether the directory of `name` is there.
    pub fn exists(&self, name: &Name) -> bool {
        self.own(name).is_ok()
    }

    /// The volume's own directory.
    pub(super) fn own(&self, name: &Name) -> Result<OwnedFd> {
        resolve::open_child_dir(&self.volumes, OsStr::new(name.as_str()))
            .map_err(|e| e.while_doing(format!("open volume {name}")))
    }

    /// The open `_data` of `name`, what is mounted over it included.
    ///
    /// # Errors
    /// `NotFound`; `Denied` if it is not a directory.
    pub fn data(&self, name: &Name) -> Result<OwnedFd> {
        resolve::open_child_dir(self.own(name)?, OsStr::new(DATA))
            .map_err(|e| e.while_doing(format!("open volume {name}")))
    }

    /// Measures the data: what a removal would free. What is mounted over it is not ours and counts as nothing.
    ///
    /// # Errors
    /// `NotFound`; `Unavailable` when stopped.
    pub fn usage(&self, name: &Name, watch: Watch<'_>) -> Result<Usage> {
        if self.is_mounted(name)? {
            return Ok(Usage::default());
        }
        files::measure(self.data(name)?, watch).map_err(|e| e.while_doing(format!("measure volume {name}")))
    }

    /// Fills an empty volume from the directory `target` of a rootfs; true if it did. See [`files::fill`].
    ///
    /// # Errors
    /// `NotFound`; `Unavailable` when stopped, the volume being empty again; `Exhausted`, ...
    pub fn copy_up(&self, rootfs: impl AsFd, target: &Path, name: &Name, watch: Watch<'_>) -> Result<bool> {
        let Some(source) = files::target::existing_dir(rootfs.as_fd(), target) else { return Ok(false) };
        let (own, data) = (self.own(name)?, self.data(name)?);
        let fill = files::Fill { source: source.as_fd(), data: data.as_fd(), home: Some(own.as_fd()) };
        files::fill(fill, watch)
            .map_err(|e| e.while_doing(format!("copy {} into volume {name}", target.display())))
    }

    /// Finishes a copy into `name` that was killed in its last step. See [`files::settle`].
    ///
    /// # Errors
    /// As the calls say.
    pub fn settle(&self, name: &Name) -> Result<()> {
        let (Ok(own), Ok(data)) = (self.own(name), self.data(name)) else { return Ok(()) };
        files::settle(data.as_fd(), own.as_fd())
            .map(drop)
            .map_err(|e| e.while_doing(format!("finish the copy into volume {name}")))
    }
}
