//! Seats in networks: addresses, MAC, interface name, aliases. Decides one endpoint at a time.
use super::{
    books::Books,
    decide::{random, random_id},
    view::View,
};
use crate::{
    error::{Error, Kind, Result},
    model::{
        Endpoint, Family, Id, IfName, Mac, Network, Sandbox,
        command::{AddressRange, EndpointRequest},
        network::Driver,
        sandbox::StaticRoute,
    },
};
use std::net::IpAddr;

/// Ports of a Linux bridge (BR_MAX_PORTS in net/bridge/br_private.h is 1024, and number 0 is not given).
const BRIDGE_PORTS: usize = 1_023;

/// How the refusal of a second seat in one network begins; a dialect may have words of its own for it.
pub const HAS_SEAT: &str = "the sandbox already has an endpoint";

/// Addresses given out while deciding, taken back if the decision fails.
pub struct Draft<'a> {
    pub books: &'a mut Books,
    view: &'a View,
    taken: Vec<(Id, IpAddr)>,
}

impl<'a> Draft<'a> {
    pub fn new(books: &'a mut Books, view: &'a View) -> Self {
        Draft { books, view, taken: Vec::new() }
    }
    fn members(&self, network: Id) -> usize {
        self.view.member_count(network)
    }
    fn take(&mut self, network: &Network, v4: bool, wanted: Option<IpAddr>) -> Result<IpAddr> {
        let address = self.books.take(network, v4, wanted)?;
        self.taken.push((network.id, address));
        Ok(address)
    }
    fn take_within(&mut self, network: &Network, range: &AddressRange) -> Result<IpAddr> {
        let address = self.books.take_within(network, range)?;
        self.taken.push((network.id, address));
        Ok(address)
    }
    /// Keeps what was taken if all went well, else gives it back.
    pub fn finish<T>(self, result: Result<T>) -> Result<T> {
        if result.is_err() {
            self.taken.iter().for_each(|(network, address)| self.books.give_back(*network, *address));
        }
        result
    }
}

/// A new seat in `network`, for a sandbox that already has `others`.
pub fn seat(
    draft: &mut Draft<'_>,
    network: &Network,
    request: &EndpointRequest,
    others: &[Endpoint],
) -> Result<Endpoint> {
    check(network, request, others)?;
    if network.driver == Driver::Bridge && draft.members(network.id) >= BRIDGE_PORTS {
        return Err(Error::exhausted(format!(
            "network {} is full: a Linux bridge takes {BRIDGE_PORTS} sandboxes, make another network",
            network.name
        )));
    }
    let ip4 = match draft_address(draft, network, request, Family::V4)? {
        Some(IpAddr::V4(ip)) => Some(ip),
        _ => None,
    };
    let ip6 = match draft_address(draft, network, request, Family::V6)? {
        Some(IpAddr::V6(ip)) => Some(ip),
        _ => None,
    };
    let mac = match (request.mac, ip4) {
        (Some(mac), _) => mac,
        (None, Some(ip)) => Mac::of_ipv4(ip),
        (None, None) => Mac::local(random()?),
    };
    let ifname = ifname(network, request, others)?;
    Ok(Endpoint {
        id: random_id()?,
        network: network.id,
        ifname,
        mac,
        ip4,
        ip6,
        aliases: request.aliases.clone(),
        links: request.links.clone(),
        priority: request.priority,
        asked: request.ip.map(IpAddr::V4).into_iter().chain(request.ip6.map(IpAddr::V6)).collect(),
        link_local: request.link_local.clone(),
        sysctls: request.sysctls.clone(),
        routes: request.routes.clone(),
        bandwidth: request.bandwidth,
        labels: request.labels.clone(),
    })
}

