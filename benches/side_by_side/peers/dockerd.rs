//! dockerd by its API: a private daemon with folders of its own, containers of busybox alone.
use super::{find, timed_program};
use crate::{
    http,
    place::{Place, Server, until},
};
use serde_json::{Value, json};
use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

pub const WHO: &str = "dockerd";
const IMAGE: &str = "bench";

pub struct Dockerd {
    pub place: Place,
    pub socket: PathBuf,
    /// Seconds from its start to its first answer.
    pub started: f64,
    server: Server,
    containers: std::cell::RefCell<Vec<String>>,
}

impl Dockerd {
    pub fn start(name: &str) -> Result<Self, String> {
        Dockerd::start_at(Place::new(name), name)
    }

    /// In a place that stands, beside whoever is there.
    pub fn start_at(place: Place, name: &str) -> Result<Self, String> {
        let program = find(&["/usr/sbin/dockerd", "/usr/bin/dockerd"], "docker.io")?;
        let busybox = find(&["/bin/busybox", "/usr/bin/busybox"], "busybox-static")?;
        let folder = crate::folder().join(name);
        std::fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
        let socket = folder.join("docker.sock");
        let log = std::fs::File::create(folder.join("log")).map_err(|error| error.to_string())?;
        let config = folder.join("daemon.json");
        std::fs::write(&config, "{}").map_err(|error| error.to_string())?;
        let mut command = Command::new(program);
        command.arg("-H").arg(format!("unix://{}", socket.display())).arg("--config-file").arg(config);
        command.arg("--data-root").arg(folder.join("data")).arg("--exec-root").arg(folder.join("exec"));
        // Where the harness puts a nameserver, when one is asked for; it would ask a public one else.
        command.args(["--dns", "10.97.0.1"]);
        command.arg("--pidfile").arg(folder.join("pid")).stdin(Stdio::null());
        command.stdout(log.try_clone().map_err(|error| error.to_string())?).stderr(log);
        let start = std::time::Instant::now();
        let server = place.enter(|| Server::spawn(&mut command))?;
        let mut docker = Dockerd { place, socket, started: 0.0, server, containers: Vec::new().into() };
        until("dockerd's start", || docker.call("GET", "/version", Value::Null).is_ok())?;
        docker.started = start.elapsed().as_secs_f64();
        let root = folder.join("image");
        std::fs::create_dir_all(root.join("bin")).map_err(|error| error.to_string())?;
        std::fs::copy(&busybox, root.join("bin/busybox")).map_err(|error| error.to_string())?;
        docker.import(&root, IMAGE)?;
        docker.network("bench", "10.97.0.0/16")?;
        Ok(docker)
    }

    pub fn call(&self, verb: &str, path: &str, body: Value) -> Result<Value, String> {
        http::json(&self.socket, verb, path, &body)
    }

    pub fn pid(&self) -> u32 {
        self.server.pid()
    }

    pub fn network(&self, name: &str, subnet: &str) -> Result<(), String> {
        let ipam = json!({ "Config": [{ "Subnet": subnet }] });
        self.call("POST", "/networks/create", json!({ "Name": name, "Driver": "bridge", "IPAM": ipam }))
            .map(drop)
    }

    /// A network whose driver and addresses are the plugin `pontoon`'s.
    pub fn plugged(&self, name: &str) -> Result<(), String> {
        let body = json!({ "Name": name, "Driver": "pontoon", "IPAM": { "Driver": "pontoon" } });
        self.call("POST", "/networks/create", body).map(drop)
    }

    /// `docker run -d -p PORT:80`, as typed; seconds until it is back.
    pub fn run(&self, name: &str, network: &str, port: u16) -> Result<f64, String> {
        let mut command = Command::new("docker");
        command.arg("-H").arg(format!("unix://{}", self.socket.display()));
        command.args(["run", "-d", "--name", name, "--network", network]);
        if network != "none" {
            command.args(["-p", &format!("{port}:80")]);
        }
        command.args([IMAGE, "/bin/busybox", "sleep", "100000"]);
        let took = timed_program(&mut command)?;
        self.containers.borrow_mut().push(name.to_owned());
        Ok(took)
    }

    /// A running container on `network` with these ports published: the host's, its own, the protocol.
    pub fn container(&self, name: &str, network: &str, ports: &[(u16, u16, &str)]) -> Result<(), String> {
        self.create(name, network, ports)?;
        self.begin(name)
    }

    pub fn begin(&self, name: &str) -> Result<(), String> {
        self.call("POST", &format!("/containers/{name}/start"), Value::Null).map(drop)
    }

    pub fn create(&self, name: &str, network: &str, ports: &[(u16, u16, &str)]) -> Result<(), String> {
        let exposed: serde_json::Map<_, _> =
            ports.iter().map(|(_, port, proto)| (format!("{port}/{proto}"), json!({}))).collect();
        let bound = |(host, port, proto): &(u16, u16, &str)| {
            (format!("{port}/{proto}"), json!([{ "HostPort": host.to_string() }]))
        };
        let bound: serde_json::Map<_, _> = ports.iter().map(bound).collect();
        let body = json!({
            "Image": IMAGE, "Cmd": ["/bin/busybox", "sleep", "100000"], "ExposedPorts": exposed,
            "HostConfig": { "NetworkMode": network, "PortBindings": bound },
        });
        self.call("POST", &format!("/containers/create?name={name}"), body)?;
        self.containers.borrow_mut().push(name.to_owned());
        Ok(())
    }

    pub fn remove(&self, name: &str) -> Result<(), String> {
        self.containers.borrow_mut().retain(|other| other != name);
        self.call("DELETE", &format!("/containers/{name}?force=1"), Value::Null).map(drop)
    }

    /// A container's namespace and its address on `network`.
    pub fn look(&self, name: &str, network: &str) -> Result<(Place, String), String> {
        let info = self.call("GET", &format!("/containers/{name}/json"), Value::Null)?;
        let pid = info["State"]["Pid"].as_u64().ok_or("the container does not run")?;
        let address = info["NetworkSettings"]["Networks"][network]["IPAddress"].as_str().unwrap_or_default();
        Ok((Place::at(Path::new(&format!("/proc/{pid}/ns/net"))), address.to_owned()))
    }

    /// The folder `root` as an image.
    pub fn import(&self, root: &Path, image: &str) -> Result<(), String> {
        let tar = Command::new("tar").arg("-C").arg(root).args(["-c", "."]).output();
        let tar = tar.map_err(|error| error.to_string())?.stdout;
        let path = format!("/images/create?fromSrc=-&repo={image}&tag=latest");
        http::raw(&self.socket, "POST", &path, "application/x-tar", &tar).map(drop)
    }
}

impl Drop for Dockerd {
    fn drop(&mut self) {
        for name in self.containers.take() {
            let _ = self.call("DELETE", &format!("/containers/{name}?force=1"), Value::Null);
        }
        let pid = nix::unistd::Pid::from_raw(self.server.pid() as i32);
        let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM);
        let _ = until("dockerd's end", || self.server.0.try_wait().is_ok_and(|end| end.is_some()));
    }
}
