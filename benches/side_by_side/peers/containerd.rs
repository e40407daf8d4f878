//! containerd by `ctr run --cni`, which looks for plugins and networks only below /opt/cni and /etc/cni: both lead to one
//! of two folders, ours or that of Debian's plugins.
use super::{find, rootfs, timed_program};
use crate::{
    ours::{Ours, PROGRAM},
    place::{Place, Server, run, until},
};
use serde_json::{Value, json};
use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Network {
    Ours,
    Debians,
    None,
}

pub struct Containerd {
    ours: Place,
    theirs: Place,
    folder: PathBuf,
    rootfs: PathBuf,
    host: String,
    _server: Server,
}

impl Containerd {
    pub fn start(name: &str, ours: &Ours) -> Result<Self, String> {
        let program = find(&["/usr/bin/containerd"], "containerd")?;
        find(&["/usr/lib/cni/bridge"], "containernetworking-plugins")?;
        let folder = crate::folder().join(name);
        let failed = |error: std::io::Error| error.to_string();
        fs::create_dir_all(&folder).map_err(failed)?;
        let config = folder.join("config.toml");
        fs::write(&config, toml(&folder)).map_err(failed)?;
        let log = fs::File::create(folder.join("log")).map_err(failed)?;
        let mut command = Command::new(program);
        command.arg("--config").arg(config).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let theirs = Place::new("ctr-debian");
        theirs.sysctl("ipv4/ip_forward", "1");
        let containerd = Containerd {
            ours: Place::at(&ours.place.path),
            theirs,
            rootfs: rootfs()?,
            host: format!("unix://{}", ours.socket().display()),
            _server: Server::spawn(&mut command)?,
            folder,
        };
        containerd.networks().map_err(failed)?;
        until("containerd's start", || containerd.ctr(&containerd.ours, &["version"]).is_ok())?;
        Ok(containerd)
    }

    /// The two folders, and an /etc and an /opt of this run's own.
    fn networks(&self) -> std::io::Result<()> {
        let ipam =
            json!({ "type": "host-local", "subnet": "10.86.0.0/16", "dataDir": self.folder.join("leases") });
        let bridge =
            json!({ "type": "bridge", "bridge": "br-ctr", "isGateway": true, "ipMasq": true, "ipam": ipam });
        let portmap = json!({ "type": "portmap", "capabilities": { "portMappings": true } });
        let reference = json!([bridge, portmap, { "type": "firewall" }]);
        for (name, plugins) in
            [("ours", json!([{ "type": "pontoon", "network": "bench" }])), ("debian", reference)]
        {
            let folder = self.folder.join(name);
            fs::create_dir_all(folder.join("net.d"))?;
            let list = json!({ "cniVersion": "1.0.0", "name": "peer", "plugins": plugins });
            fs::write(folder.join("net.d/05-peer.conflist"), list.to_string())?;
        }
        symlink("/usr/lib/cni", self.folder.join("debian/bin"))?;
        fs::create_dir(self.folder.join("ours/bin"))?;
        for name in ["pontoon", "loopback"] {
            symlink(PROGRAM, self.folder.join("ours/bin").join(name))?;
        }
        for folder in ["etc", "opt"] {
            let own = Path::new("/run/own").join(folder);
            fs::create_dir_all(own.join("upper/cni"))?;
            fs::create_dir_all(own.join("work"))?;
            let (own, lower) = (own.display(), Path::new("/").join(folder));
            let lower = lower.display();
            run(&format!(
                "mount -t overlay -o lowerdir={lower},upperdir={own}/upper,workdir={own}/work own {lower}"
            ));
        }
        fs::create_dir_all("/opt/cni")?;
        for path in ["/etc/cni/net.d", "/opt/cni/bin"] {
            let _ = fs::remove_dir_all(path);
        }
        Ok(())
    }

    /// `ctr run -d [--cni]`; seconds until it is back. The container is removed again; ctr never says DEL of one that runs in
    /// the background.
    pub fn run(&self, network: Network, number: usize) -> Result<f64, String> {
        let (place, folder) = match network {
            Network::Ours | Network::None => (&self.ours, "ours"),
            Network::Debians => (&self.theirs, "debian"),
        };
        for (path, part) in [("/etc/cni/net.d", "net.d"), ("/opt/cni/bin", "bin")] {
            let _ = fs::remove_file(path);
            symlink(self.folder.join(folder).join(part), path).map_err(|error| error.to_string())?;
        }
        let name = format!("{folder}{}-{number}", if network == Network::None { "-bare" } else { "" });
        let rootfs = self.rootfs.display().to_string();
        let cni: &[&str] = if network == Network::None { &[] } else { &["--cni"] };
        let words = ["--cgroup", "", "--rootfs", &rootfs, &name, "/bin/busybox", "sleep", "100000"];
        let took = self.ctr(place, &[&["run", "-d"], cni, &words].concat())?;
        self.ctr(place, &["task", "rm", "-f", &name])?;
        self.ctr(place, &["container", "rm", &name])?;
        Ok(took)
    }

    fn ctr(&self, place: &Place, words: &[&str]) -> Result<f64, String> {
        let mut command = Command::new("ctr");
        command.arg("-a").arg(self.folder.join("containerd.sock")).args(words);
        command.env("PONTOON_HOST", &self.host);
        place.enter(|| timed_program(&mut command))
    }
}

/// Nothing that ctr does not need.
fn toml(folder: &Path) -> String {
    let off: Vec<Value> = ["grpc.v1.cri", "internal.v1.opt", "snapshotter.v1.aufs", "snapshotter.v1.btrfs"]
        .iter()
        .chain(&["snapshotter.v1.devmapper", "snapshotter.v1.zfs"])
        .map(|name| json!(format!("io.containerd.{name}")))
        .collect();
    format!(
        "version = 2\nroot = {:?}\nstate = {:?}\ndisabled_plugins = {}\n[grpc]\naddress = {:?}\n",
        folder.join("root"),
        folder.join("state"),
        json!(off),
        folder.join("containerd.sock"),
    )
}
