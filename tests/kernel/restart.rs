//! The daemon comes and goes; sandboxes notice nothing.
use crate::world::{Box, Echo, World, echo, need, tool::soon, world, world_with_neighbours};
use serde_json::{Value, json};
use std::{
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

fn published(w: &World) -> Box {
    w.dual("n", json!({}));
    let ports = json!([{"host_port": 8080, "port": 80}, {"host_port": 8080, "port": 80, "proto": "udp"}, {"host_port": 9000, "port": 9000, "count": 50}]);
    w.sandbox_with("a", json!({"networks": [{"network": "n"}], "ports": ports}))
}

/// What a user could see of everything.
fn picture(w: &World) -> Vec<Value> {
    let links = w.host.ip(&["link"]);
    let links = links
        .as_array()
        .expect("links")
        .iter()
        .map(|l| json!([l["ifindex"], l["ifname"], l["address"]]))
        .collect();
    vec![
        w.call("Network.List", json!({})),
        w.call("Sandbox.List", json!({})),
        w.inspect("a"),
        links,
        elements(w),
    ]
}

/// The nft tables' contents, sorted.
fn elements(w: &World) -> Value {
    let text = w.host.run("nft", &["list", "ruleset"]);
    let mut words: Vec<&str> =
        text.split([',', '\n']).map(str::trim).filter(|l| !l.contains("counter") && !l.is_empty()).collect();
    words.sort_unstable();
    json!(words)
}

#[test]
fn killed_and_started_again_nothing_changes() {
    need(&["ip", "nft", "dig"]);
    world_with_neighbours(|w, lan, _| {
        let (a, b) = (published(w), w.sandbox("b", &["n"]));
        let _echo = Echo::serve(&a.place, "a", 80);
        let mut open = lan.enter(|| TcpStream::connect("192.0.2.1:8080").expect("connect"));
        open.set_read_timeout(Some(Duration::from_secs(2))).expect("timeout");
        let mut talk = |what: &str| {
            let mut bytes = [0; 64];
            open.write_all(b"still there?").expect("write");
            let n = open.read(&mut bytes).unwrap_or_else(|error| panic!("{what}: {error}"));
            assert!(n > 0, "{what}: the connection was closed");
        };
        talk("greeting");
        let before = picture(w);
        for round in 0..2 {
            w.daemon.kill();
            talk("without a daemon");
            echo::open(lan, "192.0.2.1:8080", "a");
            w.daemon.again();
            talk("with the daemon again");
            assert_eq!(picture(w), before, "round {round}");
            for to in ["192.0.2.1:8080", "[2001:db8:1::1]:8080"] {
                echo::open(lan, to, "a");
                echo::open(&b.place, to, "a");
            }
            echo::open(&w.host, "127.0.0.1:8080", "a");
            echo::open(&w.host, "[::1]:8080", "a");
            assert_eq!(b.place.dig(&["a."]), a.ip);
            let (kind, text) =
                w.refused("Sandbox.Create", json!({"name": "c", "ports": [{"host_port": 8080, "port": 1}]}));
            assert!(kind == "conflict" && text.contains('a'), "{text}");
        }
    });
}

#[test]
fn a_namespace_that_went_meanwhile_is_released() {
    need(&["ip", "nft"]);
    world(|w| {
        w.host.run("ip", &["netns", "add", "theirs"]);
        w.network("n", json!({"pools": [{"subnet": "10.9.0.0/24"}]}));
        let body = json!({"netns": "/run/netns/theirs", "networks": [{"network": "n", "ip": "10.9.0.7"}], "ports": [{"host_port": 8080, "port": 80}]});
        w.sandbox_with("a", body.clone());
        w.daemon.kill();
        w.host.run("ip", &["netns", "del", "theirs"]);
        // The same name again is not the same namespace.
        w.host.run("ip", &["netns", "add", "theirs"]);
        w.daemon.again();
        assert_eq!(w.call("Sandbox.List", json!({})), json!([]));
        w.sandbox_with("b", body);
        w.remove("b");
        w.host.run("ip", &["netns", "del", "theirs"]);
    });
}

#[test]
fn flushed_rules_and_lost_links_are_put_right_at_the_start() {
    need(&["ip", "nft"]);
    world_with_neighbours(|w, lan, _| {
        let a = published(w);
        let _echo = Echo::serve(&a.place, "a", 80);
        let before = elements(w);
        w.daemon.kill();
        w.host.run("nft", &["flush", "ruleset"]);
        w.daemon.again();
        assert_eq!(elements(w), before);
        echo::open(lan, "192.0.2.1:8080", "a");
        w.daemon.kill();
        let device = w.host.run("ip", &["-o", "link", "show", "type", "bridge"]);
        for bridge in device.lines().filter_map(|line| line.split(": ").nth(1)) {
            w.host.run("ip", &["link", "del", bridge]);
        }
        w.daemon.again();
        echo::open(lan, "192.0.2.1:8080", "a");
        let n = w.call("Network.Inspect", json!({"name": "n"}));
        assert!(a.place.ping(n["subnets"][0]["gateway"].as_str().expect("gateway"), "1"));
    });
}

#[test]
fn after_a_reboot_promises_are_back_and_sandboxes_gone() {
    need(&["ip", "nft"]);
    world(|w| {
        let a = published(w);
        let before = w.call("Network.Inspect", json!({"name": "n"}));
        w.call("Volume.Create", json!({"name": "data"}));
        let file = w.daemon.root().join("volumes/data/_data/file");
        std::fs::write(&file, "of a user").expect("write");
        let pool = w.call("Pool.Reserve", json!({"subnet": "10.77.0.0/24"}))["id"].clone();
        let taken = json!({"pool": pool, "address": "10.77.0.9"});
        w.call("Pool.Take", taken.clone());
        // What dockerd's driver and a foreign CNI plugin have: an interface handed over, and addresses alone.
        w.host.run("ip", &["netns", "add", "leased"]);
        let seats = [
            w.sandbox_with("handed", json!({"handed": true, "networks": [{"network": "n"}]})),
            w.sandbox_with(
                "leased",
                json!({"leased": true, "netns": "/run/netns/leased", "networks": [{"network": "n"}]}),
            ),
        ];
        w.daemon.kill();
        w.host.run("ip", &["netns", "del", "leased"]);
        // What a boot takes away: links, rules, namespaces, the run folder, the forwarding switch.
        w.host.run("umount", &["-l", a.place.path()]);
        w.host.try_run("umount", &["-l", w.daemon.run_dir().join("netns").to_str().expect("path")]);
        std::fs::remove_dir_all(w.daemon.run_dir()).expect("run folder");
        w.host.run("nft", &["flush", "ruleset"]);
        for bridge in ["pontoon0", before["device"].as_str().expect("device")] {
            w.host.run("ip", &["link", "del", bridge]);
        }
        for veth in w.host.run("ip", &["-o", "link", "show", "type", "veth"]).lines() {
            let name = veth.split(": ").nth(1).and_then(|name| name.split('@').next()).expect("a name");
            // Its other end goes with it.
            w.host.try_run("ip", &["link", "del", name]);
        }
        soon(2000, "veths die with their namespace", || {
            w.host.run("ip", &["-o", "link", "show", "type", "veth"]).is_empty()
        });
        for key in ["ipv4/ip_forward", "ipv6/conf/all/forwarding"] {
            std::fs::write(format!("/proc/sys/net/{key}"), "0").expect("sysctl");
        }
        w.daemon.again();
        let mut after = w.call("Network.Inspect", json!({"name": "n"}));
        assert_eq!(w.call("Sandbox.List", json!({})), json!([]));
        for key in ["members", "sandboxes"] {
            after[key] = before[key].clone();
        }
        assert_eq!(
            (&after["id"], &after["device"], &after["options"]),
            (&before["id"], &before["device"], &before["options"])
        );
        assert!(!w.host.addresses(before["device"].as_str().expect("device")).is_empty());
        let b = w.sandbox_with(
            "a",
            json!({"networks": [{"network": "n"}], "ports": [{"host_port": 8080, "port": 80}]}),
        );
        let _echo = Echo::serve(&b.place, "again", 80);
        assert!(echo::ask(&w.host, echo::Proto::Tcp, "127.0.0.1:8080").is_some());
        for seat in seats {
            w.sandbox_with(&seat.name, json!({"networks": [{"network": "n", "ip": seat.ip}]}));
        }
        assert_eq!(w.call("Volume.Inspect", json!({"name": "data"}))["name"], "data");
        assert_eq!(std::fs::read_to_string(&file).expect("read"), "of a user");
        assert!(w.refused("Pool.Take", taken).1.contains("in use"), "what was taken is taken still");
        w.call("Pool.Release", json!({"pool": pool}));
        w.call("Volume.Remove", json!({"name": "data"}));
    });
}
