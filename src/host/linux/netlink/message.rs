//! The requests we make of the kernel, as typed messages; it only builds them.
use crate::model::{Family, IfName, Mac, address::Cidr, sandbox::StaticRoute};
use netlink_packet_core::{DefaultNla, Nla};
use netlink_packet_route::{
    AddressFamily, RouteNetlinkMessage,
    address::{AddressAttribute, AddressFlags, AddressHeaderFlags, AddressMessage, AddressScope},
    link::{
        AfSpecInet6, AfSpecUnspec, In6AddrGenMode, InfoBridgePort, LinkAttribute, LinkExtentMask, LinkFlags,
        LinkMessage, LinkProtoInfoBridge,
    },
    neighbour::{NeighbourAddress, NeighbourAttribute, NeighbourFlags, NeighbourMessage, NeighbourState},
    route::{RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteProtocol, RouteScope, RouteType},
};
use std::net::IpAddr;

/// Which interface a request is about. A name cannot be taken over by a stranger the way an index can.
#[derive(Debug, Clone, Copy)]
pub(super) enum Which<'a> {
    Index(u32),
    Name(&'a IfName),
}

/// A link message about one interface.
pub(super) fn link(which: Which<'_>, attributes: impl IntoIterator<Item = LinkAttribute>) -> LinkMessage {
    let mut message = LinkMessage::default();
    match which {
        Which::Index(index) => message.header.index = index,
        Which::Name(name) => message.attributes.push(LinkAttribute::IfName(name.as_str().to_owned())),
    }
    message.attributes.extend(attributes);
    message
}

/// Asks for one interface, without its counters.
pub(super) fn get_link(name: &IfName) -> RouteNetlinkMessage {
    RouteNetlinkMessage::GetLink(link(Which::Name(name), [skip_counters()]))
}

/// Asks for one interface by index, without its counters.
pub(super) fn get_link_at(index: u32) -> RouteNetlinkMessage {
    RouteNetlinkMessage::GetLink(link(Which::Index(index), [skip_counters()]))
}

pub(super) fn skip_counters() -> LinkAttribute {
    LinkAttribute::ExtMask(vec![LinkExtentMask::SkipStats])
}

/// SETLINK with attributes only.
pub(super) fn set_link(
    which: Which<'_>,
    attributes: impl IntoIterator<Item = LinkAttribute>,
) -> RouteNetlinkMessage {
    RouteNetlinkMessage::SetLink(link(which, attributes))
}

/// SETLINK that also brings the link up.
pub(super) fn set_link_up(
    which: Which<'_>,
    attributes: impl IntoIterator<Item = LinkAttribute>,
) -> RouteNetlinkMessage {
    let mut message = link(which, attributes);
    message.header.flags = LinkFlags::Up;
    message.header.change_mask = LinkFlags::Up;
    RouteNetlinkMessage::SetLink(message)
}

/// No link-local address by itself. Never in one message with IFF_UP: the address would come before the mode is read.
pub(super) fn no_autoconfiguration() -> LinkAttribute {
    LinkAttribute::AfSpecUnspec(vec![AfSpecUnspec::Inet6(vec![AfSpecInet6::AddrGenMode(
        In6AddrGenMode::None,
    )])])
}

/// Settings of a bridge port that is on its bridge already, as bridge(8) sends them. As a link's own (IFLA_INFO_SLAVE_DATA)
/// they would count as a change of the link, of which everybody is told: 45 µs instead of 8 where there are 1,000 namespaces
/// and with them as many routes to look through (netif_state_change: rt6_sync_up, peernet2id).
pub(super) fn set_port(index: u32, settings: &[InfoBridgePort]) -> RouteNetlinkMessage {
    let plain = |setting: &InfoBridgePort| {
        let mut value = vec![0; setting.value_len()];
        setting.emit_value(&mut value);
        LinkProtoInfoBridge::Other(DefaultNla::new(setting.kind(), value))
    };
    let settings = settings.iter().map(plain).collect();
    let mut message = link(Which::Index(index), [LinkAttribute::ProtoInfoBridge(settings)]);
    message.header.interface_family = AddressFamily::Bridge;
    RouteNetlinkMessage::SetLink(message)
}

