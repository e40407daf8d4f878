//! Who must not reach whom, both ways and in both families.
use crate::world::{Box, Echo, Place, World, echo, need, tool::soon, world_with_neighbours};
use serde_json::{Value, json};

const JUDGES: &[&str] = &["ip", "nft", "ping"];

/// A place's addresses with a port, as a client writes them.
fn at(sandbox: &Box, port: u16) -> Vec<String> {
    let four = (!sandbox.ip.is_empty()).then(|| format!("{}:{port}", sandbox.ip));
    let six = (!sandbox.ip6.is_empty()).then(|| format!("[{}]:{port}", sandbox.ip6));
    four.into_iter().chain(six).collect()
}

fn gateways(w: &World, network: &str) -> Vec<String> {
    let all = w.call("Network.Inspect", json!({ "name": network }))["subnets"].clone();
    all.as_array().expect("subnets").iter().filter_map(|s| s["gateway"].as_str()).map(str::to_owned).collect()
}

fn serve(w: &World, name: &str, network: &str, more: Value) -> (Box, Echo) {
    let mut body = json!({"networks": [{"network": network}]});
    body.as_object_mut().expect("object").extend(more.as_object().expect("object").clone());
    let sandbox = w.sandbox_with(name, body);
    let echo = Echo::serve(&sandbox.place, name, 80);
    (sandbox, echo)
}

#[test]
fn networks_are_apart() {
    need(JUDGES);
    world_with_neighbours(|w, _, _| {
        for name in ["one", "two"] {
            w.dual(name, json!({}));
        }
        let (a, _a) = serve(w, "a", "one", json!({}));
        let (b, _b) = serve(w, "b", "two", json!({}));
        let (c, _c) = serve(w, "c", "bridge", json!({}));
        let (d, _d) = serve(w, "d", "one", json!({}));
        for (from, to) in [(&a, &b), (&b, &a), (&a, &c), (&c, &a), (&c, &b)] {
            at(to, 80).iter().for_each(|to| echo::closed(&from.place, to));
            assert!(!from.place.ping(&to.ip, "0.3"), "{} pings {}", from.name, to.name);
        }
        for (from, to) in [(&a, &d), (&d, &a)] {
            at(to, 80).iter().for_each(|address| drop(echo::open(&from.place, address, &to.name)));
        }
        // A sandbox in both networks reaches both, and is no bridge between them.
        w.call("Network.Connect", json!({"sandbox": "d", "endpoint": {"network": "two"}}));
        at(&b, 80).iter().for_each(|to| drop(echo::open(&d.place, to, "b")));
        a.place.run("ip", &["route", "add", &format!("{}/32", b.ip), "via", &d.ip]);
        d.place.enter(|| std::fs::write("/proc/sys/net/ipv4/ip_forward", "1").expect("forward"));
        echo::closed(&a.place, &format!("{}:80", b.ip));
    });
}

#[test]
fn internal_means_no_way_out_and_none_in() {
    need(JUDGES);
    world_with_neighbours(|w, lan, wan| {
        w.dual("secret", json!({"internal": true}));
        w.dual("open", json!({}));
        let (_lan, _host) = (Echo::serve(lan, "lan", 80), Echo::serve(&w.host, "host", 81));
        let ports = json!({"ports": [{"host_port": 8080, "port": 80}, {"host_port": 8080, "port": 80, "proto": "udp"}]});
        let (a, _a) = serve(w, "a", "secret", ports);
        let (b, _b) = serve(w, "b", "secret", json!({}));
        let (c, _c) = serve(w, "c", "open", json!({}));
        assert_eq!((a.place.default_route(false), a.place.default_route(true)), (None, None));
        at(&b, 80).iter().for_each(|to| drop(echo::open(&a.place, to, "b")));
        for gateway in gateways(w, "secret") {
            let gateway = if gateway.contains(':') { format!("[{gateway}]") } else { gateway };
            echo::open(&a.place, &format!("{gateway}:81"), "host");
            // Also with a route that somebody inside adds.
            let family = if gateway.starts_with('[') { "-6" } else { "-4" };
            let via = gateway.trim_matches(['[', ']']);
            a.place.run("ip", &[family, "route", "add", "default", "via", via]);
        }
        at(&a, 80).iter().for_each(|to| drop(echo::open(&w.host, to, "a")));
        for to in ["192.0.2.2:80", "[2001:db8:1::2]:80", "192.0.2.1:81", "[2001:db8:1::1]:81"] {
            echo::closed(&a.place, to);
        }
        at(&c, 80).iter().for_each(|to| echo::closed(&a.place, to));
        for to in at(&a, 80) {
            [lan, wan, &c.place].iter().for_each(|from| echo::closed(from, &to));
        }
        echo::closed(lan, "192.0.2.1:8080");
    });
}

#[test]
fn icc_off_keeps_neighbours_apart() {
    need(JUDGES);
    world_with_neighbours(|w, lan, _| {
        w.dual("n", json!({"options": {"icc": "false"}}));
        let ports = json!({"ports": [{"host_port": 8080, "port": 80}, {"host_port": 8080, "port": 80, "proto": "udp"}]});
        let (a, _a) = serve(w, "a", "n", ports);
        let (b, _b) = serve(w, "b", "n", json!({}));
        let _lan = Echo::serve(lan, "lan", 80);
        for (from, to) in [(&a, &b), (&b, &a)] {
            at(to, 80).iter().for_each(|to| echo::closed(&from.place, to));
        }
        echo::open(&b.place, "192.0.2.2:80", "lan");
        echo::open(&b.place, "192.0.2.1:8080", "a");
        echo::open(lan, "192.0.2.1:8080", "a");
        // Nor through the gateway.
        b.place.run("ip", &["route", "add", &format!("{}/32", a.ip), "via", &gateways(w, "n")[0]]);
        echo::closed(&b.place, &format!("{}:80", a.ip));
    });
}

