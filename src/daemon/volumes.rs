//! The room `volume` behind the traits that the engine and the kernel ask for volumes, in this process.
use crate::{
    engine::Volumes,
    error::{Error, Result},
    host::linux::{MountVolumes, files::Watch},
    model::{Name, Volume, kernel::VolumeMount, volume::LocalOptions},
    volume::{Layout, MountOrder, mounted::PATIENCE},
};
use parking_lot::Mutex;
use std::{
    io,
    net::IpAddr,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

/// Volumes of the local driver.
pub struct LocalVolumes {
    layout: Arc<Layout>,
    /// New volumes whose directories are not durable yet.
    new: Arc<Mutex<Vec<Name>>>,
    /// No thread could be started to delete what a removal took away: the next one deletes that as well.
    late: AtomicBool,
}

impl LocalVolumes {
    /// Opens `<root>/volumes`; what was removed before is deleted meanwhile.
    pub fn open(root: &Path) -> Result<Self> {
        let layout = Arc::new(Layout::open(root)?);
        let old = layout.clone();
        let late = !in_background("empty-trash", LEFT, move || old.empty_trash(Watch::none()).map(drop));
        Ok(LocalVolumes { layout, new: Arc::default(), late: AtomicBool::new(late) })
    }

    pub fn create_named(&self, name: &Name) -> Result<()> {
        if self.layout.data(name).is_ok() {
            return Ok(());
        }
        self.layout.create(name)?;
        // Its promise is durable already, and every start makes what is missing of the directories.
        self.sync_soon(name)
    }

    pub fn settle_named(&self, name: &Name) -> Result<()> {
        self.layout.settle(name)
    }

    /// Makes the directories of a new volume durable, together with others that are new. (Begun at once it kept the disk
    /// busy, 2 ms for each volume, and the next call had to wait.)
    fn sync_soon(&self, name: &Name) -> Result<()> {
        let mut new = self.new.lock();
        new.push(name.clone());
        if new.len() > 1 {
            return Ok(());
        }
        let (layout, gathered) = (self.layout.clone(), self.new.clone());
        let begun =
            in_background("sync-volumes", "new volumes' directories are not durable yet", move || {
                std::thread::sleep(GATHER);
                let new = std::mem::take(&mut *gathered.lock());
                layout.sync(&new)
            });
        match begun {
            true => Ok(()),
            false => self.layout.sync(&std::mem::take(&mut *new)),
        }
    }
}

fn as_item(volume: &Volume) -> VolumeMount {
    VolumeMount { volume: volume.name.to_string(), options: volume.options.clone() }
}

/// New volumes are made durable so long after the first of them.
const GATHER: std::time::Duration = std::time::Duration::from_secs(1);

const LEFT: &str = "what was removed could not be deleted altogether";

/// In a thread of its own; `otherwise` is what a failure means. False: there is no thread for it now. What was removed is
/// out of everybody's way already, so that is no failure: it is deleted with the next removal, or at the next start.
fn in_background(
    name: &str,
    otherwise: &'static str,
    work: impl FnOnce() -> Result<()> + Send + 'static,
) -> bool {
    let told = move || {
        if let Err(error) = work() {
            tracing::warn!(%error, "{otherwise}");
        }
    };
    let thread = std::thread::Builder::new().name(name.to_owned()).spawn(told);
    if let Err(error) = &thread {
        tracing::warn!(%error, thread = name, "there is no thread for it now");
    }
    thread.is_ok()
}

impl Volumes for LocalVolumes {
    fn create(&self, volume: &Volume) -> Result<()> {
        self.create_named(&volume.name)
    }
    fn remove(&self, name: &Name) -> Result<()> {
        let Some(trashed) = self.layout.remove(name)? else { return Ok(()) };
        let (layout, all) = (self.layout.clone(), self.late.load(Relaxed));
        let begun = in_background("delete-volume", LEFT, move || {
            let (one, none) = (layout.delete(&trashed, Watch::none()), Watch::none());
            one.and_then(|tally| if all { layout.empty_trash(none) } else { Ok(tally) }).map(drop)
        });
        self.late.store(!begun, Relaxed);
        Ok(())
    }
    fn sync_removed(&self) -> Result<()> {
        self.layout.sync_removed()
    }
    fn mount(&self, volume: &Volume) -> Result<()> {
        MountVolumes::mount(self, &as_item(volume))
    }
    fn unmount(&self, volume: &Volume) -> Result<()> {
        MountVolumes::unmount(self, volume.name.as_str())
    }
    fn settle(&self, volume: &Volume) -> Result<()> {
        // What is mounted over the data of others may not answer, and copies are made in it.
        if volume.options.is_empty() { self.settle_named(&volume.name) } else { Ok(()) }
    }
    fn bind_source(&self, path: &Path, make: bool) -> Result<()> {
        match (std::fs::metadata(path), make) {
            (Ok(_), _) => Ok(()),
            (Err(error), true) if error.kind() == io::ErrorKind::NotFound => std::fs::create_dir_all(path)
                .map_err(|error| Error::os(format!("make the bind source {}", path.display()), &error)),
            (Err(error), false) if error.kind() == io::ErrorKind::NotFound => Err(Error::invalid(format!(
                "bind source path does not exist: {}: make it, or use -v, which does",
                path.display()
            ))),
            (Err(error), _) => Err(Error::os(format!("use the bind source {}", path.display()), &error)),
        }
    }
    fn usage(&self, name: &Name, go_on: &dyn Fn() -> bool) -> Result<u64> {
        let watch = Watch { stop: &|| !go_on(), ..Watch::none() };
        self.layout.usage(name, watch).map(|usage| usage.bytes)
    }
}

impl LocalVolumes {
    /// The same as `mount`, with the address of the server that the options name.
    pub fn mount_at(&self, mount: &VolumeMount, address: Option<IpAddr>) -> Result<()> {
        let name = Name::parse(&mount.volume)?;
        let Some(order) = MountOrder::of(&LocalOptions::parse(&mount.options)?) else { return Ok(()) };
        let order = match address.filter(|_| order.lookup.is_some()) {
            Some(address) => order.resolved(address),
            None => order,
        };
        self.layout.mount_volume(&name, order, PATIENCE)
    }
}

impl MountVolumes for LocalVolumes {
    fn mount(&self, mount: &VolumeMount) -> Result<()> {
        self.mount_at(mount, None)
    }
    fn unmount(&self, volume: &str) -> Result<()> {
        self.layout.unmount_volume(&Name::parse(volume)?, PATIENCE)
    }
    fn mounted(&self) -> Vec<String> {
        self.layout.mounted().unwrap_or_default().iter().map(Name::to_string).collect()
    }
}
