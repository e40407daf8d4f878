//! Volumes that this process never sees: the mounter does all that is done to them. What is mounted it reads itself.
use crate::{
    engine::Volumes,
    error::Result,
    host::linux::{
        MountVolumes,
        files::patient,
        mounter::{Order, ask, ask_while},
    },
    model::{Name, Volume, kernel::VolumeMount, volume::LocalOptions},
    volume::{
        MountOrder,
        mounted::{PATIENCE, address_for, mounted_below},
    },
};
use std::{
    net::IpAddr,
    path::{Path, PathBuf},
};

/// Volumes beneath a root that is the mounter's too.
pub struct FarVolumes {
    pub volumes: PathBuf,
}

fn told(order: &Order) -> Result<()> {
    ask(order, None).map(drop)
}

/// Names are asked on this side: whoever holds the host's files should not read answers from the network.
fn address(mount: &VolumeMount) -> Result<Option<IpAddr>> {
    match MountOrder::of(&LocalOptions::parse(&mount.options)?) {
        Some(order) if order.lookup.is_some() => {
            let step = format!("mount volume {}: {}", mount.volume, order.describe());
            patient::within(PATIENCE, &step, move || address_for(&order), drop)
        }
        _ => Ok(None),
    }
}

impl Volumes for FarVolumes {
    fn create(&self, volume: &Volume) -> Result<()> {
        told(&Order::CreateVolume { name: volume.name.clone() })
    }
    fn remove(&self, name: &Name) -> Result<()> {
        told(&Order::RemoveVolume { name: name.clone() })
    }
    fn sync_removed(&self) -> Result<()> {
        told(&Order::SyncRemoved {})
    }
    fn mount(&self, volume: &Volume) -> Result<()> {
        let (volume, options) = (volume.name.to_string(), volume.options.clone());
        MountVolumes::mount(self, &VolumeMount { volume, options })
    }
    fn unmount(&self, volume: &Volume) -> Result<()> {
        MountVolumes::unmount(self, volume.name.as_str())
    }
    fn settle(&self, volume: &Volume) -> Result<()> {
        if volume.options.is_empty() { told(&Order::Settle { name: volume.name.clone() }) } else { Ok(()) }
    }
    fn bind_source(&self, path: &Path, make: bool) -> Result<()> {
        told(&Order::BindSource { path: path.to_owned(), make })
    }
    fn usage(&self, name: &Name, go_on: &dyn Fn() -> bool) -> Result<u64> {
        ask_while(&Order::Usage { name: name.clone() }, None, go_on).map(|(bytes, _)| bytes)
    }
}

impl MountVolumes for FarVolumes {
    fn mount(&self, mount: &VolumeMount) -> Result<()> {
        let address = address(mount)?;
        told(&Order::Mount { name: Name::parse(&mount.volume)?, options: mount.options.clone(), address })
    }
    fn unmount(&self, volume: &str) -> Result<()> {
        told(&Order::Unmount { name: Name::parse(volume)? })
    }
    fn mounted(&self) -> Vec<String> {
        mounted_below(&self.volumes).unwrap_or_default().iter().map(Name::to_string).collect()
    }
}
