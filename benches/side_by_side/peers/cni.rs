//! CNI plugins as a runtime calls them: a process for each. The chain is what Podman and nerdctl write: bridge with
//! host-local, portmap, firewall; or it is `pontoon` alone.
use super::feed;
use crate::place::Place;
use serde_json::{Value, json};
use std::{path::Path, process::Command};

pub const WHO: &str = "CNI bridge+portmap+firewall";
const FOLDER: &str = "/usr/lib/cni";

/// A list of plugins on one host.
pub struct Chain {
    pub place: Place,
    folder: String,
    plugins: Vec<Value>,
    host: Option<String>,
}

impl Chain {
    /// The reference plugins.
    pub fn reference(name: &str) -> Result<Self, String> {
        for plugin in ["bridge", "host-local", "portmap", "firewall"] {
            if !Path::new(FOLDER).join(plugin).exists() {
                return Err("not installed (apt install containernetworking-plugins)".to_owned());
            }
        }
        let data = crate::folder().join(name);
        let ipam = json!({ "type": "host-local", "subnet": "10.88.0.0/16", "dataDir": data });
        let bridge =
            json!({ "type": "bridge", "bridge": "br-cni", "isGateway": true, "ipMasq": true, "ipam": ipam });
        let portmap = json!({ "type": "portmap", "capabilities": { "portMappings": true } });
        let plugins = vec![bridge, portmap, json!({ "type": "firewall" })];
        let place = Place::new(name);
        place.sysctl("ipv4/ip_forward", "1");
        Ok(Chain { place, folder: FOLDER.to_owned(), plugins, host: None })
    }

    /// Ours, in the daemon's own place, by way of its socket.
    pub fn ours(ours: &crate::ours::Ours) -> Self {
        let folder = crate::folder().join("cni-bin");
        std::fs::create_dir_all(&folder).expect("a folder");
        let _ = std::os::unix::fs::symlink(crate::ours::PROGRAM, folder.join("pontoon"));
        let plugin =
            json!({ "type": "pontoon", "network": "bench", "capabilities": { "portMappings": true } });
        let place = Place::at(&ours.place.path);
        let host = Some(format!("unix://{}", ours.socket().display()));
        Chain { place, folder: folder.display().to_string(), plugins: vec![plugin], host }
    }

    pub fn add(&self, container: &str, netns: &Path, ports: &[u16]) -> Result<(), String> {
        let mut result = Value::Null;
        for plugin in &self.plugins {
            let answer = self.call("ADD", plugin, container, netns, ports, &result)?;
            result = serde_json::from_str(&answer).map_err(|error| format!("{answer}: {error}"))?;
        }
        Ok(())
    }

    pub fn del(&self, container: &str, netns: &Path, ports: &[u16]) -> Result<(), String> {
        for plugin in self.plugins.iter().rev() {
            self.call("DEL", plugin, container, netns, ports, &Value::Null)?;
        }
        Ok(())
    }

    fn call(
        &self,
        verb: &str,
        plugin: &Value,
        container: &str,
        netns: &Path,
        ports: &[u16],
        result: &Value,
    ) -> Result<String, String> {
        let mut config = plugin.clone();
        config["cniVersion"] = json!("0.4.0");
        config["name"] = json!("peer");
        if plugin["capabilities"]["portMappings"] == json!(true) {
            let port = |port: &u16| json!({ "hostPort": port, "containerPort": 80, "protocol": "tcp" });
            config["runtimeConfig"] = json!({ "portMappings": ports.iter().map(port).collect::<Vec<_>>() });
        }
        if !result.is_null() {
            config["prevResult"] = result.clone();
        }
        let name = plugin["type"].as_str().ok_or("a plugin has a type")?;
        let mut command = Command::new(Path::new(&self.folder).join(name));
        command.env("CNI_COMMAND", verb).env("CNI_CONTAINERID", container).env("CNI_NETNS", netns);
        command.env("CNI_IFNAME", "eth0").env("CNI_PATH", &self.folder);
        command.envs(self.host.as_ref().map(|host| ("PONTOON_HOST", host)));
        self.place.enter(|| feed(&mut command, &config.to_string()))
    }
}
