//! What the machine holds, by how long it lasts: the boot's state, and the daemon's own, which ends with its process.
use super::faults::Faults;
use crate::{
    host::{Done, Leaving, Sign},
    model::{
        Family, Id, IfName, Proto, Subnet,
        kernel::{Bridge, Element, Hold, Key, Link, Namespace, Op, Resolver, Route, Shaper, VolumeMount},
    },
};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    net::IpAddr,
    path::PathBuf,
    sync::Arc,
};

/// What is at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum File {
    /// A network namespace; `ours`: we made it.
    Namespace {
        inode: u64,
        ours: bool,
    },
    /// The namespace of the host.
    Home,
    Plain,
}

/// A link, both ends of it.
#[derive(Debug, Clone)]
pub(super) struct Wire {
    pub index: u32,
    pub link: Link,
    pub inode: u64,
    /// The bridge that the host end is a port of.
    pub master: Option<IfName>,
}

/// Default routes of a namespace.
#[derive(Debug, Clone, Default)]
pub(super) struct Inside {
    pub v4: Option<Route>,
    pub v6: Option<Route>,
}

/// Another program's port.
#[derive(Debug, Clone)]
pub(super) struct Stranger {
    pub program: String,
    pub proto: Proto,
    pub host: Option<IpAddr>,
    pub port: u16,
}

/// What is held by the daemon's process and ends with it.
#[derive(Default)]
pub(super) struct Daemon {
    pub generation: u64,
    pub namespaces: BTreeMap<Id, (u64, Namespace)>,
    pub holds: HashMap<Key, Hold>,
    pub resolvers: BTreeMap<Resolver, u64>,
    pub signs: BTreeMap<Id, Sign>,
    pub tell: Option<Arc<dyn Fn(Id) + Send + Sync>>,
}

/// The whole machine.
#[derive(Default)]
pub(super) struct Machine {
    /// True: we switched it on.
    pub forwarding: BTreeMap<Family, bool>,
    pub bridges: BTreeMap<IfName, (u32, Bridge)>,
    pub links: HashMap<Id, Wire>,
    pub shapers: BTreeMap<Id, Shaper>,
    /// Interfaces and prefixes of the host that are not ours.
    pub foreign: BTreeSet<IfName>,
    pub subnets: Vec<Subnet>,
    pub namespaces: BTreeMap<u64, Inside>,
    pub files: BTreeMap<PathBuf, File>,
    /// By set and key, that is: with the value left out.
    pub elements: BTreeMap<Element, Element>,
    pub mounts: BTreeMap<String, VolumeMount>,
    pub strangers: Vec<Stranger>,
    /// Start times; `stubborn` ones ignore SIGTERM.
    pub processes: BTreeMap<u32, u64>,
    pub stubborn: BTreeSet<u32>,
    pub daemon: Daemon,
    pub faults: Faults,
    pub defer_burials: bool,
    pub graves: Vec<(Vec<Leaving>, Done)>,
    /// Every operation that was carried out.
    pub log: Vec<Op>,
    pub last_number: u64,
    /// How often it was started anew.
    pub boot: u64,
}

impl Machine {
    /// A number that nothing else has: inodes, indices, start times.
    pub fn number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }

    /// Does an interface of the host have this name?
    pub fn has_interface(&self, name: &IfName) -> bool {
        self.foreign.contains(name)
            || self.bridges.contains_key(name)
            || self.links.values().any(|wire| is_veth(&wire.link) && wire.link.host_name() == *name)
    }

    /// Takes a link away, both ends, and the routes that lead through it.
    pub fn delete_link(&mut self, endpoint: Id) {
        let Some(wire) = self.links.remove(&endpoint) else { return };
        self.forget_limits(endpoint);
        if let Some(inside) = self.namespaces.get_mut(&wire.inode) {
            let through = |route: &Option<Route>| route.as_ref().is_some_and(|r| r.link == wire.link.name);
            if through(&inside.v4) {
                inside.v4 = None;
            }
            if through(&inside.v6) {
                inside.v6 = None;
            }
        }
    }

    /// A link's end takes its buckets along; the device through which the sandbox sent stays, and nothing comes to it.
    fn forget_limits(&mut self, endpoint: Id) {
        if let Some(shaper) = self.shapers.remove(&endpoint).filter(|shaper| shaper.egress.is_some()) {
            self.shapers.insert(endpoint, Shaper { ingress: None, egress: None, ..shaper });
        }
    }

    /// Takes a bridge away; its ports stay, on no bridge.
    pub fn delete_bridge(&mut self, name: &IfName) {
        self.bridges.remove(name);
        for wire in self.links.values_mut().filter(|wire| wire.master.as_ref() == Some(name)) {
            wire.master = None;
        }
    }

    /// The links' end: whatever is gone already is fine.
    pub fn delete(&mut self, leaving: &Leaving) {
        let wire = self.links.iter().find(|(_, wire)| wire.index == leaving.index).map(|(id, _)| *id);
        match wire {
            Some(endpoint) => self.delete_link(endpoint),
            None if self.bridges.get(&leaving.name).is_some_and(|(index, _)| *index == leaving.index) => {
                self.delete_bridge(&leaving.name);
            }
            None => {}
        }
    }

    /// Namespaces that no file, descriptor or socket keeps are gone, and their links with them.
    pub fn sweep(&mut self) {
        let mut kept: BTreeSet<u64> = self.daemon.namespaces.values().map(|(inode, _)| *inode).collect();
        kept.extend(self.daemon.resolvers.values());
        kept.extend(self.files.values().filter_map(|file| match file {
            File::Namespace { inode, .. } => Some(*inode),
            File::Home | File::Plain => None,
        }));
        self.namespaces.retain(|inode, _| kept.contains(inode));
        let gone = |wire: &Wire| !wire.link.kind.is_handed() && !kept.contains(&wire.inode);
        let endpoints: Vec<Id> =
            self.links.iter().filter(|(_, wire)| gone(wire)).map(|(id, _)| *id).collect();
        for endpoint in endpoints {
            self.links.remove(&endpoint);
            self.forget_limits(endpoint);
        }
    }

    /// The process ends: all descriptors are closed, and whoever waits for a burial hears nothing.
    pub fn end_daemon(&mut self) {
        let generation = self.daemon.generation + 1;
        self.daemon = Daemon { generation, ..Daemon::default() };
        self.graves.clear();
        self.sweep();
    }
}

pub(super) fn is_veth(link: &Link) -> bool {
    link.kind.bridge().is_some()
}
