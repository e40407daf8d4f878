//! A host of its own for one test, with a daemon in it: fresh network and mount namespaces, a tmpfs on /run and on
//! /var/lib/pontoon. Who brings a doorway's calls adds them beside this.
use nix::{
    mount::{MsFlags, mount},
    sched::{CloneFlags, unshare},
};
use serde_json::Value;
use std::{
    fs,
    panic::resume_unwind,
    process::{Child, Command},
    time::{Duration, Instant},
};

const SOCKET: &str = "/run/pontoon/pontoon.sock";
pub const PONTOON: &str = env!("CARGO_BIN_EXE_pontoon");

/// The daemon of a test's host; it ends with the test.
pub struct World {
    pub daemon: Child,
}

/// Runs `test` with a fresh host and daemon.
pub fn world(test: impl FnOnce(&mut World) + Send) {
    assert!(
        nix::unistd::geteuid().is_root(),
        "these tests need root: run them with sudo, as `make test` does"
    );
    let body = move || {
        enter_nowhere();
        test(&mut World { daemon: daemon() });
    };
    if let Err(panic) = std::thread::scope(|scope| scope.spawn(body).join()) {
        resume_unwind(panic);
    }
}

fn enter_nowhere() {
    unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS).expect("unshare");
    let none: Option<&str> = None;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).expect("private mounts");
    fs::create_dir_all("/var/lib/pontoon").expect("the usual root");
    for folder in ["/run", "/var/lib/pontoon"] {
        mount(Some("fresh"), folder, Some("tmpfs"), MsFlags::empty(), none).expect("tmpfs");
    }
    let _ = mount(Some("sysfs"), "/sys", Some("sysfs"), MsFlags::empty(), none);
    fs::write("/run/resolv.conf", "").expect("resolv.conf");
    fs::write("/run/pontoon.toml", "resolv_conf = \"/run/resolv.conf\"\n").expect("configuration");
    ip(&["link", "set", "lo", "up"]);
}

fn daemon() -> Child {
    let log = fs::File::options().create(true).append(true).open("/run/log").expect("log");
    let daemon = Command::new(PONTOON)
        .args(["daemon", "--config", "/run/pontoon.toml"])
        .stdout(log.try_clone().expect("log"))
        .stderr(log)
        .spawn()
        .expect("start the daemon");
    let answers = || std::os::unix::net::UnixStream::connect(SOCKET).is_ok();
    assert!(
        soon(answers),
        "the daemon does not answer:\n{}",
        fs::read_to_string("/run/log").unwrap_or_default()
    );
    daemon
}

/// Within 20 seconds.
pub fn soon(mut fine: impl FnMut() -> bool) -> bool {
    let start = Instant::now();
    while !fine() {
        if start.elapsed() > Duration::from_secs(20) {
            return false;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    true
}

impl World {
    pub fn kill_daemon(&mut self) {
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
    pub fn start_daemon(&mut self) {
        self.kill_daemon();
        self.daemon = daemon();
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.kill_daemon();
    }
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

/// MAC and global addresses with their lengths of an interface in a namespace; none: there is no such interface.
pub fn interface(netns: &str, ifname: &str) -> Option<(String, Vec<String>)> {
    let links = ip(&["-n", netns.trim_start_matches("/run/netns/"), "addr"]);
    let link = links.as_array()?.iter().find(|link| link["ifname"] == ifname)?.clone();
    let all = link["addr_info"].as_array().cloned().unwrap_or_default();
    let global = all.iter().filter(|address| address["scope"] == "global");
    let global = global.map(|a| format!("{}/{}", a["local"].as_str().unwrap_or(""), a["prefixlen"]));
    Some((link["address"].as_str().unwrap_or("").to_owned(), global.collect()))
}

/// Names of the daemon's objects: `sandbox`, `network` or `volume`.
pub fn names(noun: &str) -> Vec<String> {
    let output = Command::new(PONTOON).args([noun, "ls", "--format", "json"]).output().expect("run pontoon");
    let list: Value = serde_json::from_slice(&output.stdout).expect("a list");
    list.as_array().expect("a list").iter().map(|it| it["name"].as_str().unwrap_or("").to_owned()).collect()
}
