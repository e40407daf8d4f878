//! Bridges: makes, changes and deletes them; never one that does not bear our mark.
use super::{
    batch::{Batch, Manner},
    mark::Mark,
    message::{self, Which},
    observe, ready,
    seen::{AddressSeen, LinkSeen},
    socket::{Route, explain, index_of},
};
use crate::{
    error::{Error, Result},
    host::linux::sysctl,
    model::{
        IfName,
        address::Cidr,
        kernel::{Bridge, LINK_GROUP},
    },
};
use netlink_packet_route::{
    RouteNetlinkMessage,
    address::AddressMessage,
    link::{
        BridgeBooleanOptionFlags, BridgeBooleanOptions, BridgeStpState, InfoBridge, InfoData, InfoKind,
        LinkAttribute, LinkInfo,
    },
};

/// Makes a bridge, up and with its addresses, and returns its index. An interface of that name: `Conflict`.
/// If a later step fails the half-made bridge is taken away again.
pub fn create(route: &mut Route, instance: &str, bridge: &Bridge) -> Result<u32> {
    let index = make(route, instance, bridge)?;
    let finish = |route: &mut Route| {
        switches(bridge)?;
        let mut rest = Batch::new();
        for cidr in wanted_addresses(bridge) {
            add_address(&mut rest, index, &bridge.name, &cidr);
        }
        let step = format!("bring bridge {} up", bridge.name);
        rest.push(Manner::Plain, message::set_link_up(Which::Index(index), []), step);
        route.run(rest)?;
        let gateways = bridge.addresses.iter().map(|cidr| cidr.address);
        ready::wait(route, gateways.filter(|_| bridge.ipv6))
    };
    match finish(route) {
        Ok(()) => Ok(index),
        Err(error) => match delete_at(route, &bridge.name, index) {
            Ok(()) => Err(error),
            Err(second) => Err(error.because(second)),
        },
    }
}

/// The bridge itself, and the mark in the same send: a crash cannot come between.
fn make(route: &mut Route, instance: &str, bridge: &Bridge) -> Result<u32> {
    let taken = || {
        let name = &bridge.name;
        Error::conflict(format!("cannot make bridge {name}: an interface of that name exists already"))
    };
    if route.index(&bridge.name)?.is_some() {
        return Err(taken());
    }
    let mut all = vec![
        LinkAttribute::Address(bridge.mac.0.to_vec()),
        LinkAttribute::Group(LINK_GROUP),
        LinkAttribute::LinkInfo(vec![
            LinkInfo::Kind(InfoKind::Bridge),
            LinkInfo::Data(InfoData::Bridge(vec![
                InfoBridge::StpState(BridgeStpState::Disabled),
                InfoBridge::MulticastSnooping(false),
                deaf_to_neighbours(),
            ])),
        ]),
    ];
    all.extend(bridge.mtu.map(LinkAttribute::Mtu));
    let named = || Which::Name(&bridge.name);
    let mut batch = Batch::new();
    let request = RouteNetlinkMessage::NewLink(message::link(named(), all));
    batch.push(Manner::CreateEcho, request, format!("make bridge {}", bridge.name));
    let mark = message::set_link(named(), [alias(instance, bridge), message::no_autoconfiguration()]);
    batch.push(Manner::Plain, mark, format!("mark bridge {}", bridge.name));
    let outcome = route.exchange(&mut batch)?;
    if let Some(failure) = outcome.failures.iter().find(|failure| failure.place == 0) {
        if failure.errno == libc::EEXIST {
            // Somebody made one of that name since we looked: it is not ours, and shall not look so.
            let mut unmark = Batch::new();
            let nothing = [LinkAttribute::IfAlias(String::new())];
            unmark.push(
                Manner::Plain,
                message::set_link(named(), nothing),
                format!("unmark {}", bridge.name),
            );
            route.run(unmark)?;
            return Err(taken());
        }
        return Err(explain(&batch, failure));
    }
    let echoed = outcome.data.first().and_then(|(_, body)| index_of(body));
    // Kernels before 6.2 do not echo links.
    let index = echoed.map_or_else(|| route.index(&bridge.name), |index| Ok(Some(index)))?;
    match (index, outcome.failures.first()) {
        (Some(index), None) => Ok(index),
        (Some(index), Some(failure)) => {
            delete_at(route, &bridge.name, index)?;
            Err(explain(&batch, failure))
        }
        (None, _) => Err(Error::internal(format!("make bridge {}: it is gone again", bridge.name))),
    }
}

