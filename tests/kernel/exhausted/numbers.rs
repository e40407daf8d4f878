//! Numbers that run out: addresses, host ports, ports of a bridge.
use super::{Running, refused};
use crate::world::{need, run, tool::soon, world};
use serde_json::json;
use std::io::Write;

#[test]
fn addresses() {
    need(&["ip", "nft", "ss", "dig"]);
    world(|w| {
        let running = Running::new(w);
        w.network("tiny", json!({"pools": [{"subnet": "10.9.0.0/30"}]}));
        let body = |name: &str| json!({"name": name, "networks": [{"network": "tiny"}]});
        w.call("Sandbox.Create", body("first"));
        refused(w, "Sandbox.Create", body("second"), "exhausted", &["tiny", "10.9.0.0/30", "address"]);
        let connect = json!({"sandbox": "a", "endpoint": {"network": "tiny"}});
        refused(w, "Network.Connect", connect.clone(), "exhausted", &["tiny", "10.9.0.0/30"]);
        running.goes_on(w);
        w.remove("first");
        w.call("Network.Connect", connect);
        assert_eq!(running.a.place.addresses("eth1"), ["10.9.0.2/30"]);
    });
}

#[test]
fn host_ports() {
    need(&["ip", "nft", "ss", "dig"]);
    world(|w| {
        w.daemon.stop();
        std::fs::write("/proc/sys/net/ipv4/ip_local_port_range", "40000 40003").expect("sysctl");
        w.daemon.again();
        // Clients of the host need numbers of the same range.
        std::fs::write("/proc/sys/net/ipv4/ip_local_port_range", "50000 60000").expect("sysctl");
        let running = Running::new(w);
        let body = |name: &str, count: u16| json!({"name": name, "networks": [{"network": "n"}], "ports": [{"port": 80, "count": count}]});
        w.call("Sandbox.Create", body("b", 3));
        refused(w, "Sandbox.Create", body("c", 2), "exhausted", &["40000", "40003"]);
        // One is free, but only as far as we know: another program has it.
        let taken: Vec<_> = w.inspect("b")["ports"].as_array().expect("ports").clone();
        let first = taken[0]["host_port"].as_u64().expect("port") as u16;
        let ours = first..first + 3;
        let free = (40_000..=40_003).find(|port| !ours.contains(port)).expect("one is left");
        let other = w.host.enter(|| std::net::TcpListener::bind(("0.0.0.0", free)).expect("bind"));
        let before = super::picture(w);
        let (kind, text) = w.refused("Sandbox.Create", body("c", 1));
        assert!(
            matches!(kind.as_str(), "exhausted" | "conflict") && text.contains(&free.to_string()),
            "{kind}: {text}"
        );
        assert_eq!(super::picture(w), before);
        running.goes_on(w);
        drop(other);
        w.call("Sandbox.Create", body("c", 1));
        assert_eq!(w.inspect("c")["ports"][0]["host_port"], free);
    });
}

/// Some thousand lines for `ip`, in one process.
fn batch(lines: impl Iterator<Item = String>) {
    let mut child = std::process::Command::new("ip")
        .args(["-batch", "-"])
        .stdin(std::process::Stdio::piped())
        .spawn()
        .expect("ip");
    let text: String = lines.map(|line| line + "\n").collect();
    child.stdin.take().expect("stdin").write_all(text.as_bytes()).expect("write");
    assert!(child.wait().expect("wait").success());
}

#[test]
fn ports_of_a_bridge() {
    need(&["ip", "nft", "ss", "dig"]);
    world(|w| {
        let running = Running::new(w);
        let device = w.network("full", json!({}))["device"].as_str().expect("device").to_owned();
        // Others' interfaces on it, all but the last one; they go with the namespace at their other end.
        run("ip", &["netns", "add", "others"]);
        batch(
            (0..1022).map(|n| format!("link add o{n} master {device} type veth peer name p{n} netns others")),
        );
        let body = |name: &str| json!({"name": name, "networks": [{"network": "full"}]});
        w.call("Sandbox.Create", body("last"));
        refused(w, "Sandbox.Create", body("more"), "exhausted", &["1,023", &device]);
        let connect = json!({"sandbox": "a", "endpoint": {"network": "full"}});
        refused(w, "Network.Connect", connect.clone(), "exhausted", &["1,023", &device]);
        running.goes_on(w);
        w.remove("last");
        w.call("Network.Connect", connect);
        run("ip", &["netns", "del", "others"]);
        soon(20_000, "the others' interfaces are gone", || {
            w.host.run("ip", &["-o", "link", "show", "master", &device]).lines().count() == 1
        });
        w.call("Sandbox.Create", body("more"));
    });
}