/// The one asked for; else the next of the ranges asked for, or of the network.
fn draft_address(
    draft: &mut Draft<'_>,
    network: &Network,
    request: &EndpointRequest,
    family: Family,
) -> Result<Option<IpAddr>> {
    let v4 = family == Family::V4;
    let (has, wanted) = match v4 {
        true => (network.ipv4, request.ip.map(IpAddr::V4)),
        false => (network.ipv6, request.ip6.map(IpAddr::V6)),
    };
    let ranges: Vec<_> = request.ranges.iter().filter(|range| range.family() == family).collect();
    let Some(first) = ranges.first() else {
        return match (has, wanted) {
            (false, None) => Ok(None),
            _ => draft.take(network, v4, wanted).map(Some),
        };
    };
    if let Some(wanted) = wanted {
        if !ranges.iter().any(|range| range.contains(wanted)) {
            return Err(Error::invalid(format!(
                "address {wanted} is in none of the ranges that are asked for"
            )));
        }
        return draft.take(network, v4, Some(wanted)).map(Some);
    }
    let full = |error: &Error| error.kind == Kind::Exhausted;
    let rest = ranges[1..].iter();
    let taken = rest.fold(draft.take_within(network, first), |taken, range| match taken {
        Err(error) if full(&error) => draft.take_within(network, range),
        taken => taken,
    });
    taken.map(Some)
}

fn check(network: &Network, request: &EndpointRequest, others: &[Endpoint]) -> Result<()> {
    joinable(network)?;
    if matches!(network.driver, Driver::Host | Driver::None) {
        return Err(Error::invalid(format!(
            "network {} cannot be joined together with others: a sandbox has it from its creation, alone",
            network.name
        )));
    }
    if others.iter().any(|endpoint| endpoint.network == network.id) {
        return Err(Error::conflict(format!("{HAS_SEAT} in network {}", network.name)));
    }
    for alias in request.aliases.iter().chain(request.links.keys()) {
        check_alias(alias)?;
    }
    for ip in &request.link_local {
        check_link_local(network, *ip)?;
    }
    request.routes.iter().try_for_each(|route| check_route(network, route))?;
    request.ranges.iter().try_for_each(|range| check_range(network, range))?;
    check_bandwidth(network, request)?;
    match request.ifname.as_ref().is_some_and(|name| name.as_str() == "lo") {
        true => Err(Error::invalid("interface name lo is taken in every sandbox: choose another")),
        false => Ok(()),
    }
}

/// `Denied` for a configuration.
pub fn joinable(network: &Network) -> Result<()> {
    match network.config_only {
        true => Err(Error::denied(format!(
            "cannot create endpoint on configuration-only network {0}: join a network made with --config-from {0}",
            network.name
        ))),
        false => Ok(()),
    }
}

fn check_link_local(network: &Network, ip: IpAddr) -> Result<()> {
    let (fits, there) = match ip {
        IpAddr::V4(ip) => (ip.is_link_local(), network.ipv4),
        IpAddr::V6(ip) => (ip.is_unicast_link_local(), network.ipv6),
    };
    if !fits {
        return Err(Error::invalid(format!(
            "invalid link-local IP address {ip}: it is in 169.254.0.0/16 or fe80::/64"
        )));
    }
    match there {
        true => Ok(()),
        false => Err(Error::invalid(format!(
            "link-local address {ip} cannot be had in network {}, which lacks this family",
            network.name
        ))),
    }
}

/// A range lies in a subnet of the network, and does not turn back.
fn check_range(network: &Network, range: &AddressRange) -> Result<()> {
    let bad = |why: String| Err(Error::invalid(format!("invalid range of {}: {why}", range.subnet)));
    let Some(pool) = network.pools.iter().find(|pool| pool.subnet.contains_subnet(&range.subnet)) else {
        let subnets: Vec<String> = network.pools.iter().map(|pool| pool.subnet.to_string()).collect();
        return bad(format!("network {} has {}", network.name, subnets.join(", ")));
    };
    let (first, last) = (range.first(), range.last());
    if let Some(outside) = [first, last].into_iter().find(|address| !range.subnet.contains(*address)) {
        return bad(format!("{outside} does not lie in it"));
    }
    if first > last {
        return bad(format!("its start {first} is behind its end {last}"));
    }
    match range.gateway.filter(|gateway| pool.gateway != Some(*gateway)) {
        Some(gateway) => {
            let there = pool.gateway.map_or("none".to_owned(), |gateway| gateway.to_string());
            bad(format!("it wants the gateway {gateway}, network {} has {there}", network.name))
        }
        None => Ok(()),
    }
}

