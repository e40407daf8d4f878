//! 127.0.0.11 inside a sandbox: what it answers, to whom.
use crate::world::{Echo, need, world};
use serde_json::json;

const JUDGES: &[&str] = &["ip", "nft", "dig"];

#[test]
fn every_name_of_a_neighbour() {
    need(JUDGES);
    world(|w| {
        w.dual("n", json!({"pools": [{"subnet": "10.9.0.0/24"}, {"subnet": "fd09::/64"}]}));
        let seat =
            json!({"network": "n", "ip": "10.9.0.7", "ip6": "fd09::7", "aliases": ["db", "store.local"]});
        let b = w.sandbox_with("Redis", json!({"networks": [seat], "hostname": "cache1"}));
        let a = w.sandbox("a", &["n"]);
        let short = b.id[..12].to_owned();
        for name in
            ["Redis", "redis", "REDIS.", "db", "DB.n", "store.local", "cache1", &short, "redis.n", "cache1.n"]
        {
            assert_eq!(a.place.dig(&[name]), "10.9.0.7", "{name}");
            assert_eq!(a.place.dig(&[name, "AAAA"]), "fd09::7", "{name}");
            assert_eq!(a.place.dig(&["+tcp", name]), "10.9.0.7", "{name} by TCP");
        }
        assert_eq!(a.place.dig(&["-x", "10.9.0.7"]), "Redis.n.");
        assert_eq!(a.place.dig(&["-x", "fd09::7"]), "Redis.n.");
        assert_eq!(a.place.dig(&["a."]), a.ip, "it knows itself");
        for unknown in ["nobody", "redis.other", "n"] {
            let says = a.place.dig(&[unknown]);
            assert!(["NXDOMAIN", "SERVFAIL"].contains(&says.as_str()), "{unknown}: {says}");
        }
        let text = a.place.run("dig", &["@127.0.0.11", "redis", "MX"]);
        assert!(text.contains("status: NOERROR") && text.contains("ANSWER: 0"), "{text}");
    });
}

#[test]
fn a_family_that_it_has_not_is_an_empty_answer() {
    need(JUDGES);
    world(|w| {
        w.network("four", json!({}));
        w.network("six", json!({"ipv6": true, "ipv4": false}));
        w.sandbox("b4", &["four"]);
        w.sandbox("b6", &["six"]);
        for (network, name, kind) in [("four", "b4", "AAAA"), ("six", "b6", "A")] {
            let a = w.sandbox(&format!("a-{network}"), &[network]);
            let text = a.place.run("dig", &["@127.0.0.11", name, kind]);
            assert!(text.contains("status: NOERROR") && text.contains("ANSWER: 0"), "{text}");
        }
    });
}

#[test]
fn only_what_shares_a_network_is_seen() {
    need(JUDGES);
    world(|w| {
        w.network("one", json!({}));
        w.network("two", json!({}));
        let (a, b) = (w.sandbox("a", &["one"]), w.sandbox("b", &["two"]));
        let unknown = |says: String| assert!(says == "NXDOMAIN" || says == "SERVFAIL", "{says}");
        unknown(a.place.dig(&["b"]));
        unknown(a.place.dig(&["b.two"]));
        unknown(a.place.dig(&["-x", &b.ip]));
        w.call(
            "Network.Connect",
            json!({"sandbox": "a", "endpoint": {"network": "two", "aliases": ["guest"]}}),
        );
        assert_eq!(a.place.dig(&["b"]), b.ip, "at once after the connect");
        assert_ne!(b.place.dig(&["guest"]), a.ip, "its address in two, not in one");
        assert!(b.place.dig(&["a."]).starts_with("172."));
        w.call("Network.Disconnect", json!({"sandbox": "a", "network": "two"}));
        unknown(a.place.dig(&["b"]));
        unknown(b.place.dig(&["a."]));
        unknown(b.place.dig(&["guest"]));
    });
}

#[test]
fn shared_aliases_go_round() {
    need(JUDGES);
    world(|w| {
        w.network("n", json!({}));
        let seat = json!([{"network": "n", "aliases": ["web"]}]);
        let all: Vec<String> =
            (0..3).map(|i| w.sandbox_with(&format!("w{i}"), json!({"networks": seat})).ip).collect();
        let a = w.sandbox("a", &["n"]);
        let mut first = std::collections::BTreeSet::new();
        for _ in 0..12 {
            let says = a.place.dig(&["web"]);
            let mut answers: Vec<&str> = says.split(' ').collect();
            first.insert(answers[0].to_owned());
            answers.sort_unstable();
            let mut all: Vec<&str> = all.iter().map(String::as_str).collect();
            all.sort_unstable();
            assert_eq!(answers, all);
        }
        assert!(first.len() > 1, "always the same first: {first:?}");
    });
}

#[test]
fn links_give_a_private_alias() {
    need(JUDGES);
    world(|w| {
        w.network("n", json!({}));
        let db = w.sandbox("postgres", &["n"]);
        let a = w.sandbox_with("a", json!({"networks": [{"network": "n", "links": {"db": "postgres"}}]}));
        let b = w.sandbox("b", &["n"]);
        assert_eq!(a.place.dig(&["db"]), db.ip);
        assert_ne!(b.place.dig(&["db"]), db.ip, "the link is a's alone");
    });
}

#[test]
fn the_default_bridge_has_names_unless_told_otherwise() {
    need(JUDGES);
    world(|w| {
        let (a, b) = (w.sandbox("a", &["bridge"]), w.sandbox("b", &["bridge"]));
        assert_eq!(a.place.dig(&["b"]), b.ip);
        assert!(
            w.inspect("a")["files"]["resolv_conf"]
                .as_str()
                .is_some_and(|text| text.contains("nameserver 127.0.0.11"))
        );
    });
}

#[test]
fn a_sandbox_may_run_its_own_server() {
    need(JUDGES);
    world(|w| {
        w.network("n", json!({}));
        let (a, b) = (w.sandbox("a", &["n"]), w.sandbox("b", &["n"]));
        let _own = Echo::serve(&a.place, "own", 53);
        assert_eq!(a.place.dig(&["b"]), b.ip, "ours still answers at 127.0.0.11");
        for (from, to) in [(&a.place, "127.0.0.1:53".to_owned()), (&b.place, format!("{}:53", a.ip))] {
            crate::world::echo::open(from, &to, "own");
        }
        // Others cannot ask a's resolver through a's address.
        let (_, text) =
            b.place.try_run("dig", &["+tries=1", "+time=1", "-p", "40053", &format!("@{}", a.ip), "b"]);
        assert!(!text.contains("status: NOERROR"), "{text}");
    });
}

#[test]
fn strict_as_docker_the_default_bridge_has_no_names() {
    need(JUDGES);
    world(|w| {
        let config = "resolv_conf = \"/run/resolv.conf\"\ndefault_bridge_names = false\n";
        std::fs::write("/run/default/pontoon.toml", config).expect("configuration");
        std::fs::write("/run/resolv.conf", "nameserver 192.0.2.53\n").expect("resolv.conf");
        w.daemon.stop();
        w.daemon.again();
        let a = w.sandbox("a", &["bridge"]);
        w.sandbox("b", &["bridge"]);
        assert_eq!(a.place.dig(&["b"]), "TIMEOUT");
        let files = w.inspect("a")["files"]["resolv_conf"].to_string();
        assert!(files.contains("192.0.2.53") && !files.contains("127.0.0.11"), "{files}");
    });
}
