//! What stands in the kernel that is ours, as plain values to compare with what is wanted; it changes nothing.
use super::{
    bridge::addresses_seen,
    mark::Mark,
    message::skip_counters,
    seen::{AddressSeen, LinkSeen, NeighbourSeen, RouteSeen},
    socket::Route,
};
use crate::{
    error::Result,
    model::{IfName, Mac, Subnet, address::Cidr, sandbox::StaticRoute},
};
use netlink_packet_route::{
    AddressFamily, RouteNetlinkMessage,
    link::LinkMessage,
    neighbour::NeighbourMessage,
    route::{RouteAttribute, RouteHeader, RouteMessage, RouteType},
};
use std::{
    collections::{HashMap, HashSet},
    net::IpAddr,
};

/// Our links on the host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    pub bridges: Vec<BridgeSeen>,
    pub ends: Vec<EndSeen>,
    /// Devices through which sandboxes send: endpoint, index, up.
    pub queues: Vec<(crate::model::Id, u32, bool)>,
    /// What is written down on the host: index of the bridge, address, MAC.
    pub neighbours: HashSet<(u32, IpAddr, Mac)>,
}

/// A bridge that bears our mark.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BridgeSeen {
    pub network: crate::model::Id,
    pub index: u32,
    pub name: IfName,
    pub mac: Option<Mac>,
    pub mtu: u32,
    pub up: bool,
    pub group: u32,
    /// All but link-local IPv6 ones, and those whose subnet no route leads to.
    pub addresses: Vec<Cidr>,
}

/// A host end that bears our mark.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndSeen {
    pub endpoint: crate::model::Id,
    pub index: u32,
    pub name: IfName,
    pub up: bool,
    /// Its bridge; None if it stands on none.
    pub bridge: Option<IfName>,
    pub bridge_index: u32,
    pub isolated: bool,
    pub hairpin: bool,
}

/// An interface inside a sandbox, lo left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InsideSeen {
    pub index: u32,
    pub name: IfName,
    pub mac: Option<Mac>,
    pub mtu: u32,
    pub up: bool,
    /// All but link-local IPv6 ones.
    pub addresses: Vec<Cidr>,
    /// All but default routes.
    pub routes: Vec<StaticRoute>,
}

/// A default route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DefaultSeen {
    pub v6: bool,
    pub gateway: Option<IpAddr>,
    pub link: Option<IfName>,
    pub metric: u32,
}

/// Our bridges and host ends in the namespace of `route`, from a dump of all links: for start, and for what concerns many.
pub fn host(route: &mut Route, instance: &str) -> Result<Seen> {
    let links = links(route)?;
    seen(route, instance, links)
}

/// Subnets of our bridges, as their addresses say. Two dumps.
pub fn subnets(route: &mut Route, instance: &str) -> Result<Vec<Subnet>> {
    let is_ours = |link: &LinkSeen| {
        let mark = link.alias.as_deref().and_then(|alias| Mark::parse(alias, instance));
        matches!(mark, Some(Mark::Network(_)))
    };
    let bridges: HashSet<u32> = links(route)?.iter().filter(|link| is_ours(link)).map(|l| l.index).collect();
    let addresses = addresses(route)?.into_iter();
    let ours = addresses.filter(|a| bridges.contains(&a.index) && !a.link_local);
    Ok(ours.map(|a| a.cidr.subnet()).collect())
}

/// Those of these names, asked for one by one.
pub fn named(route: &mut Route, instance: &str, names: &[&IfName]) -> Result<Seen> {
    let mut links = Vec::with_capacity(names.len());
    for name in names {
        links.extend(route.link(name)?);
    }
    seen(route, instance, links)
}

fn seen(route: &mut Route, instance: &str, links: Vec<LinkSeen>) -> Result<Seen> {
    let names: HashMap<u32, IfName> = links.iter().map(|link| (link.index, link.name.clone())).collect();
    let mut seen = Seen::default();
    for link in links {
        match link.alias.as_deref().and_then(|alias| Mark::parse(alias, instance)) {
            Some(Mark::Network(network)) => seen.bridges.push(BridgeSeen {
                network,
                addresses: routed(route, link.index)?,
                index: link.index,
                name: link.name,
                mac: link.mac,
                mtu: link.mtu,
                up: link.up,
                group: link.group,
            }),
            Some(Mark::Endpoint(endpoint)) => seen.ends.push(EndSeen {
                endpoint,
                index: link.index,
                name: link.name,
                up: link.up,
                bridge: link.master.and_then(|index| names.get(&index).cloned()),
                bridge_index: link.master.unwrap_or(0),
                isolated: link.isolated,
                hairpin: link.hairpin,
            }),
            Some(Mark::Shaper(endpoint)) => seen.queues.push((endpoint, link.index, link.up)),
            None => {}
        }
    }
    if !seen.ends.is_empty() {
        let all = neighbours(route)?.into_iter().filter(|neighbour| neighbour.permanent);
        seen.neighbours = all.filter_map(|n| Some((n.index, n.address?, n.mac?))).collect();
    }
    Ok(seen)
}

