//! Podman as it is typed, with either of its backends: ours in its place, or what Debian's packages give it.
use super::{find, rootfs, timed_program};
use crate::{
    ours::{Ours, PROGRAM},
    place::Place,
};
use serde_json::json;
use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

pub const WITH_CNI: &str = "podman with bridge+portmap+firewall";
pub const WITH_NETAVARK: &str = "podman with netavark";

/// One store of containers, one `containers.conf`, on one host.
pub struct Podman {
    place: Place,
    folder: PathBuf,
    rootfs: PathBuf,
    /// Where our daemon listens.
    host: Option<String>,
}

impl Podman {
    /// With ours as its backend, and a network `peer`.
    pub fn ours(ours: &Ours, backend: &str) -> Result<Self, String> {
        let host = format!("unix://{}", ours.socket().display());
        let place = Place::at(&ours.place.path);
        let podman = Podman::new(place, &format!("p-{backend}-ours"), Some(host))?;
        let bin = podman.folder.join("bin");
        for name in ["pontoon", "netavark", "aardvark-dns"] {
            symlink(PROGRAM, bin.join(name)).map_err(|error| error.to_string())?;
        }
        podman.configure(backend, &bin, &bin)?;
        match backend {
            "cni" => {
                let plugin = json!({ "type": "pontoon", "network": "bench",
                    "capabilities": { "portMappings": true, "ips": true, "aliases": true } });
                let list = json!({ "cniVersion": "1.0.0", "name": "peer", "plugins": [plugin] });
                let path = podman.folder.join("networks/peer.conflist");
                fs::write(path, list.to_string()).map_err(|error| error.to_string())?;
            }
            _ => podman.call(&["network", "create", "--subnet", "10.79.0.0/16", "peer"]).map(drop)?,
        }
        Ok(podman)
    }

    /// With what Debian gives it: `podman network create` writes its own list of plugins.
    pub fn theirs(backend: &str) -> Result<Self, String> {
        // Podman wants a short path.
        let name = format!("p-{backend}");
        let place = Place::new(&name);
        place.sysctl("ipv4/ip_forward", "1");
        let podman = Podman::new(place, &name, None)?;
        if backend == "netavark" {
            find(&["/usr/lib/podman/netavark"], "netavark")?;
        }
        podman.configure(backend, Path::new("/usr/lib/podman"), Path::new("/usr/lib/cni"))?;
        podman.call(&["network", "create", "--subnet", "10.79.0.0/16", "peer"])?;
        Ok(podman)
    }

    fn new(place: Place, name: &str, host: Option<String>) -> Result<Self, String> {
        find(&["/usr/bin/podman"], "podman")?;
        let folder = crate::folder().join(name);
        for part in ["bin", "networks"] {
            fs::create_dir_all(folder.join(part)).map_err(|error| error.to_string())?;
        }
        Ok(Podman { place, rootfs: rootfs()?, folder, host })
    }

    /// No limits that this machine may not set, locks that nobody else has; all else is as it comes.
    fn configure(&self, backend: &str, helpers: &Path, plugins: &Path) -> Result<(), String> {
        let text = format!(
            "[containers]\ncgroups = \"enabled\"\ndefault_ulimits = [\"nofile=1024:1024\", \"nproc=4096:4096\"]\n\
             [network]\nnetwork_backend = {backend:?}\nnetwork_config_dir = {networks:?}\ncni_plugin_dirs = [{plugins:?}]\n\
             [engine]\nruntime = \"runc\"\ncgroup_manager = \"cgroupfs\"\nevents_logger = \"none\"\nlock_type = \"file\"\n\
             helper_binaries_dir = [{helpers:?}, \"/usr/lib/podman\"]\n",
            networks = self.folder.join("networks"),
        );
        fs::write(self.folder.join("containers.conf"), text).map_err(|error| error.to_string())
    }

    /// `podman run -d -p PORT:80`, without `network` with none; seconds until it is back. It is removed again.
    pub fn run(&self, network: Option<&str>, port: u16) -> Result<f64, String> {
        let (name, publish) = (format!("c{port}"), format!("{port}:80"));
        let mut words = vec!["run", "-d", "--name", &name, "--security-opt", "seccomp=unconfined"];
        match network {
            Some(network) => words.extend(["--network", network, "-p", &publish]),
            None => words.extend(["--network", "none"]),
        }
        let rootfs = self.rootfs.display().to_string();
        words.extend(["--rootfs", &rootfs, "/bin/busybox", "sleep", "100000"]);
        let took = self.call(&words)?;
        self.call(&["rm", "-f", "-t", "0", &name])?;
        Ok(took)
    }

    fn call(&self, words: &[&str]) -> Result<f64, String> {
        let mut command = Command::new("podman");
        for (flag, folder) in [("--root", "root"), ("--runroot", "run"), ("--tmpdir", "tmp")] {
            command.arg(flag).arg(self.folder.join(folder));
        }
        command.args(["--storage-driver", "vfs"]).args(words);
        command.env("CONTAINERS_CONF", self.folder.join("containers.conf"));
        command.envs(self.host.as_ref().map(|host| ("PONTOON_HOST", host)));
        self.place.enter(|| timed_program(&mut command))
    }
}
