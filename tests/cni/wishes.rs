//! What runtimes really send: Podman's and containerd's spellings, static addresses, chains, foreign address plugins.
use crate::world::{Seat, addresses, call, config, netns, seat, world};
use serde_json::{Value, json};
use std::process::Command;

fn inspect(name: &str) -> Value {
    let output =
        Command::new(env!("CARGO_BIN_EXE_pontoon")).args(["sandbox", "inspect", name]).output().expect("run");
    serde_json::from_slice::<Value>(&output.stdout).expect("JSON")[0].clone()
}

#[test]
fn podman_and_containerd_spell_differently() {
    let podman = json!({"aliases": {"n": ["al1", "0123456789ab"]}, "portMappings": [
        {"hostPort": 8000, "containerPort": 80, "protocol": "tcp"}, {"hostPort": 8001, "containerPort": 81, "protocol": "tcp"}]});
    let cri = json!({"bandwidth": {"IngressRate": 1000}, "dns": {"Servers": ["10.96.0.10"], "Searches": ["svc.local"], "Options": []},
        "io.kubernetes.cri.pod-annotations": {"a": "b"},
        "portMappings": [{"HostPort": 8080, "ContainerPort": 80, "Protocol": "TCP", "HostIP": ""}]});
    world(|_| {
        let ns = netns("a");
        let id = "ab".repeat(32);
        for (args, runtime, name, ports) in [
            ("IgnoreUnknown=1;K8S_POD_NAME=web1", podman, "web1", json!([8000, 80, 2])),
            (
                "K8S_POD_NAME=web;K8S_POD_NAMESPACE=prod;K8S_POD_UID=1;Odd",
                cri,
                "web.prod",
                json!([8080, 80, 1]),
            ),
        ] {
            let list = config(
                "1.0.0",
                "n",
                json!({ "subnets": ["10.44.0.0/24", "fd44::/64"], "runtimeConfig": runtime }),
            );
            let seat = Seat { args, ..seat(&id, &ns) };
            let result = call("ADD", seat, &list).fine();
            assert_eq!(result["ips"].as_array().map(Vec::len), Some(2), "both families");
            assert_eq!(result["dns"]["nameservers"], json!(["127.0.0.11"]));
            let sandbox = inspect(name);
            assert_eq!(sandbox["id"], json!(id));
            let port = &sandbox["ports"][0];
            assert_eq!(json!([port["host_port"], port["port"], port["count"]]), ports);
            call("DEL", seat, &list).fine();
        }
    });
}

#[test]
fn static_addresses() {
    world(|_| {
        let ns = netns("a");
        let made = |more: Value| {
            let mut list =
                config("1.0.0", "n", json!({ "subnet": "10.44.0.0/24", "gateway": "10.44.0.254" }));
            for (key, value) in more.as_object().expect("object") {
                list[key] = value.clone();
            }
            list
        };
        for (args, more) in [
            ("IP=10.44.0.9;MAC=02:00:00:00:00:09", json!({})),
            ("", json!({ "runtimeConfig": { "ips": ["10.44.0.9/24"], "mac": "02:00:00:00:00:09" } })),
            ("", json!({ "args": { "cni": { "ips": ["10.44.0.9"], "mac": "02:00:00:00:00:09" } } })),
        ] {
            let (seat, list) = (Seat { args, ..seat("c1", &ns) }, made(more));
            let result = call("ADD", seat, &list).fine();
            assert_eq!(addresses(&ns, "eth0"), Some(vec!["10.44.0.9/24".to_owned()]));
            assert_eq!(result["ips"][0]["gateway"], "10.44.0.254");
            assert_eq!(result["interfaces"][1]["mac"], "02:00:00:00:00:09");
            call("DEL", seat, &list).fine();
        }
    });
}

#[test]
fn behind_another_plugin() {
    world(|_| {
        let ns = netns("a");
        let previous = json!({ "cniVersion": "1.0.0", "interfaces": [{ "name": "x0" }], "ips": [{ "address": "192.0.2.9/24", "interface": 0 }] });
        let list = config("1.0.0", "n", json!({ "subnet": "10.44.0.0/24", "prevResult": previous }));
        let result = call("ADD", seat("c1", &ns), &list).fine();
        assert_eq!(result["interfaces"][0], previous["interfaces"][0]);
        assert_eq!(result["ips"][0], previous["ips"][0]);
        assert_eq!(
            (&result["ips"][1]["interface"], &result["interfaces"][2]["name"]),
            (&json!(2), &json!("eth0"))
        );
    });
}

#[test]
fn a_foreign_plugin_chooses_addresses() {
    if !std::path::Path::new("/usr/lib/cni/host-local").exists() {
        assert!(std::env::var("PONTOON_TEST_REQUIRE").as_deref() != Ok("1"), "host-local is missing");
        return eprintln!("skipped: host-local of containernetworking-plugins is missing");
    }
    world(|_| {
        let ns = netns("a");
        let ipam = json!({ "type": "host-local", "dataDir": "/run/hl", "ranges": [[{ "subnet": "10.46.0.0/24", "rangeStart": "10.46.0.50" }]] });
        let list = config("1.0.0", "n", json!({ "ipam": ipam }));
        let given = || {
            std::fs::read_dir("/run/hl/n")
                .expect("folder")
                .flatten()
                .filter(|e| e.file_name().to_string_lossy().starts_with("10."))
                .count()
        };
        call("ADD", seat("c1", &ns), &list).fine();
        assert_eq!((addresses(&ns, "eth0"), given()), (Some(vec!["10.46.0.50/24".to_owned()]), 1));
        assert_eq!(call("ADD", Seat { ifname: "lo", ..seat("c2", &ns) }, &list).code, 1);
        assert_eq!(given(), 1, "what a failed ADD took is given back");
        for _ in 0..2 {
            call("DEL", seat("c1", ""), &list).fine();
        }
        assert_eq!((addresses(&ns, "eth0"), given()), (None, 0));
    });
}
