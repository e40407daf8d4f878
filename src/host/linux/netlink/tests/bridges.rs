//! Bridges on a real kernel: made, changed, observed, deleted.
use super::*;
use crate::{
    error::Kind,
    host::linux::{
        namespace::testbed::{ip, ip_json, private},
        netlink::{observe, reaper::Reaper},
        sysctl,
    },
};

#[test]
fn a_bridge_is_made_changed_seen_and_deleted() {
    private(|_| {
        let mut route = with_bridge(true);
        let seen = &ip_json("addr show dev br-test")[0];
        assert_eq!(seen["address"], "02:42:0a:09:00:01");
        assert_eq!(seen["group"], "20560"); // 0x5050
        assert_eq!(seen["ifalias"], format!("pontoon/test/network/{}", id(1)));
        assert_eq!(seen["linkinfo"]["info_data"]["stp_state"], 0);
        assert_eq!(seen["linkinfo"]["info_data"]["mcast_snooping"], 0);
        assert!(seen["flags"].as_array().expect("flags").contains(&"UP".into()));
        let mut found: Vec<_> =
            seen["addr_info"].as_array().expect("addresses").iter().map(|a| a["local"].to_string()).collect();
        found.sort();
        assert_eq!(found, ["\"10.9.0.1\"", "\"fd09::1\"", "\"fe80::42:aff:fe09:1\""]);
        assert!(!seen.to_string().contains("tentative"));
        assert_eq!(sysctl::read("ipv6/conf/br-test/accept_ra").expect("read"), "0");
        assert_eq!(sysctl::read("ipv4/conf/br-test/route_localnet").expect("read"), "1");

        let twice = bridge::create(&mut route, INSTANCE, &a_bridge(true)).expect_err("twice");
        assert_eq!(twice.kind, Kind::Conflict);

        let mut wanted = a_bridge(false);
        wanted.mtu = Some(1400);
        wanted.addresses = vec![cidr("10.10.0.1/24")];
        wanted.route_localnet = false;
        bridge::change(&mut route, INSTANCE, &a_bridge(true), &wanted).expect("change");
        let seen = observe::host(&mut route, INSTANCE).expect("observe").bridges;
        assert_eq!(seen.len(), 1);
        assert_eq!(seen[0].addresses, [cidr("10.10.0.1/24")]);
        assert_eq!((seen[0].mtu, seen[0].up, seen[0].network, seen[0].group), (1400, true, id(1), 0x5050));
        assert!(!ip("addr show dev br-test").contains("inet6"));
        assert_eq!(sysctl::read("ipv4/conf/br-test/route_localnet").expect("read"), "0");
        assert!(observe::host(&mut route, "other").expect("observe").bridges.is_empty());

        bridge::delete(&mut route, INSTANCE, &wanted).expect("delete");
        bridge::delete(&mut route, INSTANCE, &wanted).expect("twice");
        assert_eq!(route.index(&wanted.name).expect("index"), None);
    });
}

#[test]
fn a_foreign_bridge_is_left_alone() {
    private(|_| {
        ip("link add br-test type bridge");
        let mut route = Route::open().expect("route");
        let bridge = a_bridge(false);
        assert_eq!(bridge::create(&mut route, INSTANCE, &bridge).expect_err("create").kind, Kind::Conflict);
        assert_eq!(
            bridge::change(&mut route, INSTANCE, &bridge, &bridge).expect_err("change").kind,
            Kind::Conflict
        );
        assert_eq!(bridge::delete(&mut route, INSTANCE, &bridge).expect_err("delete").kind, Kind::Conflict);
        ip("link show br-test");
    });
}

#[test]
fn the_kernels_own_words_reach_the_error() {
    private(|_| {
        let mut route = Route::open().expect("route");
        let mut bridge = a_bridge(false);
        bridge.mtu = Some(10);
        let error = bridge::create(&mut route, INSTANCE, &bridge).expect_err("mtu 10").to_string();
        assert!(
            error.starts_with("make bridge br-test: ") && error.contains("mtu less than device minimum"),
            "{error}"
        );
        assert!(route.link(&bridge.name).expect("link").is_none());
    });
}

/// How many bridges wait for their deletion.
fn waiting() -> usize {
    ip("-o link").lines().filter(|line| line.contains(": ptx")).count()
}

fn soon_none_waits() {
    let begin = std::time::Instant::now();
    while waiting() > 0 {
        assert!(begin.elapsed().as_secs() < 20, "{}", ip("-d link"));
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}

#[test]
fn a_retired_bridge_is_out_of_the_way_before_it_is_gone() {
    private(|_| {
        let mut route = with_bridge(true);
        let reaper = Reaper::start(INSTANCE).expect("reaper");
        let mut lasted = 0;
        for round in 0..8 {
            // One that somebody else gave it goes as well.
            ip("addr add 192.0.2.7/32 dev br-test");
            let seen = route.link(&name("br-test")).expect("look").expect("it is there");
            reaper.retire(&mut route, id(1), &seen).expect("retire");
            let gone = name(&format!("ptx{:x}", seen.index));
            lasted += usize::from(route.index(&gone).expect("index") == Some(seen.index));
            assert_eq!(route.index(&name("br-test")).expect("index"), None);
            let left = ip("addr");
            assert!(!left.contains("10.9.0.1") && !left.contains("fd09::1") && !left.contains("192.0.2.7"));
            assert!(!ip("route show table all").contains("10.9.0."), "round {round}");
            bridge::create(&mut route, INSTANCE, &a_bridge(true))
                .expect("its name and its addresses are free");
            reaper.stand_back();
        }
        assert!(lasted > 0, "nobody waits for the end of a bridge: the kernel takes 30 ms for it");
        let seen = observe::host(&mut route, INSTANCE).expect("observe").bridges;
        assert_eq!(seen.len(), 1, "those that wait are nobody's: {seen:?}");
        soon_none_waits();
        assert!(ip("link").contains("br-test"));
    });
}

#[test]
fn bridges_that_wait_are_deleted_by_the_next_daemon_or_at_the_end() {
    private(|_| {
        let mut route = with_bridge(false);
        for line in ["add ptx77 type bridge", "add theirs type bridge", "add ptx78 type bridge"] {
            ip(&format!("link {line}"));
        }
        ip(&format!("link set ptx77 alias pontoon/{INSTANCE}/gone/{}", id(2)));
        ip(&format!("link set theirs alias pontoon/other/gone/{}", id(2)));
        let reaper = Reaper::start(INSTANCE).expect("reaper");
        let begin = std::time::Instant::now();
        while ip("link").contains("ptx77") {
            assert!(begin.elapsed().as_secs() < 20);
        }
        for _ in 0..3 {
            reaper.stand_back();
            let seen = route.link(&name("br-test")).expect("look").expect("it is there");
            reaper.retire(&mut route, id(1), &seen).expect("retire");
            bridge::create(&mut route, INSTANCE, &a_bridge(false)).expect("create");
        }
        reaper.clear(&mut route).expect("clear");
        let links = ip("link");
        assert_eq!(waiting(), 1, "all of ours are gone at once: {links}");
        assert!(links.contains("ptx78") && links.contains("theirs") && links.contains("br-test"), "{links}");
    });
}
