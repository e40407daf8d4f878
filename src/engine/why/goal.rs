//! Whom an address belongs to, as the asker sees it.
use super::{From, Scene};
use crate::{
    model::{Endpoint, Family, Network, Sandbox, port::Port},
    plan::gateway,
};
use std::{
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
};

pub enum Goal {
    /// The asker itself.
    Own(Arc<Sandbox>),
    /// A sandbox's own address.
    Seat(Arc<Sandbox>, Arc<Network>),
    /// A port of the host that leads to a sandbox; what it listens on there.
    Published(Arc<Sandbox>, Port, u16),
    /// An address of the host.
    Host,
    /// Anywhere else.
    World,
}

impl Goal {
    /// For a connection that gets no answer though nothing is wrong here.
    pub fn whom_to_suspect(&self) -> &'static str {
        match self {
            Goal::World => {
                "look at the host's own way there (`ip route get`), its firewall, and the other end's"
            }
            _ => {
                "look for rules inside the sandboxes (`nsenter --net=NETNS nft list ruleset`) and for a firewall of the \
                 host (`pontoon doctor`); `tcpdump -i BRIDGE` shows how far packets get"
            }
        }
    }
}

impl Scene<'_> {
    pub(super) fn goal(&self, address: IpAddr) -> Goal {
        if let From::Sandbox(sandbox) = &self.from
            && (address.is_loopback() || sandbox.endpoints.iter().any(|e| has(e, address)))
        {
            return Goal::Own(sandbox.clone());
        }
        if let Some(seat) = self.seat(address) {
            return seat;
        }
        let here = address.is_loopback() || self.probe.place(None).is_ok_and(|host| host.has(address));
        match self.published(address).filter(|_| here) {
            Some(published) => published,
            None if here => Goal::Host,
            None => Goal::World,
        }
    }

    /// Of several with one address (networks may be internal and overlap) the one in the asker's own network.
    fn seat(&self, address: IpAddr) -> Option<Goal> {
        let seat = |sandbox: &Arc<Sandbox>| {
            let endpoint = sandbox.endpoints.iter().find(|endpoint| has(endpoint, address))?;
            let network = self.view.networks.get(&endpoint.network)?;
            Some(Goal::Seat(sandbox.clone(), network.clone()))
        };
        let near = match &self.from {
            From::Sandbox(own) => own.endpoints.iter().flat_map(|e| self.view.members(e.network)).collect(),
            From::Host | From::Lan => Vec::new(),
        };
        near.iter().chain(self.view.sandboxes.values()).find_map(seat)
    }

    /// Who publishes the asked port at this address of the host, whatever the binding: that is judged later.
    fn published(&self, address: IpAddr) -> Option<Goal> {
        let asked = self.to.port?;
        let rank = |port: &Port| match port.host_ip {
            Some(ip) if ip == address => 0,
            None => 1,
            Some(_) => 2,
        };
        let ports = self.view.sandboxes.values().flat_map(|s| s.ports.iter().map(move |port| (s, port)));
        let same = ports.filter(|(_, port)| port.proto == self.to.proto);
        let leads = same.filter_map(|(s, port)| port.behind(asked).map(|inside| (s, port, inside)));
        let (sandbox, port, inside) = leads.min_by_key(|(_, port, _)| rank(port))?;
        Some(Goal::Published(sandbox.clone(), port.clone(), inside))
    }

    /// Where the asker reaches a port of this host: at the address that it is published on, else where it always does.
    pub(super) fn this_host(&self) -> IpAddr {
        let loopback = IpAddr::from(Ipv4Addr::LOCALHOST);
        let bound = match self.published(loopback) {
            Some(Goal::Published(_, port, _)) => port.host_ip.filter(|ip| !ip.is_unspecified()),
            _ => None,
        };
        match (&self.from, bound) {
            (From::Sandbox(sandbox), None) => self.gateway(sandbox).unwrap_or(loopback),
            (From::Sandbox(sandbox), Some(ip)) if ip.is_loopback() => {
                self.gateway(sandbox).unwrap_or(loopback)
            }
            (_, Some(ip)) => ip,
            (From::Host | From::Lan, None) => loopback,
        }
    }

    /// That of the default route, else of any network: an internal one has the host as neighbour, too.
    fn gateway(&self, sandbox: &Sandbox) -> Option<IpAddr> {
        let seats = gateway::ordered(sandbox, self.view);
        let of = |network: &Network, family| network.pool(family).and_then(|pool| pool.gateway);
        let families = [Family::V4, Family::V6];
        let chosen = families.iter().find_map(|family| of(&gateway::choose(&seats, *family)?.1, *family));
        let any = || {
            seats.iter().flat_map(|(_, network)| families.map(|family| of(network, family))).flatten().next()
        };
        chosen.or_else(any)
    }
}

fn has(endpoint: &Endpoint, address: IpAddr) -> bool {
    endpoint.addresses().chain(endpoint.link_local.iter().copied()).any(|own| own == address)
}
