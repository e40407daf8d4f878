//! Removing volumes: one rename, which either happened or did not, and the deletion afterwards. Nothing is deleted
//! that was not renamed into the trash first.
use super::layout::{DATA, Layout, TRASH};
use crate::error::{Error, Result};
use crate::host::linux::files::{self, Tally, Watch, resolve};
use crate::model::Name;
use rustix::fs::{self, RenameFlags};
use rustix::io::Errno;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

/// A volume that was removed and still takes disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trashed(OsString);

impl Layout {
    /// Removes `name` at once; its tree is deleted by [`Layout::delete`], which may take long. It is durable after
    /// [`Layout::sync_removed`]. A volume that is not there gives nothing.
    ///
    /// # Errors
    /// `Conflict` if its data is still mounted.
    pub fn remove(&self, name: &Name) -> Result<Option<Trashed>> {
        if self.is_mounted(name)? {
            return Err(Error::conflict(format!("remove volume {name}: it is mounted: unmount it first")));
        }
        let failed = |e: Errno| Error::os(format!("remove volume {name}"), &e.into());
        let mut salt = [0u8; 6];
        getrandom::fill(&mut salt).map_err(|e| Error::internal("read random bytes").because(e))?;
        let tag: String = salt.iter().map(|byte| format!("{byte:02x}")).collect();
        let trashed = OsString::from(tag);
        match fs::renameat_with(&self.volumes, name.as_str(), &self.trash, &trashed, RenameFlags::NOREPLACE) {
            Ok(()) => {}
            Err(Errno::NOENT) => return Ok(None),
            Err(e) => return Err(failed(e)),
        }
        Ok(Some(Trashed(trashed)))
    }

    /// Makes all removals so far durable.
    ///
    /// # Errors
    /// As fsync(2) says.
    pub fn sync_removed(&self) -> Result<()> {
        fs::fsync(&self.volumes).map_err(|e| Error::os("sync the removal of volumes", &e.into()))
    }

    /// Deletes what [`Layout::remove`] took away; stopped, it is finished by the next [`Layout::empty_trash`].
    ///
    /// # Errors
    /// `Unavailable` when stopped.
    pub fn delete(&self, trashed: &Trashed, watch: Watch<'_>) -> Result<Tally> {
        files::remove_tree(&self.trash, &trashed.0, watch)
    }

    /// Deletes everything removed earlier; to be called at start, on a thread of its own.
    ///
    /// # Errors
    /// `Unavailable` when stopped; the first failure otherwise, after trying all.
    pub fn empty_trash(&self, watch: Watch<'_>) -> Result<Tally> {
        let (mut total, mut first) = (Tally::default(), Ok(()));
        for name in names(&self.trash)? {
            match files::remove_tree(&self.trash, &name, watch) {
                Ok(tally) => {
                    total.entries += tally.entries;
                    total.bytes += tally.bytes;
                }
                Err(e) if (watch.stop)() => return Err(e),
                Err(e) => first = first.and(Err(e)),
            }
        }
        first.map(|()| total)
    }

    /// Names of all volume directories, for finding those that no promise knows.
    ///
    /// # Errors
    /// As getdents64(2) says.
    pub fn found(&self) -> Result<Vec<Name>> {
        let names = names(&self.volumes)?;
        let volume = |name: &OsString| {
            let own = resolve::open_child_dir(&self.volumes, name).ok()?;
            resolve::open_child_dir(own, OsStr::new(DATA)).ok()?;
            Name::parse(name.to_str()?).ok()
        };
        Ok(names.iter().filter(|name| *name != TRASH).filter_map(volume).collect())
    }
}

fn names(dir: &impl std::os::fd::AsFd) -> Result<Vec<OsString>> {
    let failed = |e: Errno| Error::os("read the volumes", &e.into());
    let mut names = Vec::new();
    for entry in fs::Dir::read_from(dir).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = OsStr::from_bytes(entry.file_name().to_bytes());
        if name != "." && name != ".." {
            names.push(name.to_owned());
        }
    }
    Ok(names)
}
