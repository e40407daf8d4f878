//! A copy into a new volume whose maker is killed in the middle, the daemon with it or not: whoever uses the volume next
//! finds nothing in it or all, and a copy that came to nothing is made again.
use crate::world::{World, need, world};
use serde_json::json;
use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// Side by side, so that they are moved into place one by one.
const FILES: usize = 4_000;

/// A root whose programs are the host's.
fn rootfs() -> PathBuf {
    let root = PathBuf::from("/run/rootfs");
    for folder in ["big", "usr", "dev", "proc", "sys", "run", "tmp", "etc"] {
        fs::create_dir_all(root.join(folder)).expect("folder");
    }
    for name in ["bin", "lib", "lib64"] {
        symlink(format!("usr/{name}"), root.join(name)).expect("link");
    }
    (0..FILES).for_each(|n| fs::write(root.join(format!("big/{n}")), "of the image").expect("file"));
    root
}

fn start(w: &World, rootfs: &Path, mount: &str, command: &str) -> Child {
    let host = format!("unix://{}", w.daemon.socket().display());
    Command::new(env!("CARGO_BIN_EXE_pontoon"))
        .args(["--host", &host, "run", "--rm", "--network", "none", "-v", "/usr:/usr:ro", "--rootfs"])
        .arg(rootfs)
        .args(["-v", mount, "--", "sh", "-c", command])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("run")
}

fn count(folder: &Path) -> usize {
    fs::read_dir(folder).map_or(0, Iterator::count)
}

/// What is beside the volume's data: the copy on its way, by how its name ends.
fn on_its_way(own: &Path, state: &str) -> bool {
    let entries = fs::read_dir(own).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name()).any(|name| name.to_string_lossy().ends_with(state))
}

/// Looks without a pause: the last step is short.
fn soon(what: &str, done: impl Fn() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < Duration::from_secs(10), "not within 10 s: {what}");
    }
}

#[test]
fn killed_in_the_middle() {
    need(&["ip"]);
    world(|w| {
        let rootfs = rootfs();
        let (mut begun, mut moving) = (0, 0);
        for round in 0..24 {
            let name = format!("v{round}");
            let (own, mount) = (w.daemon.root().join("volumes").join(&name), format!("{name}:/big"));
            let data = own.join("_data");
            let mut run = start(w, &rootfs, &mount, "true");
            // In the last step files are moved into the volume one by one.
            match round % 2 {
                0 => soon("the last step", || on_its_way(&own, ".full") && count(&data) > 0),
                _ => soon("a copy", || on_its_way(&own, ".part")),
            };
            run.kill().and_then(|()| run.wait()).expect("kill");
            begun += usize::from(on_its_way(&own, ".part"));
            moving += usize::from(on_its_way(&own, ".full"));
            if round % 4 < 2 {
                w.daemon.kill();
                w.daemon.again();
            }
            soon("its sandbox goes by itself", || w.call("Sandbox.List", json!({})) == json!([]));
            // A runtime that copies nothing itself.
            w.call("Volume.Mount", json!({"name": name, "id": "1"}));
            let found = count(&data);
            assert!(found == 0 || found == FILES, "round {round}: {found} files");
            w.call("Volume.Unmount", json!({"name": name, "id": "1"}));
            let again = start(w, &rootfs, &mount, "cat /big/* | wc -c; rm /big/*");
            let said = again.wait_with_output().expect("run").stdout;
            assert_eq!(String::from_utf8_lossy(&said).trim(), (FILES * 12).to_string(), "round {round}");
            assert_eq!((count(&own), count(&data)), (1, 0), "nothing is left of the copy");
            w.call("Volume.Remove", json!({"name": name}));
        }
        println!("{begun} killed while they copied, {moving} while they moved it into place");
        assert!(begun > 4 && moving > 4, "{begun} copying, {moving} moving");
    });
}

#[test]
fn as_the_mount_says() {
    need(&["ip"]);
    world(|w| {
        let rootfs = rootfs();
        for (mount, command, wanted) in [
            ("one:/big", "ls /big | wc -l", "4000"),
            ("two:/big:nocopy", "ls /big | wc -l", "0"),
            ("one:/big:ro", "touch /big/x || echo refused", "refused"),
            ("two:/big", "ls /big | wc -l", "4000"),
        ] {
            let said = start(w, &rootfs, mount, command).wait_with_output().expect("run").stdout;
            assert_eq!(String::from_utf8_lossy(&said).trim(), wanted, "{mount} {command}");
        }
    });
}