/// From frames to 01:80:c2:00:00:0x (LLDP, 802.1X ...) a bridge learns the sender's MAC before any rule sees them
/// (br_handle_frame, NF_BR_LOCAL_IN): one such frame with a neighbour's MAC took the neighbour's traffic away. Kernel 5.0.
fn deaf_to_neighbours() -> InfoBridge {
    let flag = BridgeBooleanOptionFlags::NoLinkLocalLearn;
    InfoBridge::MultiBoolOpt(BridgeBooleanOptions { value: flag, mask: flag })
}

/// Brings an existing bridge of ours from `found` to `wanted`: MAC, MTU, addresses, switches, up.
pub fn change(route: &mut Route, instance: &str, found: &Bridge, wanted: &Bridge) -> Result<()> {
    let Some(seen) = ours(route, instance, wanted)? else {
        return Err(Error::not_found(format!("change bridge {}: there is no such interface", wanted.name)));
    };
    let mut batch = Batch::new();
    let mut all = vec![LinkAttribute::Group(LINK_GROUP), alias(instance, wanted)];
    if seen.mac != Some(wanted.mac) {
        all.push(LinkAttribute::Address(wanted.mac.0.to_vec()));
    }
    // Without a wish the MTU follows the ports; it is set back only if one was wished before.
    let mtu = wanted.mtu.or(found.mtu.map(|_| 1500)).filter(|mtu| *mtu != seen.mtu);
    all.extend(mtu.map(LinkAttribute::Mtu));
    all.push(LinkAttribute::LinkInfo(vec![
        LinkInfo::Kind(InfoKind::Bridge),
        LinkInfo::Data(InfoData::Bridge(vec![deaf_to_neighbours()])),
    ]));
    batch.push(
        Manner::Plain,
        message::set_link(Which::Index(seen.index), all),
        format!("set up bridge {}", wanted.name),
    );
    route.run(batch)?;
    switches(wanted)?;
    let have = addresses(route, seen.index)?;
    let led = observe::routed(route, seen.index)?;
    let want = wanted_addresses(wanted);
    let mut batch = Batch::new();
    for cidr in have.iter().filter(|cidr| !want.contains(cidr)) {
        remove_address(&mut batch, seen.index, &wanted.name, cidr);
    }
    for cidr in want.iter().filter(|cidr| !have.contains(cidr)) {
        add_address(&mut batch, seen.index, &wanted.name, cidr);
    }
    let step = format!("bring bridge {} up", wanted.name);
    batch.push(Manner::Plain, message::set_link_up(Which::Index(seen.index), []), step);
    // With a new address comes a route to its subnet; that of an old one may have been taken away.
    let lost = |cidr: &&Cidr| have.contains(cidr) && !led.contains(cidr);
    for cidr in wanted.addresses.iter().filter(|cidr| want.contains(cidr)).filter(lost) {
        let request = message::connected_route(seen.index, cidr);
        let step = format!("lead {} to bridge {}", cidr.subnet(), wanted.name);
        batch.push(Manner::Replace, RouteNetlinkMessage::NewRoute(request), step);
    }
    route.run(batch)?;
    let gateways = wanted.addresses.iter().map(|cidr| cidr.address);
    ready::wait(route, gateways.filter(|_| wanted.ipv6))
}

/// Deletes a bridge of ours; one that is gone already is fine. Waits for a grace period, about 20 ms.
pub fn delete(route: &mut Route, instance: &str, bridge: &Bridge) -> Result<()> {
    match ours(route, instance, bridge)? {
        Some(seen) => delete_at(route, &bridge.name, seen.index),
        None => Ok(()),
    }
}

fn delete_at(route: &mut Route, name: &IfName, index: u32) -> Result<()> {
    let mut batch = Batch::new();
    let request = RouteNetlinkMessage::DelLink(message::link(Which::Index(index), []));
    batch.push(Manner::Plain, request, format!("delete bridge {name}"));
    route.run(batch)
}

