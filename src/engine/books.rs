//! What follows from the promises and is never stored: addresses and host ports in use, subnets taken, namespaces known.
use crate::{
    error::{Error, Result},
    ipam::{Leases, PortTable, Taken},
    model::{Id, Name, Network, Sandbox, port::Holder, sandbox::Netns},
};
use std::{
    collections::{BTreeSet, HashMap},
    net::IpAddr,
    sync::Arc,
};

/// The derived tables. Only the writer has them.
#[derive(Default)]
pub struct Books {
    /// By network, one for each of its pools.
    leases: HashMap<Id, Vec<Leases>>,
    pub ports: PortTable,
    pub subnets: Taken,
    /// Namespaces of runtimes: inode -> sandbox.
    pub inodes: HashMap<u64, Id>,
    /// Who shares the namespace of whom.
    shared: HashMap<Id, BTreeSet<Id>>,
    /// Bridge devices of networks.
    pub devices: HashMap<String, Name>,
}

impl Books {
    /// Gives out an address of `network`: `wanted`, or the next free one of this family's pool.
    pub fn take(&mut self, network: &Network, v4: bool, wanted: Option<IpAddr>) -> Result<IpAddr> {
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

    /// Takes an address back.
    pub fn give_back(&mut self, network: Id, address: IpAddr) {
        for pool in self.leases.get_mut(&network).into_iter().flatten() {
            pool.free(address);
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
        let leases = network.pools.iter().map(|p| Leases::new(p.subnet, p.range, p.gateway, &p.aux));
        self.leases.entry(network.id).or_insert_with(|| leases.collect());
        network.pools.iter().for_each(|pool| self.subnets.add(&pool.subnet));
        if let Some(device) = network.device() {
            self.devices.insert(device.to_string(), network.name.clone());
        }
    }
    pub fn strike_network(&mut self, network: &Network) {
        if network.config_only {
            return;
        }
        self.leases.remove(&network.id);
        network.pools.iter().for_each(|pool| self.subnets.remove(&pool.subnet));
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
            Netns::Made(_) | Netns::Host | Netns::Handed | Netns::Leased { .. } => {}
        }
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
            Netns::Made(_) | Netns::Host | Netns::Handed | Netns::Leased { .. } => {}
        }
    }
}
