//! The native API as a stranger's program meets it.
use crate::world::{World, http, need, run, tool::soon, world};
use serde_json::{Value, json};
use std::{io::Write, os::unix::net::UnixStream, time::Instant};

fn json_of(w: &World, verb: &str, path: &str, body: &[u8]) -> (u16, Value) {
    let (status, body) = w.daemon.raw(verb, path, body);
    (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
}

#[test]
fn what_it_does_not_understand_it_refuses() {
    need(&["ip"]);
    world(|w| {
        for (verb, path, body, status, words) in [
            ("POST", "/Network.Create", r#"{"name":"n","colour":"red"}"#, 400, "colour"),
            ("POST", "/Network.Create", r#"{"name":"#, 400, "Network.Create"),
            ("POST", "/Network.Create", r#"{"name":7}"#, 400, "string"),
            ("POST", "/Sandbox.Create", r#"{"networks":[{"network":"bridge","colour":1}]}"#, 400, "colour"),
            ("POST", "/Events.Watch", r#"{"filters":{"colour":["red"]}}"#, 400, "colour"),
            ("POST", "/Events.Watch", r#"{"since":"yesterday"}"#, 400, "yesterday"),
            ("POST", "/Network.Paint", "{}", 404, "Network.Paint"),
            ("POST", "/", "{}", 404, ""),
            ("GET", "/Network.Create", "", 404, "GET /schema"),
            ("DELETE", "/Network.List", "", 404, ""),
            ("POST", "/Network.Inspect", r#"{"name":"nowhere"}"#, 404, "nowhere"),
            ("POST", "/Network.Remove", r#"{"name":"bridge"}"#, 403, "bridge"),
        ] {
            let (is, error) = json_of(w, verb, path, body.as_bytes());
            assert_eq!(is, status, "{verb} {path} {body}: {error}");
            assert!(
                error.to_string().contains(words) && error["causes"].is_array(),
                "{verb} {path} {body}: {error}"
            );
        }
        let (status, error) = json_of(w, "POST", "/Network.Create", &vec![b' '; 6 << 20]);
        assert!(
            (400..500).contains(&status) && error["message"].as_str().is_some_and(|m| m.contains("bytes")),
            "{status} {error}"
        );
        assert!(w.call("Network.List", json!({})).as_array().is_some_and(|all| all.len() == 3));
    });
}

/// Whoever may open the socket is as good as root, and the ledger holds mount passwords.
#[test]
fn only_root_and_the_group_may_ask() {
    need(&["ip", "setpriv", "curl"]);
    world(|w| {
        w.daemon.stop();
        let config = w.daemon.root().parent().expect("home").join("pontoon.toml");
        let text = std::fs::read_to_string(&config).expect("configuration");
        std::fs::write(&config, text + "group = \"games\"\n").expect("configuration");
        w.daemon.again();
        let socket = w.daemon.socket().display().to_string();
        let ask = ["curl", "-sf", "--unix-socket", &socket, "http://pontoon/System.Info", "-d", "{}"];
        let ledger = w.daemon.root().join("state.redb").display().to_string();
        let with = |groups: &str, command: &[&str]| {
            let nobody = ["--reuid=nobody", "--regid=nogroup", groups];
            w.host.try_run("setpriv", &[&nobody[..], command].concat()).0
        };
        assert!(!with("--clear-groups", &ask), "nobody asks");
        assert!(with("--groups=games", &ask), "a member of the group asks");
        for groups in ["--clear-groups", "--groups=games"] {
            assert!(!with(groups, &["cat", &ledger]), "{groups} reads the ledger");
        }
    });
}

#[test]
fn schema_and_metrics() {
    need(&["ip", "nft", "dig", "ping"]);
    world(|w| {
        let (status, schema) = json_of(w, "GET", "/schema", b"");
        assert_eq!(status, 200);
        for method in ["Network.Create", "Sandbox.Create", "Volume.Create", "Events.Watch", "System.Df"] {
            assert!(schema["calls"][method]["request"].is_object(), "{method}");
        }
        let web = w.sandbox("web", &["bridge"]);
        assert_eq!(w.refused("Network.Inspect", json!({ "name": "nowhere" })).0, "not_found");
        assert!(web.place.ping("172.17.0.1", "2"));
        assert_eq!(web.place.dig(&["web"]), web.ip);
        run("nft", &["flush", "ruleset"]);
        let repaired = || {
            let (_, text) = w.daemon.raw("GET", "/metrics", b"");
            !String::from_utf8_lossy(&text).contains("pontoon_repairs_total 0")
        };
        soon(10_000, "a repair", repaired);
        let (status, text) = w.daemon.raw("GET", "/metrics", b"");
        let text = String::from_utf8(text).expect("text");
        assert!(
            status == 200 && text.contains("# TYPE pontoon_") && text.contains("Sandbox.Create"),
            "{text}"
        );
        let value = |name: &str| {
            let line =
                text.lines().find(|line| line.starts_with(name) && line[name.len()..].starts_with(' '));
            let line = line.unwrap_or_else(|| panic!("{name} is not in\n{text}"));
            line.rsplit(' ').next().and_then(|value| value.parse::<f64>().ok()).expect("a number")
        };
        assert_eq!(value("pontoon_events_total{object=\"sandbox\",action=\"create\"}"), 1.0);
        assert_eq!(value("pontoon_errors_total{kind=\"not_found\"}"), 1.0);
        assert_eq!(value("pontoon_call_seconds_count{method=\"Sandbox.Create\"}"), 1.0);
        for name in [
            "pontoon_ledger_commit_seconds_count",
            "pontoon_ledger_records_total",
            "pontoon_dns{what=\"hits\"}",
            "pontoon_repairs_total",
            "pontoon_call_seconds_sum{method=\"Sandbox.Create\"}",
            "pontoon_sandbox_transmit_bytes_total{sandbox=\"web\",network=\"bridge\"}",
            "pontoon_sandbox_receive_packets_total{sandbox=\"web\",network=\"bridge\"}",
            "pontoon_network_out_bytes_total{network=\"bridge\"}",
            "pontoon_network_in_packets_total{network=\"bridge\"}",
        ] {
            assert!(value(name) > 0.0, "{name}");
        }
        for line in text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
            assert!(line.rsplit(' ').next().is_some_and(|value| value.parse::<f64>().is_ok()), "{line}");
        }
        let mode = std::os::unix::fs::PermissionsExt::mode(
            &std::fs::metadata(w.daemon.socket()).expect("stat").permissions(),
        );
        assert_eq!(mode & 0o007, 0, "the socket is not for everybody");
    });
}

#[test]
fn sixteen_clients_and_a_slow_one() {
    need(&["ip"]);
    world(|w| {
        w.network("n", json!({}));
        // Somebody who sends half a request, and somebody who sends nothing, hold nobody up.
        let mut slow = UnixStream::connect(w.daemon.socket()).expect("connect");
        slow.write_all(b"POST /Network.List HTTP/1.1\r\nhost: x\r\ncontent-length: 50\r\n\r\n{")
            .expect("write");
        let _silent = UnixStream::connect(w.daemon.socket()).expect("connect");
        let start = Instant::now();
        std::thread::scope(|scope| {
            for i in 0..16 {
                scope.spawn(move || {
                    for round in 0..4 {
                        let name = format!("c{i}-{round}");
                        w.sandbox(&name, &["n"]);
                        w.call("Volume.Create", json!({ "name": name }));
                        w.remove(&name);
                    }
                });
            }
        });
        println!("64 sandboxes by 16 clients: {:?}", start.elapsed());
        assert_eq!(w.call("Sandbox.List", json!({})), json!([]));
        assert_eq!(w.call("Volume.List", json!({})).as_array().map(Vec::len), Some(64));
    });
}

#[test]
fn events_are_seen() {
    need(&["ip"]);
    world(|w| {
        let mut reader = http::open(&w.daemon.socket(), "POST", "/Events.Watch", b"{}").expect("watch");
        assert_eq!(http::head(&mut reader).expect("head").0, 200);
        w.network("n", json!({}));
        w.sandbox("a", &["bridge"]);
        w.call("Network.Connect", json!({"sandbox": "a", "endpoint": {"network": "n"}}));
        w.call("Network.Disconnect", json!({"sandbox": "a", "network": "n"}));
        w.call("Volume.Create", json!({"name": "data"}));
        w.remove("a");
        w.call("Network.Remove", json!({"name": "n"}));
        let mut seen = Vec::new();
        while seen.last().map(String::as_str) != Some("network remove n") {
            let event =
                http::next_line(&mut reader).unwrap_or_else(|| panic!("the stream ended after {seen:?}"));
            assert!(event["time"].as_str().is_some_and(|time| time.ends_with('Z')), "{event}");
            seen.push(format!("{} {} {}", event["object"], event["action"], event["name"]).replace('"', ""));
        }
        for wanted in [
            "network create n",
            "sandbox create a",
            "network connect n",
            "network disconnect n",
            "volume create data",
            "sandbox remove a",
        ] {
            assert!(seen.iter().any(|event| event == wanted), "{wanted} in {seen:?}");
        }
    });
}

/// `OBJECT ACTION NAME` of the first `count` events that fit.
fn events(w: &World, watch: &Value, count: usize) -> Vec<String> {
    let body = watch.to_string();
    let mut reader = http::open(&w.daemon.socket(), "POST", "/Events.Watch", body.as_bytes()).expect("watch");
    assert_eq!(http::head(&mut reader).expect("head").0, 200);
    let mut next = || http::next_line(&mut reader).unwrap_or_else(|| panic!("{watch}: the stream ended"));
    let text = |event: Value| format!("{} {} {}", event["object"], event["action"], event["name"]);
    (0..count).map(|_| text(next()).replace('"', "")).collect()
}

#[test]
fn events_are_chosen() {
    need(&["ip"]);
    world(|w| {
        let a = w.sandbox("a", &["bridge"]);
        w.call("Volume.Create", json!({"name": "one"}));
        w.call("Volume.Create", json!({"name": "two"}));
        let middle = w.call("Volume.Inspect", json!({"name": "two"}))["created"].clone();
        w.network("two", json!({}));
        w.call("Volume.Remove", json!({"name": "one"}));
        w.remove("a");
        let all = "1970-01-01T00:00:00Z";
        for (since, filters, wanted) in [
            (
                json!(all),
                json!({"object": ["volume"]}),
                &["volume create one", "volume create two", "volume remove one"][..],
            ),
            (json!(all), json!({"type": ["volume"], "event": ["remove"]}), &["volume remove one"]),
            (json!(all), json!({"action": ["remove"]}), &["volume remove one", "sandbox remove a"]),
            (json!(all), json!({"name": ["two"]}), &["volume create two", "network create two"]),
            (json!(all), json!({"id": [a.id]}), &["sandbox create a", "sandbox remove a"]),
            (
                middle,
                json!({"object": ["volume", "network"]}),
                &["volume create two", "network create two", "volume remove one"],
            ),
        ] {
            let found = events(w, &json!({"since": since, "filters": filters}), wanted.len());
            assert_eq!(found, wanted, "{since} {filters}");
        }
    });
}
