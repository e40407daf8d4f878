//! What is used up is said; nothing is half-made, what runs goes on, and all is well again when there is more. Of the daemon's
//! own memory it can only be said that it never lacks any for what clients send: a process that gets no page ends.
mod connections;
mod disk;
mod kernel;
mod limits;
mod memory;
mod numbers;

use crate::world::{Box, Echo, World, echo};
use serde_json::{Value, json};

/// Somebody with a published port, who goes on whatever is missing.
struct Running {
    a: Box,
    _echo: Echo,
}

impl Running {
    fn new(w: &World) -> Self {
        w.network("n", json!({}));
        let ports = json!([{"host_port": 8080, "port": 80}, {"host_port": 8080, "port": 80, "proto": "udp"}]);
        let a = w.sandbox_with("a", json!({"networks": [{"network": "n"}], "ports": ports}));
        let _echo = Echo::serve(&a.place, "a", 80);
        Running { a, _echo }
    }
    #[track_caller]
    fn goes_on(&self, w: &World) {
        echo::open(&w.host, "127.0.0.1:8080", "a");
        assert_eq!(self.a.place.dig(&["a."]), self.a.ip, "names are answered");
    }
}

/// Refused with this kind and these words, and nothing is half-made: promises, links, rules, files are as before.
#[track_caller]
fn refused(w: &World, method: &str, body: Value, kind: &str, words: &[&str]) {
    let before = picture(w);
    let (is, text) = w.refused(method, body.clone());
    assert!(is == kind && words.iter().all(|word| text.contains(word)), "{method} {body}: {is}: {text}");
    let after = picture(w);
    for (was, is) in before.iter().zip(&after) {
        assert_eq!(was, is, "{method} {body} was refused and left something");
    }
}

/// What a refused call must not change.
fn picture(w: &World) -> Vec<Value> {
    let names = |value: Value| -> Vec<String> {
        value.as_array().into_iter().flatten().map(|link| link["ifname"].to_string()).collect()
    };
    let files = |folder: std::path::PathBuf| -> Vec<String> {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        let mut all: Vec<_> = entries.map(|e| e.file_name().to_string_lossy().into_owned()).collect();
        all.sort();
        all
    };
    let rules = w.host.run("nft", &["-s", "list", "ruleset"]);
    let mut words: Vec<&str> = rules.split([',', '\n']).map(str::trim).collect();
    words.sort_unstable();
    vec![
        json!(promises(w)),
        json!(names(w.host.ip(&["link"]))),
        json!(words),
        json!(files(w.daemon.run_dir().join("netns"))),
        json!(files(w.daemon.root().join("volumes"))),
        json!(w.host.run("ss", &["-Hltun"]).lines().count()),
    ]
}

/// All that is in the ledger, in an order.
fn promises(w: &World) -> Vec<String> {
    let dump = w.call("System.Dump", json!({}));
    let lists =
        ["networks", "sandboxes", "volumes", "reservations"].map(|list| dump[list].as_array().cloned());
    let mut all: Vec<String> = lists.into_iter().flatten().flatten().map(|one| one.to_string()).collect();
    all.sort();
    all
}
