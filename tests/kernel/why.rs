//! `System.Why`: whoever asks why a connection fails is told the cause and the way out, and never that a working one fails.
use crate::world::{Echo, World, echo, need, world, world_with_neighbours};
use serde_json::{Value, json};

const JUDGES: &[&str] = &["ip", "nft"];

/// The worst level of all findings, and what they say, remedies behind arrows.
fn why(w: &World, from: &str, to: &str) -> (String, String) {
    let findings = w.call("System.Why", json!({"from": from, "to": to}));
    let findings = findings.as_array().expect("findings");
    let text = |finding: &Value, key: &str| finding[key].as_str().unwrap_or_default().to_owned();
    let worst =
        findings.iter().map(|finding| text(finding, "level")).max_by_key(|level| match level.as_str() {
            "problem" => 2,
            "warning" => 1,
            _ => 0,
        });
    let line = |f: &Value| format!("{}: {} -> {}", text(f, "check"), text(f, "message"), text(f, "remedy"));
    (worst.unwrap_or_default(), findings.iter().map(line).collect::<Vec<_>>().join("\n"))
}

#[track_caller]
fn says(w: &World, (from, to): (&str, &str), level: &str, parts: &[&str]) {
    let (worst, text) = why(w, from, to);
    assert_eq!(worst, level, "{from} to {to}:\n{text}");
    for part in parts {
        assert!(text.contains(part), "{from} to {to}: no {part:?} in\n{text}");
    }
}

#[test]
fn what_people_get_wrong() {
    need(JUDGES);
    world(|w| {
        w.network("front", json!({}));
        w.network("back", json!({"pools": [{"subnet": "10.8.0.0/24"}]}));
        w.network("quiet", json!({"internal": true}));
        w.network("apart", json!({"options": {"icc": "false"}}));
        w.sandbox("web", &["front", "back"]);
        let alone = json!({"networks": [{"network": "front"}], "hosts": [["old", "10.8.0.9"]]});
        w.sandbox_with("alone", alone);
        let db = json!({
            "networks": [{"network": "back", "ip": "10.8.0.9", "aliases": ["store"]}],
            "ports": [{"host_port": 15432, "port": 5432}, {"host_ip": "127.0.0.1", "host_port": 9000, "port": 90}],
        });
        let db = w.sandbox_with("db", db);
        let (one, two) = (w.sandbox("one", &["apart"]), w.sandbox("two", &["apart"]));
        w.sandbox("shy", &["quiet"]);
        let _five = Echo::at(&db.place, "db", "0.0.0.0:5432");
        let _own = Echo::at(&db.place, "db", "127.0.0.1:6379");
        let _nine = Echo::serve(&db.place, "db", 90);
        let _one = Echo::serve(&one.place, "one", 80);
        drop(two);

        let works: &[&str] = &["10.8.0.9:5432 takes connections", "neighbours on back"];
        says(w, ("web", "db:5432"), "ok", works);
        says(w, ("web", "STORE.back:5432"), "ok", works);
        says(w, ("web", "10.8.0.9:5432"), "ok", works);
        says(w, ("host", ":15432"), "ok", &["127.0.0.1:15432 takes connections", "leads to db"]);
        says(w, ("host", ":9000"), "ok", &["127.0.0.1:9000 takes connections"]);
        says(w, ("alone", ":15432"), "ok", &["15432 takes connections"]);
        says(
            w,
            ("web", "db:5432/udp"),
            "warning",
            &["a program of db listens on 0.0.0.0:5432", "over UDP nobody"],
        );
        says(w, ("host", "db:5432"), "warning", &["db is 10.8.0.9", "takes connections"]);

        for (connection, parts) in [
            // the wrong network, the wrong name
            (
                ("alone", "db:5432"),
                &["db (10.8.0.9) is on back, alone on front", "network connect back alone"][..],
            ),
            (
                ("alone", "10.8.0.9:5432"),
                &["nothing passes", "network connect back alone", "says nothing for 1s"],
            ),
            (("alone", "old:5432"), &["/etc/hosts", "nothing passes from network to network"]),
            (("web", "dbb:5432"), &["no neighbour of web is called dbb", "its neighbours are alone, db"]),
            (("host", "dbb:5432"), &["no sandbox is called dbb", "pontoon sandbox ls"]),
            // the wrong port, the wrong address
            (
                ("web", "db:15432"),
                &["nobody listens on 15432/tcp in db", "neighbours ask db:5432", "refuses"],
            ),
            (("web", "db:99"), &["what is open there: 90/tcp, 5432/tcp, 6379/tcp"]),
            (("web", "db:6379"), &["listens on 127.0.0.1:6379 only", "listen on 0.0.0.0:6379", "refuses"]),
            (("web", "localhost:5432"), &["that is web itself", "nobody listens", "is its program running?"]),
            // walls that somebody wanted
            (("two", "one:80"), &["keeps its sandboxes apart (icc=false)"]),
            (("shy", "192.0.2.9:80"), &["shy has no way out", "not internal"]),
            (("alone", ":9000"), &["published on 127.0.0.1: for programs of this host only"]),
        ] {
            says(w, connection, "problem", parts);
        }
        for (from, to, error) in [
            ("nobody", "db:1", "sandbox nobody not found"),
            ("web", "db:0", "from 1 to 65535"),
            ("lan", "db:1", "the LAN knows no name db"),
        ] {
            let (_, message) = w.refused("System.Why", json!({"from": from, "to": to}));
            assert!(message.contains(error), "{message}");
        }
    });
}