/// An address of an interface; an IPv6 one without duplicate detection, so that it is usable at once.
pub(super) fn address(index: u32, cidr: &Cidr) -> AddressMessage {
    let mut message = AddressMessage::default();
    message.header.family = family(&cidr.address);
    message.header.prefix_len = cidr.prefix;
    message.header.index = index;
    message.attributes.push(AddressAttribute::Local(cidr.address));
    message.attributes.push(AddressAttribute::Address(cidr.address));
    match cidr.address {
        IpAddr::V4(_) => {
            if let (true, IpAddr::V4(last)) = (cidr.prefix < 31, cidr.subnet().last()) {
                message.attributes.push(AddressAttribute::Broadcast(last));
            }
        }
        IpAddr::V6(own) => {
            message.header.flags = AddressHeaderFlags::Nodad;
            message.attributes.push(AddressAttribute::Flags(AddressFlags::Nodad));
            if own.is_unicast_link_local() {
                message.header.scope = AddressScope::Link;
            }
        }
    }
    message
}

/// The EUI-64 link-local address of a MAC, as the kernel would make it.
pub(super) fn link_local(mac: &Mac) -> Cidr {
    Cidr { address: IpAddr::V6(mac.link_local()), prefix: 64 }
}

/// A permanent neighbour: never asked for, never counted against gc_thresh3.
pub(super) fn neighbour(index: u32, address: IpAddr, mac: &Mac) -> NeighbourMessage {
    let mut message = NeighbourMessage::default();
    message.header.family = family(&address);
    message.header.ifindex = index;
    message.header.state = NeighbourState::Permanent;
    message.header.kind = RouteType::Unicast;
    let to = match address {
        IpAddr::V4(a) => NeighbourAddress::Inet(a),
        IpAddr::V6(a) => NeighbourAddress::Inet6(a),
    };
    message.attributes.push(NeighbourAttribute::Destination(to));
    message.attributes.push(NeighbourAttribute::LinkLayerAddress(mac.0.to_vec()));
    message
}

/// A forwarding entry of the port's bridge: this MAC is behind this port. As if somebody else had learned it, which never
/// ages either (br_fdb_cleanup): a *static* one is written to all ports that are not promiscuous, and taken off each port
/// that becomes so, as every new one does: at 900 ports a sixth of what joining the bridge costs.
pub(super) fn forwarding_entry(port: u32, mac: &Mac) -> NeighbourMessage {
    let mut message = NeighbourMessage::default();
    message.header.family = AddressFamily::Bridge;
    message.header.ifindex = port;
    message.header.state = NeighbourState::Reachable;
    message.header.flags = NeighbourFlags::Controller | NeighbourFlags::ExtLearned;
    message.attributes.push(NeighbourAttribute::LinkLayerAddress(mac.0.to_vec()));
    message
}

/// The default route of a family through a gateway, or straight out of the interface. Metric 0 (IPv4) or 1024 (IPv6).
pub(super) fn default_route(of: Family, gateway: Option<IpAddr>, index: u32) -> RouteMessage {
    let mut message = RouteMessage::default();
    message.header.address_family = if of == Family::V4 { AddressFamily::Inet } else { AddressFamily::Inet6 };
    message.header.table = RouteHeader::RT_TABLE_MAIN;
    message.header.protocol = RouteProtocol::Static;
    message.header.kind = RouteType::Unicast;
    message.header.scope = match (of, gateway) {
        (Family::V4, None) => RouteScope::Link,
        _ => RouteScope::Universe,
    };
    message.attributes.push(RouteAttribute::Oif(index));
    if let Some(gateway) = gateway {
        message.attributes.push(RouteAttribute::Gateway(RouteAddress::from(gateway)));
    }
    message
}

/// The route to an address's subnet, as the kernel makes it together with the address.
pub(super) fn connected_route(index: u32, cidr: &Cidr) -> RouteMessage {
    let mut message = RouteMessage::default();
    message.header.address_family = family(&cidr.address);
    message.header.table = RouteHeader::RT_TABLE_MAIN;
    message.header.protocol = RouteProtocol::Kernel;
    message.header.kind = RouteType::Unicast;
    message.header.destination_prefix_length = cidr.prefix;
    let subnet = RouteAddress::from(cidr.subnet().base());
    message.attributes.push(RouteAttribute::Destination(subnet));
    message.attributes.push(RouteAttribute::Oif(index));
    match cidr.address {
        IpAddr::V4(_) => {
            message.header.scope = RouteScope::Link;
            message.attributes.push(RouteAttribute::PrefSource(RouteAddress::from(cidr.address)));
        }
        // IP6_RT_PRIO_ADDRCONF
        IpAddr::V6(_) => message.attributes.push(RouteAttribute::Priority(256)),
    }
    message
}

/// Any other route of a sandbox.
pub(super) fn route(route: &StaticRoute, index: u32) -> RouteMessage {
    let mut message = default_route(route.to.family(), route.via, index);
    message.header.destination_prefix_length = route.to.prefix();
    message.attributes.push(RouteAttribute::Destination(RouteAddress::from(route.to.base())));
    message
}

pub(super) fn family(address: &IpAddr) -> AddressFamily {
    if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 }
}
