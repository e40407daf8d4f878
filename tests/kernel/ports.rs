//! Published ports, asked from everywhere.
use crate::world::{Echo, echo, need, world, world_with_neighbours};
use serde_json::json;

const JUDGES: &[&str] = &["ip", "nft"];

#[test]
fn from_everywhere_to_any_address() {
    need(JUDGES);
    world_with_neighbours(|w, lan, wan| {
        let gateway = |n: &serde_json::Value, i: usize| {
            n["subnets"][i]["gateway"].as_str().expect("gateway").to_owned()
        };
        let one = w.dual("one", json!({}));
        w.dual("two", json!({}));
        let ports = json!([{"host_port": 8080, "port": 80}, {"host_port": 8080, "port": 80, "proto": "udp"}]);
        let a = w.sandbox_with("a", json!({"networks": [{"network": "one"}], "ports": ports}));
        let (near, far) = (w.sandbox("near", &["one"]), w.sandbox("far", &["two"]));
        let _echo = Echo::serve(&a.place, "a", 80);
        let (g4, g6) = (gateway(&one, 0), gateway(&one, 1));
        // who, at which address of the host, and whom the server sees
        for (from, to, seen) in [
            (lan, "192.0.2.1", "192.0.2.2"),
            (lan, "[2001:db8:1::1]", "2001:db8:1::2"),
            (lan, "198.51.100.1", "192.0.2.2"),
            (lan, "[2001:db8:2::1]", "2001:db8:1::2"),
            (wan, "198.51.100.1", "198.51.100.2"),
            (wan, "[2001:db8:2::1]", "2001:db8:2::2"),
            (&w.host, "192.0.2.1", ""),
            (&w.host, "[2001:db8:1::1]", ""),
            (&w.host, "127.0.0.1", g4.as_str()),
            (&w.host, "127.0.0.5", g4.as_str()),
            (&w.host, "[::1]", g6.as_str()),
            (&w.host, &g4, ""),
            (&w.host, &format!("[{g6}]"), ""),
            (&far.place, "192.0.2.1", far.ip.as_str()),
            (&far.place, "[2001:db8:1::1]", far.ip6.as_str()),
            (&far.place, &g4, far.ip.as_str()),
            (&near.place, &g4, ""),
            (&near.place, "192.0.2.1", ""),
            (&near.place, "[2001:db8:1::1]", ""),
            (&a.place, &g4, ""),
            (&a.place, "192.0.2.1", ""),
            (&a.place, "[2001:db8:1::1]", ""),
        ] {
            let found = echo::open(from, &format!("{to}:8080"), "a");
            assert!(seen.is_empty() || found == seen, "{from:?} at {to} is seen as {found}, not {seen}");
        }
        // No router carries what comes from a link-local address: the daemon does.
        w.host.run("ip", &["addr", "add", "fe80::1/64", "dev", "lan0", "nodad"]);
        lan.run("ip", &["addr", "add", "fe80::2/64", "dev", "eth0", "nodad"]);
        let link_local = format!("[fe80::1%{}]:8080", lan.link("eth0")["ifindex"]);
        echo::open(lan, &link_local, "a");
        w.remove("a");
        for to in ["192.0.2.1:8080", "[2001:db8:1::1]:8080", &link_local] {
            echo::closed(lan, to);
        }
        w.host.run("ip", &["addr", "del", "fe80::1/64", "dev", "lan0"]);
    });
}

#[test]
fn a_named_host_address_is_the_only_one() {
    need(JUDGES);
    world_with_neighbours(|w, lan, wan| {
        w.dual("n", json!({}));
        let port =
            |ip: &str, proto: &str| json!({"host_ip": ip, "host_port": 8080, "port": 80, "proto": proto});
        let mut both = Vec::new();
        for (name, ip) in [("a", "192.0.2.1"), ("b", "198.51.100.1"), ("c", "2001:db8:1::1")] {
            let ports = [port(ip, "tcp"), port(ip, "udp")];
            let sandbox = w.sandbox_with(name, json!({"networks": [{"network": "n"}], "ports": ports}));
            both.push(Echo::serve(&sandbox.place, name, 80));
        }
        for (from, to, name) in [
            (lan, "192.0.2.1:8080", "a"),
            (lan, "198.51.100.1:8080", "b"),
            (wan, "192.0.2.1:8080", "a"),
            (wan, "198.51.100.1:8080", "b"),
            (lan, "[2001:db8:1::1]:8080", "c"),
            (&w.host, "198.51.100.1:8080", "b"),
        ] {
            echo::open(from, to, name);
        }
        for to in ["127.0.0.1:8080", "172.17.0.1:8080", "[::1]:8080", "[2001:db8:2::1]:8080"] {
            echo::closed(&w.host, to);
        }
    });
}