/// The bridge as it stands, None if it is gone; `Conflict` if the interface is not ours.
fn ours(route: &mut Route, instance: &str, bridge: &Bridge) -> Result<Option<LinkSeen>> {
    let Some(seen) = route.link(&bridge.name)? else { return Ok(None) };
    let mark = seen.alias.as_deref().and_then(|alias| Mark::parse(alias, instance));
    match mark == Some(Mark::Network(bridge.network)) {
        true => Ok(Some(seen)),
        false => Err(Error::conflict(format!(
            "interface {} was not made by this Pontoon for that network; it is left alone",
            bridge.name
        ))),
    }
}

fn alias(instance: &str, bridge: &Bridge) -> LinkAttribute {
    LinkAttribute::IfAlias(Mark::Network(bridge.network).alias(instance))
}

/// accept_ra off, IPv6 on or off, 127.0.0.0/8 routed or not. Written before the bridge goes up.
fn switches(bridge: &Bridge) -> Result<()> {
    sysctl::write_ipv6(&bridge.name, "accept_ra", "0")?;
    let off = if bridge.ipv6 { "0" } else { "1" };
    let has_ipv6 = sysctl::write_ipv6(&bridge.name, "disable_ipv6", off)?;
    if bridge.ipv6 && !has_ipv6 {
        return Err(Error::unsupported(format!(
            "bridge {} needs IPv6, which this kernel has not",
            bridge.name
        )));
    }
    let key = format!("ipv4/conf/{}/route_localnet", bridge.name);
    let value = if bridge.route_localnet { "1" } else { "0" };
    if bridge.route_localnet || sysctl::read(&key)? != value {
        sysctl::write(&key, value)?;
    }
    let (forwarding, host) = (format!("ipv4/conf/{}/forwarding", bridge.name), "ipv4/ip_forward");
    if bridge.route_localnet && sysctl::read(&forwarding)? == "0" && sysctl::read(host)? == "1" {
        sysctl::write(&forwarding, "1")?;
    }
    Ok(())
}

/// Are the switches for IPv6, and those for 127.0.0.0/8 and forwarding, as they should be?
pub fn switches_stand(bridge: &Bridge) -> (bool, bool) {
    let is = |key: &str, value: &str| {
        sysctl::read(&key.replace("NAME", bridge.name.as_str())).is_ok_and(|found| found == value)
    };
    let off = if bridge.ipv6 { "0" } else { "1" };
    let six = !sysctl::has_ipv6()
        || (is("ipv6/conf/NAME/accept_ra", "0") && is("ipv6/conf/NAME/disable_ipv6", off));
    let localnet = if bridge.route_localnet { "1" } else { "0" };
    let cut_off = bridge.route_localnet && is("ipv4/ip_forward", "1") && is("ipv4/conf/NAME/forwarding", "0");
    (six, is("ipv4/conf/NAME/route_localnet", localnet) && !cut_off)
}

/// The gateway addresses, and the link-local one that address generation would have made.
fn wanted_addresses(bridge: &Bridge) -> Vec<Cidr> {
    let mut all: Vec<Cidr> =
        bridge.addresses.iter().filter(|c| bridge.ipv6 || c.address.is_ipv4()).copied().collect();
    if bridge.ipv6 {
        all.push(message::link_local(&bridge.mac));
    }
    all
}

fn add_address(batch: &mut Batch, index: u32, name: &IfName, cidr: &Cidr) {
    let step = format!("give {cidr} to {name}");
    batch.push(Manner::Replace, RouteNetlinkMessage::NewAddress(message::address(index, cidr)), step);
}

fn remove_address(batch: &mut Batch, index: u32, name: &IfName, cidr: &Cidr) {
    let step = format!("take {cidr} from {name}");
    batch.push(Manner::Plain, RouteNetlinkMessage::DelAddress(message::address(index, cidr)), step);
}

/// The addresses of one interface (of every interface: index 0).
pub(super) fn addresses(route: &mut Route, index: u32) -> Result<Vec<Cidr>> {
    let found = addresses_seen(route, index)?;
    Ok(found.into_iter().map(|seen| seen.cidr).collect())
}

pub(super) fn addresses_seen(route: &mut Route, index: u32) -> Result<Vec<AddressSeen>> {
    let mut request = AddressMessage::default();
    request.header.index = index;
    let bodies = route.dump(RouteNetlinkMessage::GetAddress(request), "list addresses")?;
    Ok(bodies
        .iter()
        .filter_map(|body| AddressSeen::parse(body))
        .filter(|a| index == 0 || a.index == index)
        .collect())
}
