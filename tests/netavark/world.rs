//! A host of its own, a daemon in it, and calls as Podman makes them.
use nix::{
    mount::{MsFlags, mount},
    sched::{CloneFlags, unshare},
};
use serde_json::Value;
use std::{
    ffi::OsStr,
    fs,
    io::Write,
    panic::resume_unwind,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

pub const PROGRAM: &str = env!("CARGO_BIN_EXE_pontoon");
/// Podman's `--config` of a rootful container.
pub const CONFIG: &str = "/run/containers/networks";

pub struct World {
    daemon: Child,
}

/// Runs `test` with a fresh host and daemon.
pub fn world(test: impl FnOnce(&mut World) + Send) {
    assert!(
        nix::unistd::geteuid().is_root(),
        "these tests need root: run them with sudo, as `make test` does"
    );
    let body = move || {
        enter_nowhere();
        let mut world = World { daemon: daemon() };
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
    fs::create_dir_all("/var/lib/pontoon").expect("the usual root");
    for folder in ["/run", "/var/lib/pontoon"] {
        mount(Some("fresh"), folder, Some("tmpfs"), MsFlags::empty(), none).expect("tmpfs");
    }
    let _ = mount(Some("sysfs"), "/sys", Some("sysfs"), MsFlags::empty(), none);
    fs::write("/run/resolv.conf", "").expect("resolv.conf");
    fs::write("/run/pontoon.toml", "resolv_conf = \"/run/resolv.conf\"\n").expect("configuration");
    std::os::unix::fs::symlink(PROGRAM, "/run/netavark").expect("the link that Podman finds");
    ip(&["link", "set", "lo", "up"]);
}

fn daemon() -> Child {
    let log = fs::File::options().create(true).append(true).open("/run/log").expect("log");
    let daemon = Command::new(PROGRAM)
        .args(["daemon", "--config", "/run/pontoon.toml"])
        .stdout(log.try_clone().expect("log"))
        .stderr(log)
        .spawn()
        .expect("start the daemon");
    let answers = || std::os::unix::net::UnixStream::connect("/run/pontoon/pontoon.sock").is_ok();
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
        std::thread::sleep(Duration::from_millis(10));
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

/// MAC and global addresses of an interface; none: there is no such interface.
pub fn interface(netns: &str, ifname: &str) -> Option<(String, Vec<String>)> {
    let links = ip(&["-n", netns.trim_start_matches("/run/netns/"), "addr"]);
    let link = links.as_array()?.iter().find(|link| link["ifname"] == ifname)?.clone();
    let all = link["addr_info"].as_array().cloned().unwrap_or_default();
    let global = all.iter().filter(|address| address["scope"] == "global");
    let global = global.map(|a| format!("{}/{}", a["local"].as_str().unwrap_or(""), a["prefixlen"]));
    Some((link["address"].as_str().unwrap_or("").to_owned(), global.collect()))
}

/// What a sandbox is told when it asks `server` for `name`.
pub fn dig(netns: &str, server: &str, name: &str) -> String {
    let name_of = netns.trim_start_matches("/run/netns/");
    let server = format!("@{server}");
    let args = ["netns", "exec", name_of, "dig", "+short", "+tries=1", "+time=3", &server, name];
    let output = Command::new("ip").args(args).output().expect("run dig");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// Names of the daemon's sandboxes or networks.
pub fn names(noun: &str) -> Vec<String> {
    let output = Command::new(PROGRAM).args([noun, "ls", "--format", "json"]).output().expect("run pontoon");
    let list: Value = serde_json::from_slice(&output.stdout).expect("a list");
    list.as_array().expect("a list").iter().map(|it| it["name"].as_str().unwrap_or("").to_owned()).collect()
}

/// What podman 4.3.1 wrote.
pub fn recorded(name: &str) -> Value {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("tests/netavark/recorded/{name}.json"));
    serde_json::from_str(&fs::read_to_string(path).expect("a recording")).expect("JSON")
}

/// The same for another container.
pub fn container(name: &str, number: u8) -> Value {
    let mut request = recorded(name);
    request["container_id"] = format!("{number:064x}").into();
    request["container_name"] = format!("c{number}").into();
    request.as_object_mut().expect("an object").remove("port_mappings");
    for seat in request["networks"].as_object_mut().expect("a map").values_mut() {
        let address = seat["static_ips"][0].as_str().expect("an address").to_owned();
        let (network, _) = address.rsplit_once('.').expect("IPv4");
        *seat = serde_json::json!({
            "interface_name": seat["interface_name"], "static_ips": [format!("{network}.{}", 100 + number)],
            "aliases": [format!("alias{number}")],
        });
    }
    request
}

/// What the program did.
#[derive(Debug)]
pub struct Said {
    pub code: i32,
    pub text: String,
    pub stderr: String,
    pub took: Duration,
}

/// As Podman calls, from this host's namespaces.
pub fn call(verb: &str, netns: &str, stdin: &Value) -> Said {
    let args = ["--config", CONFIG, "--rootless=false", "--aardvark-binary=/run/aardvark-dns", verb, netns];
    run(Path::new("/run/netavark"), args, &stdin.to_string())
}

pub fn run<S: AsRef<OsStr>>(program: &Path, args: impl IntoIterator<Item = S>, stdin: &str) -> Said {
    let start = Instant::now();
    let mut child = Command::new(program)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("run the program");
    let _ = child.stdin.take().expect("stdin").write_all(stdin.as_bytes());
    // It returns when nobody has these pipes open any more: a daemon that inherited one would hang it.
    let output = child.wait_with_output().expect("wait");
    Said {
        code: output.status.code().unwrap_or(-1),
        text: String::from_utf8(output.stdout).expect("text"),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        took: start.elapsed(),
    }
}

impl Said {
    /// The answer to a call that must succeed: one object in one line, or nothing.
    #[track_caller]
    pub fn fine(self) -> Value {
        assert_eq!((self.code, self.stderr.as_str()), (0, ""), "{}", self.text);
        match self.text.as_str() {
            "" => Value::Null,
            text => serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}")),
        }
    }
    /// The error of a call that must fail. Podman refuses to read one with any key but `error`.
    #[track_caller]
    pub fn refused(self) -> String {
        assert_eq!((self.code, self.stderr.as_str()), (1, ""), "{}", self.text);
        let value: Value = serde_json::from_str(&self.text).expect("JSON");
        let object = value.as_object().expect("an object");
        assert_eq!(object.len(), 1, "{value}");
        object["error"].as_str().expect("a text").to_owned()
    }
}
