//! Connections through ports that come and go.
use crate::world::{Echo, echo, echo::Proto, need, tool::soon, world_with_neighbours};
use serde_json::json;
use std::{net::UdpSocket, time::Duration};

/// One question of a client that never opens a new socket.
fn ask(socket: &UdpSocket) -> Option<String> {
    let mut bytes = [0; 64];
    socket.send(b"who?").ok()?;
    let n = socket.recv(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes[..n]).split(' ').next().unwrap_or("").to_owned())
}

#[test]
fn a_udp_client_follows_the_port() {
    need(&["ip", "nft", "conntrack"]);
    world_with_neighbours(|w, lan, _| {
        w.dual("n", json!({}));
        let clients = ["192.0.2.1:5300", "[2001:db8:1::1]:5300"].map(|to| {
            lan.enter(|| {
                let socket =
                    UdpSocket::bind(if to.starts_with('[') { "[::]:0" } else { "0.0.0.0:0" }).expect("bind");
                socket.connect(to).expect("connect");
                socket.set_read_timeout(Some(Duration::from_millis(300))).expect("timeout");
                socket
            })
        });
        // Asked before anybody is there: the flow is known, and leads nowhere.
        clients.iter().for_each(|client| assert_eq!(ask(client), None));
        for name in ["first", "second", "third"] {
            let body = json!({"networks": [{"network": "n"}], "ports": [{"host_port": 5300, "port": 53, "proto": "udp"}]});
            let sandbox = w.sandbox_with(name, body);
            let _echo = Echo::serve(&sandbox.place, name, 53);
            for client in &clients {
                assert_eq!(ask(client).or_else(|| ask(client)).as_deref(), Some(name), "{client:?}");
            }
            w.remove(name);
            let known = w.host.run("conntrack", &["-L", "-p", "udp", "--orig-port-dst", "5300"]);
            assert!(!known.contains(&sandbox.ip), "flows to {name} are forgotten: {known}");
            clients.iter().for_each(|client| assert_eq!(ask(client), None, "{name} is gone"));
        }
    });
}

#[test]
fn a_withdrawn_port_is_closed_to_who_used_it() {
    need(&["ip", "nft"]);
    world_with_neighbours(|w, lan, _| {
        w.dual("n", json!({}));
        let ports = json!([{"host_port": 5300, "port": 53, "proto": "udp"}]);
        let a = w.sandbox_with("a", json!({"networks": [{"network": "n"}], "ports": ports}));
        let _echo = Echo::serve(&a.place, "a", 53);
        for to in ["192.0.2.1:5300", "[2001:db8:1::1]:5300"] {
            let any = if to.starts_with('[') { "[::]:0" } else { "0.0.0.0:0" };
            let client = lan.enter(|| UdpSocket::bind(any)).expect("bind");
            client.connect(to).expect("connect");
            client.set_read_timeout(Some(Duration::from_millis(300))).expect("timeout");
            w.call("Sandbox.Publish", json!({"name": "a", "ports": ports}));
            assert_eq!(ask(&client).or_else(|| ask(&client)).as_deref(), Some("a"));
            w.call("Sandbox.Publish", json!({"name": "a", "ports": []}));
            assert_eq!(ask(&client), None, "{to}: its flow goes on");
        }
    });
}

/// Whoever gets the address next must not get the answers.
#[test]
fn what_a_sandbox_began_ends_with_it() {
    need(&["ip", "nft", "conntrack"]);
    world_with_neighbours(|w, lan, _| {
        let _lan = Echo::serve(lan, "lan", 80);
        let ports = json!([{"host_port": 8080, "port": 80}]);
        let a = w.sandbox_with("a", json!({"networks": [{"network": "bridge"}], "ports": ports}));
        let _echo = Echo::serve(&a.place, "a", 80);
        let flows = || w.host.run("conntrack", &["-L"]);
        let said = [(&a.place, "192.0.2.2:80", Proto::Udp), (lan, "192.0.2.1:8080", Proto::Tcp)];
        said.iter().for_each(|(from, to, proto)| drop(echo::ask(from, *proto, to).expect("an answer")));
        // One that it began, and one whose answers it gives.
        assert_eq!(flows().matches(&format!("src={} dst=192.0.2.2 ", a.ip)).count(), 2, "{}", flows());
        w.remove("a");
        soon(2000, "nothing is known of it", || !flows().contains(&a.ip));
    });
}
