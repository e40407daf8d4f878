//! Long work in the caller's own thread: sizes and prunes. It reads the view and sends the writer one small command
//! after another, so nobody waits for it; stopping it halfway leaves whole things only.
use super::{Engine, filters};
use crate::{
    error::{Error, Kind, Result},
    model::{
        Command, Network, Reply, Volume,
        command::{Filters, VolumePrune, VolumeRemove, Which},
        mount::MountKind,
        network::HELD_BY,
        reply::{Df, DfCount, Finding, Pruned, VolumeUsage},
    },
};
use parking_lot::{Mutex, MutexGuard};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// Who prunes at the moment: one of a kind, so that each reports what it removed itself.
#[derive(Default)]
pub struct Pruning {
    networks: Mutex<()>,
    volumes: Mutex<()>,
}

fn alone(kind: &Mutex<()>) -> Result<MutexGuard<'_, ()>> {
    kind.try_lock().ok_or_else(|| Error::conflict("a prune operation is already running: wait for its end"))
}

/// Told what is being done; false: stop.
pub type Progress<'a> = dyn Fn(&str) -> bool + 'a;

impl Engine {
    /// None: not a slow command.
    pub(super) fn housekeeping(&self, command: &Command, progress: &Progress<'_>) -> Option<Result<Reply>> {
        Some(match command {
            Command::SandboxCreate(_) | Command::VolumeMount(_) => {
                let far = self.far_volumes(command);
                if far.is_empty() {
                    return None;
                }
                self.do_on_far_volumes(command.clone(), &far)
            }
            Command::SystemDf(_) => self.df(progress).map(Reply::Df),
            Command::VolumePrune(request) => self.prune_volumes(request, progress).map(Reply::Pruned),
            Command::NetworkPrune(filters) => self.prune_networks(filters, progress).map(Reply::Pruned),
            Command::SystemDoctor(_) => Ok(Reply::Findings(
                self.probe.doctor(&self.view()).into_iter().chain(self.fights()).collect(),
            )),
            Command::SystemWhy(request) => self.why(request).map(Reply::Findings),
            Command::SystemDump(_) => self.dump().map(Reply::Value),
            _ => return None,
        })
    }

    /// What another program has kept changing lately.
    fn fights(&self) -> Vec<Finding> {
        const LATELY: Duration = Duration::from_secs(120);
        let fights = self.published.fights.load();
        let fresh = fights.iter().filter(|(at, _)| at.elapsed() < LATELY);
        let finding = |(_, what): &(Instant, String)| Finding {
            level: "problem".to_owned(),
            check: "drift".to_owned(),
            message: what.clone(),
            remedy: Some("stop the program that does it: `pontoon events` says what happens".to_owned()),
        };
        fresh.map(finding).collect()
    }

    /// Volumes that a command may be the first to use and whose mounting waits for another machine.
    pub(super) fn far_volumes(&self, command: &Command) -> Vec<Arc<Volume>> {
        let named: Vec<&str> = match command {
            Command::SandboxCreate(request) => {
                let volumes = request.mounts.iter().filter(|mount| mount.kind == MountKind::Volume);
                volumes.filter_map(|mount| mount.source.as_deref()).collect()
            }
            Command::VolumeMount(request) => vec![&request.name],
            _ => Vec::new(),
        };
        if named.is_empty() {
            return Vec::new();
        }
        let view = self.view();
        let volumes = named.into_iter().filter_map(|name| view.volumes.get(name).cloned());
        let far = |volume: &Arc<Volume>| {
            volume.options.get("type").is_some_and(|kind| !matches!(kind.as_str(), "tmpfs" | "none" | "bind"))
        };
        volumes.filter(far).collect()
    }

    /// The writer never waits for a file server: what it needs is mounted here first, and taken down again if the
    /// command is refused.
    fn do_on_far_volumes(&self, command: Command, far: &[Arc<Volume>]) -> Result<Reply> {
        for volume in far {
            self.volumes.mount(volume)?;
        }
        let (send, receive) = std::sync::mpsc::channel();
        self.submit(command, Box::new(move |reply| drop(send.send(reply))));
        let reply = receive.recv().unwrap_or_else(|_| Err(Error::unavailable("the daemon is stopping")));
        if reply.is_err() {
            for volume in far.iter().filter(|volume| !self.view().is_used(&volume.name)) {
                self.volumes.unmount(volume)?;
            }
        }
        reply
    }

