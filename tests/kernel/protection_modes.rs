//! Gateway modes: what each opens, and whose address the far end sees.
use crate::world::{Echo, echo, need, world_with_neighbours};
use serde_json::json;
use std::{net::UdpSocket, time::Duration};

#[test]
fn routed_opens_published_ports_at_the_sandboxs_address() {
    need(&["ip", "nft", "ping"]);
    world_with_neighbours(|w, lan, _| {
        w.dual("r", json!({"options": {"gateway-mode": "routed", "gateway-mode-ipv6": "routed"}}));
        w.dual("other", json!({}));
        let ports = [
            json!({"port": 80}),
            json!({"port": 80, "proto": "udp"}),
            json!({"port": 7000, "count": 20}),
            json!({"port": 7000, "count": 20, "proto": "udp"}),
        ];
        let a = w.sandbox_with("a", json!({"networks": [{"network": "r"}], "ports": ports}));
        let b = w.sandbox("b", &["other"]);
        let _servers = [80, 81, 7019].map(|port| Echo::serve(&a.place, "a", port));
        let _lan = Echo::serve(lan, "lan", 80);
        for (address, lan_is) in [(a.ip.clone(), "192.0.2.2"), (format!("[{}]", a.ip6), "2001:db8:1::2")] {
            for port in [80, 7019] {
                assert_eq!(echo::open(lan, &format!("{address}:{port}"), "a"), lan_is);
                echo::open(&b.place, &format!("{address}:{port}"), "a");
            }
            echo::closed(lan, &format!("{address}:81"));
            echo::closed(&b.place, &format!("{address}:81"));
        }
        assert!(lan.ping(&a.ip, "1") && lan.ping(&a.ip6, "1"), "ICMP is let in");
        assert_eq!(echo::open(&a.place, "192.0.2.2:80", "lan"), a.ip, "not masqueraded");
        assert_eq!(echo::open(&a.place, "[2001:db8:1::2]:80", "lan"), a.ip6);
    });
}

#[test]
fn nat_unprotected_opens_every_port_to_who_can_route() {
    need(&["ip", "nft"]);
    world_with_neighbours(|w, lan, _| {
        w.dual(
            "u",
            json!({"options": {"gateway-mode": "nat-unprotected", "gateway-mode-ipv6": "nat-unprotected"}}),
        );
        let a = w.sandbox_with("a", json!({"networks": [{"network": "u"}], "ports": [{"host_port": 8080, "port": 80}, {"host_port": 8080, "port": 80, "proto": "udp"}]}));
        let _servers = [80, 81].map(|port| Echo::serve(&a.place, "a", port));
        let _lan = Echo::serve(lan, "lan", 80);
        for to in [format!("{}:81", a.ip), format!("[{}]:81", a.ip6), "192.0.2.1:8080".to_owned()] {
            echo::open(lan, &to, "a");
        }
        // Networks stay apart all the same.
        w.dual("other", json!({}));
        let b = w.sandbox("b", &["other"]);
        for to in [format!("{}:81", a.ip), format!("[{}]:81", a.ip6)] {
            echo::closed(&b.place, &to);
        }
        echo::open(&b.place, "192.0.2.1:8080", "a");
        assert_eq!(echo::open(&a.place, "192.0.2.2:80", "lan"), "192.0.2.1", "masqueraded on the way out");
        // Nor does anybody on the LAN pass for a neighbour of a's.
        let c = w.sandbox("c", &["u"]);
        lan.run("ip", &["addr", "add", &format!("{}/32", c.ip), "dev", "lo"]);
        let ear = a.place.enter(|| UdpSocket::bind("0.0.0.0:82")).expect("bind");
        ear.set_read_timeout(Some(Duration::from_millis(500))).expect("timeout");
        for (source, arrives) in [("192.0.2.2", true), (c.ip.as_str(), false)] {
            let mouth = lan.enter(|| UdpSocket::bind((source, 0))).expect("bind");
            mouth.send_to(b"hear", format!("{}:82", a.ip)).expect("send");
            assert_eq!(ear.recv(&mut [0; 8]).is_ok(), arrives, "from {source}");
        }
    });
}

#[test]
fn masquerade_off_and_chosen_addresses() {
    need(&["ip", "nft"]);
    world_with_neighbours(|w, lan, _| {
        let _lan = Echo::serve(lan, "lan", 80);
        w.host.run("ip", &["addr", "add", "192.0.2.77/24", "dev", "lan0"]);
        w.network("plain", json!({"options": {"masquerade": "false"}}));
        w.network("chosen", json!({"options": {"com.docker.network.host_ipv4": "192.0.2.77"}}));
        let (a, b) = (w.sandbox("a", &["plain"]), w.sandbox("b", &["chosen"]));
        assert_eq!(echo::open(&a.place, "192.0.2.2:80", "lan"), a.ip);
        assert_eq!(echo::open(&b.place, "192.0.2.2:80", "lan"), "192.0.2.77");
        w.host.run("ip", &["addr", "del", "192.0.2.77/24", "dev", "lan0"]);
    });
}

#[test]
fn isolated_has_no_gateway_at_all() {
    need(&["ip", "nft"]);
    world_with_neighbours(|w, _, _| {
        let n = w.network("i", json!({"internal": true, "options": {"gateway-mode": "isolated"}}));
        assert!(w.host.addresses(n["device"].as_str().expect("device")).is_empty());
        let (a, b) = (w.sandbox("a", &["i"]), w.sandbox("b", &["i"]));
        let _echo = Echo::serve(&a.place, "a", 80);
        echo::open(&b.place, &format!("{}:80", a.ip), "a");
        echo::closed(&w.host, &format!("{}:80", a.ip));
    });
}

#[test]
fn a_trusted_interface_reaches_every_port() {
    need(&["ip", "nft"]);
    world_with_neighbours(|w, lan, wan| {
        w.network("t", json!({"options": {"trusted": "lan0"}}));
        let a = w.sandbox("a", &["t"]);
        let _echo = Echo::serve(&a.place, "a", 80);
        let to = format!("{}:80", a.ip);
        assert_eq!(echo::open(lan, &to, "a"), "192.0.2.2");
        echo::closed(wan, &to);
    });
}
