//! Adding: what has to be there first, and what must not be there yet. Adding what is there is fine.
use super::machine::{File, Inside, Machine, Wire};
use crate::{
    error::{Error, Result},
    host::Applied,
    model::{
        Id,
        kernel::{Bridge, Hold, Item, Link, LinkKind, Namespace, Resolver, Route, Routes, Shaper},
    },
};
use std::net::{IpAddr, Ipv4Addr, TcpListener, UdpSocket};

/// Ports of a Linux bridge (BR_MAX_PORTS).
const BRIDGE_PORTS: usize = 1_023;

impl Machine {
    pub fn add(&mut self, item: &Item, applied: &mut Applied) -> Result<()> {
        match item {
            Item::Forwarding(family) => drop(self.forwarding.entry(*family).or_insert(true)),
            Item::Namespace(wanted) => self.add_namespace(wanted)?,
            Item::VolumeMount(mount) => drop(self.mounts.insert(mount.volume.clone(), mount.clone())),
            Item::Hold(hold) => self.add_hold(hold)?,
            Item::Element(element) => self.add_element(element)?,
            Item::Bridge(bridge) => self.add_bridge(bridge)?,
            Item::Link(link) => self.add_link(link)?,
            Item::Shaper(shaper) => self.add_shaper(shaper)?,
            Item::Routes(routes) => self.set_routes(None, routes)?,
            Item::Resolver(resolver) => self.add_resolver(resolver, applied)?,
        }
        Ok(())
    }

    fn add_namespace(&mut self, wanted: &Namespace) -> Result<()> {
        if wanted.made && !self.files.contains_key(&wanted.path) {
            let inode = self.number();
            self.namespaces.insert(inode, Inside::default());
            self.files.insert(wanted.path.clone(), File::Namespace { inode, ours: true });
        }
        let inode = self.namespace_at(&wanted.path)?;
        self.daemon.namespaces.insert(wanted.sandbox, (inode, wanted.clone()));
        Ok(())
    }

    fn add_hold(&mut self, hold: &Hold) -> Result<()> {
        let key = Item::Hold(hold.clone()).key();
        let place = match hold.host {
            None => "on the host".to_owned(),
            Some(address) => format!("on {address}"),
        };
        let taken = |who: &str| {
            Err(Error::conflict(format!("port {}/{} is in use {place} by {who}", hold.port, hold.proto)))
        };
        let rival = self.strangers.iter().find(|other| {
            (other.proto, other.port) == (hold.proto, hold.port) && clash(other.host, hold.host)
        });
        if let Some(rival) = rival {
            return taken(&rival.program);
        }
        let own = self.daemon.holds.iter().any(|(other, held)| {
            *other != key && (held.proto, held.port) == (hold.proto, hold.port) && clash(held.host, hold.host)
        });
        if own {
            return taken("pontoon (pid 1)");
        }
        self.daemon.holds.insert(key, hold.clone());
        Ok(())
    }

    fn add_bridge(&mut self, bridge: &Bridge) -> Result<()> {
        if let Some((_, there)) = self.bridges.get_mut(&bridge.name)
            && there.network == bridge.network
        {
            *there = bridge.clone();
            return Ok(());
        }
        if self.has_interface(&bridge.name) {
            return Err(Error::conflict(format!(
                "cannot make bridge {}: an interface of that name exists already",
                bridge.name
            )));
        }
        let index = self.number() as u32;
        self.bridges.insert(bridge.name.clone(), (index, bridge.clone()));
        Ok(())
    }

    fn add_link(&mut self, link: &Link) -> Result<()> {
        // Number 0 is the host's own: nobody says where the runtime takes it.
        let inode = if link.kind.is_handed() { 0 } else { self.open_namespace(link.sandbox)? };
        if self.links.get(&link.endpoint).is_some_and(|wire| wire.link == *link && wire.inode == inode) {
            return Ok(());
        }
        let master = link.kind.bridge().map(|(bridge, _)| bridge.clone());
        self.check_lower(link)?;
        let inside = |wire: &&Wire| wire.inode == inode && wire.link.name == link.name;
        if link.name.as_str() == "lo" || self.links.values().any(|wire| inside(&wire)) {
            return Err(Error::conflict(format!(
                "make {}: the sandbox has an interface of that name already",
                link.name
            )));
        }
        if master.is_some() && self.has_interface(&link.host_name()) {
            return Err(Error::conflict(format!("make {}: File exists", link.host_name())));
        }
        let index = self.number() as u32;
        self.links.insert(link.endpoint, Wire { index, link: link.clone(), inode, master });
        Ok(())
    }

