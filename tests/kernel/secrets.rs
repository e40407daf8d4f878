//! The password of a mount stays between who told it, the ledger, and the file system: no log, event, error or report has it.
use crate::world::{Daemon, http, need, world};
use serde_json::{Value, json};
use std::{fs, os::unix::fs::PermissionsExt, process::Command};

const SECRET: &str = "HUNTER2";

fn mode(path: &std::path::Path) -> u32 {
    fs::metadata(path).expect("stat").permissions().mode() & 0o777
}

/// The daemon's, with everything that it ever logs.
fn talkative(daemon: &Daemon) -> Command {
    let plain = daemon.command();
    let mut command = Command::new(plain.get_program());
    let log = fs::File::options().append(true).open(daemon.log_file()).expect("log");
    command.args(plain.get_args()).env("PONTOON_LOG", "trace");
    command.stdin(std::process::Stdio::null()).stdout(log.try_clone().expect("log")).stderr(log);
    command
}

#[test]
fn a_mounts_password_is_told_to_nobody_else() {
    need(&["ip", "nft"]);
    world(|w| {
        w.daemon.stop();
        w.daemon.again_by(&mut talkative(&w.daemon));
        let options = |kind: &str, o: &str| json!({"type": kind, "device": "//192.0.2.9/share", "o": o});
        let mut said: Vec<String> = Vec::new();
        for (name, kind, o) in [
            ("cifs", "cifs", "username=u,password=HUNTER2,addr=192.0.2.9"),
            ("short", "cifs", "pass=HUNTER2"),
            ("tmpfs", "tmpfs", "size=1m,password=HUNTER2"),
            ("nothing", "nosuchfs", "password2=HUNTER2"),
        ] {
            w.call("Volume.Create", json!({ "name": name, "options": options(kind, o) }));
            let mounts = json!([{"kind": "volume", "source": name, "target": "/v"}]);
            let (_, why) = w.refused("Sandbox.Create", json!({ "name": "a", "mounts": mounts }));
            assert!(why.contains(name) && why.contains("mount"), "{why}");
            said.push(why);
            let other = json!({ "name": name, "options": options(kind, "password=HUNTER2,uid=1") });
            said.push(w.refused("Volume.Create", other).1);
            w.call("Volume.Remove", json!({ "name": name }));
        }
        let odd = json!({"name": "odd", "options": {"type": "cifs", "bad": SECRET, "o": "password=HUNTER2"}});
        said.push(w.refused("Volume.Create", odd).1);
        let cut = br#"{"name":"cut","options":{"o":"password=HUNTER2""#;
        said.push(String::from_utf8_lossy(&w.daemon.raw("POST", "/Volume.Create", cut).1).into_owned());
        w.call("Volume.Create", json!({"name": "kept", "options": options("cifs", "password=HUNTER2")}));
        for (verb, path, body) in [
            ("GET", "/metrics", &b""[..]),
            ("POST", "/System.Doctor", b"{}"),
            ("POST", "/System.Info", b"{}"),
            ("POST", "/System.Df", b"{}"),
        ] {
            said.push(String::from_utf8_lossy(&w.daemon.raw(verb, path, body).1).into_owned());
        }
        let past = br#"{"since": "2000-01-01T00:00:00Z"}"#;
        let mut events = http::open(&w.daemon.socket(), "POST", "/Events.Watch", past).expect("events");
        http::head(&mut events).expect("head");
        events.get_ref().set_read_timeout(Some(std::time::Duration::from_millis(100))).expect("timeout");
        said.extend(
            std::iter::from_fn(|| http::next_line(&mut events)).map(|event: Value| event.to_string()),
        );
        assert!(said.iter().any(|text| text.contains("\"kept\"")), "events were heard");
        said.push(w.daemon.log());
        for text in &said {
            assert!(!text.contains(SECRET), "{text}");
        }
        let ledger = w.daemon.root().join("state.redb");
        assert_eq!(mode(&ledger), 0o600, "the ledger knows it");
        assert_eq!(w.call("Volume.Inspect", json!({"name": "kept"}))["options"]["o"], "password=HUNTER2");
        w.call("Volume.Remove", json!({"name": "kept"}));
    });
}
