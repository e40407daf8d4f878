//! Whole objects: the keys and values that clients read.
use crate::{
    raw::ask,
    world::{http, world},
};
use serde_json::{Value, json};

/// Every (pointer, value) is so.
fn has(value: &Value, wanted: &[(&str, Value)]) {
    for (pointer, wanted) in wanted {
        assert_eq!(value.pointer(pointer), Some(wanted), "{pointer} of {value:#}");
    }
}

#[test]
fn a_sandbox_is_a_container() {
    world(|w| {
        let ports = json!([{ "port": 80, "host_port": 8080 }, { "port": 53, "host_port": 5353, "host_ip": "127.0.0.1", "proto": "udp" }]);
        w.network(
            "net",
            json!({ "ipv6": true, "pools": [{ "subnet": "10.50.0.0/16" }, { "subnet": "fd00:50::/64" }] }),
        );
        let web = w.sandbox_with("web", json!({ "networks": [{ "network": "net", "aliases": ["www"] }], "ports": ports, "labels": { "a": "b" } }));
        let page = ask(w, &format!("GET /v1.44/containers/{}/json", &web.id[..12]), "").json();
        has(
            &page,
            &[
                ("/Name", json!("/web")),
                ("/State/Running", json!(true)),
                ("/Config/Labels/a", json!("b")),
                ("/HostConfig/NetworkMode", json!("net")),
                (
                    "/NetworkSettings/Ports/80~1tcp",
                    json!([{ "HostIp": "0.0.0.0", "HostPort": "8080" }, { "HostIp": "::", "HostPort": "8080" }]),
                ),
                ("/NetworkSettings/Ports/53~1udp", json!([{ "HostIp": "127.0.0.1", "HostPort": "5353" }])),
                ("/NetworkSettings/SandboxKey", json!("/run/default/run/netns/web")),
                ("/NetworkSettings/Networks/net/IPAddress", json!(web.ip)),
                ("/NetworkSettings/Networks/net/IPPrefixLen", json!(16)),
                ("/NetworkSettings/Networks/net/Gateway", json!("10.50.0.1")),
                ("/NetworkSettings/Networks/net/GlobalIPv6Address", json!(web.ip6)),
                ("/NetworkSettings/Networks/net/Aliases", json!(["www"])),
                ("/NetworkSettings/IPAddress", json!("")),
            ],
        );
        let list = ask(w, "GET /containers/json", "").json();
        has(
            &list,
            &[
                ("/0/Id", json!(web.id)),
                ("/0/Names", json!(["/web"])),
                ("/0/State", json!("running")),
                (
                    "/0/Ports/0",
                    json!({ "IP": "0.0.0.0", "PrivatePort": 80, "PublicPort": 8080, "Type": "tcp" }),
                ),
                ("/0/NetworkSettings/Networks/net/IPAddress", json!(web.ip)),
            ],
        );
        let net = ask(w, "GET /networks/net", "").json();
        has(
            &net,
            &[
                ("/Scope", json!("local")),
                ("/EnableIPv4", json!(true)),
                ("/EnableIPv6", json!(true)),
                (
                    "/IPAM/Config",
                    json!([{ "Subnet": "10.50.0.0/16", "Gateway": "10.50.0.1" }, { "Subnet": "fd00:50::/64", "Gateway": "fd00:50::1" }]),
                ),
                (&format!("/Containers/{}/Name", web.id), json!("web")),
                (&format!("/Containers/{}/IPv4Address", web.id), json!(format!("{}/16", web.ip))),
            ],
        );
        assert_eq!(ask(w, "DELETE /containers/web", "").status, 204);
        assert_eq!(ask(w, "GET /containers/web/json", "").status, 404);
    });
}

#[test]
fn events_come_in_order() {
    world(|w| {
        let started = "since=0";
        w.network("net", json!({}));
        w.sandbox_with("box", json!({ "labels": { "label": "kept" } }));
        let id = w.look("box").id;
        ask(w, "POST /networks/net/connect", r#"{"Container":"box"}"#);
        ask(w, "POST /networks/net/disconnect", r#"{"Container":"box"}"#);
        ask(w, "POST /volumes/create", r#"{"Name":"data"}"#);
        ask(w, "DELETE /volumes/data", "");
        let mut live = http::open(&w.daemon.socket(), "GET", "/events?since=0", b"").expect("events");
        http::head(&mut live).expect("head");
        w.remove("box");
        // Who listens meanwhile hears whom it was about; later only that it was.
        let ends = std::iter::from_fn(|| http::next_line(&mut live)).find(|event| event["Action"] == "die");
        let ends = ends.expect("an end");
        has(
            &ends,
            &[
                ("/Actor/Attributes/name", json!("box")),
                ("/Actor/Attributes/label", json!("kept")),
                ("/status", json!("die")),
            ],
        );
        let left = http::next_line(&mut live).expect("one more");
        has(&left, &[("/Action", json!("disconnect")), ("/Actor/Attributes/name", json!("bridge"))]);
        drop(live);
        let until = jiff::Timestamp::now().as_second() + 1;
        let answer = ask(w, &format!("GET /events?{started}&until={until}"), "");
        assert_eq!(answer.header("Content-Type"), Some("application/json"));
        let events: Vec<Value> = answer
            .body
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .filter(Value::is_object)
            .collect();
        let told: Vec<String> = events
            .iter()
            .map(|event| {
                format!("{} {}", event["Type"].as_str().unwrap_or(""), event["Action"].as_str().unwrap_or(""))
            })
            .collect();
        let wanted = [
            "network create",
            "container create",
            "network connect",
            "container start",
            "network connect",
            "network disconnect",
            "volume create",
            "volume destroy",
            "container die",
            "network disconnect",
            "container destroy",
        ];
        let ours: Vec<&str> = told.iter().map(String::as_str).filter(|told| wanted.contains(told)).collect();
        assert_eq!(ours, wanted, "{told:?}");
        let connect = events.iter().rfind(|event| event["Action"] == "connect").expect("connect");
        has(
            connect,
            &[
                ("/Actor/Attributes/name", json!("net")),
                ("/Actor/Attributes/type", json!("bridge")),
                ("/Actor/Attributes/container", json!(id)),
                ("/scope", json!("local")),
            ],
        );
        let only = ask(
            w,
            &format!("GET /events?since=0&until={}&filters=%7B%22type%22%3A%5B%22volume%22%5D%7D", until - 1),
            "",
        );
        assert!(!only.body.contains("network"), "{}", only.body);
    });
}
