//! What a sandbox finds inside, and how it changes while it lives.
use crate::world::{Place, need, world};
use serde_json::{Value, json};

const JUDGES: &[&str] = &["ip", "nft", "ping"];

fn route(gateway: &str, link: &str) -> Option<(String, String)> {
    Some((gateway.to_owned(), link.to_owned()))
}

#[test]
fn made_by_the_daemon() {
    need(JUDGES);
    world(|w| {
        w.dual("n", json!({"pools": [{"subnet": "10.9.0.0/24"}, {"subnet": "fd09::/64"}]}));
        let seat = json!({"network": "n", "ip": "10.9.0.77", "ip6": "fd09::77", "mac": "02:00:00:00:00:77"});
        let a = w.sandbox_with("a", json!({"networks": [seat]}));
        assert!(a.place.path().starts_with(w.daemon.run_dir().to_str().expect("path")));
        let eth0 = a.place.link("eth0");
        assert_eq!((&eth0["address"], &eth0["operstate"]), (&json!("02:00:00:00:00:77"), &json!("UP")));
        assert_eq!(a.place.addresses("eth0"), ["10.9.0.77/24", "fd09::77/64"]);
        assert_eq!(a.place.default_route(false), route("10.9.0.1", "eth0"));
        assert_eq!(a.place.default_route(true), route("fd09::1", "eth0"));
        assert!(
            a.place.ping("127.0.0.1", "1") && a.place.ping("10.9.0.1", "1") && a.place.ping("fd09::1", "1")
        );
        let b = w.sandbox("b", &["n"]);
        assert_eq!(b.ip6.len(), b.ip6.trim().len());
        assert!(b.place.ping("10.9.0.77", "1") && b.place.ping("fd09::77", "1"));
        assert!(w.host.ping(&b.ip, "1") && w.host.ping(&b.ip6, "1"));
    });
}

#[test]
fn by_the_path_of_an_existing_namespace() {
    need(JUDGES);
    world(|w| {
        w.host.run("ip", &["netns", "add", "theirs"]);
        let a = w.sandbox_with("a", json!({"netns": "/run/netns/theirs"}));
        assert_eq!(a.place.path(), "/run/netns/theirs");
        assert_eq!(a.place.addresses("eth0"), [format!("{}/16", a.ip)]);
        let (kind, text) = w.refused("Sandbox.Create", json!({"name": "b", "netns": "/run/netns/theirs"}));
        assert!(kind == "conflict" && text.contains("belongs to sandbox a"), "{text}");
        w.remove("a");
        // The namespace is theirs: it stays, without us.
        let theirs = Place::named("theirs");
        assert_eq!(theirs.link("eth0"), Value::Null);
        assert_eq!(theirs.run("nft", &["list", "ruleset"]), "");
        w.sandbox_with("b", json!({"netns": "/run/netns/theirs"}));
        w.remove("b");
        w.host.run("ip", &["netns", "del", "theirs"]);
    });
}

#[test]
fn host_none_and_shared() {
    need(JUDGES);
    world(|w| {
        w.sandbox("h", &["host"]);
        assert_eq!(w.inspect("h")["networks"], json!([]));
        let n = w.sandbox("n", &["none"]);
        assert_eq!(n.place.ip(&["link"]).as_array().map(Vec::len), Some(1), "lo alone");
        assert!(n.place.ping("127.0.0.1", "1"), "lo is up");
        w.sandbox("a", &["bridge"]);
        w.sandbox("b", &["sandbox:a"]);
        let (kind, text) = w.refused("Sandbox.Remove", json!({"name": "a"}));
        assert!(kind == "conflict" && text.contains('b'), "{text}");
        for name in ["h", "b"] {
            let body = json!({"sandbox": name, "endpoint": {"network": "bridge"}});
            assert_eq!(w.refused("Network.Connect", body).0, "invalid", "{name}");
        }
    });
}

#[test]
fn live_connect_and_disconnect_move_the_default_route() {
    need(JUDGES);
    world(|w| {
        for (name, subnet, six) in [("one", "10.1.0.0/24", "fd01::/64"), ("two", "10.2.0.0/24", "fd02::/64")]
        {
            w.dual(name, json!({"pools": [{"subnet": subnet}, {"subnet": six}]}));
        }
        w.network("secret", json!({"internal": true, "pools": [{"subnet": "10.3.0.0/24"}]}));
        let a = w.sandbox("a", &["secret"]);
        assert_eq!(a.place.default_route(false), None, "an internal network leads nowhere");
        let join = |network: &str, priority: i32| {
            w.call(
                "Network.Connect",
                json!({"sandbox": "a", "endpoint": {"network": network, "priority": priority}}),
            )
        };
        assert_eq!(join("one", 0)["ifname"], "eth1");
        assert_eq!(a.place.default_route(false), route("10.1.0.1", "eth1"));
        join("two", 10);
        assert_eq!(a.place.default_route(false), route("10.2.0.1", "eth2"));
        assert_eq!(a.place.default_route(true), route("fd02::1", "eth2"));
        assert_eq!(w.inspect("a")["gateway_network"], "two");
        for (network, gone, there) in [("two", "eth2", "10.1.0.1"), ("secret", "eth0", "10.1.0.1")] {
            w.call("Network.Disconnect", json!({"network": network, "sandbox": "a"}));
            assert_eq!(a.place.link(gone), Value::Null, "{network}");
            assert_eq!(a.place.default_route(false), route(there, "eth1"), "after leaving {network}");
            assert_eq!(a.place.default_route(true), route("fd01::1", "eth1"));
        }
        assert!(a.place.ping("10.1.0.1", "1"));
        let (kind, _) = w.refused("Network.Disconnect", json!({"network": "two", "sandbox": "a"}));
        assert_eq!(kind, "not_found");
    });
}

#[test]
fn a_removed_sandbox_frees_its_name_and_address() {
    need(JUDGES);
    world(|w| {
        w.network("n", json!({"pools": [{"subnet": "10.9.0.0/24"}]}));
        let body = json!({"networks": [{"network": "n", "ip": "10.9.0.7", "ifname": "wan0", "aliases": ["x"]}], "ports": [{"host_port": 8080, "port": 80}]});
        for _ in 0..20 {
            let a = w.sandbox_with("a", body.clone());
            assert_eq!(a.place.addresses("wan0"), ["10.9.0.7/24"]);
            assert!(w.host.ping("10.9.0.7", "1"));
            w.remove("a");
            assert!(!std::path::Path::new(a.place.path()).exists());
            let links = w.host.run("ip", &["-o", "link", "show", "type", "veth"]);
            assert_eq!(links, "", "the host's end is gone at once");
        }
        let (one, two) = (w.sandbox("one", &["n"]), w.sandbox("two", &["n"]));
        w.remove("one");
        let three = w.sandbox("three", &["n"]);
        assert!(three.ip != one.ip && three.ip != two.ip, "a freed address is not given out at once");
    });
}
