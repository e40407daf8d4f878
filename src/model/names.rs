//! DNS names as published: who is called what, and who may ask. Pure values; it never answers a packet itself.
//!
//! [`Names`] is a set of persistent maps: the engine changes its own copy in O(log n), clones it in O(1) and
//! publishes the clone; readers keep what they loaded. The lookup rules are Docker's: the asker's networks in order,
//! the first that knows the name answers; then `name.network`; links of the asker before names of the network.
mod written;

pub use written::Written;

use super::{id::Id, sandbox::Dns};
use rpds::{HashTrieMapSync, RedBlackTreeMapSync};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

/// A sandbox's entry in one network's directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seat {
    pub sandbox: Id,
    /// Sandbox name, aliases, short id, hostname. The first is what a PTR query is told. Case does not matter.
    pub names: Vec<String>,
    /// Addresses in this network, both families.
    pub addresses: Vec<IpAddr>,
}

/// A sandbox as one who asks.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asker {
    /// In the order in which they are searched (gateway priority).
    pub networks: Vec<Id>,
    /// Legacy `--link name:alias`: network -> alias -> name of the target in that network. Only this asker sees them.
    pub links: BTreeMap<Id, BTreeMap<String, String>>,
    pub upstream: Upstreams,
}

/// Whom to ask about unknown names.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upstreams {
    /// The user's `--dns`, asked from the sandbox's own namespace. Empty: the host's servers, from the host's namespace.
    pub servers: Vec<IpAddr>,
    /// False: every network is internal, and the host's servers are never asked (CVE-2024-29018).
    pub outside: bool,
    /// The user set `ndots` himself: an unknown single label is not asked upstream.
    pub ndots_set: bool,
    /// Lower case: names below these domains are never asked for elsewhere.
    #[serde(default)]
    pub local: Vec<String>,
}

/// Everything the DNS room knows. `clone` is O(1); changes of the clone do not show in the original.
#[derive(Debug, Clone, Default)]
pub struct Names {
    networks: HashTrieMapSync<Id, Directory>,
    askers: HashTrieMapSync<Id, Arc<Asker>>,
}

#[derive(Debug, Clone, Default)]
struct Directory {
    /// As the user wrote it.
    name: Arc<str>,
    /// Keys are lower case.
    names: HashTrieMapSync<Arc<str>, Holders>,
    seats: HashTrieMapSync<Id, Arc<Seat>>,
    addresses: HashTrieMapSync<IpAddr, Arc<Seat>>,
}

/// The sandboxes that share a name; nearly always one.
#[derive(Debug, Clone)]
enum Holders {
    One(Arc<Seat>),
    Many(RedBlackTreeMapSync<Id, Arc<Seat>>),
}

/// A known name: the seats that bear it.
#[derive(Debug, Clone, Copy)]
pub struct Found<'a>(&'a Holders);

impl Names {
    /// Adds a network or renames it; its seats stay.
    pub fn set_network(&mut self, network: Id, name: &str) {
        self.change(network, |directory| directory.name = Arc::from(name));
    }

    /// Forgets a network with all its seats.
    pub fn remove_network(&mut self, network: Id) {
        self.networks.remove_mut(&network);
    }

    /// Puts `seat` in place of what this sandbox had in the network.
    pub fn set_seat(&mut self, network: Id, seat: Seat) {
        self.change(network, |directory| {
            directory.remove(&seat.sandbox);
            directory.insert(Arc::new(seat));
        });
    }

    /// Takes the sandbox out of the network's directory.
    pub fn remove_seat(&mut self, network: Id, sandbox: Id) {
        if let Some(directory) = self.networks.get_mut(&network) {
            directory.remove(&sandbox);
        }
    }

    /// Says what `sandbox` may see and whom it may ask.
    pub fn set_asker(&mut self, sandbox: Id, mut asker: Asker) {
        for links in asker.links.values_mut() {
            *links = std::mem::take(links).into_iter().map(|(a, t)| (fold(&a), fold(&t))).collect();
        }
        self.askers.insert_mut(sandbox, Arc::new(asker));
    }

    /// `sandbox` may ask nothing any more.
    pub fn remove_asker(&mut self, sandbox: Id) {
        self.askers.remove_mut(&sandbox);
    }

    pub fn asker(&self, sandbox: &Id) -> Option<&Asker> {
        self.askers.get(sandbox).map(Arc::as_ref)
    }

