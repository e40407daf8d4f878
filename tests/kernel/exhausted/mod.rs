//! What is used up is said; nothing is half-made, what runs goes on, and all is well again when there is more.
use crate::world::{Echo, World, echo, need, world};
use serde_json::{Value, json};
use std::fs;

/// What a refused call must not change.
fn picture(w: &World) -> (Value, Value, Value, Vec<String>) {
    let list = |method: &str| w.call(method, json!({}));
    let links = w.host.ip(&["link"]);
    let links = links.as_array().expect("links").iter().map(|link| link["ifname"].to_string()).collect();
    (list("Network.List"), list("Sandbox.List"), list("Volume.List"), links)
}

#[test]
fn descriptors() {
    need(&["ip", "nft"]);
    world(|w| {
        w.daemon.stop();
        let plain = w.daemon.command();
        let mut few = std::process::Command::new("sh");
        few.args(["-c", "ulimit -n 160; exec \"$@\"", "sh"]).arg(plain.get_program()).args(plain.get_args());
        let log = fs::File::options().append(true).open(w.daemon.log_file()).expect("log");
        w.daemon.again_by(few.stdout(log.try_clone().expect("log")).stderr(log));
        w.network("n", json!({}));
        let ports = |first: u16, count: u16| json!([{"host_port": first, "port": first, "count": count}]);
        let published =
            json!([{"host_port": 8080, "port": 80}, {"host_port": 8080, "port": 80, "proto": "udp"}]);
        let a = w.sandbox_with("a", json!({"networks": [{"network": "n"}], "ports": published}));
        let _echo = Echo::serve(&a.place, "a", 80);
        let before = picture(w);
        let body = json!({"name": "many", "networks": [{"network": "n"}], "ports": ports(20_000, 400)});
        let (kind, text) = w.refused("Sandbox.Create", body);
        assert!(kind == "exhausted" && text.contains("ulimit -n"), "{kind}: {text}");
        assert_eq!(picture(w), before);
        echo::open(&w.host, "127.0.0.1:8080", "a");
        let b = w.sandbox_with("b", json!({"networks": [{"network": "n"}], "ports": ports(20_000, 20)}));
        let held = w.host.run("ss", &["-Hltn"]);
        assert_eq!(held.lines().filter(|line| line.contains(":20")).count(), 20, "{held}");
        assert!(b.place.ping(&a.ip, "2"));
    });
}
