//! A daemon that answers from a list and keeps what it was asked, and the real program to ask it. It knows no rule.
use serde_json::{Value, json};
use std::{
    io::{Read, Write},
    os::unix::net::{UnixListener, UnixStream},
    process::{Command, Stdio},
    sync::{Arc, Mutex},
};

pub const PROGRAM: &str = env!("CARGO_BIN_EXE_pontoon");
pub const ID: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

/// Bytes for one connection, which is closed behind them.
pub struct Answer(String);

impl Answer {
    pub fn ok(body: &Value) -> Self {
        Self::error(200, body)
    }
    pub fn error(status: u16, body: &Value) -> Self {
        let body = body.to_string();
        Answer(format!(
            "HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        ))
    }
    pub fn raw(text: &str) -> Self {
        Answer(text.to_owned())
    }
}

/// Listens in a folder of its own until it is dropped.
pub struct Daemon {
    dir: tempfile::TempDir,
    requests: Arc<Mutex<Vec<(String, Value)>>>,
}

impl Daemon {
    pub fn new(answers: impl IntoIterator<Item = Answer>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(dir.path().join("sock")).unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (answers, kept): (Vec<Answer>, _) = (answers.into_iter().collect(), requests.clone());
        std::thread::spawn(move || {
            for answer in answers {
                let (mut stream, _) = listener.accept().unwrap();
                kept.lock().unwrap().push(request(&mut stream));
                let _ = stream.write_all(answer.0.as_bytes());
            }
        });
        Daemon { dir, requests }
    }
    pub fn host(&self) -> String {
        format!("unix://{}/sock", self.dir.path().display())
    }
    /// Method and body of each.
    pub fn requests(&self) -> Vec<(String, Value)> {
        self.requests.lock().unwrap().clone()
    }
}

fn request(stream: &mut UnixStream) -> (String, Value) {
    let (mut text, mut byte) = (Vec::new(), [0]);
    while !text.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).unwrap();
        text.push(byte[0]);
    }
    let text = String::from_utf8(text).unwrap();
    let length = text.lines().find_map(|line| line.strip_prefix("Content-Length: ")).unwrap();
    let mut body = vec![0; length.parse().unwrap()];
    stream.read_exact(&mut body).unwrap();
    let method = text.strip_prefix("POST /").unwrap().split(' ').next().unwrap();
    (method.to_owned(), serde_json::from_slice(&body).unwrap())
}

pub struct Ran {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

/// Runs the program with the words of `line`, against `daemon`.
pub fn run(daemon: &Daemon, line: &str) -> Ran {
    pontoon(&format!("--host {} {line}", daemon.host()), "")
}

/// Runs the program with the words of `line`.
pub fn pontoon(line: &str, stdin: &str) -> Ran {
    let mut command = Command::new(PROGRAM);
    command.args(line.split_whitespace()).env_remove("PONTOON_HOST").env_remove("CNI_COMMAND");
    let streams = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = streams.spawn().unwrap();
    let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
    let output = child.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ran { code: output.status.code().unwrap(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

pub fn bash(line: &str) -> (String, String) {
    let output = Command::new("bash").args(["--norc", "-c", line]).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (text(output.stdout), text(output.stderr))
}

pub fn network(name: &str) -> Value {
    json!({"id": ID, "name": name, "driver": "bridge", "scope": "local", "created": "2026-01-01T00:00:00Z",
           "internal": false, "ipv4": true, "ipv6": false, "device": "pontoon0",
           "subnets": [{"subnet": "172.17.0.0/16", "gateway": "172.17.0.1", "range": null, "aux": {}, "used": 0,
                        "free": 65533}],
           "options": {}, "labels": {}, "sandboxes": 0, "members": []})
}

pub fn volume(name: &str) -> Value {
    json!({"name": name, "driver": "local", "scope": "local", "created": "2026-01-01T00:00:00Z",
           "mountpoint": format!("/v/{name}/_data"), "options": {}, "labels": {}, "anonymous": false, "users": []})
}

pub fn sandbox() -> Value {
    json!({"id": ID, "name": "web", "created": "2026-01-01T00:00:00Z", "status": "running", "hostname": "web",
           "netns": {"made": "/n/web"}, "netns_path": "/n/web", "process": {"pid": 7, "started": 8},
           "networks": [{"id": ID, "network": "front", "network_id": ID, "ifname": "eth0", "host_ifname": "v0",
                         "mac": "02:42:0a:00:00:02", "addresses": ["10.0.0.2/24"], "gateways": ["10.0.0.1"],
                         "aliases": [], "links": {}, "priority": 0}],
           "gateway_network": "front", "gateway_network6": null,
           "ports": [{"host_port": 8080, "port": 80, "count": 1, "proto": "tcp"},
                     {"host_ip": "::1", "host_port": 5353, "port": 53, "count": 1, "proto": "udp"}],
           "mounts": [], "dns": {"servers": [], "search": [], "options": []}, "hosts": [], "labels": {},
           "names": ["web"]})
}