/// The addresses of one interface that come with a route to their subnet: somebody may have taken that one alone.
pub(super) fn routed(route: &mut Route, index: u32) -> Result<Vec<Cidr>> {
    let mut all = own(&addresses_seen(route, index)?, index);
    if all.is_empty() {
        return Ok(all);
    }
    let mut request = RouteMessage::default();
    request.header.table = RouteHeader::RT_TABLE_MAIN;
    request.attributes.push(RouteAttribute::Oif(index));
    let bodies = route.dump(RouteNetlinkMessage::GetRoute(request), "list the routes of a bridge")?;
    let routes: Vec<RouteSeen> = bodies.iter().filter_map(|body| RouteSeen::parse(body)).collect();
    let leads = |cidr: &Cidr| routes.iter().any(|r| r.to == Some(cidr.subnet()) && r.index == Some(index));
    let alone = |cidr: &Cidr| cidr.prefix == if cidr.address.is_ipv4() { 32 } else { 128 };
    all.retain(|cidr| alone(cidr) || leads(cidr));
    Ok(all)
}

/// The interfaces and default routes of the namespace of `route` (opened inside a sandbox). Neighbours are not asked for: the
/// kernel has one table of them for all namespaces and walks it all, which made a start with 1,000 sandboxes a third slower.
pub fn inside(route: &mut Route) -> Result<(Vec<InsideSeen>, Vec<DefaultSeen>)> {
    let links = links(route)?;
    let names: HashMap<u32, IfName> = links.iter().map(|link| (link.index, link.name.clone())).collect();
    let addresses = addresses_seen(route, 0)?;
    let routes = routes(route)?;
    let routes = || routes.iter().filter(|r| r.unicast && r.table == u32::from(libc::RT_TABLE_MAIN));
    let interfaces = links
        .into_iter()
        .filter(|link| link.name.as_str() != "lo")
        .map(|link| InsideSeen {
            addresses: own(&addresses, link.index),
            routes: routes()
                .filter(|r| r.index == Some(link.index))
                .filter_map(|r| Some(StaticRoute { to: r.to?, via: r.gateway }))
                .collect(),
            index: link.index,
            name: link.name,
            mac: link.mac,
            mtu: link.mtu,
            up: link.up,
        })
        .collect();
    let defaults = routes()
        .filter(|r| r.to.is_none())
        .map(|r| DefaultSeen {
            v6: r.v6,
            gateway: r.gateway,
            link: r.index.and_then(|index| names.get(&index).cloned()),
            metric: r.metric,
        })
        .collect();
    Ok((interfaces, defaults))
}

/// Every link of the namespace of `route`.
pub fn links(route: &mut Route) -> Result<Vec<LinkSeen>> {
    let mut request = LinkMessage::default();
    request.attributes.push(skip_counters());
    let bodies = route.dump(RouteNetlinkMessage::GetLink(request), "list interfaces")?;
    Ok(bodies.iter().filter_map(|body| LinkSeen::parse(body)).collect())
}

/// Every address of the namespace of `route`.
pub fn addresses(route: &mut Route) -> Result<Vec<AddressSeen>> {
    addresses_seen(route, 0)
}

/// Every route of the namespace of `route`, all tables, both families.
pub fn routes(route: &mut Route) -> Result<Vec<RouteSeen>> {
    let bodies = route.dump(RouteNetlinkMessage::GetRoute(RouteMessage::default()), "list routes")?;
    Ok(bodies.iter().filter_map(|body| RouteSeen::parse(body)).collect())
}

/// The same, but that the kernel leaves out those that are not unicast: half of them belong to addresses.
pub fn unicast_routes(route: &mut Route) -> Result<Vec<RouteSeen>> {
    let mut request = RouteMessage::default();
    request.header.kind = RouteType::Unicast;
    let bodies = route.dump(RouteNetlinkMessage::GetRoute(request), "list routes")?;
    Ok(bodies.iter().filter_map(|body| RouteSeen::parse(body)).collect())
}

/// The MAC written down behind each of these host ends, and the permanent neighbours that have it: what `veth::attach`
/// wrote on the bridge beside the link. Two dumps, so only where a host end is there that nobody promised.
pub fn behind(route: &mut Route, ends: &[&EndSeen]) -> Result<HashMap<u32, (Mac, Vec<IpAddr>)>> {
    let mut request = NeighbourMessage::default();
    request.header.family = AddressFamily::Bridge;
    let bodies = route.dump(RouteNetlinkMessage::GetNeighbour(request), "list forwarding entries")?;
    let entries: Vec<NeighbourSeen> = bodies.iter().filter_map(|body| NeighbourSeen::parse(body)).collect();
    let neighbours = neighbours(route)?;
    let behind = |end: &&EndSeen| {
        // Its own MAC is a permanent entry, the sandbox's is not.
        let mac = entries.iter().find(|entry| entry.index == end.index && !entry.permanent)?.mac?;
        let those = neighbours.iter().filter(|n| n.permanent && n.mac == Some(mac));
        Some((end.index, (mac, those.filter_map(|n| n.address).collect())))
    };
    Ok(ends.iter().filter_map(behind).collect())
}

fn neighbours(route: &mut Route) -> Result<Vec<NeighbourSeen>> {
    let request = RouteNetlinkMessage::GetNeighbour(NeighbourMessage::default());
    let bodies = route.dump(request, "list neighbours")?;
    Ok(bodies.iter().filter_map(|body| NeighbourSeen::parse(body)).collect())
}

fn own(addresses: &[AddressSeen], index: u32) -> Vec<Cidr> {
    addresses.iter().filter(|a| a.index == index && !a.link_local).map(|a| a.cidr).collect()
}
