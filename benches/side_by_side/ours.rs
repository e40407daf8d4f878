//! This daemon on a host of its own, called through its native API as a runtime would.
use crate::place::{Place, Server};
use pontoon::{
    client::Client,
    model::{
        Command as Call,
        command::{EndpointRequest, Nothing, SandboxCreate, SandboxRemove, Which},
        port::{PortSpec, Proto},
        reply::{Created, Removed, SandboxInfo, SystemInfo},
    },
};
use serde_json::{Value, json};
use std::{
    net::IpAddr,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Instant,
};

pub const PROGRAM: &str = env!("CARGO_BIN_EXE_pontoon");

pub struct Ours {
    pub place: Place,
    pub client: Client,
    program: PathBuf,
    folder: PathBuf,
    server: Option<Server>,
}

impl Ours {
    /// A daemon with a network `bench`, 10.98.0.0/16.
    pub fn start(name: &str) -> Self {
        Ours::of(Path::new(PROGRAM), name)
    }

    /// The same of another build.
    pub fn of(program: &Path, name: &str) -> Self {
        let ours = Ours::running(program, name);
        ours.network("bench", "10.98.0.0/16");
        ours
    }

    /// A daemon with nothing but the default network, in a namespace called `name`.
    pub fn alone(name: &str) -> Self {
        Ours::running(Path::new(PROGRAM), name)
    }

    fn running(program: &Path, name: &str) -> Self {
        let folder = crate::folder().join(name);
        std::fs::create_dir_all(&folder).expect("a folder");
        let client =
            Client::new(&format!("unix://{}", folder.join("run/pontoon.sock").display())).expect("a client");
        let mut ours =
            Ours { place: Place::new(name), client, program: program.to_owned(), folder, server: None };
        ours.again().expect("the daemon answers");
        ours
    }

    /// Starts the daemon (once more); seconds until it answers its first call, for which a minute is waited.
    pub fn again(&mut self) -> Result<f64, String> {
        let config = self.folder.join("pontoon.toml");
        let nameservers = self.folder.join("resolv.conf");
        if !config.exists() {
            std::fs::write(&nameservers, "nameserver 127.0.0.1\n").expect("a file");
            std::fs::write(&config, format!("resolv_conf = {nameservers:?}\n")).expect("a file");
        }
        let start = Instant::now();
        let mut command = Command::new(&self.program);
        command.args(["daemon", "--config"]).arg(config).arg("--root").arg(self.folder.join("root"));
        command.arg("--run").arg(self.folder.join("run")).env("PONTOON_LOG", "error");
        self.server = Some(self.place.enter(|| Server::spawn(&mut command)).expect("the daemon"));
        while self.client.call::<SystemInfo>(&Call::SystemInfo(Nothing {})).is_err() {
            if start.elapsed().as_secs() >= 60 {
                return Err("no answer within 60 s".to_owned());
            }
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        Ok(start.elapsed().as_secs_f64())
    }

    /// kill -9
    pub fn kill(&mut self) {
        self.server = None;
    }

    pub fn pid(&self) -> u32 {
        self.server.as_ref().expect("it runs").pid()
    }

    pub fn socket(&self) -> PathBuf {
        self.folder.join("run/pontoon.sock")
    }

    pub fn network(&self, name: &str, subnet: &str) {
        self.call("Network.Create", json!({ "name": name, "pools": [{ "subnet": subnet }] }));
    }

    /// Any call, from and to JSON.
    pub fn call(&self, method: &str, body: Value) -> Value {
        let call = Call::parse(method, body.to_string().as_bytes()).expect("a method").expect("a body");
        self.client.call(&call).unwrap_or_else(|error| panic!("{method} {body}: {error}"))
    }

    /// A sandbox in `bench` for the namespace at `netns`; without one the daemon makes it.
    pub fn attach(&self, name: &str, netns: Option<&Path>, ports: Vec<PortSpec>) {
        self.join(name, "bench", netns, ports);
    }

    pub fn join(&self, name: &str, network: &str, netns: Option<&Path>, ports: Vec<PortSpec>) {
        let request = SandboxCreate {
            name: Some(name.to_owned()),
            netns: netns.map(Path::to_owned),
            networks: vec![EndpointRequest { network: network.to_owned(), ..Default::default() }],
            ports,
            ..Default::default()
        };
        self.client.call::<Created>(&Call::SandboxCreate(request)).expect("an attach");
    }

    pub fn detach(&self, name: &str) {
        let request = SandboxRemove { name: name.to_owned(), force: false, volumes: false };
        self.client.call::<Removed>(&Call::SandboxRemove(request)).expect("a detach");
    }

    pub fn sandbox(&self, name: &str) -> SandboxInfo {
        self.client.call(&Call::SandboxInspect(Which::new(name))).expect("a sandbox")
    }

    /// Where a sandbox is, and its addresses.
    pub fn look(&self, name: &str) -> (Place, Vec<IpAddr>) {
        let info = serde_json::to_value(self.sandbox(name)).expect("JSON");
        let all = info["networks"][0]["addresses"].as_array().cloned().unwrap_or_default();
        let address = |text: &Value| text.as_str()?.split('/').next()?.parse().ok();
        let path = info["netns_path"].as_str().expect("a namespace");
        (Place::at(Path::new(path)), all.iter().filter_map(address).collect())
    }

    /// `pontoon ARGS`, as a user types it.
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.env("PONTOON_HOST", format!("unix://{}", self.socket().display()));
        command.stdin(Stdio::null()).stdout(Stdio::null());
        command
    }

    pub fn info(&self) -> SystemInfo {
        self.client.call(&Call::SystemInfo(Nothing {})).expect("info")
    }
}

/// `count` TCP ports from `host` on, to those from `port` on.
pub fn ports(host: u16, port: u16, count: u16) -> PortSpec {
    PortSpec { host_ip: None, host_port: Some(host), host_port_end: None, port, count, proto: Proto::Tcp }
}
