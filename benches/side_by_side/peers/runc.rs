//! runc with a bundle whose hook calls us, and with the same bundle without it.
use super::{find, rootfs, timed_program};
use crate::{
    ours::{Ours, PROGRAM},
    place::Place,
};
use serde_json::{Value, json};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

pub const WHO: &str = "runc run without a network (it has none of its own)";

pub struct Bundle {
    place: Place,
    folder: PathBuf,
}

impl Bundle {
    pub fn make(name: &str, ours: &Ours) -> Result<Self, String> {
        find(&["/usr/sbin/runc", "/usr/bin/runc"], "runc")?;
        let bundle = Bundle { place: Place::at(&ours.place.path), folder: crate::folder().join(name) };
        let host = format!("PONTOON_HOST=unix://{}", ours.socket().display());
        for (hooked, part) in [(true, "hooked"), (false, "bare")] {
            let folder = bundle.folder.join(part);
            fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
            let _ = fs::remove_file(folder.join("config.json"));
            crate::place::run(&format!("runc spec --bundle {}", folder.display()));
            change(&folder.join("config.json"), hooked.then_some(&host))?;
        }
        Ok(bundle)
    }

    /// `runc run -d`; seconds until it is back. The container is deleted again.
    pub fn run(&self, hooked: bool, number: usize) -> Result<f64, String> {
        let (part, name) =
            if hooked { ("hooked", format!("h{number}")) } else { ("bare", format!("b{number}")) };
        let took =
            self.runc(&["run", "-d", "--bundle", &self.folder.join(part).display().to_string(), &name])?;
        self.runc(&["delete", "-f", &name])?;
        Ok(took)
    }

    fn runc(&self, words: &[&str]) -> Result<f64, String> {
        let mut command = Command::new("runc");
        command.arg("--root").arg(self.folder.join("state")).args(words);
        self.place.enter(|| timed_program(&mut command))
    }
}

/// What `runc spec` writes, for busybox, without cgroups, and with our hooks.
fn change(path: &Path, host: Option<&String>) -> Result<(), String> {
    let text = fs::read(path).map_err(|error| error.to_string())?;
    let mut spec: Value = serde_json::from_slice(&text).map_err(|error| error.to_string())?;
    spec["process"]["terminal"] = json!(false);
    spec["process"]["args"] = json!(["/bin/busybox", "sleep", "100000"]);
    spec["root"] = json!({ "path": rootfs()?, "readonly": true });
    spec["linux"].as_object_mut().and_then(|linux| linux.remove("resources"));
    if let Some(mounts) = spec["mounts"].as_array_mut() {
        mounts.retain(|mount| mount["type"] != "cgroup");
    }
    if let Some(host) = host {
        spec["annotations"] = json!({ "io.pontoon.network": "bench", "io.pontoon.ports": "28600:80" });
        let hook = |verb: &str| json!([{ "path": PROGRAM, "args": ["pontoon", "oci-hook", verb], "env": ["PATH=/bin", host] }]);
        spec["hooks"] = json!({ "createRuntime": hook("add"), "poststop": hook("del") });
    }
    fs::write(path, spec.to_string()).map_err(|error| error.to_string())
}