#[test]
fn ranges_and_chosen_ports() {
    need(JUDGES);
    world(|w| {
        w.network("n", json!({}));
        let ports = |count: u16, from: u16, to: u16| {
            ["tcp", "udp"].map(|proto| json!({"host_port": from, "port": to, "count": count, "proto": proto}))
        };
        let all = [ports(5, 9000, 7000), ports(100, 9100, 9100)].concat();
        let a = w.sandbox_with("a", json!({"networks": [{"network": "n"}], "ports": all}));
        let _some = [7000, 7004, 9100, 9199].map(|port| Echo::serve(&a.place, &format!("p{port}"), port));
        for (to, name) in [(9000, "p7000"), (9004, "p7004"), (9100, "p9100"), (9199, "p9199")] {
            echo::open(&w.host, &format!("127.0.0.1:{to}"), name);
            echo::open(&w.host, &format!("172.17.0.1:{to}"), name);
        }
        for port in [9005, 9200] {
            echo::closed(&w.host, &format!("127.0.0.1:{port}"));
        }
        // Without a host port a free one is chosen and shown; with a range the first free one of it.
        let b = w.sandbox_with("b", json!({"networks": [{"network": "n"}], "ports": [{"port": 80}, {"port": 80, "proto": "udp"}, {"port": 80, "host_port": 9003, "host_port_end": 9007}]}));
        let _echo = Echo::serve(&b.place, "b", 80);
        let info = w.inspect("b");
        assert_eq!(info["ports"][2]["host_port"], 9005, "{}", info["ports"]);
        for (i, proto) in echo::BOTH.into_iter().enumerate() {
            let to = format!("127.0.0.1:{}", info["ports"][i]["host_port"]);
            assert!(
                echo::ask(&w.host, proto, &to).is_some_and(|text| text.starts_with("b ")),
                "{to} {proto:?}"
            );
        }
    });
}

#[test]
fn ports_follow_the_networks() {
    need(JUDGES);
    world_with_neighbours(|w, lan, _| {
        w.dual("one", json!({}));
        w.dual("two", json!({}));
        let ports = json!([{"host_port": 8080, "port": 80}, {"host_port": 8080, "port": 80, "proto": "udp"}]);
        let a = w.sandbox_with("a", json!({"networks": [{"network": "one"}], "ports": ports}));
        let _echo = Echo::serve(&a.place, "a", 80);
        let asks = |what: &str| {
            for to in ["192.0.2.1:8080", "[2001:db8:1::1]:8080"] {
                let seen = echo::open(lan, to, "a");
                assert!(["192.0.2.2", "2001:db8:1::2"].contains(&seen.as_str()), "{what}: seen as {seen}");
            }
        };
        asks("in one");
        w.call("Network.Connect", json!({"sandbox": "a", "endpoint": {"network": "two", "priority": 5}}));
        asks("in both, two goes first");
        // From the network that the ports are not in: the answer must not take the short way, past the translation.
        let neighbour = w.sandbox("neighbour", &["one"]);
        for to in ["192.0.2.1:8080", "[2001:db8:1::1]:8080"] {
            echo::open(&neighbour.place, to, "a");
        }
        w.call("Network.Disconnect", json!({"sandbox": "a", "network": "two"}));
        asks("in one again");
        w.call("Network.Connect", json!({"sandbox": "a", "endpoint": {"network": "two"}}));
        w.call("Network.Disconnect", json!({"sandbox": "a", "network": "one"}));
        asks("in two");
        w.call("Network.Disconnect", json!({"sandbox": "a", "network": "two"}));
        echo::closed(lan, "192.0.2.1:8080");
    });
}
