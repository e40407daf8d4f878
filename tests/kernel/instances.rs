//! Several daemons on one host, none in the other's way.
use crate::world::{Daemon, Echo, Place, bare_world, echo, left, need};
use serde_json::json;

#[test]
fn three_side_by_side() {
    need(&["ip", "nft", "dig"]);
    bare_world(|| {
        let before = left::Found::now();
        let all: Vec<Daemon> = ["default", "blue", "green"].map(Daemon::start).into();
        let host = Place::named("host");
        let mut echoes = Vec::new();
        let mut subnets = Vec::new();
        for (i, daemon) in all.iter().enumerate() {
            daemon.call("Network.Create", json!({"name": "n"}));
            for network in ["n", "bridge"] {
                let n = daemon.call("Network.Inspect", json!({ "name": network }));
                subnets.push(n["subnets"][0]["subnet"].to_string());
            }
            let ports = json!([{"host_port": 8080 + i, "port": 80}, {"host_port": 8080 + i, "port": 80, "proto": "udp"}]);
            daemon
                .call("Sandbox.Create", json!({"name": "a", "networks": [{"network": "n"}], "ports": ports}));
            daemon.call("Sandbox.Create", json!({"name": "b", "networks": [{"network": "n"}]}));
            let place = Place::at(daemon.run_dir().join("netns/a"));
            echoes.push(Echo::serve(&place, &format!("d{i}"), 80));
        }
        let count = subnets.len();
        subnets.sort();
        subnets.dedup();
        assert_eq!(subnets.len(), count, "no two networks overlap: {subnets:?}");
        for (i, daemon) in all.iter().enumerate() {
            echo::open(&host, &format!("127.0.0.1:{}", 8080 + i), &format!("d{i}"));
            let b = Place::at(daemon.run_dir().join("netns/b"));
            assert!(b.dig(&["a."]).starts_with("1"), "names of its own");
            let taken = json!({"name": "c", "ports": [{"host_port": 8080 + (i + 1) % 3, "port": 80}]});
            assert_eq!(daemon.refused("Sandbox.Create", taken).0, "conflict");
            // Through the host's address another instance's published port is reached, its sandbox is not.
            let other = all[(i + 1) % 3].call("Sandbox.Inspect", json!({"name": "a"}));
            let ip = other["networks"][0]["addresses"][0]
                .as_str()
                .and_then(|a| a.split('/').next())
                .expect("ip")
                .to_owned();
            echo::closed(&b, &format!("{ip}:80"));
        }
        all[1].leave();
        for i in [0, 2] {
            echo::open(&host, &format!("127.0.0.1:{}", 8080 + i), &format!("d{i}"));
        }
        drop(echoes);
        all[0].leave();
        all[2].leave();
        left::same(&before, &left::Found::now());
    });
}

#[test]
fn a_second_daemon_on_the_same_socket_is_refused() {
    need(&["ip", "nft"]);
    bare_world(|| {
        let one = Daemon::start("default");
        let args = ["daemon", "--root", "/run/other", "--run", "/run/default/run", "--instance", "other"];
        let (fine, text) = crate::world::tool::try_run(env!("CARGO_BIN_EXE_pontoon"), &args);
        assert!(!fine && text.contains("another daemon"), "{text}");
        one.call("System.Info", json!({}));
        one.leave();
    });
}

/// Whoever replaces the program stops the old one first. Who forgets that is told whom to stop, and nothing happens.
#[test]
fn a_second_daemon_is_refused_and_told_whom_to_stop() {
    need(&["ip", "nft", "dig"]);
    bare_world(|| {
        let one = Daemon::start("default");
        let ports = json!([{"host_port": 8080, "port": 80}]);
        one.call("Sandbox.Create", json!({"name": "a", "ports": ports}));
        let before = one.call("Sandbox.List", json!({}));
        let (root, run, pid) = (one.root(), one.run_dir(), format!("pid {}", one.pid()));
        let (root, run) = (root.to_str().expect("root"), run.to_str().expect("run"));
        let second = |args: &[&str]| {
            let all: Vec<&str> = ["daemon"].iter().chain(args).copied().collect();
            let (fine, text) = crate::world::tool::try_run(env!("CARGO_BIN_EXE_pontoon"), &all);
            assert!(!fine, "{args:?}: it was started");
            assert!(text.contains(&pid) && text.trim().lines().count() == 1, "{args:?}: {text}");
            text
        };
        assert!(second(&["--root", root, "--run", run]).contains("instance default"));
        assert!(second(&["--root", "/run/other", "--run", "/run/elsewhere"]).contains("instance default"));
        let text = second(&["--root", root, "--run", "/run/elsewhere", "--instance", "other"]);
        assert!(text.contains("state.redb") && text.contains("--root"), "{text}");
        assert_eq!(one.call("Sandbox.List", json!({})), before, "the first one goes on");
        assert!(Place::at(one.run_dir().join("netns/a")).dig(&["a."]).starts_with("172."));
        one.leave();
    });
}
