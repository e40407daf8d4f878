//! The published view: all promises, immutable, shared by reference. Publishing copies no record.
use crate::{
    error::{Error, Result},
    host::Suspect,
    model::{Id, Name, Network, Sandbox, Volume, mount::MountKind, reservation::Reservation},
    plan::Lookup,
};
use rpds::{HashTrieMapSync, HashTrieSetSync};
use std::{collections::BTreeMap, sync::Arc};

/// Everything promised, and who is whose member.
#[derive(Clone, Default)]
pub struct View {
    pub networks: HashTrieMapSync<Id, Arc<Network>>,
    pub sandboxes: HashTrieMapSync<Id, Arc<Sandbox>>,
    pub volumes: HashTrieMapSync<Name, Arc<Volume>>,
    /// Subnets that runtimes have of us.
    pub reservations: HashTrieMapSync<Id, Arc<Reservation>>,
    network_names: HashTrieMapSync<Name, Id>,
    sandbox_names: HashTrieMapSync<Name, Id>,
    members: HashTrieMapSync<Id, HashTrieSetSync<Id>>,
    /// Which sandbox an endpoint is of: asked at each notice of a link.
    seats: HashTrieMapSync<Id, Id>,
    users: HashTrieMapSync<Name, HashTrieSetSync<Id>>,
    /// Seats of one container that were handed over.
    containers: HashTrieMapSync<String, HashTrieSetSync<Id>>,
}

impl Lookup for View {
    fn network(&self, id: Id) -> Option<Arc<Network>> {
        self.networks.get(&id).cloned()
    }
    fn volume(&self, name: &str) -> Option<Arc<Volume>> {
        self.volumes.get(name).cloned()
    }
    fn siblings(&self, sandbox: &Sandbox) -> Vec<Arc<Sandbox>> {
        let all = sandbox.container.as_ref().and_then(|container| self.containers.get(container));
        let others = all.into_iter().flat_map(HashTrieSetSync::iter).filter(|id| **id != sandbox.id);
        others.filter_map(|id| self.sandboxes.get(id)).cloned().collect()
    }
}

impl View {
    /// A network by name, id or unique beginning of its id.
    pub fn find_network(&self, which: &str) -> Result<Arc<Network>> {
        find(which, "network", &self.networks, &self.network_names)
    }
    pub fn find_sandbox(&self, which: &str) -> Result<Arc<Sandbox>> {
        find(which, "sandbox", &self.sandboxes, &self.sandbox_names)
    }
    pub fn find_volume(&self, which: &str) -> Result<Arc<Volume>> {
        let missing =
            || Error::not_found(format!("volume {which} not found: `pontoon volume ls` lists them"));
        self.volumes.get(which).cloned().ok_or_else(missing)
    }
    pub fn network_named(&self, name: &str) -> Option<Arc<Network>> {
        self.network_names.get(name).and_then(|id| self.networks.get(id)).cloned()
    }
    pub fn sandbox_named(&self, name: &str) -> Option<Arc<Sandbox>> {
        self.sandbox_names.get(name).and_then(|id| self.sandboxes.get(id)).cloned()
    }
    /// The sandboxes that have a seat in a network, by name.
    pub fn members(&self, network: Id) -> Vec<Arc<Sandbox>> {
        self.named(self.members.get(&network))
    }
    pub fn member_count(&self, network: Id) -> usize {
        self.members.get(&network).map_or(0, HashTrieSetSync::size)
    }
    /// The sandbox that has an endpoint.
    pub fn seated(&self, endpoint: Id) -> Option<&Arc<Sandbox>> {
        self.seats.get(&endpoint).and_then(|sandbox| self.sandboxes.get(sandbox))
    }
    /// Leaves the suspicions that are about something of ours.
    pub fn sift(&self, suspects: &mut BTreeMap<Suspect, String>) {
        suspects.retain(|suspect, _| match suspect {
            Suspect::Bridge(network) => self.networks.contains_key(network),
            Suspect::Link(endpoint) | Suspect::Port(endpoint) => self.seats.contains_key(endpoint),
            _ => true,
        });
    }
    /// The sandboxes that mount a volume, by name.
    pub fn users(&self, volume: &Name) -> Vec<Arc<Sandbox>> {
        self.named(self.users.get(volume))
    }
    /// Does a sandbox or a runtime have it mounted?
    pub fn is_used(&self, volume: &Name) -> bool {
        self.users.contains_key(volume) || self.volumes.get(volume).is_some_and(|v| !v.mounts.is_empty())
    }
    fn named(&self, ids: Option<&HashTrieSetSync<Id>>) -> Vec<Arc<Sandbox>> {
        let ids = ids.into_iter().flat_map(HashTrieSetSync::iter);
        let mut sandboxes: Vec<_> = ids.filter_map(|id| self.sandboxes.get(id)).cloned().collect();
        sandboxes.sort_by(|a, b| a.name.cmp(&b.name));
        sandboxes
    }

