//! What stands in the machine, as items.
use super::machine::{File, Machine, Wire};
use crate::model::{
    Id,
    kernel::{Item, Link, Namespace, Route, Routes},
};
use std::{
    collections::{BTreeMap, HashMap},
    path::PathBuf,
};

impl Machine {
    /// All of it, for a judge: what is wanted stands here once everything is done, and nothing else.
    pub fn items(&self) -> Vec<Item> {
        let mut items = self.outside();
        items.extend(self.daemon.resolvers.keys().cloned().map(Item::Resolver));
        items.extend(self.forgotten(self.daemon.namespaces.values().map(|(_, n)| &n.path)));
        for (sandbox, (inode, _)) in &self.daemon.namespaces {
            let Some(inside) = self.namespaces.get(inode) else { continue };
            if inside.v4.is_some() || inside.v6.is_some() {
                let (v4, v6) = (inside.v4.clone(), inside.v6.clone());
                items.push(Item::Routes(Routes { sandbox: *sandbox, v4, v6 }));
            }
        }
        items.sort();
        items
    }

    /// What a daemon can find out by looking: routes only where it knows to look, resolvers never.
    pub fn found(&self, wanted: &[Item]) -> Vec<Item> {
        let mut items = self.outside();
        let mut known = HashMap::new();
        for item in wanted {
            if let Item::Namespace(namespace) = item {
                known.insert(namespace.sandbox, &namespace.path);
            }
        }
        items.extend(self.forgotten(known.values().copied()));
        for item in wanted {
            let Item::Routes(wish) = item else { continue };
            let inode = known.get(&wish.sandbox).and_then(|path| self.namespace_at(path).ok());
            let Some(inside) = inode.and_then(|inode| self.namespaces.get(&inode)) else { continue };
            let equal = |there: &Option<Route>, wish: &Option<Route>| wish.clone().filter(|_| there == wish);
            let (v4, v6) = (equal(&inside.v4, &wish.v4), equal(&inside.v6, &wish.v6));
            if v4.is_some() || v6.is_some() {
                items.push(Item::Routes(Routes { sandbox: wish.sandbox, v4, v6 }));
            }
        }
        items
    }

    fn outside(&self) -> Vec<Item> {
        let mut items: Vec<Item> = self.forwarding.keys().map(|family| Item::Forwarding(*family)).collect();
        items.extend(self.bridges.values().map(|(_, bridge)| Item::Bridge(bridge.clone())));
        items.extend(self.links.values().map(|wire| Item::Link(as_seen(wire))));
        items.extend(self.shapers.values().cloned().map(Item::Shaper));
        items.extend(self.elements.values().cloned().map(Item::Element));
        items.extend(self.mounts.values().cloned().map(Item::VolumeMount));
        items.extend(self.daemon.holds.values().cloned().map(Item::Hold));
        items.extend(self.daemon.namespaces.values().map(|(_, n)| Item::Namespace(n.clone())));
        items
    }

    /// Namespaces that we made and nobody wants any more.
    fn forgotten<'a>(&'a self, known: impl Iterator<Item = &'a PathBuf>) -> Vec<Item> {
        let known: BTreeMap<&PathBuf, ()> = known.map(|path| (path, ())).collect();
        let ours = self.files.iter().filter(|(_, file)| matches!(file, File::Namespace { ours: true, .. }));
        let paths = ours.map(|(path, _)| path).filter(|path| !known.contains_key(path));
        let items = paths.enumerate().map(|(i, path)| {
            let mut id = [0xff; 32];
            id[..8].copy_from_slice(&(i as u64).to_be_bytes());
            Item::Namespace(Namespace { sandbox: Id::from_bytes(id), path: path.clone(), made: true })
        });
        items.collect()
    }
}

/// A link that lost its bridge differs from every wish.
fn as_seen(wire: &Wire) -> Link {
    match (&wire.master, super::machine::is_veth(&wire.link)) {
        (None, true) => Link { addresses: Vec::new(), neighbours: Vec::new(), ..wire.link.clone() },
        _ => wire.link.clone(),
    }
}
