//! The other rooms that the engine asks for: names, volumes, and what the daemon knows of itself.
use parking_lot::Mutex;
use pontoon::{
    engine::{Probe, Resolvers, View, Volumes},
    error::{Error, Result},
    host::fake::Kernel,
    model::{
        Id, Name, Volume,
        kernel::{Item, VolumeMount},
        reply::{Finding, NamespaceInfo, SystemInfo},
        why::{Attempt, Place},
    },
};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, SocketAddr, TcpListener, UdpSocket},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

/// Sockets that are being served, by sandbox; they end with the daemon.
#[derive(Default)]
pub struct FakeResolvers {
    served: Mutex<BTreeMap<Id, (UdpSocket, TcpListener)>>,
    pub nameservers: Mutex<Vec<IpAddr>>,
}

impl FakeResolvers {
    pub fn served(&self) -> BTreeSet<Id> {
        self.served.lock().keys().copied().collect()
    }
}

impl Resolvers for FakeResolvers {
    fn serve(&self, sandbox: Id, udp: UdpSocket, tcp: TcpListener) {
        self.served.lock().insert(sandbox, (udp, tcp));
    }
    fn stop(&self, sandbox: Id) {
        self.served.lock().remove(&sandbox);
    }
    fn nameservers(&self) -> Vec<IpAddr> {
        self.nameservers.lock().clone()
    }
    fn resolv_conf(&self) -> String {
        "nameserver 192.0.2.53\nsearch lan.test\noptions edns0\n".to_owned()
    }
}

/// Directories of volumes; they outlive the daemon.
#[derive(Clone)]
pub struct FakeVolumes {
    pub kernel: Kernel,
    pub directories: Arc<Mutex<BTreeSet<Name>>>,
    /// How often it was waited for the disk.
    pub syncs: Arc<AtomicU64>,
    /// Removed, but not yet on the disk.
    unsynced: Arc<Mutex<BTreeSet<Name>>>,
    /// Old files that a power cut has brought back.
    pub back: Arc<Mutex<BTreeSet<Name>>>,
    /// Host directories that bind mounts find.
    pub sources: Arc<Mutex<BTreeSet<PathBuf>>>,
}

impl FakeVolumes {
    pub fn over(kernel: &Kernel) -> Self {
        FakeVolumes {
            kernel: kernel.clone(),
            directories: Arc::default(),
            syncs: Arc::default(),
            unsynced: Arc::default(),
            back: Arc::default(),
            sources: Arc::default(),
        }
    }
    /// What was not waited for is undone; in a directory later changes are lost with earlier ones.
    pub fn cut_power(&self) {
        let names = std::mem::take(&mut *self.unsynced.lock());
        self.directories.lock().extend(names.iter().cloned());
        self.back.lock().extend(names);
    }
    fn is_mounted(&self, name: &Name) -> bool {
        let named = |item: &Item| matches!(item, Item::VolumeMount(VolumeMount { volume, .. }) if volume == name.as_str());
        self.kernel.items().iter().any(named)
    }
}

impl Volumes for FakeVolumes {
    fn create(&self, volume: &Volume) -> Result<()> {
        if !self.directories.lock().contains(&volume.name) {
            self.kernel.step()?;
            self.directories.lock().insert(volume.name.clone());
        }
        Ok(())
    }
    fn remove(&self, name: &Name) -> Result<()> {
        self.kernel.step()?;
        match self.is_mounted(name) {
            true => Err(Error::conflict(format!("volume {name} is mounted: Device or resource busy"))),
            false => {
                if self.directories.lock().remove(name) {
                    self.unsynced.lock().insert(name.clone());
                }
                self.back.lock().remove(name);
                Ok(())
            }
        }
    }
    fn sync_removed(&self) -> Result<()> {
        self.kernel.step()?;
        self.syncs.fetch_add(1, Ordering::Relaxed);
        self.unsynced.lock().clear();
        Ok(())
    }
    fn mount(&self, _: &Volume) -> Result<()> {
        Ok(())
    }
    fn unmount(&self, _: &Volume) -> Result<()> {
        Ok(())
    }
    fn settle(&self, _: &Volume) -> Result<()> {
        Ok(())
    }
    fn bind_source(&self, path: &Path, make: bool) -> Result<()> {
        let mut sources = self.sources.lock();
        match sources.contains(path) || make && sources.insert(path.to_owned()) {
            true => Ok(()),
            false => Err(Error::not_found(format!("bind source {} does not exist", path.display()))),
        }
    }
    fn usage(&self, name: &Name, _: &dyn Fn() -> bool) -> Result<u64> {
        match self.directories.lock().contains(name) {
            true => Ok(4_096),
            false => Err(Error::not_found(format!("volume {name}"))),
        }
    }
}

pub struct FakeProbe;

impl Probe for FakeProbe {
    fn info(&self, _: &View) -> SystemInfo {
        unimplemented_info()
    }
    fn doctor(&self, _: &View) -> Vec<Finding> {
        Vec::new()
    }
    fn namespace(&self, _: Option<&std::path::Path>) -> NamespaceInfo {
        NamespaceInfo::default()
    }
    fn place(&self, _: Option<&Path>) -> Result<Place> {
        Ok(Place::default())
    }
    fn attempt(&self, _: Option<&Path>, _: SocketAddr) -> Result<Attempt> {
        Ok(Attempt::Refused)
    }
}

fn unimplemented_info() -> SystemInfo {
    panic!("no test of the engine asks for it")
}
