//! Sandboxes that end by themselves are noticed.
use crate::world::{World, need, tool::soon, world};
use serde_json::{Value, json};
use std::process::Command;

const BODY: &str =
    r#"{"networks": [{"network": "n", "ip": "10.9.0.7"}], "ports": [{"host_port": 8080, "port": 80}]}"#;

fn body(more: &[(&str, Value)]) -> Value {
    let mut body: Value = serde_json::from_str(BODY).expect("json");
    more.iter().for_each(|(key, value)| body[*key] = value.clone());
    body
}

/// Gone within a second, and everything it had is free for another.
fn released(w: &World) {
    let took = soon(1000, "released", || w.call("Sandbox.List", json!({})) == json!([]));
    println!("released after {took:?}");
    soon(500, "the host's end is gone", || {
        w.host.run("ip", &["-o", "link", "show", "type", "veth"]).is_empty()
    });
    w.host.enter(|| std::net::TcpListener::bind("0.0.0.0:8080").map(drop)).expect("the port is free");
    w.sandbox_with("next", body(&[]));
    w.remove("next");
}

#[test]
fn a_deleted_namespace() {
    need(&["ip", "nft"]);
    world(|w| {
        w.network("n", json!({"pools": [{"subnet": "10.9.0.0/24"}]}));
        for _ in 0..3 {
            w.host.run("ip", &["netns", "add", "theirs"]);
            w.sandbox_with("a", body(&[("netns", json!("/run/netns/theirs"))]));
            w.host.run("ip", &["netns", "del", "theirs"]);
            released(w);
        }
    });
}

#[test]
fn an_ended_process() {
    need(&["ip", "nft", "sleep"]);
    world(|w| {
        w.network("n", json!({"pools": [{"subnet": "10.9.0.0/24"}]}));
        for made in [true, false] {
            let a = match made {
                true => w.sandbox_with("a", body(&[])),
                false => {
                    w.host.run("ip", &["netns", "add", "theirs"]);
                    w.sandbox_with("a", body(&[("netns", json!("/run/netns/theirs"))]))
                }
            };
            let mut child = a.place.enter(|| Command::new("sleep").arg("60").spawn()).expect("sleep");
            w.call("Sandbox.Start", json!({"name": "a", "pid": child.id()}));
            assert_eq!(w.inspect("a")["status"], "running");
            child.kill().and_then(|()| child.wait()).expect("end it");
            released(w);
            assert_eq!(std::path::Path::new(a.place.path()).exists(), !made, "ours goes, theirs stays");
        }
        w.host.run("ip", &["netns", "del", "theirs"]);
    });
}

#[test]
fn a_process_that_is_not_there_is_refused() {
    need(&["ip", "nft"]);
    world(|w| {
        w.sandbox("a", &["bridge"]);
        let (kind, text) = w.refused("Sandbox.Start", json!({"name": "a", "pid": 4_000_000}));
        assert!(kind == "not_found" && text.contains("4000000"), "{kind}: {text}");
    });
}

/// A watch takes a descriptor of the daemon, and a process that another has taken the place of ends nothing any more.
#[test]
fn the_process_that_was_told_last() {
    need(&["ip", "sleep"]);
    world(|w| {
        w.sandbox_with("a", json!({"networks": [{"network": "none"}]}));
        let mut sleeps: Vec<_> =
            (0..2).map(|_| Command::new("sleep").arg("60").spawn().expect("sleep")).collect();
        let fds = || std::fs::read_dir(format!("/proc/{}/fd", w.daemon.pid())).expect("fd").count();
        for child in &sleeps {
            w.call("Sandbox.Start", json!({"name": "a", "pid": child.id()}));
        }
        let before = fds();
        for round in 0..200 {
            w.call("Sandbox.Update", json!({"name": "a", "rename": format!("a{}", round % 2)}));
            w.call("Sandbox.Update", json!({"name": format!("a{}", round % 2), "rename": "a"}));
        }
        assert!(fds() < before + 10, "{before} descriptors, and {} after 400 updates", fds());
        let mut end = || sleeps.remove(0);
        for left in [1, 0] {
            let mut child = end();
            child.kill().and_then(|()| child.wait()).expect("end it");
            if left == 1 {
                std::thread::sleep(std::time::Duration::from_millis(300));
            }
            let count = || w.call("Sandbox.List", json!({})).as_array().map(Vec::len);
            soon(1000, "it ends with the last", || count() == Some(left));
        }
    });
}
