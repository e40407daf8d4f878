//! This daemon, called through its native API as a runtime would: a namespace by path, one network, one port.
use pontoon::{
    client::Client,
    model::{
        Command as Call,
        command::{EndpointRequest, NetworkCreate, Nothing, SandboxCreate, SandboxRemove},
        port::{PortSpec, Proto},
        reply::{Created, Removed, SystemInfo},
    },
};
use std::{
    path::Path,
    process::{Child, Command},
    time::Duration,
};

pub struct Daemon {
    child: Child,
    client: Client,
    made: usize,
}

impl Daemon {
    pub fn start(folder: &Path) -> Self {
        let socket = folder.join("run/pontoon.sock");
        let child = Command::new(env!("CARGO_BIN_EXE_pontoon"))
            .arg("daemon")
            .args([Path::new("--root"), &folder.join("root"), Path::new("--run"), &folder.join("run")])
            .env("PONTOON_LOG", "warn")
            .spawn()
            .expect("the daemon");
        for _ in 0..500 {
            if std::os::unix::net::UnixStream::connect(&socket).is_ok() {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let client = Client::new(&format!("unix://{}", socket.display())).expect("a client");
        let create = NetworkCreate { name: "bench".to_owned(), ..Default::default() };
        client.call::<Created>(&Call::NetworkCreate(create)).expect("a network");
        Daemon { child, client, made: 0 }
    }

    fn create(&self, name: String, netns: String, port: PortSpec) {
        let request = SandboxCreate {
            name: Some(name),
            netns: Some(netns.into()),
            networks: vec![EndpointRequest { network: "bench".to_owned(), ..Default::default() }],
            ports: vec![port],
            ..Default::default()
        };
        self.client.call::<Created>(&Call::SandboxCreate(request)).expect("an attach");
    }

    pub fn prepare(&mut self, round: usize) {
        while self.made <= round {
            super::run(&format!("ip netns add ours{}", self.made));
            self.made += 1;
        }
    }

    pub fn attach(&mut self, round: usize) {
        let port = PortSpec {
            host_ip: None,
            host_port: Some(10_000 + round as u16),
            host_port_end: None,
            port: 80,
            count: 1,
            proto: Proto::Tcp,
        };
        self.create(format!("s{round}"), format!("/run/netns/ours{round}"), port);
    }

    fn remove(&self, name: String) {
        let request = SandboxRemove { name, force: false, volumes: false };
        self.client.call::<Removed>(&Call::SandboxRemove(request)).expect("a detach");
    }

    pub fn detach(&mut self, round: usize) {
        self.remove(format!("s{round}"));
    }

    pub fn ports(&mut self, count: u16) {
        let port = PortSpec {
            host_ip: None,
            host_port: Some(30_000),
            host_port_end: None,
            port: 40_000,
            count,
            proto: Proto::Tcp,
        };
        self.create("many".to_owned(), "/run/netns/ours0".to_owned(), port);
    }

    pub fn no_ports(&mut self) {
        self.remove("many".to_owned());
    }

    /// Resident bytes.
    pub fn memory(&mut self) -> u64 {
        self.client.call::<SystemInfo>(&Call::SystemInfo(Nothing {})).expect("info").resident_memory
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