    fn add_shaper(&mut self, shaper: &Shaper) -> Result<()> {
        match self.links.get(&shaper.endpoint).is_some_and(|wire| wire.master.is_some()) {
            true => drop(self.shapers.insert(shaper.endpoint, shaper.clone())),
            false => {
                let end = crate::model::kernel::host_end(&shaper.endpoint);
                return Err(Error::not_found(format!("limit the bandwidth of {end}: no such interface")));
            }
        }
        Ok(())
    }

    /// The bridge or parent interface that a link stands on.
    fn check_lower(&self, link: &Link) -> Result<()> {
        match &link.kind {
            LinkKind::Veth { bridge, .. } | LinkKind::Handed { bridge, .. } => {
                if !self.bridges.contains_key(bridge) {
                    return Err(Error::not_found(format!(
                        "attach {}: bridge {bridge} does not exist",
                        link.host_name()
                    )));
                }
                let ports = self.links.values().filter(|wire| wire.master.as_ref() == Some(bridge)).count();
                match ports < BRIDGE_PORTS {
                    true => Ok(()),
                    false => Err(Error::exhausted(format!("attach {}: {bridge} is full", link.host_name()))),
                }
            }
            LinkKind::Macvlan { parent, .. } | LinkKind::Ipvlan { parent, .. } => {
                match self.foreign.contains(parent) {
                    true => Ok(()),
                    false => Err(Error::not_found(format!("make {}: no interface {parent}", link.name))),
                }
            }
        }
    }

    /// Brings default routes from `found` to `wanted`; each needs its interface, and its gateway a prefix on it.
    pub fn set_routes(&mut self, found: Option<&Routes>, wanted: &Routes) -> Result<()> {
        let inode = self.open_namespace(wanted.sandbox)?;
        for route in wanted.v4.iter().chain(&wanted.v6) {
            let wire = self.links.values().find(|w| w.inode == inode && w.link.name == route.link);
            let Some(wire) = wire else {
                return Err(Error::not_found(format!(
                    "default route: sandbox has no interface {}",
                    route.link
                )));
            };
            let near = |gateway: IpAddr| wire.link.addresses.iter().any(|c| c.subnet().contains(gateway));
            if let Some(gateway) = route.gateway.filter(|gateway| !near(*gateway)) {
                return Err(Error::internal(format!("default route by {gateway}: Network is unreachable")));
            }
        }
        let Some(inside) = self.namespaces.get_mut(&inode) else { return Ok(()) };
        let set = |there: &mut Option<Route>, old: Option<&Route>, new: &Option<Route>| match (old, new) {
            (_, Some(_)) => there.clone_from(new),
            (Some(old), None) if there.as_ref() == Some(old) => *there = None,
            _ => {}
        };
        set(&mut inside.v4, found.and_then(|f| f.v4.as_ref()), &wanted.v4);
        set(&mut inside.v6, found.and_then(|f| f.v6.as_ref()), &wanted.v6);
        Ok(())
    }

    fn add_resolver(&mut self, wanted: &Resolver, applied: &mut Applied) -> Result<()> {
        let inode = self.open_namespace(wanted.sandbox)?;
        let failed = |error: std::io::Error| Error::os("open the sandbox's DNS sockets", &error);
        let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).map_err(failed)?;
        let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(failed)?;
        self.daemon.resolvers.insert(wanted.clone(), inode);
        applied.resolvers.push((wanted.sandbox, udp, tcp));
        Ok(())
    }

    /// The namespace of a sandbox that the daemon has open.
    pub fn open_namespace(&self, sandbox: Id) -> Result<u64> {
        let open = self.daemon.namespaces.get(&sandbox).map(|(inode, _)| *inode);
        open.ok_or_else(|| {
            Error::not_found(format!("the namespace of sandbox {} is not open", sandbox.short()))
        })
    }
}

/// Can both not be bound at once? None stands for every address of both families.
pub(super) fn clash(a: Option<IpAddr>, b: Option<IpAddr>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => {
            a == b || (a.is_ipv4() == b.is_ipv4() && (a.is_unspecified() || b.is_unspecified()))
        }
        _ => true,
    }
}
