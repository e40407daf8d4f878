//! A runtime that speaks CNI, beside a host and daemon of its own.
pub use crate::alone::{PONTOON as PLUGIN, World, interface, ip, names, netns, world};
use serde_json::{Value, json};
use std::{
    io::Write,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// What the plugin did.
#[derive(Debug)]
pub struct Said {
    pub code: i32,
    /// Null: nothing at all.
    pub json: Value,
    pub took: Duration,
}

/// Global addresses of an interface in a namespace, with their lengths; none: there is no such interface.
pub fn addresses(netns: &str, ifname: &str) -> Option<Vec<String>> {
    interface(netns, ifname).map(|(_, addresses)| addresses)
}

/// Names of all sandboxes.
pub fn sandboxes() -> Vec<String> {
    names("sandbox")
}

/// One attachment of one container, by a runtime with these CNI_ARGS.
#[derive(Clone, Copy, Default)]
pub struct Seat<'a> {
    pub container: &'a str,
    pub netns: &'a str,
    pub ifname: &'a str,
    pub args: &'a str,
}

pub fn seat<'a>(container: &'a str, netns: &'a str) -> Seat<'a> {
    Seat { container, netns, ifname: "eth0", args: "" }
}

/// A configuration of type `pontoon` for network `name`.
pub fn config(version: &str, name: &str, more: Value) -> Value {
    let mut config = json!({ "cniVersion": version, "name": name, "type": "pontoon" });
    for (key, value) in more.as_object().expect("an object") {
        config[key] = value.clone();
    }
    config
}

pub fn call(verb: &str, seat: Seat<'_>, config: &Value) -> Said {
    call_program(PLUGIN, verb, seat, config)
}

pub fn call_program(program: &str, verb: &str, seat: Seat<'_>, config: &Value) -> Said {
    let start = Instant::now();
    let mut child = start_program(program, verb, seat);
    let _ = child.stdin.take().expect("stdin").write_all(config.to_string().as_bytes());
    let output = child.wait_with_output().expect("wait");
    let text = String::from_utf8(output.stdout).expect("text");
    let json = match text.trim() {
        "" => Value::Null,
        text => serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}")),
    };
    Said { code: output.status.code().unwrap_or(-1), json, took: start.elapsed() }
}

/// The plugin called from another network namespace, where nothing of ours stands.
pub fn call_elsewhere(verb: &str, seat: Seat<'_>, config: &Value) -> Said {
    use std::os::unix::fs::PermissionsExt;
    let (path, inside) = ("/run/elsewhere.sh", netns("elsewhere"));
    std::fs::write(path, format!("#!/bin/sh\nexec /usr/bin/nsenter --net={inside} {PLUGIN}\n"))
        .expect("script");
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).expect("executable");
    call_program(path, verb, seat, config)
}

/// It runs, and waits for its configuration.
pub fn start_program(program: &str, verb: &str, seat: Seat<'_>) -> Child {
    Command::new(program)
        .env_clear()
        .envs([("CNI_COMMAND", verb), ("CNI_CONTAINERID", seat.container), ("CNI_NETNS", seat.netns)])
        .envs([
            ("CNI_IFNAME", seat.ifname),
            ("CNI_ARGS", seat.args),
            ("CNI_PATH", "/run/cni:/usr/lib/cni"),
            ("PATH", "/bin"),
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("run the plugin")
}

impl Said {
    /// Its result, for a call that must succeed.
    pub fn fine(self) -> Value {
        assert_eq!(self.code, 0, "{}", self.json);
        self.json
    }
    /// The error's number, for a call that must fail in the protocol's shape.
    pub fn refused(self) -> u64 {
        assert_eq!(self.code, 1, "{}", self.json);
        assert!(self.json["msg"].as_str().is_some_and(|msg| !msg.is_empty()), "{}", self.json);
        self.json["code"].as_u64().unwrap_or_else(|| panic!("no code: {}", self.json))
    }
}
