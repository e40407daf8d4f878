//! A host of its own, a daemon in it, and a runtime that speaks CNI.
use nix::{
    mount::{MsFlags, mount},
    sched::{CloneFlags, unshare},
};
use serde_json::{Value, json};
use std::{
    fs,
    io::Write,
    panic::resume_unwind,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

pub const SOCKET: &str = "/run/pontoon/pontoon.sock";
pub const PLUGIN: &str = env!("CARGO_BIN_EXE_pontoon");

pub struct World {
    daemon: Child,
}

/// What the plugin did.
#[derive(Debug)]
pub struct Said {
    pub code: i32,
    /// Null: nothing at all.
    pub json: Value,
    pub took: Duration,
}

/// Runs `test` with a fresh host and daemon.
pub fn world(test: impl FnOnce(&mut World) + Send) {
    assert!(
        nix::unistd::geteuid().is_root(),
        "these tests need root: run them with sudo, as `make test` does"
    );
    let body = move || {
        enter_nowhere();
        let mut world = World::start();
        test(&mut world);
    };
    if let Err(panic) = std::thread::scope(|scope| scope.spawn(body).join()) {
        resume_unwind(panic);
    }
}

fn enter_nowhere() {
    unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS).expect("unshare");
    let none: Option<&str> = None;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).expect("private mounts");
    mount(Some("run"), "/run", Some("tmpfs"), MsFlags::empty(), none).expect("tmpfs on /run");
    let _ = mount(Some("sysfs"), "/sys", Some("sysfs"), MsFlags::empty(), none);
    fs::write("/run/resolv.conf", "").expect("resolv.conf");
    fs::write("/run/pontoon.toml", "resolv_conf = \"/run/resolv.conf\"\n").expect("configuration");
    ip(&["link", "set", "lo", "up"]);
}

/// `ip -j ARGS`; null if it fails or says nothing.
pub fn ip(args: &[&str]) -> Value {
    let output = Command::new("ip").arg("-j").args(args).output().expect("run ip");
    serde_json::from_slice(&output.stdout).unwrap_or(Value::Null)
}

/// Path of a new namespace.
pub fn netns(name: &str) -> String {
    ip(&["netns", "add", name]);
    format!("/run/netns/{name}")
}

/// Global addresses of an interface in a namespace, with their lengths; none: there is no such interface.
pub fn addresses(netns: &str, ifname: &str) -> Option<Vec<String>> {
    let links = ip(&["-n", netns.trim_start_matches("/run/netns/"), "addr"]);
    let link = links.as_array()?.iter().find(|link| link["ifname"] == ifname)?.clone();
    let all = link["addr_info"].as_array().cloned().unwrap_or_default();
    let global = all.iter().filter(|address| address["scope"] == "global");
    Some(global.map(|a| format!("{}/{}", a["local"].as_str().unwrap_or(""), a["prefixlen"])).collect())
}

impl World {
    fn start() -> Self {
        let log = fs::File::create("/run/log").expect("log");
        let daemon = Command::new(PLUGIN)
            .args(["daemon", "--config", "/run/pontoon.toml", "--root", "/run/root", "--run", "/run/pontoon"])
            .stdout(log.try_clone().expect("log"))
            .stderr(log)
            .spawn()
            .expect("start the daemon");
        let start = Instant::now();
        while std::os::unix::net::UnixStream::connect(SOCKET).is_err() {
            let log = fs::read_to_string("/run/log").unwrap_or_default();
            assert!(start.elapsed() < Duration::from_secs(20), "the daemon does not answer:\n{log}");
            std::thread::sleep(Duration::from_millis(5));
        }
        World { daemon }
    }
    pub fn daemon_pid(&self) -> u32 {
        self.daemon.id()
    }
    pub fn kill_daemon(&mut self) {
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
    pub fn start_daemon(&mut self) {
        self.kill_daemon();
        *self = World::start();
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.kill_daemon();
    }
}

/// Names of all sandboxes.
pub fn sandboxes() -> Vec<String> {
    let output =
        Command::new(PLUGIN).args(["sandbox", "ls", "--format", "json"]).output().expect("run pontoon");
    let list: Value = serde_json::from_slice(&output.stdout).expect("a list");
    let list = list.as_array().cloned().unwrap_or_default();
    list.iter().map(|sandbox| sandbox["name"].as_str().unwrap_or_default().to_owned()).collect()
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
    fs::write(path, format!("#!/bin/sh\nexec /usr/bin/nsenter --net={inside} {PLUGIN}\n")).expect("script");
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("executable");
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
