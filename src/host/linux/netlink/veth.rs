//! The host's part of attaching a sandbox to a bridge, and what lets the first packet through; it never enters a
//! namespace and never makes a peer that is up (the kernel refuses that).
//!
//! *Quiet*: the host end joins the bridge without ever sending MLD, DAD or ARP, and the bridge knows the sandbox's
//! MAC and addresses from the start. *Settle*: the link-watch work is made to finish. (attach-cost.md, section 3)
use super::{
    batch::{Batch, Manner},
    mark::Mark,
    message::{self, Which},
    seen::LinkSeen,
    socket::{Route, explain},
};
use crate::{
    error::{Error, Kind, Result},
    model::{IfName, kernel::Link},
};
use netlink_packet_route::{
    RouteNetlinkMessage,
    link::{InfoBridgePort, InfoData, InfoKind, InfoVeth, LinkAttribute, LinkInfo},
};
use std::{
    collections::BTreeSet,
    io,
    os::fd::{AsRawFd, BorrowedFd},
};

/// Links that are put back in one send: their answers have to fit into the receive buffer (net.core.rmem_default).
const AT_ONCE: usize = 32;

/// A veth pair whose host end stands on its bridge, up; the sandbox's end is still down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HostEnd {
    /// Index of the host end, on the host.
    pub index: u32,
    /// Index of the interface inside the sandbox.
    pub inside: u32,
    /// Index of the bridge.
    pub bridge: u32,
}

/// The place of a host end on its bridge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Port<'a> {
    pub bridge: &'a IfName,
    /// It cannot reach other isolated ports.
    pub isolated: bool,
    /// It may send back what came through it (needed only with br_netfilter).
    pub hairpin: bool,
}

/// Makes the pair, marks the host end and puts it on its bridge; without a namespace the other end stays on the host.
/// On failure nothing is left behind. 0.3 to 0.5 ms, nearly all of it the kernel's.
pub fn attach(
    route: &mut Route,
    instance: &str,
    link: &Link,
    port: Port<'_>,
    namespace: Option<BorrowedFd<'_>>,
) -> Result<HostEnd> {
    let (name, bridge) = (link.host_name(), port.bridge);
    let bridge_index = route
        .index(bridge)?
        .ok_or_else(|| Error::not_found(format!("attach {name}: bridge {bridge} does not exist")))?;
    let (index, inside) = make(route, instance, link, &name, namespace)?;
    let end = HostEnd { index, inside, bridge: bridge_index };
    let mut batch = Batch::new();
    join(&mut batch, link, &name, end, &settings(port));
    match route.run(batch) {
        Ok(()) => Ok(end),
        Err(error) => {
            let error = match error.kind {
                // EXFULL: br_add_if, BR_MAX_PORTS.
                Kind::Exhausted => error.while_doing(format!(
                    "cannot attach {} to bridge {bridge}: a Linux bridge has at most 1,023 ports",
                    link.name
                )),
                _ => error,
            };
            match remove(route, &name) {
                Ok(()) => Err(error),
                Err(second) => Err(error.because(second)),
            }
        }
    }
}

