//! What a network wants of the kernel: its bridge and its elements.
use crate::model::{
    Family, IfName, Network, Subnet,
    address::Cidr,
    kernel::{Bridge, Element, IntoVerdict, Item, PairVerdict},
    network::Settings,
    options::{BridgeSettings, GatewayMode},
};
use std::net::IpAddr;

/// All items of a network. Host, none, macvlan and ipvlan networks want nothing of their own.
pub fn items(network: &Network) -> Vec<Item> {
    let Settings::Bridge { device, mac, settings } = &network.settings else { return Vec::new() };
    let families: Vec<Family> = network.pools.iter().map(|pool| pool.subnet.family()).collect();
    let addresses = bridge_addresses(network, settings);
    let mut items = Vec::new();
    if !network.internal {
        items.extend(families.iter().map(|family| Item::Forwarding(*family)));
    }
    items.extend(elements(network, device, settings, &addresses).into_iter().map(Item::Element));
    items.push(Item::Bridge(Bridge {
        network: network.id,
        name: device.clone(),
        mac: *mac,
        mtu: settings.mtu,
        addresses,
        ipv6: families.contains(&Family::V6),
        route_localnet: families.contains(&Family::V4) && !network.internal,
    }));
    items
}

/// The gateway addresses that the bridge bears.
pub fn bridge_addresses(network: &Network, settings: &BridgeSettings) -> Vec<Cidr> {
    let borne = |subnet: &Subnet| match subnet.family() {
        Family::V4 => !settings.inhibit_ipv4 && settings.gateway_mode4 != GatewayMode::Isolated,
        Family::V6 => settings.gateway_mode6 != GatewayMode::Isolated,
    };
    let pools = network.pools.iter().filter(|pool| borne(&pool.subnet));
    pools.filter_map(|pool| pool.gateway.map(|gateway| pool.subnet.with(gateway))).collect()
}

/// How traffic passes the gateway of this family.
pub fn mode(settings: &BridgeSettings, family: Family) -> GatewayMode {
    match family {
        Family::V4 => settings.gateway_mode4,
        Family::V6 => settings.gateway_mode6,
    }
}

fn elements(
    network: &Network,
    device: &IfName,
    settings: &BridgeSettings,
    addresses: &[Cidr],
) -> Vec<Element> {
    let verdict = if settings.icc { PairVerdict::Within } else { PairVerdict::Apart };
    let mut elements = vec![
        Element::Net(device.clone()),
        Element::Back(device.clone()),
        Element::Pair { from: device.clone(), to: device.clone(), verdict },
    ];
    let trusted = settings.trusted.iter();
    elements.extend(trusted.map(|from| Element::Pair {
        from: from.clone(),
        to: device.clone(),
        verdict: PairVerdict::Accept,
    }));
    elements.extend(
        addresses
            .iter()
            .map(|cidr| cidr.address)
            .filter(|gateway| closed(settings, gateway))
            .map(Element::Gateway),
    );
    for family in network.pools.iter().map(|pool| pool.subnet.family()) {
        if addresses.iter().any(|cidr| Family::of(&cidr.address) == family) {
            elements.push(Element::Strict(family, device.clone()));
        }
        if !network.internal {
            elements.extend(outward(device, settings, family));
        }
    }
    if network.internal {
        elements.push(Element::Sealed(device.clone()));
    }
    elements
}

/// May only our own networks reach what the host serves at this gateway address? Not where the network's owner lets
/// others in.
fn closed(settings: &BridgeSettings, gateway: &IpAddr) -> bool {
    let mode = mode(settings, Family::of(gateway));
    settings.trusted.is_empty() && matches!(mode, GatewayMode::Nat | GatewayMode::Isolated)
}

/// What is let in, and with which address sandboxes go out.
fn outward(device: &IfName, settings: &BridgeSettings, family: Family) -> Vec<Element> {
    let verdict = match mode(settings, family) {
        GatewayMode::Nat | GatewayMode::Isolated => IntoVerdict::Nat,
        GatewayMode::NatUnprotected => IntoVerdict::Open,
        GatewayMode::Routed => IntoVerdict::Routed,
    };
    let mut elements = vec![Element::Into { family, bridge: device.clone(), verdict }];
    let source = match family {
        Family::V4 => settings.host_ipv4.map(IpAddr::V4),
        Family::V6 => settings.host_ipv6.map(IpAddr::V6),
    };
    let masquerade = settings.masquerade && verdict != IntoVerdict::Routed;
    elements.extend(masquerade.then(|| match source {
        Some(address) => Element::Snat(device.clone(), address),
        None => Element::Masq(family, device.clone()),
    }));
    elements
}
