//! What published ports want of the kernel: held host ports and elements.
use super::{Lookup, gateway, network::mode};
use crate::model::{
    Endpoint, Family, Network, Proto, Sandbox,
    kernel::{Element, Hold, Item},
    options::GatewayMode,
    port::Port,
};
use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

/// From this many ports on, equal ports on any address are one element of an interval map instead of one each: an
/// insertion there costs more, and a search walks a tree (nft-layout.md section 6).
const WORTH_A_RANGE: u16 = 8;

/// Where the ports of one family lead, and how.
struct Way {
    to: IpAddr,
    routed: bool,
}

/// All items of the sandbox's published ports, and those that its siblings' ports want because of it.
pub fn items(sandbox: &Sandbox, lookup: &dyn Lookup) -> Vec<Item> {
    let siblings = lookup.siblings(sandbox);
    let mut items: Vec<Item> = Vec::new();
    for sibling in siblings.iter().filter(|sibling| !sibling.ports.is_empty()) {
        let published = gateway::ordered(sibling, lookup);
        items.extend(twins(&published, &gateway::ordered(sandbox, lookup)).map(Item::Element));
    }
    if sandbox.ports.is_empty() {
        return items;
    }
    let seats = gateway::ordered(sandbox, lookup);
    let ways: Vec<Way> = [Family::V4, Family::V6]
        .iter()
        .filter_map(|f| gateway::choose(&seats, *f).and_then(|s| way(s, *f)))
        .collect();
    for port in &sandbox.ports {
        items.extend(elements(port, &ways).into_iter().map(Item::Element));
        if sandbox.holds_ports() {
            items.extend(holds(port, &ways));
        }
    }
    for others in std::iter::once(sandbox).chain(siblings.iter().map(|sibling| &**sibling)) {
        items.extend(twins(&seats, &gateway::ordered(others, lookup)).map(Item::Element));
    }
    items
}

fn way((endpoint, network): &(&Endpoint, Arc<Network>), family: Family) -> Option<Way> {
    let to = endpoint.address(family)?;
    let settings = network.bridge()?;
    Some(Way { to, routed: mode(settings, family) == GatewayMode::Routed })
}

/// Is traffic to this host address of the way's family?
fn fits(host: Option<IpAddr>, way: &Way) -> bool {
    host.is_none_or(|host| host.is_ipv4() == way.to.is_ipv4())
}

/// `0.0.0.0` and `::` are written "any" in the maps; [::1] has no element, the daemon serves it.
fn elements(port: &Port, ways: &[Way]) -> Vec<Element> {
    let mut elements = Vec::new();
    for way in ways.iter().filter(|way| fits(port.host_ip, way)) {
        let host = port.host_ip.filter(|ip| !ip.is_unspecified());
        if host.is_some_and(|ip| ip.is_ipv6() && ip.is_loopback()) && !way.routed {
            continue;
        }
        let last = |first: u16| first + (port.count - 1);
        let (proto, first) = (port.proto, port.port);
        match way.routed {
            true if port.count >= WORTH_A_RANGE => {
                elements.push(Element::OpenRange { to: way.to, proto, first, last: last(first) });
            }
            true => {
                elements.extend((first..=last(first)).map(|port| Element::Open { to: way.to, proto, port }))
            }
            false
                if port.count >= WORTH_A_RANGE
                    && port.port == port.host_port
                    && host.is_none()
                    && proto != Proto::Sctp =>
            {
                elements.push(Element::Range { host, proto, first, last: last(first), to: way.to });
            }
            false => elements.extend((0..port.count).map(|i| Element::Port {
                host,
                proto,
                port: port.host_port + i,
                to: SocketAddr::new(way.to, first + i),
            })),
        }
    }
    elements
}

/// Every host port is held, so that no later program gets it; what reaches the socket itself is carried by the daemon.
fn holds(port: &Port, ways: &[Way]) -> Vec<Item> {
    let to: Vec<IpAddr> = ways.iter().filter(|way| !way.routed).map(|way| way.to).collect();
    if to.is_empty() || port.proto == Proto::Sctp {
        return Vec::new();
    }
    let hold = |i: u16| Hold {
        proto: port.proto,
        host: port.host_ip,
        port: port.host_port + i,
        targets: to.iter().map(|ip| SocketAddr::new(*ip, port.port + i)).collect(),
    };
    (0..port.count).map(|i| Item::Hold(hold(i))).collect()
}

/// A container in two networks answers a neighbour of the second one directly, past the NAT: one element each mends it.
/// `published`: the seats of which one has the ports; `seats`: those of the same container that are looked at, perhaps
/// the same. Where each seat is a sandbox of its own, the element is wanted by both of its ends: whichever comes or goes
/// brings it or takes it along.
fn twins(
    published: &[(&Endpoint, Arc<Network>)],
    seats: &[(&Endpoint, Arc<Network>)],
) -> impl Iterator<Item = Element> {
    let mut elements = Vec::new();
    for family in [Family::V4, Family::V6] {
        let Some((seat, home)) = gateway::choose(published, family) else { continue };
        let Some(address) = seat.address(family) else { continue };
        let others = seats.iter().filter(|(_, network)| network.id != home.id);
        let devices = others.filter_map(|(_, network)| network.device().cloned());
        elements.extend(devices.map(|device| Element::Twin(device, address)));
    }
    elements.into_iter()
}
