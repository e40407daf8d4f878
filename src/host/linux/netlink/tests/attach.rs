//! Attaching on a real kernel: what a link has inside and outside, and what is refused.
use super::*;
use crate::{
    error::Kind,
    host::linux::{
        namespace::testbed::{ip, ip_json, private, run},
        netlink::{observe, parent, routes},
    },
    model::kernel::{IpvlanMode, MacvlanMode},
};
use std::{
    net::{SocketAddr, UdpSocket},
    time::{Duration, Instant},
};

/// One datagram there and one back; how long it took.
fn echo(from: &UdpSocket, to: &UdpSocket, address: SocketAddr) -> Duration {
    let (begin, mut buffer) = (Instant::now(), [0; 8]);
    from.send_to(b"hello", address).expect("send");
    let (_, asker) = to.recv_from(&mut buffer).expect("first packet is answered");
    to.send_to(b"hello", asker).expect("answer");
    from.recv(&mut buffer).expect("first answer arrives");
    begin.elapsed()
}

fn socket(address: &str) -> UdpSocket {
    let socket = UdpSocket::bind(address).expect(address);
    socket.set_read_timeout(Some(Duration::from_millis(500))).expect("timeout");
    socket
}

fn median(mut all: Vec<Duration>) -> Duration {
    all.sort();
    all[all.len() / if std::env::var_os("P10").is_some() { 10 } else { 2 }]
}

/// 200 sandboxes, first packet in either direction, IPv4 or both families.
fn first_packets(ipv6: bool) {
    private(move |home| {
        let folder = tempfile::tempdir().expect("folder");
        namespace::prepare_folder(folder.path()).expect("folder");
        let mut route = with_bridge(ipv6);
        let host = socket(if ipv6 { "[fd09::1]:9000" } else { "10.9.0.1:9000" });
        let (mut attaches, mut slowest, mut kept) = (Vec::new(), Duration::ZERO, Vec::new());
        for n in 0..200 {
            let space = a_namespace(folder.path(), n, home);
            let link = a_link(n, ipv6, false);
            let own = link.addresses.last().expect("address").address;
            let begin = Instant::now();
            attach(&mut route, home, &link, &space);
            attaches.push(begin.elapsed());
            let inner =
                home.enter(space.as_fd(), || socket(&SocketAddr::new(own, 9000).to_string())).expect("enter");
            let took = match n % 2 {
                0 => echo(&host, &inner, inner.local_addr().expect("address")),
                _ => echo(&inner, &host, host.local_addr().expect("address")),
            };
            slowest = slowest.max(took);
            assert!(took < Duration::from_millis(50), "sandbox {n}: {took:?}");
            kept.push(inner);
        }
        // Neighbours find each other at once as well.
        let to = kept[199].local_addr().expect("address");
        assert!(echo(&kept[0], &kept[199], to) < Duration::from_millis(50));
        println!("ipv6 {ipv6}: attach p50 {:?}, slowest first packet {slowest:?}", median(attaches));
    });
}

#[test]
fn the_first_packet_of_200_attaches_is_answered() {
    first_packets(false);
}
#[test]
fn the_first_packet_of_200_attaches_is_answered_over_ipv6() {
    first_packets(true);
}