    /// Who is called `name` (lower case, no dot at the end), as `asker` sees it. Nothing found says nothing
    /// about the world outside.
    pub fn find(&self, asker: &Asker, name: &str) -> Option<Found<'_>> {
        let plain = asker.networks.iter().find_map(|network| self.find_in(asker, network, name));
        plain.or_else(|| {
            let dots = name.bytes().enumerate().rev().filter(|(_, byte)| *byte == b'.');
            dots.map(|(at, _)| name.split_at(at)).find_map(|(host, network)| {
                let networks = asker.networks.iter().filter(|id| self.is_called(id, &network[1..]));
                networks.into_iter().find_map(|network| self.find_in(asker, network, host))
            })
        })
    }

    /// Name and network of the sandbox that has `address` in a network of the asker's.
    pub fn reverse(&self, asker: &Asker, address: IpAddr) -> Option<(&str, &str)> {
        asker.networks.iter().find_map(|network| {
            let directory = self.networks.get(network)?;
            let name = directory.addresses.get(&address)?.names.first()?;
            Some((name.as_str(), directory.name.as_ref()))
        })
    }

    fn find_in(&self, asker: &Asker, network: &Id, name: &str) -> Option<Found<'_>> {
        let names = &self.networks.get(network)?.names;
        let link = asker.links.get(network).and_then(|links| links.get(name));
        let linked = link.and_then(|target| names.get(target.as_str()));
        linked.or_else(|| names.get(name)).map(Found)
    }

    fn is_called(&self, network: &Id, name: &str) -> bool {
        self.networks.get(network).is_some_and(|directory| directory.name.eq_ignore_ascii_case(name))
    }

    fn change(&mut self, network: Id, change: impl FnOnce(&mut Directory)) {
        let mut directory = self.networks.get(&network).cloned().unwrap_or_default();
        change(&mut directory);
        self.networks.insert_mut(network, directory);
    }
}

impl Directory {
    fn insert(&mut self, seat: Arc<Seat>) {
        for name in &seat.names {
            let name = fold(name);
            match self.names.get_mut(name.as_str()) {
                Some(holders) => holders.insert(seat.clone()),
                None => self.names.insert_mut(Arc::from(name), Holders::One(seat.clone())),
            }
        }
        for address in &seat.addresses {
            self.addresses.insert_mut(*address, seat.clone());
        }
        self.seats.insert_mut(seat.sandbox, seat);
    }

    fn remove(&mut self, sandbox: &Id) {
        let Some(seat) = self.seats.get(sandbox).cloned() else { return };
        self.seats.remove_mut(sandbox);
        for name in seat.names.iter().map(|name| fold(name)) {
            let empty = self.names.get_mut(name.as_str()).is_some_and(|holders| holders.remove(sandbox));
            if empty {
                self.names.remove_mut(name.as_str());
            }
        }
        for address in &seat.addresses {
            if self.addresses.get(address).is_some_and(|holder| holder.sandbox == *sandbox) {
                self.addresses.remove_mut(address);
            }
        }
    }
}

impl Holders {
    fn insert(&mut self, seat: Arc<Seat>) {
        match self {
            Holders::One(held) if held.sandbox == seat.sandbox => *held = seat,
            Holders::One(held) => {
                let mut all = RedBlackTreeMapSync::new_sync();
                all.insert_mut(held.sandbox, held.clone());
                all.insert_mut(seat.sandbox, seat);
                *self = Holders::Many(all);
            }
            Holders::Many(all) => all.insert_mut(seat.sandbox, seat),
        }
    }

    /// Whether nobody bears the name any more.
    fn remove(&mut self, sandbox: &Id) -> bool {
        match self {
            Holders::One(held) => held.sandbox == *sandbox,
            Holders::Many(all) => {
                all.remove_mut(sandbox);
                if all.size() > 1 {
                    return false;
                }
                match all.first().map(|(_, seat)| seat.clone()) {
                    Some(last) => *self = Holders::One(last),
                    None => return true,
                }
                false
            }
        }
    }
}

impl<'a> Found<'a> {
    /// All addresses of all seats, beginning with the seat number `turn` (modulo their count): a caller that brings
    /// another turn each time spreads the load over all of them.
    pub fn addresses(self, turn: usize) -> impl Iterator<Item = &'a IpAddr> {
        let (one, many) = match self.0 {
            Holders::One(seat) => (Some(seat), None),
            Holders::Many(all) => (None, Some((all, turn % all.size().max(1)))),
        };
        let rest = many
            .into_iter()
            .flat_map(|(all, first)| all.values().skip(first).chain(all.values().take(first)));
        one.into_iter().chain(rest).flat_map(|seat| &seat.addresses)
    }
}

/// Servers to ask at `port`, without the resolver's own addresses: asking those would be a loop.
pub fn without_self(servers: impl IntoIterator<Item = IpAddr>, port: u16) -> Vec<SocketAddr> {
    let others = servers.into_iter().filter(|server| !Dns::is_ours(*server));
    others.map(|server| SocketAddr::new(server, port)).collect()
}

fn fold(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}
