//! The real kernel, in private namespaces, judged by `ip`.
mod attach;
mod bridges;
mod burial;
mod fuzz;
mod shape;

use super::{Route, bridge, inside, veth};
use crate::{
    host::linux::namespace::{self, Home},
    model::{
        Id, IfName, Mac,
        address::Cidr,
        kernel::{self, Bridge, Link, LinkKind, Routes},
    },
};
use std::{
    net::{IpAddr, Ipv4Addr},
    os::fd::{AsFd, OwnedFd},
    path::Path,
};

pub(super) const INSTANCE: &str = "test";

pub(super) fn name(text: &str) -> IfName {
    IfName::parse(text).expect(text)
}
pub(super) fn id(number: u32) -> Id {
    let mut bytes = [0; 32];
    bytes[..4].copy_from_slice(&number.to_be_bytes());
    Id::from_bytes(bytes)
}
pub(super) fn cidr(text: &str) -> Cidr {
    Cidr::try_from(text.to_owned()).expect(text)
}

pub(super) fn a_bridge(ipv6: bool) -> Bridge {
    let mut addresses = vec![cidr("10.9.0.1/16")];
    if ipv6 {
        addresses.push(cidr("fd09::1/64"));
    }
    Bridge {
        network: id(1),
        name: name("br-test"),
        mac: Mac([2, 0x42, 10, 9, 0, 1]),
        mtu: None,
        addresses,
        ipv6,
        route_localnet: true,
    }
}

/// The `n`th sandbox's link on `a_bridge`.
pub(super) fn a_link(n: u32, ipv6: bool, isolated: bool) -> Link {
    let v4 = Ipv4Addr::new(10, 9, 1 + (n / 250) as u8, 1 + (n % 250) as u8);
    let mut addresses = vec![Cidr { address: IpAddr::V4(v4), prefix: 16 }];
    let bridge_mac = a_bridge(ipv6).mac;
    let mut neighbours = vec![("10.9.0.1".parse().expect("ip"), bridge_mac)];
    if ipv6 {
        addresses.push(cidr(&format!("fd09::1:{n:x}/64")));
        neighbours.push(("fd09::1".parse().expect("ip"), bridge_mac));
    }
    Link {
        endpoint: id(1000 + n),
        sandbox: id(500_000 + n),
        kind: LinkKind::Veth { bridge: name("br-test"), isolated },
        name: name("eth0"),
        mac: Mac::of_ipv4(v4),
        mtu: None,
        addresses,
        ipv6,
        neighbours,
        sysctls: Box::default(),
        routes: Vec::new(),
    }
}

pub(super) fn a_way_out(link: &Link) -> Routes {
    let by = |gateway: &str| kernel::Route { gateway: gateway.parse().ok(), link: link.name.clone() };
    Routes { sandbox: link.sandbox, v4: Some(by("10.9.0.1")), v6: link.ipv6.then(|| by("fd09::1")) }
}

/// An ordinary port of this bridge.
pub(super) fn port(bridge: &IfName) -> veth::Port<'_> {
    veth::Port { bridge, isolated: false, hairpin: false }
}

pub(super) fn a_namespace(folder: &Path, n: u32, home: &Home) -> OwnedFd {
    namespace::make(&folder.join(format!("s{n}")), home).expect("namespace")
}

/// The whole attach, as the engine will do it.
pub(super) fn attach(route: &mut Route, home: &Home, link: &Link, into: &OwnedFd) -> veth::HostEnd {
    let (bridge, isolated) = link.kind.bridge().expect("a veth");
    let port = veth::Port { bridge, isolated, hairpin: false };
    let end = veth::attach(route, INSTANCE, link, port, Some(into.as_fd())).expect("attach");
    let routes = a_way_out(link);
    let visit = inside::Visit {
        loopback: true,
        links: vec![(link, Some(end.inside))],
        routes: Some((None, &routes)),
        ..inside::Visit::default()
    };
    home.enter(into.as_fd(), || inside::furnish(&visit)).expect("enter").expect("furnish");
    veth::settle(route, &[end]).expect("settle");
    end
}

pub(super) fn with_bridge(ipv6: bool) -> Route {
    let mut route = Route::open().expect("route");
    bridge::create(&mut route, INSTANCE, &a_bridge(ipv6)).expect("bridge");
    route
}