    fn df(&self, progress: &Progress<'_>) -> Result<Df> {
        let view = self.view();
        let count = |total, active| DfCount { total, active };
        let used = view.networks.keys().filter(|id| view.member_count(**id) > 0).count();
        let running = view.sandboxes.values().filter(|sandbox| sandbox.process.is_some()).count();
        let mut df = Df {
            networks: count(view.networks.size(), used),
            sandboxes: count(view.sandboxes.size(), running),
            ..Df::default()
        };
        let mut volumes: Vec<_> = view.volumes.values().collect();
        volumes.sort_by(|a, b| a.name.cmp(&b.name));
        for volume in volumes {
            let users = view.users(&volume.name).len() + volume.mounts.len();
            let size = self.size(volume, progress)?;
            let bytes = size.unwrap_or(0);
            df.size += bytes;
            if users == 0 {
                df.reclaimable_all += bytes;
                df.reclaimable += if volume.anonymous { bytes } else { 0 };
            }
            df.volumes.push(VolumeUsage {
                name: volume.name.clone(),
                users,
                size,
                anonymous: volume.anonymous,
            });
        }
        Ok(df)
    }

    /// Bytes on disk of a volume that is ours to measure.
    fn size(&self, volume: &Arc<Volume>, progress: &Progress<'_>) -> Result<Option<u64>> {
        if volume.driver != "local" || volume.options.contains_key("type") {
            return Ok(None);
        }
        let stopped = || Error::new(Kind::Unavailable, "interrupted: nothing was changed by what was left");
        if !progress(&format!("measuring volume {}", volume.name)) {
            return Err(stopped());
        }
        match self.volumes.usage(&volume.name, &|| progress("")) {
            Ok(bytes) => Ok(Some(bytes)),
            // removed meanwhile
            Err(error) if error.kind == Kind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn prune_volumes(&self, request: &VolumePrune, progress: &Progress<'_>) -> Result<Pruned> {
        let chosen = Filters { filters: request.filters.clone() };
        let filter = filters::Filter::parse(&chosen, &["label", "label!", "name"])?;
        let _alone = alone(&self.pruning.volumes)?;
        let view = self.view();
        let mut pruned = Pruned::default();
        let unused = |volume: &Arc<Volume>| !view.is_used(&volume.name);
        let mut volumes: Vec<_> = view.volumes.values().filter(|v| filter.volume(&view, v)).collect();
        volumes.sort_by(|a, b| a.name.cmp(&b.name));
        for volume in volumes.into_iter().filter(|volume| unused(volume)) {
            if volume.options.contains_key("type") {
                let name = &volume.name;
                pruned.kept.push(format!("{name} has mount options: `pontoon volume rm {name}` removes it"));
                continue;
            }
            if !volume.anonymous && !request.all {
                pruned.kept.push(format!("{} is named: -a prunes named ones too", volume.name));
                continue;
            }
            let bytes = self.size(volume, progress)?.unwrap_or(0);
            let remove = VolumeRemove { name: volume.name.to_string(), force: true };
            match self.execute(Command::VolumeRemove(remove), progress) {
                Ok(_) => {
                    pruned.reclaimed += bytes;
                    pruned.removed.push(volume.name.to_string());
                }
                Err(error) => pruned.kept.push(error.to_string()),
            }
        }
        Ok(pruned)
    }

    fn prune_networks(&self, request: &Filters, progress: &Progress<'_>) -> Result<Pruned> {
        let filter = filters::Filter::parse(request, &["label", "label!", "name", "until"])?;
        let _alone = alone(&self.pruning.networks)?;
        let until = request.filters.get("until").and_then(|values| values.first());
        let until = until.map(|text| filters::moment(text)).transpose()?;
        let view = self.view();
        let mut pruned = Pruned::default();
        let mut networks: Vec<_> = view.networks.values().filter(|n| filter.network(&view, n)).collect();
        networks.sort_by(|a, b| a.name.cmp(&b.name));
        let free = |n: &&Arc<Network>| {
            let ours = !n.predefined() && !n.config_only && !n.labels.contains_key(HELD_BY);
            ours && view.member_count(n.id) == 0
        };
        for network in networks.into_iter().filter(free) {
            let created = network.created.parse::<jiff::Timestamp>().ok();
            if until.is_some_and(|until| created.is_none_or(|created| created > until)) {
                continue;
            }
            progress(&format!("removing network {}", network.name));
            match self.execute(Command::NetworkRemove(Which::new(network.id.to_string())), progress) {
                Ok(_) => pruned.removed.push(network.name.to_string()),
                Err(error) => pruned.kept.push(error.to_string()),
            }
        }
        Ok(pruned)
    }

    /// All promises as one JSON value.
    fn dump(&self) -> Result<serde_json::Value> {
        let view = self.view();
        fn all<'a, T: serde::Serialize + 'a>(
            values: impl Iterator<Item = &'a Arc<T>>,
        ) -> Result<serde_json::Value> {
            let values: Vec<&T> = values.map(|value| &**value).collect();
            serde_json::to_value(values).map_err(|error| Error::internal("dump").because(error))
        }
        Ok(serde_json::json!({
            "schema": crate::store::SCHEMA,
            "networks": all(view.networks.values())?,
            "sandboxes": all(view.sandboxes.values())?,
            "volumes": all(view.volumes.values())?,
            "reservations": all(view.reservations.values())?,
        }))
    }
}
