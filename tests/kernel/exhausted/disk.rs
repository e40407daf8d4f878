//! The disk is full, or can only be read.
use super::{Running, refused};
use crate::world::{World, need, run, world};
use serde_json::{Value, json};
use std::{
    fs,
    process::{Child, Command, Stdio},
};

/// The state of this daemon is on a file system of its own, of 4 MB.
fn on_a_small_disk(test: impl FnOnce(&World, &Running) + Send) {
    need(&["ip", "nft", "ss", "dig", "mount"]);
    world(|w| {
        w.daemon.stop();
        let root = w.daemon.root();
        fs::remove_dir_all(&root).expect("an empty root");
        fs::create_dir(&root).expect("mkdir");
        let path = root.to_str().expect("path");
        run("mount", &["-t", "tmpfs", "-o", "size=4m", "small", path]);
        w.daemon.again();
        let running = Running::new(w);
        test(w, &running);
        drop(running);
        w.daemon.leave();
        run("umount", &[path]);
        w.daemon.again();
    });
}

/// All that is left of the disk.
fn fill(w: &World) -> std::path::PathBuf {
    let filler = w.daemon.root().join("filler");
    let (fine, text) =
        crate::world::tool::try_run("dd", &["if=/dev/zero", &format!("of={}", filler.display()), "bs=4k"]);
    assert!(!fine && text.contains("No space left"), "{text}");
    filler
}

#[test]
fn a_full_disk() {
    on_a_small_disk(|w, running| {
        w.call("Volume.Create", json!({"name": "before"}));
        let filler = fill(w);
        let big = "x".repeat(900);
        let labels: Value =
            (0..60).map(|n| (format!("label{n}"), json!(big))).collect::<serde_json::Map<_, _>>().into();
        // A page or two may be free within the ledger: these do not fit into it.
        let words = ["No space left", "free some"];
        for (method, body) in [
            ("Volume.Create", json!({"name": "vol", "labels": labels})),
            ("Network.Create", json!({"name": "m", "labels": labels})),
            (
                "Sandbox.Create",
                json!({"name": "b", "networks": [{"network": "n"}], "labels": labels, "ports": [{"host_port": 9000, "port": 80}]}),
            ),
        ] {
            refused(w, method, body, "exhausted", &words);
        }
        running.goes_on(w);
        fs::remove_file(filler).expect("room again");
        w.call("Volume.Create", json!({"name": "vol", "labels": labels}));
        w.call("Network.Create", json!({"name": "m", "labels": labels}));
        let b = w.sandbox("b", &["n", "m"]);
        assert!(b.place.ping(&running.a.ip, "2"));
        let before = super::promises(w);
        w.daemon.kill();
        w.daemon.again();
        assert_eq!(super::promises(w), before, "nothing was lost over it");
    });
}

/// After a failed write the ledger is read ahead by somebody else too: what would take all memory takes nobody down.
#[test]
fn damaged_while_the_disk_was_full() {
    on_a_small_disk(|w, running| {
        w.call("Volume.Create", json!({"name": "before"}));
        let labels = json!({ "long": "x".repeat(60_000) });
        let refused = |words: &[&str]| {
            let (kind, text) = w.refused("Volume.Create", json!({"name": "vol", "labels": labels}));
            assert!(words.iter().all(|word| text.contains(word)), "{kind}: {text}");
        };
        let path = w.daemon.root().join("state.redb");
        w.daemon.stop();
        let mut bad = fs::read(&path).expect("read");
        assert!(
            crate::damaged::with_order(&mut bad, b"allocator_state", 20) > 0,
            "there is a number of a page"
        );
        w.daemon.again();
        let filler = fill(w);
        refused(&["No space left"]);
        let whole = fs::read(&path).expect("read");
        fs::remove_file(filler).expect("room again");
        fs::write(&path, &bad).expect("write");
        let (pid, start) = (w.daemon.pid(), std::time::Instant::now());
        refused(&["cannot write the ledger", "memory"]);
        assert!(start.elapsed() < std::time::Duration::from_secs(5), "{:?}", start.elapsed());
        running.goes_on(w);
        let resident = w.call("System.Info", json!({}))["resident_memory"].as_u64().expect("bytes");
        assert!(resident < 128 << 20, "{resident} bytes");
        // The disk was mended; what was found is looked at again after a while.
        fs::write(&path, &whole).expect("write");
        crate::world::tool::soon(15_000, "a volume", || {
            w.daemon.try_call("Volume.Create", &json!({"name": "vol", "labels": labels})).is_ok()
        });
        assert_eq!(w.daemon.pid(), pid, "it never ended");
        w.daemon.kill();
        w.daemon.again();
        w.call("Volume.Inspect", json!({"name": "before"}));
        w.call("Volume.Inspect", json!({"name": "vol"}));
    });
}

