//! What is refused, with which words, and that nothing of it stays.
use crate::world::{left, need, world};
use serde_json::json;

#[test]
fn refusals_leave_nothing_behind() {
    need(&["ip", "nft"]);
    world(|w| {
        w.network("taken", json!({"pools": [{"subnet": "10.9.0.0/16"}], "options": {"name": "takenbr"}}));
        w.host.run("ip", &["link", "add", "hostbr", "type", "bridge"]);
        let pool = |pool: serde_json::Value| json!({"name": "n", "pools": [pool]});
        let option = |key: &str, value: &str| json!({"name": "n", "options": {key: value}});
        let before = left::Found::now();
        for (body, kind, words) in [
            (pool(json!({"subnet": "10.9.1.0/24"})), "conflict", "taken"),
            (pool(json!({"subnet": "10.8.0.0/24", "gateway": "10.7.0.1"})), "invalid", "10.7.0.1"),
            (pool(json!({"subnet": "10.8.0.0/24", "range": "10.7.0.0/25"})), "invalid", "10.7.0.0/25"),
            (pool(json!({"subnet": "10.8.0.0/24", "aux": {"x": "10.7.0.1"}})), "invalid", "10.7.0.1"),
            (pool(json!({"subnet": "10.8.0.0/33"})), "invalid", "10.8.0.0/33"),
            (pool(json!({"subnet": "nonsense"})), "invalid", "nonsense"),
            (
                json!({"name": "n", "pools": [{"subnet": "10.8.0.0/24"}, {"subnet": "10.8.0.0/25"}]}),
                "",
                "10.8.0.0",
            ),
            (json!({"name": "n", "pools": [{"gateway": "10.8.0.1"}]}), "invalid", "subnet"),
            (json!({"name": "n", "ipv4": false}), "invalid", "IPv4"),
            (option("com.docker.network.bridge.nonsense", "1"), "invalid", "nonsense"),
            (option("mtu", "12"), "invalid", "mtu"),
            (option("icc", "maybe"), "invalid", "icc"),
            (option("gateway-mode", "isolated"), "invalid", "isolated"),
            (option("name", "takenbr"), "conflict", "taken"),
            (option("name", "hostbr"), "conflict", "hostbr"),
            (option("name", "a-name-that-is-too-long"), "invalid", "a-name-that-is-too-long"),
            (json!({"name": "taken"}), "conflict", "taken"),
            (json!({"name": "bridge"}), "denied", "bridge"),
            (json!({"name": "none"}), "denied", "none"),
            (json!({"name": "../x"}), "invalid", "../x"),
            (json!({"name": ""}), "invalid", "name"),
            (json!({"name": "n", "driver": "host"}), "denied", "host"),
            (json!({"name": "n", "driver": "macvlan"}), "invalid", "parent"),
            (json!({"name": "n", "driver": "macvlan", "options": {"parent": "nix0"}}), "not_found", "nix0"),
        ] {
            let (is, text) = w.refused("Network.Create", body.clone());
            assert!((kind.is_empty() || is == kind) && text.contains(words), "{body}: {is}: {text}");
            assert!(!text.contains('\n'), "one line: {text}");
        }
        left::same(&before, &left::Found::now());
        w.host.run("ip", &["link", "del", "hostbr"]);
    });
}

#[test]
fn refused_sandboxes_leave_nothing_behind() {
    need(&["ip", "nft"]);
    world(|w| {
        w.network("n", json!({"pools": [{"subnet": "10.9.0.0/24"}]}));
        w.sandbox_with("a", json!({"networks": [{"network": "n", "ip": "10.9.0.7"}]}));
        let net = |more: serde_json::Value| {
            let mut more = more;
            more["network"] = json!("n");
            json!({"name": "b", "networks": [more]})
        };
        let before = left::Found::now();
        for (body, kind, words) in [
            (net(json!({"ip": "10.9.0.7"})), "conflict", "10.9.0.7"),
            (net(json!({"ip": "10.9.0.1"})), "", "10.9.0.1"),
            (net(json!({"ip": "10.9.0.255"})), "", "10.9.0.255"),
            (net(json!({"ip": "10.8.0.7"})), "invalid", "10.8.0.7"),
            (net(json!({"ip6": "fd00::7"})), "invalid", "n"),
            (net(json!({"aliases": ["not an alias"]})), "invalid", "not an alias"),
            (net(json!({"ifname": "lo"})), "invalid", "lo"),
            (net(json!({"mac": "01:00:00:00:00:01"})), "invalid", ""),
            (json!({"name": "a"}), "conflict", "a"),
            (json!({"name": "b", "networks": [{"network": "nowhere"}]}), "not_found", "nowhere"),
            (json!({"name": "b", "networks": [{"network": "n"}, {"network": "n"}]}), "conflict", "n"),
            (json!({"name": "b", "networks": [{"network": "n"}, {"network": "host"}]}), "invalid", "host"),
            (json!({"name": "b", "netns": "/run/netns/nowhere"}), "not_found", "/run/netns/nowhere"),
            (json!({"name": "b", "netns": "/run/resolv.conf"}), "", "/run/resolv.conf"),
            (
                json!({"name": "b", "networks": [{"network": "n"}], "ports": [{"port": 0}]}),
                "invalid",
                "65535",
            ),
        ] {
            let (is, text) = w.refused("Sandbox.Create", body.clone());
            assert!((kind.is_empty() || is == kind) && text.contains(words), "{body}: {is}: {text}");
        }
        left::same(&before, &left::Found::now());
        let used = &w.call("Network.Inspect", json!({"name": "n"}))["subnets"][0]["used"];
        assert_eq!(used, 1, "addresses of refused sandboxes are free");
    });
}
