//! Daemon and mounter as their units have them: everything works as a user knows it, and what the daemon needs no more it
//! cannot do.
mod orders;
mod refused;

use crate::world::{Echo, World, echo, http, need, run, tool::try_run, units::under_units};
use serde_json::{Value, json};
use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

const TOOLS: &[&str] = &["ip", "nft", "findmnt", "python3", "systemd-analyze", "setpriv"];

/// The kind of file system over a volume's data, as the host sees it; "" for a plain directory.
fn mounted(volume: &str) -> String {
    let path = format!("/var/lib/pontoon/volumes/{volume}/_data");
    try_run("findmnt", &["-n", "-o", "FSTYPE", "-M", &path]).1.trim().to_owned()
}

fn volume(w: &World, name: &str, options: Value) {
    w.call("Volume.Create", json!({"name": name, "options": options}));
}

fn using(w: &World, sandbox: &str, source: &str) {
    let mounts = json!([{"kind": "volume", "source": source, "target": "/data"}]);
    w.sandbox_with(sandbox, json!({"networks": [{"network": "none"}], "mounts": mounts}));
}

/// A process of another user in a network namespace of its own, which ends with this.
struct Stranger(Child);

impl Stranger {
    fn start() -> Self {
        let mut command = Command::new("unshare");
        command.args(["-n", "setpriv", "--reuid=1000", "--regid=1000", "--clear-groups", "sleep", "1000"]);
        let stranger =
            Stranger(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("unshare"));
        crate::world::tool::soon(5_000, "the stranger", || {
            fs::metadata(format!("/proc/{}", stranger.0.id())).is_ok_and(|of| of.uid() == 1000)
        });
        stranger
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        let _ = (self.0.kill(), self.0.wait());
    }
}

#[test]
fn sandboxes_volumes_and_ports_are_as_ever() {
    need(TOOLS);
    under_units(|units| {
        let w = &units.world;
        w.dual("n", json!({}));
        let ports = json!([{"host_port": 8080, "port": 80}, {"host_port": 8080, "port": 80, "proto": "udp"}]);
        let web = w.sandbox_with("web", json!({"networks": [{"network": "n"}], "ports": ports}));
        let _echo = Echo::serve(&web.place, "web", 80);
        let open = || [("127.0.0.1:8080"), ("[::1]:8080")].map(|to| echo::open(&w.host, to, "web"));
        open();
        // Namespaces that others made: by name, and another user's process.
        run("ip", &["netns", "add", "theirs"]);
        w.sandbox_with("named", json!({"netns": "/run/netns/theirs", "networks": [{"network": "n"}]}));
        let process = Stranger::start();
        let netns = format!("/proc/{}/ns/net", process.0.id());
        let other = w.sandbox_with("other", json!({"netns": netns, "networks": [{"network": "n"}]}));
        assert!(web.place.ping(&other.ip, "3"), "the stranger's process is reached");
        assert_eq!(web.place.dig(&["other."]), other.ip);

        volume(w, "ram", json!({"type": "tmpfs", "device": "tmpfs", "o": "size=1m,mode=1770"}));
        fs::create_dir_all("/home/anna/data").expect("a home");
        fs::write("/home/anna/data/file", "anna's").expect("a file");
        volume(w, "home", json!({"type": "none", "o": "bind", "device": "/home/anna/data"}));
        using(w, "a", "ram");
        using(w, "b", "home");
        assert_eq!(mounted("ram"), "tmpfs");
        let home = "/var/lib/pontoon/volumes/home/_data/file";
        assert_eq!(fs::read_to_string(home).expect("the host sees the bind"), "anna's");
        let bind = |source: &str, make: bool| json!([{"kind": "bind", "source": source, "target": "/b", "create_source": make}]);
        w.sandbox_with(
            "c",
            json!({"networks": [{"network": "none"}], "mounts": bind("/home/new/dir", true)}),
        );
        assert_eq!(fs::metadata("/home/new/dir").expect("made").permissions().mode() & 0o777, 0o755);
        let (_, said) =
            w.refused("Sandbox.Create", json!({"name": "d", "mounts": bind("/home/none", false)}));
        assert!(said.contains("/home/none: make it"), "{said}");

        // Taken away on the host: the daemon hears of it where it is, and has it mounted again.
        run("umount", &["/var/lib/pontoon/volumes/ram/_data"]);
        crate::world::tool::soon(5_000, "the mount is back", || mounted("ram") == "tmpfs");
        w.daemon.kill();
        units.start_daemon();
        open();
        assert_eq!((mounted("ram").as_str(), mounted("home").is_empty()), ("tmpfs", false));
        w.daemon.stop();
        units.start_daemon();
        open();
        assert_eq!(web.place.dig(&["other."]), other.ip, "it still knows the stranger");

        ["web", "named", "other", "a", "b", "c"].iter().for_each(|name| w.remove(name));
        assert_eq!((mounted("ram"), mounted("home")), (String::new(), String::new()));
        assert!(fs::read_dir("/run/pontoon/netns").expect("folder").next().is_none());
        ["ram", "home"].iter().for_each(|name| drop(w.call("Volume.Remove", json!({ "name": name }))));
        assert!(!Path::new("/var/lib/pontoon/volumes/ram").exists());
        assert!(Path::new("/home/anna/data/file").exists());
        run("ip", &["netns", "del", "theirs"]);
        drop(process);
    });
}