/// A volume's place on the disk cannot be made, though its promise could be written.
#[test]
fn no_room_for_a_volume() {
    need(&["ip", "nft", "ss", "dig", "mount"]);
    world(|w| {
        let running = Running::new(w);
        w.daemon.stop();
        let volumes = w.daemon.root().join("volumes");
        let path = volumes.to_str().expect("path").to_owned();
        run("mount", &["-t", "tmpfs", "-o", "nr_inodes=5", "small", &path]);
        w.daemon.again();
        w.call("Volume.Create", json!({"name": "one"}));
        let mounts = json!([{"kind": "volume", "source": "two", "target": "/v"}]);
        for (method, body) in [
            ("Volume.Create", json!({"name": "two"})),
            ("Sandbox.Create", json!({"name": "b", "networks": [{"network": "n"}], "mounts": mounts})),
        ] {
            refused(w, method, body, "exhausted", &["volume two", "No space left"]);
        }
        running.goes_on(w);
        w.call("Volume.Remove", json!({"name": "one"}));
        crate::world::tool::soon(3000, "it is deleted", || {
            fs::read_dir(volumes.join(".trash")).expect("trash").count() == 0
        });
        w.sandbox_with("b", json!({"networks": [{"network": "n"}], "mounts": mounts}));
        w.remove("b");
        w.call("Volume.Remove", json!({"name": "two"}));
        w.daemon.stop();
        run("umount", &["-l", &path]);
        w.daemon.again();
    });
}

/// Every write of the daemon to its ledger fails like this.
struct Broken(Child);

impl Broken {
    fn disk(w: &World, errno: &str) -> Self {
        let calls = "pwrite64,ftruncate,fallocate,fsync,fdatasync";
        let mut strace = Command::new("strace");
        strace.args(["-f", "-q", "-o", "/dev/null", "-e", &format!("trace={calls}"), "-e"]);
        strace.arg(format!("inject={calls}:error={errno}")).args(["-p", &w.daemon.pid().to_string()]);
        let broken = Broken(strace.stdin(Stdio::null()).stderr(Stdio::null()).spawn().expect("strace"));
        super::kernel::until_traced(w, broken.0.id());
        broken
    }
}

impl Drop for Broken {
    fn drop(&mut self) {
        super::kernel::end(&mut self.0);
    }
}

/// As a file system becomes that finds an error in itself; one that is mounted so from the start is said at the start.
#[test]
fn a_disk_that_can_only_be_read() {
    need(&["ip", "nft", "ss", "dig", "strace", "mount"]);
    world(|w| {
        let running = Running::new(w);
        w.call("Volume.Create", json!({"name": "before"}));
        let broken = Broken::disk(w, "EROFS");
        for (method, body) in [
            ("Volume.Create", json!({"name": "vol"})),
            ("Volume.Remove", json!({"name": "before"})),
            ("Network.Create", json!({"name": "m"})),
            (
                "Sandbox.Create",
                json!({"name": "b", "networks": [{"network": "n"}], "ports": [{"host_port": 9000, "port": 80}]}),
            ),
            ("Sandbox.Remove", json!({"name": "a"})),
        ] {
            refused(w, method, body, "unavailable", &["state.redb", "Read-only file system", "for writing"]);
        }
        running.goes_on(w);
        drop(broken);
        w.call("Volume.Remove", json!({"name": "before"}));
        w.sandbox("b", &["n"]);
        w.daemon.stop();
        let root = w.daemon.root();
        let path = root.to_str().expect("path");
        run("mount", &["--bind", path, path]);
        run("mount", &["-o", "remount,bind,ro", path]);
        let said = w.daemon.fails();
        assert!(said.contains(path) && said.contains("Read-only file system"), "{said}");
        run("umount", &[path]);
        w.daemon.again();
        running.goes_on(w);
    });
}
