//! What a sandbox wants of the kernel: namespace, interfaces, routes, names, ports and mounted volumes.
use super::{Lookup, gateway, network::bridge_addresses, ports};
use crate::model::{
    Bandwidth, Endpoint, Family, Mac, Network, Sandbox,
    address::Cidr,
    bandwidth::Rate,
    kernel::{
        Bucket, Element, IpvlanMode, Item, Link, LinkKind, Namespace, Resolver, Route, Routes, Shaper,
        handed_end,
    },
    mount::MountKind,
    network::{Driver, Settings},
    options::VlanMode,
    sandbox::Netns,
};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// All items of a sandbox. `strict`: sandboxes on the default bridge get no names, as with Docker.
pub fn items(sandbox: &Sandbox, lookup: &dyn Lookup, strict: bool) -> Vec<Item> {
    let mut items = volume_mounts(sandbox, lookup);
    let (path, made) = match &sandbox.netns {
        Netns::Made(path) => (Some(path), true),
        Netns::Given { path, .. } => (Some(path), false),
        Netns::Handed => (None, false),
        Netns::Host | Netns::Shared(_) | Netns::Leased { .. } => return items,
    };
    items.extend(
        path.map(|path| Item::Namespace(Namespace { sandbox: sandbox.id, path: path.clone(), made })),
    );
    for endpoint in &sandbox.endpoints {
        let Some(network) = lookup.network(endpoint.network) else { continue };
        items.extend(link(sandbox, endpoint, &network).map(Item::Link));
        items.extend(shaper(sandbox, endpoint, &network).map(Item::Shaper));
        items.extend(guard(endpoint, &network).into_iter().map(Item::Element));
    }
    if path.is_some() {
        items.extend(inside(sandbox, lookup, strict));
    }
    items.extend(ports::items(sandbox, lookup));
    items
}

/// Its interfaces alone: where only they are looked at, and there are a thousand of them.
pub fn links<'a>(sandbox: &'a Sandbox, lookup: &'a dyn Lookup) -> impl Iterator<Item = Link> + 'a {
    let none = matches!(sandbox.netns, Netns::Host | Netns::Shared(_) | Netns::Leased { .. });
    let seats = sandbox.endpoints.iter().filter(move |_| !none);
    seats.filter_map(|seat| link(sandbox, seat, &*lookup.network(seat.network)?))
}

/// What lies behind the sandbox's door, its interfaces apart.
fn inside(sandbox: &Sandbox, lookup: &dyn Lookup, strict: bool) -> Vec<Item> {
    let routes = routes(sandbox, lookup);
    let leads_out = routes.v4.is_some() || routes.v6.is_some();
    let resolver = resolves(sandbox, lookup, strict);
    let by_network = sandbox.dns.by_network;
    let resolver = resolver.then_some(Item::Resolver(Resolver { sandbox: sandbox.id, by_network }));
    leads_out.then_some(Item::Routes(routes)).into_iter().chain(resolver).collect()
}

/// Does the sandbox have our DNS server at 127.0.0.11?
pub fn resolves(sandbox: &Sandbox, lookup: &dyn Lookup, strict: bool) -> bool {
    let networks = sandbox.endpoints.iter().filter_map(|endpoint| lookup.network(endpoint.network));
    networks.into_iter().any(|network| !(strict && network.name.as_str() == "bridge"))
}

fn volume_mounts(sandbox: &Sandbox, lookup: &dyn Lookup) -> Vec<Item> {
    let sources =
        sandbox.mounts.iter().filter(|m| m.kind == MountKind::Volume).filter_map(|m| m.source.as_deref());
    sources.filter_map(|name| super::volume::mount(&*lookup.volume(name)?)).collect()
}