/// Onto their bridges again, with all that belongs to the ports, when somebody took them off or the bridges down. Those
/// that are gone are passed over; whoever is put back goes on while the others still wait. 150 µs a link where there are a
/// thousand, nearly all of it the kernel's (br_add_if, benches/LIMITS.md).
pub fn put_back(route: &mut Route, links: &[(&Link, Port<'_>)]) -> Result<()> {
    for some in links.chunks(AT_ONCE) {
        let (mut batch, mut waking) = (Batch::new(), BTreeSet::new());
        for (link, port) in some {
            let name = link.host_name();
            let (Some(index), Some(bridge)) = (route.index(&name)?, route.index(port.bridge)?) else {
                continue;
            };
            // One that is on the air already has no work pending, and looking costs as much as the rest (peernet2id).
            waking.extend((!route.is_running(&name)?).then_some(index));
            waking.insert(bridge);
            let end = HostEnd { index, inside: 0, bridge };
            let settings = [
                InfoBridgePort::NeighSupress(true),
                InfoBridgePort::Isolated(port.isolated),
                InfoBridgePort::HairpinMode(port.hairpin),
            ];
            join(&mut batch, link, &name, end, &settings);
        }
        push_settle(&mut batch, waking);
        route.run(batch)?;
    }
    Ok(())
}

/// What their bridges should know of these links, whose ports stand as they should. Nothing of it is announced to those
/// who listen to links, which costs the kernel 30 µs a message with a thousand namespaces (netlink_broadcast_filtered).
pub fn write_down(route: &mut Route, links: &[&Link]) -> Result<()> {
    for some in links.chunks(AT_ONCE) {
        let mut batch = Batch::new();
        for link in some {
            let (name, bridge) = (link.host_name(), link.kind.bridge());
            let bridge = bridge.map(|(bridge, _)| route.index(bridge)).transpose()?.flatten();
            let (Some(index), Some(bridge)) = (route.index(&name)?, bridge) else { continue };
            known(&mut batch, link, &name, HostEnd { index, inside: 0, bridge });
        }
        route.run(batch)?;
    }
    Ok(())
}

/// The pair itself, and the mark in the same send: a crash cannot come between.
fn make(
    route: &mut Route,
    instance: &str,
    link: &Link,
    name: &IfName,
    namespace: Option<BorrowedFd<'_>>,
) -> Result<(u32, u32)> {
    let mut inner = vec![
        LinkAttribute::Address(link.mac.0.to_vec()),
        LinkAttribute::NumTxQueues(1),
        LinkAttribute::NumRxQueues(1),
    ];
    inner.extend(namespace.map(|namespace| LinkAttribute::NetNsFd(namespace.as_raw_fd())));
    inner.extend(link.mtu.map(LinkAttribute::Mtu));
    let peer = message::link(Which::Name(&link.name), inner);
    let mut outer = vec![
        LinkAttribute::NumTxQueues(1),
        LinkAttribute::NumRxQueues(1),
        LinkAttribute::LinkInfo(vec![
            LinkInfo::Kind(InfoKind::Veth),
            LinkInfo::Data(InfoData::Veth(InfoVeth::Peer(peer))),
        ]),
    ];
    outer.extend(link.mtu.map(LinkAttribute::Mtu));
    let mut batch = Batch::new();
    let request = RouteNetlinkMessage::NewLink(message::link(Which::Name(name), outer));
    batch.push(Manner::CreateEcho, request, format!("make {} and its host end {name}", link.name));
    let alias = LinkAttribute::IfAlias(Mark::Endpoint(link.endpoint).alias(instance));
    batch.push(
        Manner::Plain,
        message::set_link(Which::Name(name), [alias, message::no_autoconfiguration()]),
        format!("mark {name}"),
    );
    let outcome = route.exchange(&mut batch)?;
    if let Some(failure) = outcome.failures.iter().find(|f| f.place == 0) {
        return match failure.errno {
            libc::EEXIST => Err(taken(route, link, name)?),
            _ => Err(explain(&batch, failure)),
        };
    }
    let ends = match outcome.data.first().and_then(|(_, body)| LinkSeen::parse(body)) {
        Some(seen) => Some(seen),
        None => route.link(name)?, // kernels before 6.2 do not echo links
    };
    let ends = ends.and_then(|seen| Some((seen.index, seen.link?)));
    let failed = outcome.failures.first().map(|failure| explain(&batch, failure));
    match (ends, failed) {
        (Some(ends), None) => Ok(ends),
        (_, failed) => {
            remove(route, name)?;
            Err(failed
                .unwrap_or_else(|| Error::internal(format!("make {name}: the kernel did not say its index"))))
        }
    }
}

/// Which of the two names was in use.
fn taken(route: &mut Route, link: &Link, name: &IfName) -> Result<Error> {
    Ok(match route.index(name)? {
        Some(_) => Error::conflict(format!("host interface {name} exists already")),
        None => name_taken(&link.name),
    })
}

/// The sandbox has an interface of that name.
pub(super) fn name_taken(name: &IfName) -> Error {
    Error::conflict(format!("sandbox already has an interface {name}"))
}

/// How a new port differs from what the kernel makes of it.
fn settings(port: Port<'_>) -> Vec<InfoBridgePort> {
    let mut settings = vec![InfoBridgePort::NeighSupress(true)];
    settings.extend(port.isolated.then_some(InfoBridgePort::Isolated(true)));
    settings.extend(port.hairpin.then_some(InfoBridgePort::HairpinMode(true)));
    settings
}

/// Onto the bridge and up, then everything the bridge would otherwise have to learn or ask.
fn join(batch: &mut Batch, link: &Link, name: &IfName, end: HostEnd, settings: &[InfoBridgePort]) {
    batch.push(
        Manner::Plain,
        message::set_link_up(Which::Index(end.index), [LinkAttribute::Controller(end.bridge)]),
        format!("put {name} on its bridge"),
    );
    batch.push(Manner::Plain, message::set_port(end.index, settings), format!("set up bridge port {name}"));
    known(batch, link, name, end);
}

/// The MAC behind the port, and the addresses that have it.
fn known(batch: &mut Batch, link: &Link, name: &IfName, end: HostEnd) {
    let entry = RouteNetlinkMessage::NewNeighbour(message::forwarding_entry(end.index, &link.mac));
    batch.push(Manner::Replace, entry, format!("write {} behind bridge port {name}", link.mac));
    for address in host_neighbours(link) {
        let entry = RouteNetlinkMessage::NewNeighbour(message::neighbour(end.bridge, address, &link.mac));
        batch.push(Manner::Replace, entry, format!("write down {address} as a neighbour of {name}'s bridge"));
    }
}

fn host_neighbours(link: &Link) -> impl Iterator<Item = std::net::IpAddr> {
    link.addresses.iter().map(|cidr| cidr.address).filter(|a| link.ipv6 || a.is_ipv4())
}

/// Makes the kernel finish its pending link-watch work for these host ends and their bridges, so that the first packet is
/// not dropped. Called last, when the insides are up. 20 µs a link.
pub fn settle(route: &mut Route, ends: &[HostEnd]) -> Result<()> {
    let mut batch = Batch::new();
    let bridges: BTreeSet<u32> = ends.iter().map(|end| end.bridge).collect();
    push_settle(&mut batch, ends.iter().map(|end| end.index).chain(bridges));
    route.run(batch)
}

fn push_settle(batch: &mut Batch, indexes: impl IntoIterator<Item = u32>) {
    for index in indexes {
        batch.push(Manner::Plain, message::get_link_at(index), format!("settle interface {index}"));
    }
}

/// Takes away what `attach` wrote on the bridge beside the link: the neighbours. Entries that are gone are fine.
/// (The forwarding entry leaves with the port.)
pub fn forget_neighbours(route: &mut Route, link: &Link, bridge: &IfName) -> Result<()> {
    let Some(index) = route.index(bridge)? else { return Ok(()) };
    let mut batch = Batch::new();
    for address in host_neighbours(link) {
        let entry = RouteNetlinkMessage::DelNeighbour(message::neighbour(index, address, &link.mac));
        batch.push(Manner::Plain, entry, format!("forget neighbour {address} on {bridge}"));
    }
    let outcome = route.exchange(&mut batch)?;
    match outcome.failures.iter().find(|f| !matches!(f.errno, libc::ENOENT | libc::ENODEV)) {
        Some(failure) => Err(explain(&batch, failure)),
        None => Ok(()),
    }
}

/// Deletes a host end and with it the sandbox's interface; gone already is fine. Waits 20 ms: the reaper does not.
pub fn remove(route: &mut Route, name: &IfName) -> Result<()> {
    let mut batch = Batch::new();
    let request = RouteNetlinkMessage::DelLink(message::link(Which::Name(name), []));
    batch.push(Manner::Plain, request, format!("delete {name}"));
    let outcome = route.exchange(&mut batch)?;
    match outcome.failures.first() {
        Some(f) if f.errno != libc::ENODEV => {
            Err(Error::os(format!("delete {name}"), &io::Error::from_raw_os_error(f.errno)))
        }
        _ => Ok(()),
    }
}