#[test]
fn runs_and_plugins_find_their_volumes() {
    need(TOOLS);
    under_units(|units| {
        let w = &units.world;
        let pontoon = |line: &str| {
            let socket = format!("unix://{}", w.daemon.socket().display());
            let all: Vec<&str> = ["--host", &socket].into_iter().chain(line.split(' ')).collect();
            run(env!("CARGO_BIN_EXE_pontoon"), &all)
        };
        // Debian's /var/local is root's and of the group staff, with the set-group-id bit.
        let there = fs::metadata("/var/local").expect("a folder to copy");
        pontoon("run --rm --network none -v filled:/var/local -- touch /var/local/made");
        let copied = fs::metadata("/var/lib/pontoon/volumes/filled/_data").expect("copied");
        assert_eq!((copied.gid(), copied.mode()), (there.gid(), there.mode()), "its first content's owner");
        assert!(Path::new("/var/lib/pontoon/volumes/filled/_data/made").exists());
        fs::write("/var/lib/pontoon/volumes/filled/_data/big", vec![7; 100_000]).expect("write");
        assert!(w.call("System.Df", json!({}))["size"].as_u64().is_some_and(|size| size >= 100_000));

        let plugin = |verb: &str, body: Value| {
            let socket = Path::new("/run/docker/plugins/pontoon.sock");
            let answer =
                http::request(socket, "POST", &format!("/VolumeDriver.{verb}"), body.to_string().as_bytes());
            let (status, text) = answer.expect("the plugin's socket");
            assert_eq!(status, 200, "{}", String::from_utf8_lossy(&text));
            serde_json::from_slice::<Value>(&text).expect("JSON")
        };
        let options = json!({"type": "tmpfs", "device": "tmpfs", "o": "size=1m"});
        plugin("Create", json!({"Name": "engine", "Opts": options}));
        let point = plugin("Mount", json!({"Name": "engine", "ID": "1"}));
        assert_eq!(point["Mountpoint"], "/var/lib/pontoon/volumes/engine/_data");
        assert_eq!(mounted("engine"), "tmpfs", "where the engine looks");
        plugin("Unmount", json!({"Name": "engine", "ID": "1"}));
        assert_eq!(mounted("engine"), "");
        ["filled", "engine"].iter().for_each(|name| drop(w.call("Volume.Remove", json!({ "name": name }))));
        assert!(!Path::new("/var/lib/pontoon/volumes/filled").exists());
    });
}

#[test]
fn without_the_mounter_it_says_so_and_goes_on_with_it() {
    need(TOOLS);
    under_units(|units| {
        let w = &units.world;
        let web = w.sandbox("web", &["bridge"]);
        volume(w, "ram", json!({"type": "tmpfs", "device": "tmpfs"}));
        volume(w, "spare", json!({}));
        using(w, "a", "ram");
        units.kill_mounter();
        for (method, body) in [
            ("Sandbox.Create", json!({"name": "new"})),
            ("Volume.Create", json!({"name": "data"})),
            ("Volume.Remove", json!({"name": "spare"})),
        ] {
            let (kind, text) = w.refused(method, body);
            let told = text.contains("the mounter at /run/pontoon/mounter.sock is away");
            assert!(kind == "unavailable" && told && !text.contains('\n'), "{method}: {kind}: {text}");
        }
        let doctor = |w: &World| {
            let all = w.call("System.Doctor", json!({}));
            let all = all.as_array().expect("findings").clone();
            all.into_iter().find(|found| found["check"] == "mounter").expect("a line")["level"].clone()
        };
        assert_eq!(doctor(w), "problem");
        // It dies while somebody waits for it.
        units.start_mounter();
        units.halt_mounter();
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| w.refused("Volume.Create", json!({"name": "late"})));
            std::thread::sleep(Duration::from_millis(300));
            assert!(!waiting.is_finished(), "it was answered by nobody");
            units.kill_mounter();
            let (kind, text) = waiting.join().expect("a call");
            assert!(
                kind == "unavailable" && text.contains("it ended before it had answered"),
                "{kind}: {text}"
            );
        });
        // What runs goes on, and another daemon starts.
        assert_eq!(web.place.dig(&["web."]), web.ip);
        w.daemon.kill();
        units.start_daemon();
        assert_eq!(web.place.dig(&["web."]), web.ip);
        units.start_mounter();
        assert_eq!(doctor(w), "ok");
        w.sandbox("new", &["bridge"]);
        volume(w, "data", json!({}));
        ["web", "new", "a"].iter().for_each(|name| w.remove(name));
        assert_eq!(mounted("ram"), "");
        ["ram", "data"].iter().for_each(|name| drop(w.call("Volume.Remove", json!({ "name": name }))));
        let spare = json!({"name": "spare", "force": true});
        w.call("Volume.Remove", spare);
    });
}
