//! The same requests to a real dockerd and to us: status, headers, error text, and every key and value of the answer.
//! What differs on purpose is said where it is asked for.
use crate::{
    differential_steps::{How, STEPS},
    dockerd::Dockerd,
    raw::{Answer, ask_at},
    world::world,
};
use serde_json::{Map, Value, json};
use std::path::Path;

#[test]
fn the_same_as_dockerd() {
    world(|w| {
        let dockerd = Dockerd::start();
        furnish(w);
        let mut different = Vec::new();
        for (request, body, how) in STEPS {
            let theirs = put(&dockerd.socket(), request, body);
            let ours = put(&w.daemon.socket(), request, body);
            let found = compare(&theirs, &ours, how);
            if !found.is_empty() {
                different.push(format!("{request} {body}\n    {}", found.join("\n    ")));
            }
        }
        dockerd.leave(&["box"]);
        assert!(different.is_empty(), "{} differ\n{}", different.len(), different.join("\n"));
    });
}

fn furnish(w: &crate::world::World) {
    let mount = json!([{ "kind": "volume", "source": "busy", "target": "/data" }]);
    let port = json!([{ "port": 80, "host_port": 8080, "host_ip": "127.0.0.1" }]);
    let more = json!({ "mounts": mount, "ports": port, "labels": { "a": "b" }, "hostname": "box" });
    w.sandbox_with("box", more);
}

/// Sends a request in which `@net@` is the id of network `net`, and a filter may be written as it is.
fn put(socket: &Path, request: &str, body: &str) -> Answer {
    let with_ids = |text: &str| {
        let parts: Vec<&str> = text.split('@').collect();
        let id = |name: &str| ask_at(socket, &format!("GET /networks/{name}"), "").json()["Id"].clone();
        let text = |(i, part): (usize, &&str)| match i % 2 {
            0 => (*part).to_owned(),
            _ => id(part).as_str().unwrap_or("none").to_owned(),
        };
        parts.iter().enumerate().map(text).collect::<String>()
    };
    let escape = |c: char| match c {
        '{' | '}' | '"' | '[' | ']' | '^' | '$' | '|' => format!("%{:02X}", c as u32),
        c => c.to_string(),
    };
    let (verb, path) = request.split_once(' ').expect("VERB PATH");
    let path: String = with_ids(path).chars().map(escape).collect();
    ask_at(socket, &format!("{verb} {path}"), &with_ids(body))
}

fn compare(theirs: &Answer, ours: &Answer, how: &How) -> Vec<String> {
    let mut found = Vec::new();
    if let How::Ours(status, text) = how {
        if ours.status != *status || !ours.body.contains(text) {
            found.push(format!("wanted {status} {text:?} and ours {} {}", ours.status, ours.body.trim()));
        }
        return found;
    }
    if theirs.status != ours.status {
        found.push(format!("status: {} and ours {} {}", theirs.status, ours.status, ours.body.trim()));
    }
    for header in ["Content-Type", "Cache-Control", "Pragma"] {
        let (a, b) = (theirs.header(header), ours.header(header));
        if a != b {
            found.push(format!("{header}: {a:?} and ours {b:?}"));
        }
    }
    let (a, b) = (theirs.payload(), ours.payload());
    match (serde_json::from_str(&a), serde_json::from_str(&b)) {
        (Ok(a), Ok(b)) => differ("", &plain(&a), &plain(&b), how, &mut found),
        _ if a == b => {}
        _ => found.push(format!("body: {a:?} and ours {b:?}")),
    }
    found
}

/// Every key of theirs must be in ours, with the same value; we may have more (newer ones).
fn differ(at: &str, theirs: &Value, ours: &Value, how: &How, found: &mut Vec<String>) {
    if how.passes(at) {
        return;
    }
    match (theirs, ours) {
        (Value::Object(a), Value::Object(b)) => {
            for (key, value) in a {
                let at = format!("{at}/{key}");
                match b.get(key) {
                    Some(other) => differ(&at, value, other, how, found),
                    None => found.push(format!("{at}: {value} and ours is missing")),
                }
            }
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            for (i, (a, b)) in a.iter().zip(b).enumerate() {
                differ(&format!("{at}/{i}"), a, b, how, found);
            }
        }
        _ if theirs == ours || how.alike(at, theirs, ours) => {}
        _ => found.push(format!("{at}: {theirs} and ours {ours}")),
    }
}

/// Without what is another each time: ids, times, hardware addresses. Lists in order of their names.
fn plain(value: &Value) -> Value {
    match value {
        // Go's clients read nothing and an empty map or list alike.
        Value::Object(map) if map.is_empty() => Value::Null,
        Value::Array(all) if all.is_empty() => Value::Null,
        Value::Object(map) => {
            Value::Object(map.iter().map(|(key, value)| (words(key), plain(value))).collect::<Map<_, _>>())
        }
        Value::Array(all) => {
            let mut all: Vec<Value> = all.iter().map(plain).collect();
            all.sort_by_key(|value| (value["Name"].to_string(), value.as_str().map(str::to_owned)));
            Value::Array(all)
        }
        Value::String(text) => Value::String(words(text)),
        other => other.clone(),
    }
}

fn words(text: &str) -> String {
    if text.parse::<jiff::Timestamp>().is_ok() {
        return "TIME".to_owned();
    }
    let mut out = String::new();
    for part in text.split_inclusive(|c: char| !c.is_ascii_alphanumeric()) {
        let word = part.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
        let id = word.len() >= 12 && word.bytes().all(|b| b.is_ascii_hexdigit());
        out += &if id { part.replace(word, "ID") } else { part.to_owned() };
    }
    out.replace("/run/dockerd/root", "ROOT").replace("/run/default/root", "ROOT")
}