/// What it says of the LAN, from where nothing can be tried, is what the LAN finds.
#[test]
fn the_lan_finds_what_it_was_told() {
    need(JUDGES);
    world_with_neighbours(|w, lan, _| {
        w.network("n", json!({"pools": [{"subnet": "10.9.0.0/24"}]}));
        w.network(
            "routed",
            json!({"options": {"gateway-mode": "nat-unprotected"}, "pools": [{"subnet": "10.7.0.0/24"}]}),
        );
        let ports = json!([
            {"host_port": 8080, "port": 80}, {"host_port": 8080, "port": 80, "proto": "udp"},
            {"host_ip": "192.0.2.1", "host_port": 7070, "port": 80},
            {"host_ip": "192.0.2.1", "host_port": 7070, "port": 80, "proto": "udp"},
            {"host_ip": "127.0.0.1", "host_port": 9090, "port": 80}, {"host_port": 8081, "port": 81},
        ]);
        let a =
            w.sandbox_with("a", json!({"networks": [{"network": "n", "ip": "10.9.0.9"}], "ports": ports}));
        let b = w.sandbox_with("b", json!({"networks": [{"network": "routed", "ip": "10.7.0.9"}]}));
        let _a = Echo::serve(&a.place, "a", 80);
        let _deaf = Echo::at(&a.place, "a", "127.0.0.1:81");
        let _b = Echo::serve(&b.place, "b", 80);
        for (to, real, who) in [
            (":8080", "192.0.2.1:8080", "a"),
            ("192.0.2.1:8080", "192.0.2.1:8080", "a"),
            (":7070", "192.0.2.1:7070", "a"),
            ("10.7.0.9:80", "10.7.0.9:80", "b"),
        ] {
            says(w, ("lan", to), "warning", &["takes connections from this host"]);
            echo::open(lan, real, who);
        }
        for (to, real, part) in [
            (":9090", "192.0.2.1:9090", "for programs of this host only"),
            (":8081", "192.0.2.1:8081", "listens on 127.0.0.1:81 only"),
            (":6060", "192.0.2.1:6060", "no sandbox publishes 6060/tcp"),
            (":8081/udp", "192.0.2.1:8081", "a publishes 8081->81/tcp"),
            ("10.9.0.9:80", "10.9.0.9:80", "a machine outside does not reach n"),
        ] {
            says(w, ("lan", to), "problem", &[part]);
            echo::closed(lan, real);
        }
    });
}

/// A firewall inside a sandbox is nothing that we see, but a packet does.
#[test]
fn where_all_looks_well_a_packet_knows_better() {
    need(JUDGES);
    world(|w| {
        w.network("n", json!({"pools": [{"subnet": "10.9.0.0/24"}]}));
        w.sandbox("a", &["n"]);
        let b = w.sandbox("b", &["n"]);
        let _echo = Echo::serve(&b.place, "b", 80);
        says(w, ("a", "b:80"), "ok", &["takes connections"]);
        b.place.run("nft", &["add", "table", "inet", "own"]);
        b.place.run(
            "nft",
            &["add", "chain", "inet", "own", "in", "{ type filter hook input priority 0; policy drop; }"],
        );
        says(w, ("a", "b:80"), "problem", &["says nothing for 1s", "nft list ruleset"]);
        b.place.run("nft", &["delete", "table", "inet", "own"]);
        says(w, ("a", "b:80"), "ok", &["takes connections"]);
    });
}
