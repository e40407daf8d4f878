//! Rooms behind the traits that the engine asks for: names by `dns`, volumes by `volume`.
use super::Config;
use crate::{
    dns::{self, Dns, OpenSocket},
    engine::{Resolvers, Volumes},
    error::{Error, Result},
    host::linux::{MountVolumes, Sockets, namespace::Transport},
    model::{Id, Name, Volume, kernel::VolumeMount, names, volume::LocalOptions},
    volume::{Layout, MountOrder, mounted::PATIENCE},
};
use arc_swap::ArcSwap;
use std::{
    io,
    net::{IpAddr, SocketAddr, TcpListener, UdpSocket},
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    sync::Arc,
};

/// The DNS room, and the host's resolv.conf.
pub struct Names {
    pub(super) dns: Arc<Dns>,
    resolv_conf: PathBuf,
}

impl Names {
    pub fn start(config: &Config, names: Arc<ArcSwap<names::Names>>, sockets: Sockets) -> Result<Self> {
        let settings = dns::Config { resolv_conf: config.resolv_conf.clone(), ..dns::Config::default() };
        let dns = Dns::start(settings, names, Arc::new(Ways(sockets)))?;
        Ok(Names { dns: Arc::new(dns), resolv_conf: config.resolv_conf.clone() })
    }

    pub fn stats(&self) -> dns::Stats {
        self.dns.stats()
    }
}

impl Resolvers for Names {
    fn serve(&self, sandbox: Id, udp: UdpSocket, tcp: TcpListener) {
        self.dns.serve(sandbox, udp, tcp);
    }
    fn stop(&self, sandbox: Id) {
        self.dns.stop(sandbox);
    }
    fn nameservers(&self) -> Vec<IpAddr> {
        let text = self.resolv_conf();
        let words = text.lines().filter_map(|line| line.trim().strip_prefix("nameserver"));
        words.filter_map(|rest| rest.trim().parse().ok()).collect()
    }
    fn resolv_conf(&self) -> String {
        std::fs::read_to_string(&self.resolv_conf).unwrap_or_default()
    }
}

/// Sockets towards DNS upstreams.
pub(super) struct Ways(pub(super) Sockets);

impl OpenSocket for Ways {
    fn udp(&self, sandbox: Option<Id>, to: SocketAddr) -> io::Result<OwnedFd> {
        self.0.open(sandbox, Transport::Udp, to)
    }
    fn tcp(&self, sandbox: Option<Id>, to: SocketAddr) -> io::Result<OwnedFd> {
        self.0.open(sandbox, Transport::Tcp, to)
    }
}

/// Volumes of the local driver.
pub struct LocalVolumes(Arc<Layout>);

impl LocalVolumes {
    /// Opens `<root>/volumes`; what was removed before is deleted meanwhile.
    pub fn open(root: &Path) -> Result<Self> {
        let layout = Arc::new(Layout::open(root)?);
        let old = layout.clone();
        in_background("empty-trash", LEFT, move || {
            old.empty_trash(crate::host::linux::files::Watch::none()).map(drop)
        })?;
        Ok(LocalVolumes(layout))
    }
}

fn as_item(volume: &Volume) -> VolumeMount {
    VolumeMount { volume: volume.name.to_string(), options: volume.options.clone() }
}

const LEFT: &str = "what was removed could not be deleted altogether";

/// In a thread of its own; `otherwise` is what a failure means.
fn in_background(
    name: &str,
    otherwise: &'static str,
    work: impl FnOnce() -> Result<()> + Send + 'static,
) -> Result<()> {
    let told = move || {
        if let Err(error) = work() {
            tracing::warn!(%error, "{otherwise}");
        }
    };
    let thread = std::thread::Builder::new().name(name.to_owned()).spawn(told);
    thread.map(drop).map_err(|error| Error::os(format!("start the thread {name}"), &error))
}

impl Volumes for LocalVolumes {
    fn create(&self, volume: &Volume) -> Result<()> {
        if self.0.exists(&volume.name) && self.0.data(&volume.name).is_ok() {
            return Ok(());
        }
        self.0.create(&volume.name)?;
        // Its promise is durable already, and every start makes what is missing of the directories.
        let (layout, name) = (self.0.clone(), volume.name.clone());
        in_background("sync-volume", "a new volume's directories are not durable yet", move || {
            match layout.sync(&name) {
                Err(error) if error.kind == crate::error::Kind::NotFound => Ok(()),
                synced => synced,
            }
        })
    }
    fn remove(&self, name: &Name) -> Result<()> {
        let Some(trashed) = self.0.remove(name)? else { return Ok(()) };
        let layout = self.0.clone();
        in_background("delete-volume", LEFT, move || {
            layout.delete(&trashed, crate::host::linux::files::Watch::none()).map(drop)
        })
    }
    fn sync_removed(&self) -> Result<()> {
        self.0.sync_removed()
    }
    fn mount(&self, volume: &Volume) -> Result<()> {
        MountVolumes::mount(self, &as_item(volume))
    }
    fn unmount(&self, volume: &Volume) -> Result<()> {
        MountVolumes::unmount(self, volume.name.as_str())
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
        let watch = crate::host::linux::files::Watch {
            stop: &|| !go_on(),
            ..crate::host::linux::files::Watch::none()
        };
        self.0.usage(name, watch).map(|usage| usage.bytes)
    }
}

impl MountVolumes for LocalVolumes {
    fn mount(&self, mount: &VolumeMount) -> Result<()> {
        let name = Name::parse(&mount.volume)?;
        match MountOrder::of(&LocalOptions::parse(&mount.options)?) {
            Some(order) => self.0.mount_volume(&name, order, PATIENCE),
            None => Ok(()),
        }
    }
    fn unmount(&self, volume: &str) -> Result<()> {
        self.0.unmount_volume(&Name::parse(volume)?, PATIENCE)
    }
    fn mounted(&self) -> Vec<String> {
        self.0.mounted().unwrap_or_default().iter().map(Name::to_string).collect()
    }
}
