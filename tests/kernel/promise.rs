//! The kernel's part of an attach goes on while the ledger is being written. Death in between leaves nothing.
use crate::world::{
    World,
    left::{Found, same},
    need,
    tool::soon,
    world,
};
use serde_json::{Value, json};
use std::process::{Child, Command, Stdio};

/// Holds every write of the ledger back for a minute, as a disk that hangs.
struct HungDisk(Child);

impl HungDisk {
    fn of(w: &World) -> Self {
        Self::at(w, "pwrite64")
    }
    /// Only this system call hangs.
    fn at(w: &World, call: &str) -> Self {
        let log = w.daemon.run_dir().join("strace");
        let mut strace = Command::new("strace");
        let (trace, inject) = (format!("trace={call}"), format!("inject={call}:delay_enter=60s"));
        strace.args(["-f", "-q", "-e", &trace, "-e", &inject, "-o"]);
        strace.arg(&log).args(["-p", &w.daemon.pid().to_string()]);
        let disk = HungDisk(strace.stdin(Stdio::null()).stderr(Stdio::null()).spawn().expect("strace"));
        let held = |task: std::io::Result<std::fs::DirEntry>| {
            let status = std::fs::read_to_string(task.expect("a thread").path().join("status"));
            status.unwrap_or_default().contains(&format!("TracerPid:\t{}\n", disk.0.id()))
        };
        let tasks = format!("/proc/{}/task", w.daemon.pid());
        let traced = || std::fs::read_dir(&tasks).expect("threads").all(held);
        soon(5000, "strace holds the daemon", traced);
        disk
    }
}

impl Drop for HungDisk {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// kill -9, though a tracer holds it.
fn kill_traced(w: &World, disk: HungDisk) {
    // The traced process has ended only when its tracer lets go.
    let pid = nix::unistd::Pid::from_raw(i32::try_from(w.daemon.pid()).expect("pid"));
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).expect("kill");
    drop(disk);
    w.daemon.kill();
}

/// Gives the daemon a call, kills it when the interface stands inside, and starts it again.
fn die_ahead_of_the_promise(w: &World, body: &Value, netns: &str) {
    let disk = HungDisk::of(w);
    std::thread::scope(|scope| {
        let call = scope.spawn(|| w.daemon.try_raw("/Sandbox.Create", body.to_string().as_bytes()));
        soon(5000, "the interface is there before the promise is", || {
            let (fine, text) = w
                .host
                .try_run("nsenter", &[&format!("--net={netns}"), "ip", "-o", "-4", "addr", "show", "eth0"]);
            fine && text.contains("inet ")
        });
        assert!(!call.is_finished(), "nobody is told of what is not durable");
        kill_traced(w, disk);
        assert!(call.join().expect("a thread").is_err(), "nobody is told of what is not durable");
    });
    w.daemon.again();
}

/// The removal is promised, its files are still in their place: a volume that gets the name later must not find them.
#[test]
fn killed_between_the_promise_and_the_files_a_removed_volume_is_gone() {
    need(&["ip", "nft", "strace"]);
    world(|w| {
        let body = json!({"name": "data"});
        for once_more in [false, true] {
            w.call("Volume.Create", body.clone());
            let file = w.daemon.root().join("volumes/data/_data/secret");
            std::fs::write(&file, "of the first one").expect("write");
            let disk = HungDisk::at(w, "renameat2");
            std::thread::scope(|scope| {
                let call = scope.spawn(|| w.daemon.try_raw("/Volume.Remove", body.to_string().as_bytes()));
                let log = w.daemon.run_dir().join("strace");
                soon(5000, "it is about to take the files away", || {
                    std::fs::read_to_string(&log).is_ok_and(|text| text.contains("renameat2("))
                });
                assert!(file.exists() && !call.is_finished());
                kill_traced(w, disk);
                assert!(call.join().expect("a thread").is_err(), "nobody is told of what is not done");
            });
            assert!(file.exists(), "nobody has taken the files away yet");
            w.daemon.again();
            assert_eq!(w.call("Volume.List", json!({})), json!([]), "it was promised that it is gone");
            soon(2000, "its files go with the start", || !file.exists());
            if once_more {
                w.daemon.kill();
                w.daemon.again();
            }
            w.call("Volume.Create", body.clone());
            assert!(!file.exists(), "the new one is empty");
            w.call("Volume.Remove", body.clone());
        }
    });
}

#[test]
fn killed_ahead_of_the_promise_nothing_is_left() {
    need(&["ip", "nft", "ss", "strace", "nsenter"]);
    world(|w| {
        w.dual("n", json!({}));
        w.host.run("ip", &["netns", "add", "theirs"]);
        w.sandbox("neighbour", &["n"]);
        let before = Found::now();
        // Not the whole ruleset: the table that ends with the daemon comes behind the others when the next one makes it.
        let tables =
            || ["inet", "bridge"].map(|family| w.host.run("nft", &["list", "table", family, "pontoon"]));
        let (elements, listed) = (tables(), w.call("Sandbox.List", json!({})));
        let ports = json!([{"host_port": 8080, "port": 80}]);
        let made = w.daemon.run_dir().join("netns/a").display().to_string();
        for (body, netns) in [
            (
                json!({"name": "a", "networks": [{"network": "n"}], "ports": ports, "netns": "/run/netns/theirs"}),
                "/run/netns/theirs",
            ),
            (
                json!({"name": "a", "networks": [{"network": "n"}, {"network": "bridge"}], "ports": ports}),
                made.as_str(),
            ),
        ] {
            die_ahead_of_the_promise(w, &body, netns);
            assert_eq!(w.call("Sandbox.List", json!({})), listed);
            assert_eq!(tables(), elements);
            soon(2000, "links are gone", || {
                w.host.run("ip", &["-o", "link", "show", "type", "veth"]).lines().count() == 1
            });
            same(&before, &Found::now());
            // And it can be had.
            w.call("Sandbox.Create", body);
            assert!(w.look("a").place.dig(&["neighbour."]).starts_with("172."), "its names are answered");
            w.remove("a");
        }
        let inside = w.host.run("ip", &["netns", "exec", "theirs", "nft", "list", "ruleset"]);
        assert_eq!(inside, "", "the runtime's namespace is as it was");
        w.host.run("ip", &["netns", "del", "theirs"]);
    });
}