#[test]
fn unpublished_ports_are_closed_to_the_lan() {
    need(JUDGES);
    world_with_neighbours(|w, lan, wan| {
        w.dual("n", json!({}));
        let ports = json!({"ports": [{"host_port": 8080, "port": 80}]});
        let (a, _a) = serve(w, "a", "n", ports);
        let _unpublished = Echo::serve(&a.place, "a", 81);
        for to in at(&a, 80).iter().chain(&at(&a, 81)) {
            echo::closed(lan, to);
            echo::closed(wan, to);
        }
        // A neighbour that takes an address of ours, or of a sandbox's network, comes no further.
        lan.run("ip", &["addr", "add", &format!("{}/32", gateways(w, "n")[0]), "dev", "lo"]);
        lan.run(
            "ip",
            &["route", "add", &format!("{}/32", a.ip), "via", "192.0.2.1", "src", &gateways(w, "n")[0]],
        );
        at(&a, 81).iter().for_each(|to| echo::closed(lan, to));
    });
}

#[test]
fn ports_on_loopback_are_for_this_host_only() {
    need(JUDGES);
    world_with_neighbours(|w, lan, _| {
        w.dual("n", json!({}));
        let port =
            |ip: &str, proto: &str| json!({"host_ip": ip, "host_port": 5432, "port": 80, "proto": proto});
        let all =
            [port("127.0.0.1", "tcp"), port("127.0.0.1", "udp"), port("::1", "tcp"), port("::1", "udp")];
        let (_a, _echo) = serve(w, "a", "n", json!({ "ports": all }));
        let b = w.sandbox("b", &["n"]);
        let _private = Echo::at(&w.host, "private", "127.0.0.1:7777");
        echo::open(&w.host, "127.0.0.1:5432", "a");
        echo::open(&w.host, "[::1]:5432", "a");
        for from in [lan, &b.place] {
            for to in ["192.0.2.1:5432", "[2001:db8:1::1]:5432"] {
                echo::closed(from, to);
            }
        }
        // Somebody who routes 127.0.0.0/8 at us (route_localnet is on for our bridges).
        for (from, via) in [(lan, "192.0.2.1"), (&b.place, gateways(w, "n")[0].as_str())] {
            from.run("ip", &["addr", "del", "127.0.0.1/8", "dev", "lo"]);
            from.try_run("ip", &["route", "flush", "table", "local", "127.0.0.0/8"]);
            from.run("ip", &["route", "add", "127.0.0.1/32", "via", via]);
            from.enter(|| {
                std::fs::write("/proc/sys/net/ipv4/conf/eth0/route_localnet", "1").expect("sysctl")
            });
            echo::closed(from, "127.0.0.1:5432");
            echo::closed(from, "127.0.0.1:7777");
        }
    });
}

#[test]
fn the_host_does_not_become_a_router() {
    need(JUDGES);
    world_with_neighbours(|w, lan, wan| {
        w.dual("n", json!({}));
        let (_wan, _lan) = (Echo::serve(wan, "wan", 80), Echo::serve(lan, "lan", 80));
        let a = w.sandbox("a", &["n"]);
        assert_eq!(std::fs::read_to_string("/proc/sys/net/ipv4/ip_forward").expect("read").trim(), "1");
        for to in ["198.51.100.2:80", "[2001:db8:2::2]:80"] {
            echo::closed(lan, to);
            echo::open(&a.place, to, "wan");
        }
        assert_eq!(echo::open(&a.place, "192.0.2.2:80", "lan"), "192.0.2.1", "masqueraded");
        assert_eq!(echo::open(&a.place, "[2001:db8:1::2]:80", "lan"), "2001:db8:1::1");
    });
}

/// One TCP packet with every flag there is: of no connection, so it is not translated either.
const STRAY: &str = "import socket, struct, sys
s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP)
s.sendto(struct.pack('!HHIIBBHHH', 999, 80, 1, 1, 0x50, 0x3f, 64, 0, 0), (sys.argv[1], 0))";

#[test]
fn what_belongs_to_no_connection_does_not_leave() {
    need(&["ip", "nft", "python3"]);
    world_with_neighbours(|w, lan, _| {
        let a = w.sandbox("a", &["bridge"]);
        let judge = "add table ip judge; add chain ip judge strays { type filter hook prerouting priority -400; }; \
                     add rule ip judge strays tcp flags & 0x3f == 0x3f counter";
        lan.run("nft", &[judge]);
        let seen =
            |count: &str| lan.run("nft", &["list table ip judge"]).contains(&format!("packets {count} "));
        let stray = |from: &Place| drop(from.run("python3", &["-c", STRAY, "192.0.2.2"]));
        stray(&w.host);
        soon(2000, "the host's own arrives", || seen("1"));
        stray(&a.place);
        stray(&w.host);
        soon(2000, "the host's next one arrives", || !seen("1"));
        assert!(seen("2"), "{}'s came through with an address of its own", a.name);
    });
}

/// Whoever flushes our rules must not open the host: the daemon notices and rebuilds.
#[test]
fn flushed_tables_come_back() {
    need(JUDGES);
    world_with_neighbours(|w, lan, wan| {
        let _lan = Echo::serve(lan, "lan", 80);
        w.sandbox("a", &["bridge"]);
        w.host.run("nft", &["flush", "ruleset"]);
        soon(3000, "the tables are rebuilt", || w.host.run("nft", &["list", "tables"]).contains("pontoon"));
        echo::closed(wan, "192.0.2.2:80");
    });
}
