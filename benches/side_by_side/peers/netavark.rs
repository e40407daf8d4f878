//! netavark as Podman calls it: a process for each setup and teardown, aardvark-dns for the names.
use super::{feed, find};
use crate::place::Place;
use serde_json::json;
use std::{
    path::{Path, PathBuf},
    process::Command,
};

pub const WHO: &str = "netavark";

pub struct Netavark {
    pub place: Place,
    program: PathBuf,
    aardvark: Option<PathBuf>,
    config: PathBuf,
    /// Where our daemon listens.
    host: Option<String>,
}

/// One container's call.
pub struct Seat<'a> {
    pub number: usize,
    pub name: &'a str,
    pub netns: &'a Path,
    /// First host port and how many.
    pub ports: Option<(u16, u16)>,
}

impl Netavark {
    pub fn start(name: &str) -> Result<Self, String> {
        let program = find(&["/usr/lib/podman/netavark", "/usr/libexec/podman/netavark"], "netavark")?;
        let aardvark = Some(program.with_file_name("aardvark-dns")).filter(|path| path.exists());
        let place = Place::new(name);
        place.sysctl("ipv4/ip_forward", "1");
        Ok(Netavark { place, program, aardvark, config: config(name), host: None })
    }

    /// Ours under that name, on the daemon's own host.
    pub fn ours(ours: &crate::ours::Ours) -> Self {
        let config = config("netavark-ours");
        let program = config.join("netavark");
        std::os::unix::fs::symlink(crate::ours::PROGRAM, &program).expect("a link");
        let host = Some(format!("unix://{}", ours.socket().display()));
        Netavark { place: Place::at(&ours.place.path), program, aardvark: None, config, host }
    }

    /// Somebody who stays, so that aardvark-dns need not start for each of the others.
    pub fn stays(&self, name: &str) -> Result<(), String> {
        let netns = crate::place::empty(name);
        self.setup(&Seat { number: 500, name: "stays", netns: &netns, ports: None }, true)
    }

    pub fn address(number: usize) -> String {
        format!("10.77.{}.{}", 1 + number / 200, 2 + number % 200)
    }

    /// Tried again when aardvark-dns is slow to start: netavark 1.4 then says that its pid is not found.
    pub fn setup(&self, seat: &Seat<'_>, dns: bool) -> Result<(), String> {
        for _ in 0..5 {
            match self.call("setup", seat, dns) {
                Err(error) if error.contains("aardvark") => {
                    let _ = self.call("teardown", seat, dns);
                    std::thread::sleep(std::time::Duration::from_millis(200));
                }
                said => return said,
            }
        }
        self.call("setup", seat, dns)
    }

    pub fn teardown(&self, seat: &Seat<'_>, dns: bool) -> Result<(), String> {
        self.call("teardown", seat, dns)
    }

    fn call(&self, verb: &str, seat: &Seat<'_>, dns: bool) -> Result<(), String> {
        let id = format!("{:064x}", seat.number + 1);
        let port = |(host, count): (u16, u16)| json!({ "host_ip": "", "container_port": 80, "host_port": host, "range": count, "protocol": "tcp" });
        let subnet = json!({ "subnet": "10.77.0.0/16", "gateway": "10.77.0.1" });
        let options = json!({
            "container_id": id,
            "container_name": seat.name,
            "port_mappings": seat.ports.map(port).into_iter().collect::<Vec<_>>(),
            "networks": { "peer": {
                "static_ips": [Netavark::address(seat.number)],
                "aliases": [seat.name],
                "interface_name": "eth0",
            }},
            "network_info": { "peer": {
                "name": "peer", "id": format!("{:064x}", 7), "driver": "bridge", "network_interface": "br-nv",
                "subnets": [subnet], "ipv6_enabled": false, "internal": false, "dns_enabled": dns,
                "ipam_options": { "driver": "host-local" },
            }},
        });
        let mut command = Command::new(&self.program);
        command.arg("--config").arg(&self.config).arg("--rootless=false");
        if let Some(aardvark) = &self.aardvark {
            command.arg("--aardvark-binary").arg(aardvark);
        }
        command.envs(self.host.as_ref().map(|host| ("PONTOON_HOST", host)));
        command.arg(verb).arg(seat.netns).stderr(std::process::Stdio::null());
        self.place.enter(|| feed(&mut command, &options.to_string())).map(drop)
    }
}

/// Where it keeps its state.
fn config(name: &str) -> PathBuf {
    let folder = crate::folder().join(name);
    std::fs::create_dir_all(&folder).expect("a folder");
    folder
}
