//! Volumes through the API, and what stands on the disk.
use crate::world::{World, need, world};
use serde_json::{Value, json};
use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf};

fn data(volume: &Value) -> PathBuf {
    PathBuf::from(volume["mountpoint"].as_str().expect("mountpoint"))
}

fn with_volume(w: &World, sandbox: &str, volume: Option<&str>) {
    let mount = json!({"kind": "volume", "source": volume, "target": "/data"});
    w.sandbox_with(sandbox, json!({"networks": [{"network": "none"}], "mounts": [mount]}));
}

fn names(w: &World) -> Vec<String> {
    let all = w.call("Volume.List", json!({}));
    let mut names: Vec<String> =
        all.as_array().expect("list").iter().map(|v| v["name"].as_str().expect("name").to_owned()).collect();
    names.sort();
    names
}

#[test]
fn made_seen_and_removed() {
    need(&["ip"]);
    world(|w| {
        let v = w.call("Volume.Create", json!({"name": "data", "labels": {"a": "b"}}));
        assert_eq!(data(&v), w.daemon.root().join("volumes/data/_data"));
        let mode = |path: &std::path::Path| fs::metadata(path).expect("stat").permissions().mode() & 0o7777;
        assert_eq!(
            (mode(&data(&v)), mode(&w.daemon.root().join("volumes"))),
            (0o755, 0o701),
            "Docker's permissions"
        );
        let again = w.call("Volume.Create", json!({"name": "data"}));
        assert_eq!(again["created"], v["created"], "the same again is fine");
        fs::write(data(&v).join("file"), vec![7; 100_000]).expect("write");
        assert_eq!(w.call("Volume.Inspect", json!({"name": "data"})), v);
        let anonymous = w.call("Volume.Create", json!({}));
        assert_eq!(anonymous["name"].as_str().map(str::len), Some(64));
        let df = w.call("System.Df", json!({}));
        assert!(df["size"].as_u64().is_some_and(|size| (100_000..400_000).contains(&size)), "{df}");
        assert_eq!(
            w.call("Volume.Prune", json!({}))["removed"],
            json!([anonymous["name"]]),
            "anonymous ones only"
        );
        assert_eq!(names(w), ["data"]);
        w.call("Volume.Remove", json!({"name": "data"}));
        assert!(!data(&v).exists());
        assert_eq!(w.refused("Volume.Remove", json!({"name": "data"})).0, "not_found");
        w.call("Volume.Remove", json!({"name": "data", "force": true}));
    });
}

#[test]
fn refused_in_words() {
    need(&["ip"]);
    world(|w| {
        w.call(
            "Volume.Create",
            json!({"name": "tmp", "options": {"type": "tmpfs", "device": "tmpfs", "o": "size=1m"}}),
        );
        w.call("Volume.Create", json!({"name": "used"}));
        with_volume(w, "web", Some("used"));
        for (method, body, kind, words) in [
            (
                "Volume.Create",
                json!({"name": "tmp", "options": {"type": "tmpfs", "device": "tmpfs", "o": "size=2m"}}),
                "conflict",
                "other option",
            ),
            ("Volume.Create", json!({"name": "x"}), "invalid", "two characters"),
            ("Volume.Create", json!({"name": "../../etc"}), "invalid", "../../etc"),
            ("Volume.Create", json!({"name": "xx", "options": {"colour": "red"}}), "invalid", "colour"),
            ("Volume.Create", json!({"name": "xx", "driver": "nowhere"}), "", "nowhere"),
            ("Volume.Remove", json!({"name": "used"}), "conflict", "web"),
            ("Volume.Remove", json!({"name": "nowhere"}), "not_found", "nowhere"),
        ] {
            let (is, text) = w.refused(method, body.clone());
            assert!((kind.is_empty() || is == kind) && text.contains(words), "{method} {body}: {is}: {text}");
        }
        let pruned = w.call("Volume.Prune", json!({"all": true}));
        assert_eq!(pruned["removed"], json!([]));
        assert!(pruned["kept"].to_string().contains("tmp has mount options"), "{pruned}");
        assert_eq!(names(w), ["tmp", "used"]);
    });
}

#[test]
fn a_mounted_volume_lives_from_first_to_last_use() {
    need(&["ip", "findmnt"]);
    world(|w| {
        let v = w.call(
            "Volume.Create",
            json!({"name": "tmp", "options": {"type": "tmpfs", "device": "tmpfs", "o": "size=1m,mode=1770"}}),
        );
        let kind = || {
            w.host
                .try_run("findmnt", &["-n", "-o", "FSTYPE", "-M", v["mountpoint"].as_str().expect("path")])
                .1
                .trim()
                .to_owned()
        };
        assert_eq!(kind(), "", "not before the first use");
        with_volume(w, "a", Some("tmp"));
        assert_eq!(kind(), "tmpfs");
        fs::write(data(&v).join("file"), "x").expect("write");
        with_volume(w, "b", Some("tmp"));
        w.remove("a");
        w.daemon.kill();
        w.daemon.again();
        assert_eq!(
            (kind().as_str(), fs::read_to_string(data(&v).join("file")).expect("read").as_str()),
            ("tmpfs", "x")
        );
        w.remove("b");
        assert_eq!(kind(), "", "not after the last");
    });
}

#[test]
fn data_survives_sandboxes_and_daemons() {
    need(&["ip"]);
    world(|w| {
        with_volume(w, "one", Some("data"));
        assert_eq!(names(w), ["data"], "made at its first use");
        let path = PathBuf::from(w.inspect("one")["mounts"][0]["path"].as_str().expect("path"));
        fs::write(path.join("vote"), "cats").expect("write");
        assert_eq!(w.call("Volume.Inspect", json!({"name": "data"}))["users"], json!(["one"]));
        w.remove("one");
        w.daemon.kill();
        w.daemon.again();
        with_volume(w, "two", Some("data"));
        assert_eq!(fs::read_to_string(path.join("vote")).expect("read"), "cats");
        // Anonymous ones go when asked for.
        with_volume(w, "three", None);
        assert_eq!(names(w).len(), 2);
        w.call("Sandbox.Remove", json!({"name": "three", "volumes": true}));
        assert_eq!(names(w), ["data"]);
    });
}