#[test]
fn inside_and_outside_look_as_wanted() {
    private(|home| {
        let folder = tempfile::tempdir().expect("folder");
        namespace::prepare_folder(folder.path()).expect("folder");
        let mut route = with_bridge(true);
        let space = a_namespace(folder.path(), 1, home);
        let other = a_namespace(folder.path(), 2, home);
        let link = a_link(1, true, true);
        attach(&mut route, home, &link, &space);
        attach(&mut route, home, &a_link(2, false, false), &other);

        let end = &ip_json(&format!("link show dev {}", link.host_name()))[0];
        assert_eq!(end["ifalias"], format!("pontoon/test/endpoint/{}", link.endpoint));
        assert_eq!((&end["master"], &end["operstate"]), (&"br-test".into(), &"UP".into()));
        assert_eq!(end["linkinfo"]["info_slave_data"]["isolated"], true);
        assert_eq!(end["linkinfo"]["info_slave_data"]["neigh_suppress"], true);
        assert_eq!((&end["num_tx_queues"], &end["num_rx_queues"]), (&1.into(), &1.into()));
        assert!(!ip(&format!("addr show dev {}", link.host_name())).contains("inet6"));
        let neighbours = ip("neigh show dev br-test");
        assert!(neighbours.contains("10.9.1.2 lladdr 02:42:0a:09:01:02 PERMANENT"), "{neighbours}");
        assert!(
            run("bridge fdb show br br-test")
                .contains("02:42:0a:09:01:02 dev pt000003e90000 extern_learn master br-test")
        );

        let (seen, defaults) = home
            .enter(space.as_fd(), || observe::inside(&mut Route::open().expect("route")))
            .expect("enter")
            .expect("inside");
        assert_eq!(seen.len(), 1);
        assert_eq!((&seen[0].name, seen[0].mac, seen[0].up), (&name("eth0"), Some(link.mac), true));
        assert_eq!(seen[0].addresses, link.addresses);
        let written = home.enter(space.as_fd(), || ip("neigh show dev eth0 nud permanent")).expect("enter");
        assert_eq!(written.lines().count(), link.neighbours.len(), "{written}");
        assert_eq!(defaults.len(), 2);
        assert_eq!(observe::host(&mut route, INSTANCE).expect("host").ends.len(), 2);
        home.enter(space.as_fd(), || {
            let addresses = ip("addr show dev eth0");
            assert!(addresses.contains(&link.mac.link_local().to_string()), "{addresses}");
            assert!(!addresses.contains("tentative"), "{addresses}");
            run("ping -c1 -W1 10.9.0.1");
            run("ping -c1 -W1 fd09::1");
        })
        .expect("enter");
        home.enter(other.as_fd(), || {
            let addresses = ip("addr show");
            assert!(!addresses.contains("scope link") && addresses.contains("::1/128"), "{addresses}");
        })
        .expect("enter");

        // The names are free to nobody else.
        let second = veth::attach(
            &mut route,
            INSTANCE,
            &Link { endpoint: id(9), ..link.clone() },
            port(&name("br-test")),
            Some(space.as_fd()),
        );
        assert_eq!(second.expect_err("taken").to_string(), "sandbox already has an interface eth0");
        let same = Link { name: name("eth1"), ..link.clone() };
        let second = veth::attach(&mut route, INSTANCE, &same, port(&name("br-test")), Some(space.as_fd()));
        assert_eq!(second.expect_err("taken").kind, Kind::Conflict);
        let lost = veth::attach(&mut route, INSTANCE, &link, port(&name("br-lost")), Some(space.as_fd()));
        assert_eq!(lost.expect_err("no bridge").kind, Kind::NotFound);
        veth::forget_neighbours(&mut route, &link, &name("br-test")).expect("forget");
        veth::forget_neighbours(&mut route, &link, &name("br-test")).expect("twice");
        assert!(!ip("neigh show dev br-test").contains("10.9.1.2 "));
    });
}

#[test]
fn default_routes_come_change_and_go() {
    private(|home| {
        let folder = tempfile::tempdir().expect("folder");
        namespace::prepare_folder(folder.path()).expect("folder");
        let mut route = with_bridge(true);
        let space = a_namespace(folder.path(), 1, home);
        let link = a_link(1, true, false);
        attach(&mut route, home, &link, &space);
        home.enter(space.as_fd(), || {
            let mut route = Route::open().expect("route");
            let first = a_way_out(&link);
            let device = kernel::Route { gateway: None, link: name("eth0") };
            let steps = [
                (
                    Routes { v4: Some(device.clone()), v6: Some(device), ..first.clone() },
                    ("default dev eth0 proto static scope link", "default dev eth0 proto static"),
                ),
                (
                    first.clone(),
                    (
                        "default via 10.9.0.1 dev eth0 proto static",
                        "default via fd09::1 dev eth0 proto static",
                    ),
                ),
                (Routes { v6: None, ..first.clone() }, ("default via 10.9.0.1", "")),
                (Routes { v4: None, v6: None, ..first.clone() }, ("", "")),
            ];
            let mut found = first;
            for (wanted, (v4, v6)) in steps {
                routes::set(&mut route, Some(&found), &wanted).expect("set");
                for (have, want) in [(ip("-4 route show default"), v4), (ip("-6 route show default"), v6)] {
                    assert!(
                        have.starts_with(want) && have.lines().count() == usize::from(!want.is_empty()),
                        "{have:?} {want:?}"
                    );
                }
                found = wanted;
            }
        })
        .expect("enter");
    });
}