    pub(super) fn put_network(&mut self, network: &Arc<Network>) {
        self.network_names.insert_mut(network.name.clone(), network.id);
        self.networks.insert_mut(network.id, network.clone());
    }
    pub(super) fn drop_network(&mut self, network: &Network) {
        self.network_names.remove_mut(&network.name);
        self.networks.remove_mut(&network.id);
    }
    pub(super) fn put_volume(&mut self, volume: &Arc<Volume>) {
        self.volumes.insert_mut(volume.name.clone(), volume.clone());
    }
    pub(super) fn drop_volume(&mut self, volume: &Volume) {
        self.volumes.remove_mut(&volume.name);
    }
    pub(super) fn drop_reservation(&mut self, id: Id) {
        self.reservations.remove_mut(&id);
    }
    pub(super) fn put_sandbox(&mut self, sandbox: &Arc<Sandbox>) {
        self.sandbox_names.insert_mut(sandbox.name.clone(), sandbox.id);
        self.sandboxes.insert_mut(sandbox.id, sandbox.clone());
        for endpoint in &sandbox.endpoints {
            join(&mut self.members, &endpoint.network, sandbox.id);
            self.seats.insert_mut(endpoint.id, sandbox.id);
        }
        for volume in volumes_of(sandbox) {
            join(&mut self.users, &volume, sandbox.id);
        }
        if let Some(container) = &sandbox.container {
            join(&mut self.containers, container, sandbox.id);
        }
    }
    pub(super) fn drop_sandbox(&mut self, sandbox: &Sandbox) {
        self.sandbox_names.remove_mut(&sandbox.name);
        self.sandboxes.remove_mut(&sandbox.id);
        for endpoint in &sandbox.endpoints {
            part(&mut self.members, &endpoint.network, sandbox.id);
            self.seats.remove_mut(&endpoint.id);
        }
        for volume in volumes_of(sandbox) {
            part(&mut self.users, &volume, sandbox.id);
        }
        if let Some(container) = &sandbox.container {
            part(&mut self.containers, container, sandbox.id);
        }
    }
}

/// Names of the volumes that a sandbox mounts.
pub fn volumes_of(sandbox: &Sandbox) -> Vec<Name> {
    let volumes = sandbox.mounts.iter().filter(|mount| mount.kind == MountKind::Volume);
    volumes.filter_map(|mount| mount.source.as_deref().and_then(|name| Name::parse(name).ok())).collect()
}

type Sets<K> = HashTrieMapSync<K, HashTrieSetSync<Id>>;

fn join<K: Clone + Eq + std::hash::Hash>(sets: &mut Sets<K>, key: &K, id: Id) {
    let set = sets.get(key).cloned().unwrap_or_default().insert(id);
    sets.insert_mut(key.clone(), set);
}

fn part<K: Clone + Eq + std::hash::Hash>(sets: &mut Sets<K>, key: &K, id: Id) {
    let Some(set) = sets.get(key).map(|set| set.remove(&id)) else { return };
    if set.is_empty() {
        sets.remove_mut(key);
    } else {
        sets.insert_mut(key.clone(), set);
    }
}

/// Exact id, then name, then unique beginning of an id (Docker's order).
fn find<T>(
    which: &str,
    noun: &str,
    all: &HashTrieMapSync<Id, Arc<T>>,
    names: &HashTrieMapSync<Name, Id>,
) -> Result<Arc<T>> {
    let which = which.strip_prefix('/').unwrap_or(which);
    let missing = || Error::not_found(format!("{noun} {which} not found: `pontoon {noun} ls` lists them"));
    if which.is_empty() {
        return Err(Error::invalid(format!("name the {noun}: an empty name was given")));
    }
    let exact = Id::parse(which).ok().filter(|id| all.contains_key(id)).or_else(|| names.get(which).copied());
    if let Some(found) = exact.and_then(|id| all.get(&id)) {
        return Ok(found.clone());
    }
    if which.len() > 64 || !which.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(missing());
    }
    let mut matches = all.iter().filter(|(id, _)| id.to_string().starts_with(which));
    match (matches.next(), matches.next()) {
        (Some((_, one)), None) => Ok(one.clone()),
        (Some(_), Some(_)) => Err(Error::invalid(format!(
            "{noun} {which} is ambiguous: several ids begin with it, give more digits"
        ))),
        _ => Err(missing()),
    }
}
