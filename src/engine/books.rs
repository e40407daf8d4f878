//! What follows from the promises and is never stored: addresses and host ports in use, subnets taken, namespaces known.
use super::{reservation::difference, reserved::Reserved};
use crate::{
    error::{Error, Result},
    ipam::{Leases, PortTable, Taken},
    model::{
        Id, Name, Network, Sandbox, command::AddressRange, network::Pool, port::Holder,
        reservation::Reservation, sandbox::Netns,
    },
};
use std::{
    collections::{BTreeSet, HashMap},
    net::IpAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

/// The derived tables. Only the writer has them.
#[derive(Default)]
pub struct Books {
    /// By network, one for each of its pools that nobody has reserved.
    leases: HashMap<Id, Vec<Leases>>,
    /// Subnets that runtimes have reserved, by reservation.
    reserved: HashMap<Id, Reserved>,
    /// Networks upon such subnets, and which.
    upon: HashMap<Id, Vec<Id>>,
    pub ports: PortTable,
    pub subnets: Taken,
    /// Namespaces of runtimes: inode -> sandbox.
    pub inodes: HashMap<u64, Id>,
    /// Namespaces that we made for a sandbox which is called otherwise by now.
    renamed: BTreeSet<PathBuf>,
    /// Who shares the namespace of whom.
    shared: HashMap<Id, BTreeSet<Id>>,
    /// Bridge devices of networks.
    pub devices: HashMap<String, Name>,
}

impl Books {
    /// Gives out an address of `network`: `wanted`, or the next free one of this family's pool.
    pub fn take(&mut self, network: &Network, v4: bool, wanted: Option<IpAddr>) -> Result<IpAddr> {
        let fits = |pool: &&Pool| {
            pool.subnet.base().is_ipv4() == v4 && wanted.is_none_or(|ip| pool.subnet.contains(ip))
        };
        let reserved = network.pools.iter().find(fits).and_then(|pool| Some((pool, pool.reservation?)));
        if let Some((pool, reservation)) = reserved {
            refuse_set_aside(network, pool, wanted)?;
            return self.reserved(reservation)?.seat(network.name.as_str(), wanted);
        }
        let pools = self.leases.get_mut(&network.id).into_iter().flatten();
        let mut fitting = pools.filter(|pool| pool.subnet().base().is_ipv4() == v4);
        let pool = match wanted {
            Some(ip) => fitting.find(|pool| pool.subnet().contains(ip)),
            None => fitting.next(),
        };
        let none = || {
            let subnets: Vec<String> = network.pools.iter().map(|pool| pool.subnet.to_string()).collect();
            Error::invalid(match wanted {
                Some(ip) => {
                    format!(
                        "address {ip} is in no subnet of network {} ({})",
                        network.name,
                        subnets.join(", ")
                    )
                }
                None => {
                    format!("network {} has no {} subnet", network.name, if v4 { "IPv4" } else { "IPv6" })
                }
            })
        };
        pool.ok_or_else(none)?.take(network.name.as_str(), wanted)
    }

    /// Gives out the next free address of a part of a pool.
    pub fn take_within(&mut self, network: &Network, range: &AddressRange) -> Result<IpAddr> {
        let (name, first, last) = (network.name.as_str(), range.first(), range.last());
        let holds = |pool: &&Pool| pool.subnet.contains_subnet(&range.subnet);
        if let Some(reservation) = network.pools.iter().find(holds).and_then(|pool| pool.reservation) {
            return self.reserved(reservation)?.seat_within(name, first, last);
        }
        let mut pools = self.leases.get_mut(&network.id).into_iter().flatten();
        let pool = pools.find(|pool| pool.subnet().contains_subnet(&range.subnet));
        let none = || Error::invalid(format!("range {} is in no subnet of network {name}", range.subnet));
        pool.ok_or_else(none)?.take_within(name, first, last)
    }

    /// Takes an address back.
    pub fn give_back(&mut self, network: Id, address: IpAddr) {
        for pool in self.leases.get_mut(&network).into_iter().flatten() {
            pool.free(address);
        }
        self.upon(network, |reserved| reserved.unseat(address));
    }

    /// The addresses of a subnet that a runtime has reserved.
    pub fn reserved(&mut self, reservation: Id) -> Result<&mut Reserved> {
        let missing = || Error::internal("the table of addresses disagrees with the reservations");
        self.reserved.get_mut(&reservation).ok_or_else(missing)
    }

    fn upon(&mut self, network: Id, mut each: impl FnMut(&mut Reserved)) {
        for reservation in self.upon.get(&network).into_iter().flatten() {
            self.reserved.get_mut(reservation).into_iter().for_each(&mut each);
        }
    }

    /// Enters, strikes, or notes which addresses were taken and given back.
    pub fn change_reservation(&mut self, before: Option<&Reservation>, after: Option<&Reservation>) {
        match (before, after) {
            (Some(before), Some(after)) => {
                let (taken, given_back) = difference(before, after);
                let Some(reserved) = self.reserved.get_mut(&after.id) else { return };
                taken.into_iter().for_each(|address| reserved.hold(address));
                given_back.into_iter().for_each(|address| reserved.let_go(address));
            }
            (None, Some(new)) => {
                self.subnets.add(&new.subnet);
                self.reserved.insert(new.id, Reserved::new(new));
            }
            (Some(gone), None) => {
                self.subnets.remove(&gone.subnet);
                self.reserved.remove(&gone.id);
            }
            (None, None) => {}
        }
    }

    /// After a restart: the next address of each pool comes behind the one given out last.
    pub fn resume<'a>(&mut self, newest_last: impl Iterator<Item = &'a Sandbox>) {
        for endpoint in newest_last.flat_map(|sandbox| &sandbox.endpoints) {
            for pool in self.leases.get_mut(&endpoint.network).into_iter().flatten() {
                let subnet = pool.subnet();
                let within = endpoint.addresses().filter(|address| subnet.contains(*address));
                within.for_each(|address| pool.set_cursor_after(address));
            }
        }
    }

    /// Sandboxes that share this one's namespace.
    pub fn sharing(&self, sandbox: Id) -> impl Iterator<Item = &Id> {
        self.shared.get(&sandbox).into_iter().flatten()
    }

    pub fn enter_network(&mut self, network: &Network) {
        if network.config_only {
            return;
        }
        let leases = own(network).map(|p| Leases::new(p.subnet, p.range, p.gateway, &p.aux));
        self.leases.entry(network.id).or_insert_with(|| leases.collect());
        own(network).for_each(|pool| self.subnets.add(&pool.subnet));
        let reserved: Vec<Id> = network.pools.iter().filter_map(|pool| pool.reservation).collect();
        if !reserved.is_empty() {
            self.upon.insert(network.id, reserved);
        }
        if let Some(device) = network.device() {
            self.devices.insert(device.to_string(), network.name.clone());
        }
    }
    pub fn strike_network(&mut self, network: &Network) {
        if network.config_only {
            return;
        }
        self.leases.remove(&network.id);
        self.upon.remove(&network.id);
        own(network).for_each(|pool| self.subnets.remove(&pool.subnet));
        if let Some(device) = network.device() {
            self.devices.remove(device.as_str());
        }
    }

    /// Marks everything that a sandbox holds; what `take` and `choose` gave out already stays as it is.
    pub fn enter_sandbox(&mut self, sandbox: &Sandbox) {
        for endpoint in &sandbox.endpoints {
            for address in endpoint.addresses() {
                for pool in self.leases.get_mut(&endpoint.network).into_iter().flatten() {
                    pool.mark(address);
                }
                self.upon(endpoint.network, |reserved| reserved.seat_again(address));
            }
        }
        let holder = Arc::new(Holder { sandbox: sandbox.id, name: sandbox.name.to_string() });
        for port in &sandbox.ports {
            // A clash cannot be: ports were checked when they were promised, and all promises pass here.
            let _ = self.ports.promise(port, &holder);
        }
        match sandbox.netns {
            Netns::Given { inode, .. } => drop(self.inodes.insert(inode, sandbox.id)),
            Netns::Shared(with) => drop(self.shared.entry(with).or_default().insert(sandbox.id)),
            Netns::Made(ref path) if elsewhere(path, sandbox) => drop(self.renamed.insert(path.clone())),
            Netns::Made(_) | Netns::Host | Netns::Handed | Netns::Leased { .. } => {}
        }
    }
    /// Does a sandbox that was renamed keep its namespace there?
    pub fn keeps(&self, path: &Path) -> bool {
        self.renamed.contains(path)
    }
    pub fn strike_sandbox(&mut self, sandbox: &Sandbox) {
        for endpoint in &sandbox.endpoints {
            endpoint.addresses().for_each(|address| self.give_back(endpoint.network, address));
        }
        sandbox.ports.iter().for_each(|port| self.ports.release(port));
        match sandbox.netns {
            Netns::Given { inode, .. } => drop(self.inodes.remove(&inode)),
            Netns::Shared(with) => {
                if let Some(sharers) = self.shared.get_mut(&with) {
                    sharers.remove(&sandbox.id);
                }
            }
            Netns::Made(ref path) => drop(self.renamed.remove(path)),
            Netns::Host | Netns::Handed | Netns::Leased { .. } => {}
        }
    }
}

/// Is the file called otherwise than the sandbox?
fn elsewhere(path: &Path, sandbox: &Sandbox) -> bool {
    path.file_name().is_none_or(|name| name != sandbox.name.as_str())
}

/// Pools that nobody else has addresses of.
fn own(network: &Network) -> impl Iterator<Item = &Pool> {
    network.pools.iter().filter(|pool| pool.reservation.is_none())
}

/// The runtime has the gateway and auxiliary addresses of its subnet as it has those of its containers.
fn refuse_set_aside(network: &Network, pool: &Pool, wanted: Option<IpAddr>) -> Result<()> {
    let set_aside = |ip: &IpAddr| pool.gateway == Some(*ip) || pool.aux.values().any(|aux| aux == ip);
    match wanted.filter(set_aside) {
        Some(ip) => Err(Error::invalid(format!(
            "address {ip} cannot be had in network {}: it is set aside; ask for another",
            network.name
        ))),
        None => Ok(()),
    }
}