/// Only a host end can be held back.
fn check_bandwidth(network: &Network, request: &EndpointRequest) -> Result<()> {
    match network.driver {
        _ if request.bandwidth.is_none() => Ok(()),
        Driver::Bridge => request.bandwidth.check(),
        _ => Err(Error::unsupported(format!(
            "network {} has no bridge: the bandwidth of its sandboxes cannot be limited",
            network.name
        ))),
    }
}

/// A static route leads into a prefix, through an address of the network.
fn check_route(network: &Network, route: &StaticRoute) -> Result<()> {
    let bad = |why: &str| Err(Error::invalid(format!("invalid route to {}: {why}", route.to)));
    let (family, via) = (route.to.family(), route.via);
    if route.to.prefix() == 0 {
        return bad("the default routes follow from the networks, choose by priority");
    }
    if network.pool(family).is_none() {
        return bad(&format!("network {} has no addresses of its family", network.name));
    }
    match via.is_none_or(|via| network.pool(family).is_some_and(|pool| pool.subnet.contains(via))) {
        true => Ok(()),
        false => bad(&format!("its gateway must be an address of network {}", network.name)),
    }
}

/// A DNS name by which neighbours may call a sandbox (RFC 1035 sizes; `_` is let through, as Docker does).
pub fn check_alias(alias: &str) -> Result<()> {
    let label = |l: &str| {
        !l.is_empty()
            && l.len() <= 63
            && l.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
    };
    match alias.len() <= 253 && alias.split('.').all(label) {
        true => Ok(()),
        false => Err(Error::invalid(format!(
            "invalid alias {alias:?}: use letters, digits, '-', '_' and '.', at most 63 between dots and 253 in all"
        ))),
    }
}

/// The name inside: as asked, or the network's prefix and the first free number.
fn ifname(network: &Network, request: &EndpointRequest, others: &[Endpoint]) -> Result<IfName> {
    let free = |name: &IfName| !others.iter().any(|endpoint| endpoint.ifname == *name);
    if let Some(name) = &request.ifname {
        return match free(name) {
            true => Ok(name.clone()),
            false => Err(Error::conflict(format!(
                "the sandbox already has an interface {name}: choose another name"
            ))),
        };
    }
    let prefix = network.bridge().map_or("eth", |settings| settings.ifname_prefix.as_str());
    let candidates = (0..=others.len()).filter_map(|i| IfName::parse(&format!("{prefix}{i}")).ok());
    candidates.into_iter().find(free).ok_or_else(|| {
        Error::invalid(format!("no interface name can be made of prefix {prefix:?}: give one with ifname="))
    })
}

/// Which sandbox a name means when it asks for `sandbox:NAME`, or a link's `name`.
pub fn shared_name(network: &str) -> Option<&str> {
    network.strip_prefix("sandbox:").filter(|name| !name.is_empty())
}

/// One-line refusal for a sandbox that has no seats of its own.
pub fn must_own_namespace(sandbox: &Sandbox) -> Result<()> {
    use crate::model::sandbox::Netns;
    match &sandbox.netns {
        Netns::Host => Err(Error::invalid(format!(
            "sandbox {} uses the host's network: it cannot be connected to another",
            sandbox.name
        ))),
        Netns::Shared(_) => Err(Error::invalid(format!(
            "sandbox {} shares another sandbox's network: connect that one",
            sandbox.name
        ))),
        Netns::Handed => Err(Error::invalid(format!(
            "sandbox {} is one seat of a runtime's container: connect the container there",
            sandbox.name
        ))),
        Netns::Leased { .. } => Err(Error::invalid(format!(
            "sandbox {} is addresses alone, for a container that somebody else connects",
            sandbox.name
        ))),
        Netns::Made(_) | Netns::Given { .. } => Ok(()),
    }
}