#[test]
fn macvlan_stands_in_the_sandbox_and_ipvlan_is_refused_clearly() {
    private(|home| {
        let folder = tempfile::tempdir().expect("folder");
        namespace::prepare_folder(folder.path()).expect("folder");
        let mut route = with_bridge(false);
        let space = a_namespace(folder.path(), 1, home);
        ip("link add up0 type veth peer name up1");
        ip("link set up0 up");
        ip("link set up1 up");
        let mut link = a_link(1, false, false);
        link.kind = LinkKind::Macvlan { parent: name("up0"), mode: MacvlanMode::Bridge };
        parent::attach(&mut route, &link, space.as_fd()).expect("macvlan");
        let visit = inside::Visit {
            loopback: true,
            links: vec![(&link, None)],
            routes: None,
            ..inside::Visit::default()
        };
        home.enter(space.as_fd(), || {
            inside::furnish(&visit).expect("furnish");
            let seen = &ip_json("addr show dev eth0")[0];
            assert_eq!(
                (&seen["linkinfo"]["info_kind"], &seen["linkinfo"]["info_data"]["mode"]),
                (&"macvlan".into(), &"bridge".into())
            );
            assert_eq!((&seen["address"], &seen["operstate"]), (&link.mac.to_string().into(), &"UP".into()));
        })
        .expect("enter");
        let again = parent::attach(&mut route, &link, space.as_fd()).expect_err("taken");
        assert_eq!(again.to_string(), "sandbox already has an interface eth0");
        home.enter(space.as_fd(), || {
            parent::detach(&link.name).expect("detach");
            parent::detach(&link.name).expect("twice");
            assert!(!ip("link").contains("eth0"));
        })
        .expect("enter");
        link.name = name("eth1");
        link.kind = LinkKind::Ipvlan { parent: name("up1"), mode: IpvlanMode::L2 };
        if let Err(error) = parent::attach(&mut route, &link, space.as_fd()) {
            assert_eq!(error.kind, Kind::Unsupported, "{error}");
            assert!(error.message.contains("this kernel has no ipvlan"), "{error}");
        }
    });
}

#[test]
fn a_full_bridge_is_named_and_nothing_is_left_behind() {
    private(|home| {
        let folder = tempfile::tempdir().expect("folder");
        namespace::prepare_folder(folder.path()).expect("folder");
        let mut route = with_bridge(false);
        let space = a_namespace(folder.path(), 1, home);
        let mut attach = |n: u32| {
            let link = Link { name: name(&format!("e{n}")), ..a_link(n, false, false) };
            veth::attach(&mut route, INSTANCE, &link, port(&name("br-test")), Some(space.as_fd()))
                .map(|_| link)
        };
        for n in 0..1023 {
            attach(n).expect("room");
        }
        let error = attach(1023).expect_err("full");
        assert_eq!(error.kind, Kind::Exhausted);
        assert!(error.message.contains("bridge br-test: a Linux bridge has at most 1,023 ports"), "{error}");
        let links = observe::links(&mut Route::open().expect("route")).expect("links");
        assert_eq!(links.iter().filter(|link| link.name.as_str().starts_with("pt")).count(), 1023);
    });
}
