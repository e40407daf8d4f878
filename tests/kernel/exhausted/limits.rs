//! Limits of the process: descriptors, processes.
use super::{Running, refused};
use crate::world::{World, need, tool::soon, world};
use serde_json::json;
use std::{fs, process::Command};

/// The daemon, started by `sh -c LIMIT`.
fn again_with(w: &World, limit: &str) {
    w.daemon.stop();
    let plain = w.daemon.command();
    let mut limited = Command::new("sh");
    limited
        .args(["-c", &format!("{limit} exec \"$@\""), "sh"])
        .arg(plain.get_program())
        .args(plain.get_args());
    let log = fs::File::options().append(true).open(w.daemon.log_file()).expect("log");
    w.daemon.again_by(limited.stdout(log.try_clone().expect("log")).stderr(log));
}

#[test]
fn descriptors() {
    need(&["ip", "nft", "ss", "dig"]);
    world(|w| {
        again_with(w, "ulimit -n 160;");
        let running = Running::new(w);
        let ports = |count: u16| json!([{"host_port": 20_000, "port": 20_000, "count": count}]);
        let body = |count| json!({"name": "b", "networks": [{"network": "n"}], "ports": ports(count)});
        refused(w, "Sandbox.Create", body(400), "exhausted", &["ulimit -n"]);
        running.goes_on(w);
        w.call("Sandbox.Create", body(20));
        let held = w.host.run("ss", &["-Hltn"]);
        assert_eq!(held.lines().filter(|line| line.contains(":20")).count(), 20, "{held}");
        assert!(w.look("b").place.ping(&running.a.ip, "2"));
    });
}

/// A group of processes that may have no more of them than it has.
struct Group(String);

impl Group {
    fn around(pid: u32) -> Self {
        let home = "/run/pids";
        if !std::path::Path::new(home).exists() {
            fs::create_dir(home).expect("mkdir");
            let (v1, _) = crate::world::tool::try_run("mount", &["-t", "cgroup", "-o", "pids", "none", home]);
            let fine = v1 || crate::world::tool::try_run("mount", &["-t", "cgroup2", "none", home]).0;
            if !fine {
                crate::world::tool::skip("no controller of process numbers can be mounted");
            }
        }
        let group = Group(format!("{home}/pontoon-test-{}", std::process::id()));
        fs::create_dir(&group.0).expect("make a control group");
        fs::write(format!("{}/cgroup.procs", group.0), pid.to_string()).expect("move the daemon");
        group
    }
    fn limit(&self, words: &str) {
        fs::write(format!("{}/pids.max", self.0), words).expect("limit");
    }
    fn now(&self) -> String {
        fs::read_to_string(format!("{}/pids.current", self.0)).expect("read").trim().to_owned()
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let procs = fs::read_to_string(format!("{}/cgroup.procs", self.0)).unwrap_or_default();
        let above = std::path::Path::new(&self.0).with_file_name("cgroup.procs");
        procs.lines().for_each(|pid| drop(fs::write(&above, pid)));
        let _ = fs::remove_dir(&self.0);
        let _ = nix::mount::umount("/run/pids");
    }
}

#[track_caller]
fn refused_for_threads(w: &World, method: &str) {
    let (kind, text) =
        w.refused(method, if method.ends_with("Prune") { json!({"all": true}) } else { json!({}) });
    assert!(kind == "exhausted" && text.contains("pids.max"), "{method}: {kind}: {text}");
}

#[test]
fn processes() {
    need(&["ip", "nft", "ss", "dig"]);
    world(|w| {
        let running = Running::new(w);
        w.call("Volume.Create", json!({"name": "gone"}));
        w.call("Volume.Create", json!({"name": "kept"}));
        let data = w.daemon.root().join("volumes/gone/_data/file");
        fs::write(&data, "x").expect("write");
        let group = Group::around(w.daemon.pid());
        group.limit(&group.now());
        // No thread more. What needs one is refused, by as many callers at once as there may be; what needs none is done.
        std::thread::scope(|scope| {
            for _ in 0..24 {
                scope.spawn(|| refused_for_threads(w, "System.Df"));
            }
            let ports = json!([{"host_port": 9000, "port": 80}]);
            w.call("Sandbox.Create", json!({"name": "b", "networks": [{"network": "n"}], "ports": ports}));
            w.call("Sandbox.Remove", json!({"name": "b"}));
            w.call("Volume.Remove", json!({"name": "gone"}));
            w.call("Network.Create", json!({"name": "m"}));
            w.call("Network.Remove", json!({"name": "m"}));
        });
        refused_for_threads(w, "Volume.Prune");
        assert!(w.daemon.root().join("volumes/kept").exists(), "what was refused is not done later");
        running.goes_on(w);
        assert!(!data.exists(), "the volume is out of the way");
        group.limit("max");
        w.call("System.Df", json!({}));
        w.call("Volume.Remove", json!({"name": "kept"}));
        let trash = w.daemon.root().join("volumes/.trash");
        soon(3000, "all that was removed is deleted", || fs::read_dir(&trash).expect("trash").count() == 0);
    });
}
