//! `update`: the servers of a network change, and who is asked by its containers from the next question on.
use crate::{
    host::Host,
    world::{CONFIG, PROGRAM, call, container, dig, ip, netns, recorded, run, world},
};
use serde_json::{Value, json};
use std::{net::UdpSocket, path::Path};

const RESOLVER: &str = "127.0.0.11";

/// Nameservers of the test's host: each answers every question with its own address.
fn upstreams(addresses: &[&'static str]) {
    for address in addresses {
        ip(&["addr", "add", &format!("{address}/32"), "dev", "lo"]);
        let socket = UdpSocket::bind((*address, 53)).expect("a nameserver");
        let rdata: std::net::Ipv4Addr = address.parse().expect("IPv4");
        std::thread::spawn(move || {
            let mut packet = [0; 1500];
            while let Ok((_, asker)) = socket.recv_from(&mut packet) {
                // RFC 1035, 4.1: flags and counts, the question as it came, one A record for the same name.
                let name = packet[12..].iter().position(|byte| *byte == 0).expect("a name");
                let question = &packet[12..12 + name + 5];
                let head = [&packet[..2], &[0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0]].concat();
                let record = [&[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4], &rdata.octets()[..]].concat();
                let _ = socket.send_to(&[&head, question, &record].concat(), asker);
            }
        });
    }
}

fn update(network: &str, servers: &str) {
    let args = ["--config", CONFIG, "--rootless=false", "update", network, "--network-dns-servers", servers];
    assert_eq!(run(Path::new("/run/netavark"), args, "").fine(), Value::Null);
}

fn servers(name: &str, network: &str, servers: &[&str]) -> Value {
    let mut request = recorded(name);
    request["network_info"][network]["network_dns_servers"] = json!(servers);
    request
}

#[test]
fn running_containers_ask_the_new_servers() {
    world(|w| {
        upstreams(&["192.0.2.51", "192.0.2.52", "192.0.2.53"]);
        // Somebody else's network has the name: ours goes by another, and is meant all the same.
        assert_eq!(run(Path::new(PROGRAM), ["network", "create", "web"], "").code, 0);
        let (one, two, own) = (netns("one"), netns("two"), netns("own"));
        call("setup", &one, &recorded("web")).fine();
        call("setup", &two, &servers("three", "web", &["192.0.2.51"])).fine();
        let mut request = container("web", 9);
        request["dns_servers"] = json!(["192.0.2.53"]);
        call("setup", &own, &request).fine();
        let asked = |netns: &str| dig(netns, RESOLVER, "outside.example");
        assert_eq!([&one, &two, &own].map(|netns| asked(netns)), ["", "192.0.2.51", "192.0.2.53"]);
        // Not the answer of the servers before, though it is known for a minute still.
        update("web", "192.0.2.52");
        assert_eq!([&one, &two, &own].map(|netns| asked(netns)), ["192.0.2.52", "192.0.2.52", "192.0.2.53"]);
        // Of several, the first that answers; those of a container's networks in the order in which it joined them.
        update("dual", "192.0.2.53");
        update("web", "192.0.2.99,192.0.2.51");
        assert_eq!([&one, &two].map(|netns| asked(netns)), ["192.0.2.51", "192.0.2.53"]);
        update("dual", "");
        assert_eq!(asked(&two), "192.0.2.51");
        update("dual", "192.0.2.53");
        update("web", "");
        assert_eq!([&one, &two].map(|netns| asked(netns)), ["", "192.0.2.53"]);
        // A network that nobody has here is no error: Podman keeps the servers for the next container.
        update("nobody", "192.0.2.51");
        update("web", "192.0.2.51");
        w.start_daemon();
        assert_eq!([&one, &own].map(|netns| asked(netns)), ["192.0.2.51", "192.0.2.53"]);
        // Names of neighbours are nobody else's business.
        assert_eq!(dig(&two, RESOLVER, "one"), "10.89.0.77");
    });
}

#[test]
fn an_instance_is_told_too() {
    world(|_| {
        let (host, container) = (Host::new("-nm"), Host::new("-n"));
        host.call("-nm", "/run/other", "setup", &container.proc("ns/net"), &recorded("web")).fine();
        // Podman calls this from the user's own network namespace, whichever its containers' host is.
        let args = ["--config", "/run/other", "update", "web", "--network-dns-servers", "192.0.2.51"];
        run(Path::new("/run/netavark"), args, "").fine();
        let socket = host.socket("/run/other");
        let pontoon = ["--host", &socket, "sandbox", "inspect", "one"];
        let told = run(Path::new(PROGRAM), pontoon, "").fine();
        assert_eq!(told[0]["dns"]["servers"], json!(["192.0.2.51"]), "{told}");
        // One that has ended, and none at all.
        host.call("-nm", "/run/other", "teardown", &container.proc("ns/net"), &recorded("web")).fine();
        run(Path::new("/run/netavark"), args, "").fine();
        let args = ["--config", "/run/nobody", "update", "web", "--network-dns-servers", ""];
        run(Path::new("/run/netavark"), args, "").fine();
    });
}
