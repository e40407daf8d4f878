//! Calls as Podman makes them, beside a host and daemon of their own.
pub use crate::alone::{PONTOON as PROGRAM, World, interface, ip, names, netns, soon};
use serde_json::Value;
use std::{
    ffi::OsStr,
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

/// Podman's `--config` of a rootful container.
pub const CONFIG: &str = "/run/containers/networks";

/// Runs `test` with a fresh host, a daemon and the link that Podman finds.
pub fn world(test: impl FnOnce(&mut World) + Send) {
    crate::alone::world(|w| {
        std::os::unix::fs::symlink(PROGRAM, "/run/netavark").expect("the link that Podman finds");
        test(w);
    });
}

/// What a sandbox is told when it asks `server` for `name`; options of dig may follow the server's address.
pub fn dig(netns: &str, server: &str, name: &str) -> String {
    let name_of = netns.trim_start_matches("/run/netns/");
    let server = format!("@{server}");
    let args = ["netns", "exec", name_of, "dig", "+short", "+tries=1", "+time=3", name];
    let output = Command::new("ip").args(args).args(server.split(' ')).output().expect("run dig");
    let lines = String::from_utf8_lossy(&output.stdout).into_owned();
    // What it complains of is no answer.
    lines.lines().filter(|line| !line.starts_with(";;")).collect::<Vec<_>>().join("\n")
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
