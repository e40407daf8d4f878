//! Volumes whose content changes places with a way out while the daemon measures and removes them, and commands that are run.
use super::tally::{Tally, one_more};
use crate::world::World;
use rustix::fs::{RenameFlags, renameat_with};
use serde_json::json;
use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    thread,
};

const OUTSIDE: &str = "/run/outside";

/// Files of the host that nobody may read, measure, change or delete through a volume.
pub struct Outside(Vec<(PathBuf, u32, u32, u64, u64, i64)>);

impl Outside {
    pub fn new() -> Self {
        fs::create_dir_all(format!("{OUTSIDE}/deep/deeper")).expect("folder");
        for file in ["secret", "deep/secret", "deep/deeper/secret"] {
            let path = Path::new(OUTSIDE).join(file);
            fs::write(&path, "nobody shall read this".repeat(50_000)).expect("write");
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("chmod");
        }
        Outside(picture())
    }
    #[track_caller]
    pub fn is_untouched(&self) {
        assert_eq!(picture(), self.0, "files outside of all volumes");
    }
}

/// Path, mode, owner, size, inode and time of change.
fn picture() -> Vec<(PathBuf, u32, u32, u64, u64, i64)> {
    let (mut all, mut folders) = (Vec::new(), vec![PathBuf::from(OUTSIDE)]);
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(&folder).expect("list").map(|entry| entry.expect("entry").path()) {
            let meta = fs::symlink_metadata(&path).expect("stat");
            folders.extend(meta.is_dir().then(|| path.clone()));
            all.push((path, meta.mode(), meta.uid(), meta.size(), meta.ino(), meta.ctime()));
        }
    }
    all.sort();
    all
}

/// Volumes come, are measured and go, while `sub` and `flip` in them change places as fast as they can.
pub fn volumes(w: &World, over: &AtomicBool, gate: &parking_lot::RwLock<()>, tally: &Tally) {
    for round in 0_u64.. {
        if over.load(Relaxed) {
            return;
        }
        let _open = gate.read();
        let body = json!({ "name": format!("race-{round}") });
        if w.daemon.try_raw("/Volume.Create", body.to_string().as_bytes()).map(|(status, _)| status).ok()
            != Some(200)
        {
            thread::sleep(std::time::Duration::from_millis(5));
            continue;
        }
        let data = w.daemon.root().join(format!("volumes/race-{round}/_data"));
        fs::create_dir_all(data.join("sub/deep/deeper")).expect("bait");
        fs::write(data.join("sub/deep/small"), "x").expect("bait");
        symlink(OUTSIDE, data.join("flip")).expect("bait");
        let (done, folder) = (AtomicBool::new(false), fs::File::open(&data).expect("open"));
        thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(Relaxed) {
                    if renameat_with(&folder, "sub", &folder, "flip", RenameFlags::EXCHANGE).is_ok() {
                        one_more(&tally.flips);
                    }
                }
            });
            for _ in 0..3 {
                if let Ok((200, df)) = w.daemon.try_raw("/System.Df", b"{}") {
                    let df: serde_json::Value = serde_json::from_slice(&df).expect("JSON");
                    let all = df["volumes"].as_array().expect("volumes").iter();
                    let size = all.filter(|v| v["name"] == body["name"]).find_map(|v| v["size"].as_u64());
                    assert!(size.is_none_or(|size| size < 1 << 20), "what is outside was measured: {size:?}");
                }
            }
            let gone = w.daemon.try_raw("/Volume.Remove", body.to_string().as_bytes());
            done.store(true, Relaxed);
            if gone.is_ok_and(|(status, _)| status == 200) {
                one_more(&tally.raced);
            }
        });
    }
}

/// `pontoon run`, one after another: each says its own name and sees its volume, or the daemon is away.
pub fn runs(w: &World, over: &AtomicBool, gate: &parking_lot::RwLock<()>, tally: &Tally) {
    for round in 0_u64.. {
        if over.load(Relaxed) {
            return;
        }
        let _open = gate.read();
        let (name, host) = (format!("run-{round}"), format!("unix://{}", w.daemon.socket().display()));
        let run = Command::new(env!("CARGO_BIN_EXE_pontoon"))
            .args([
                "--host",
                &host,
                "run",
                "--rm",
                "--name",
                &name,
                "--network",
                "shared",
                "-v",
                "run-vol:/data",
            ])
            .args(["-p", "23000:80", "--", "sh", "-c", "echo x >> /data/file && cat /etc/hostname"])
            .stdin(Stdio::null())
            .output()
            .expect("run");
        let (said, wrong) = (String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr));
        if run.status.success() {
            assert!(!said.trim().is_empty(), "{name} says nothing: {wrong}");
            one_more(&tally.runs);
            continue;
        }
        let away = ["pontoon.sock", "is stopping", "the connection", "unavailable"];
        assert!(away.iter().any(|word| wrong.contains(word)), "{name}: {said} {wrong}");
        // Made, but never begun: nobody is left who could end it, as it said itself.
        LEFT.lock().push(name);
        thread::sleep(std::time::Duration::from_millis(5));
    }
}

static LEFT: parking_lot::Mutex<Vec<String>> = parking_lot::Mutex::new(Vec::new());

/// What runs left whose daemon died before their command began, and nothing else.
pub fn clear_up(w: &World) {
    let left = std::mem::take(&mut *LEFT.lock());
    for sandbox in w.call("Sandbox.List", json!({})).as_array().into_iter().flatten() {
        let Some(name) = sandbox["name"].as_str().filter(|name| name.starts_with("run-")) else { continue };
        assert!(left.iter().any(|known| known == name), "{name} has ended and is still there: {sandbox}");
        w.remove(name);
    }
}