fn link(sandbox: &Sandbox, endpoint: &Endpoint, network: &Network) -> Option<Link> {
    let (kind, mtu, neighbours) = match &network.settings {
        Settings::Bridge { device, mac, settings } => {
            let neighbours: Vec<(IpAddr, Mac)> =
                bridge_addresses(network, settings).iter().map(|cidr| (cidr.address, *mac)).collect();
            let (bridge, isolated) = (device.clone(), !settings.icc);
            let kind = match sandbox.netns {
                Netns::Handed => LinkKind::Handed { bridge, isolated },
                _ => LinkKind::Veth { bridge, isolated },
            };
            (kind, settings.mtu, neighbours)
        }
        Settings::Vlan { parent, settings } => {
            let kind = match settings.mode {
                VlanMode::Macvlan(mode) => LinkKind::Macvlan { parent: parent.clone(), mode },
                VlanMode::Ipvlan(mode) => LinkKind::Ipvlan { parent: parent.clone(), mode },
            };
            (kind, settings.mtu, Vec::new())
        }
        Settings::Plain => return None,
    };
    Some(Link {
        endpoint: endpoint.id,
        sandbox: sandbox.id,
        name: match kind.is_handed() {
            true => handed_end(&endpoint.id),
            false => endpoint.ifname.clone(),
        },
        kind,
        mac: endpoint.mac,
        mtu,
        addresses: endpoint
            .addresses()
            .filter_map(|ip| network.cidr(ip))
            .chain(link_local(endpoint))
            .collect(),
        ipv6: endpoint.ip6.is_some(),
        sysctls: endpoint.sysctls.clone().into(),
        neighbours: neighbours
            .into_iter()
            .filter(|(ip, _)| endpoint.address(Family::of(ip)).is_some())
            .collect(),
        routes: endpoint.routes.clone(),
    })
}

/// Its limits, in what a bucket counts. A burst below one packet would let nothing through.
fn shaper(sandbox: &Sandbox, endpoint: &Endpoint, network: &Network) -> Option<Shaper> {
    let settings = network.bridge().filter(|_| !endpoint.bandwidth.is_none())?;
    // 14 bytes of Ethernet, 4 of a VLAN.
    let packet = settings.mtu.unwrap_or(1_500).saturating_add(18);
    let bucket = |wanted: Rate| {
        let rate = wanted.rate / 8;
        let room = u64::from(u32::MAX).saturating_sub(Bucket::waiting(rate));
        let burst = u32::try_from((wanted.burst / 8).min(room)).unwrap_or(u32::MAX);
        Bucket { rate, burst: burst.max(packet) }
    };
    let Bandwidth { ingress, egress } = endpoint.bandwidth;
    let (ingress, egress) = (ingress.map(bucket), egress.map(bucket));
    Some(Shaper { endpoint: endpoint.id, sandbox: sandbox.id, ingress, egress })
}

/// RFC 3927 section 2.8, RFC 4291 section 2.5.6.
fn link_local(endpoint: &Endpoint) -> impl Iterator<Item = Cidr> {
    let cidr = |ip: &IpAddr| Cidr { address: *ip, prefix: if ip.is_ipv4() { 16 } else { 64 } };
    endpoint.link_local.iter().map(cidr)
}

/// Who the sandbox may claim to be on its bridge port.
fn guard(endpoint: &Endpoint, network: &Network) -> Vec<Element> {
    if !network.bridge().is_some_and(|settings| settings.guard) {
        return Vec::new();
    }
    let (port, mac) = (crate::model::kernel::host_end(&endpoint.id), endpoint.mac);
    let mut elements = vec![Element::GuardedPort(port.clone()), Element::Mac(port.clone(), mac)];
    let (mut ip4, mut ip6): (Vec<Ipv4Addr>, Vec<Ipv6Addr>) = Default::default();
    for ip in endpoint.addresses().chain(endpoint.link_local.iter().copied()) {
        match ip {
            IpAddr::V4(ip) => ip4.push(ip),
            IpAddr::V6(ip) => ip6.push(ip),
        }
    }
    elements.extend(ip4.into_iter().map(|ip| Element::Src4(port.clone(), mac, ip)));
    if !ip6.is_empty() {
        ip6.push(mac.link_local());
    }
    for ip in ip6 {
        elements.push(Element::Src6(port.clone(), mac, ip));
        elements.push(Element::Nd6(port.clone(), ip));
    }
    elements
}

fn routes(sandbox: &Sandbox, lookup: &dyn Lookup) -> Routes {
    let seats = gateway::ordered(sandbox, lookup);
    let route = |family| {
        let (endpoint, network) = gateway::choose(&seats, family)?;
        let by_link = match &network.settings {
            Settings::Vlan { settings, .. } => network.driver == Driver::Ipvlan && by_link(settings.mode),
            _ => false,
        };
        let gateway = network.pool(family)?.gateway;
        Some(Route { gateway: gateway.filter(|_| !by_link), link: endpoint.ifname.clone() })
    };
    Routes { sandbox: sandbox.id, v4: route(Family::V4), v6: route(Family::V6) }
}

/// ipvlan in layer 3 has no neighbours: the default route is the interface itself.
fn by_link(mode: VlanMode) -> bool {
    matches!(mode, VlanMode::Ipvlan(IpvlanMode::L3 | IpvlanMode::L3s))
}
