//! `pontoon cni install|uninstall` in every folder where runtimes look, and what they leave alone.
use crate::world::{PLUGIN, world};
use nix::mount::{MsFlags, mount};
use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

const LIST: &str = "/etc/cni/net.d/05-web.conflist";

/// What is written to this folder of the host stays here.
fn layer(dir: &str) {
    let own = |what: &str| format!("/run/own{dir}/{what}");
    ["upper", "work"].iter().for_each(|what| fs::create_dir_all(own(what)).expect("folder"));
    let data = format!("lowerdir={dir},upperdir={},workdir={}", own("upper"), own("work"));
    mount(Some("own"), dir, Some("overlay"), MsFlags::empty(), Some(data.as_str())).expect(dir);
}

fn cni(verb: &str, args: &[&str]) -> Output {
    let named = if args.contains(&"--name") { &[][..] } else { &["--name", "web"] };
    Command::new(PLUGIN).args(["cni", verb]).args(named).args(args).output().expect("run")
}

fn paths(output: &Output) -> Vec<String> {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
}

/// Everything below these folders.
fn files(dirs: &[&str]) -> Vec<PathBuf> {
    let mut all: Vec<PathBuf> = dirs.iter().map(PathBuf::from).collect();
    let mut found = Vec::new();
    while let Some(path) = all.pop() {
        match fs::read_dir(&path) {
            Ok(entries) => all.extend(entries.flatten().map(|entry| entry.path())),
            Err(_) if path.exists() => found.push(path),
            Err(_) => {}
        }
    }
    found.sort();
    found
}

#[test]
fn everywhere_and_away_again() {
    world(|_| {
        ["/opt", "/etc", "/usr/lib"].into_iter().for_each(layer);
        // A host on which somebody's loopback is there already, and a list of his.
        for dir in ["/etc/cni/net.d", "/usr/lib/cni"] {
            fs::create_dir_all(dir).expect(dir);
        }
        fs::write("/usr/lib/cni/loopback", "theirs").expect("write");
        fs::write("/etc/cni/net.d/10-theirs.conflist", "{}").expect("write");
        let all = ["/opt/cni", "/etc/cni", "/usr/lib/cni"];
        let before = files(&all);

        let written = paths(&cni("install", &["--subnet", "10.20.0.0/16"]));
        for wanted in ["/opt/cni/bin/pontoon", "/opt/cni/bin/loopback", "/usr/lib/cni/pontoon", LIST] {
            assert!(written.iter().any(|path| path == wanted), "{wanted}: {written:?}");
        }
        assert_eq!(fs::read("/usr/lib/cni/loopback").expect("read"), b"theirs");
        let list: Value = serde_json::from_slice(&fs::read(LIST).expect("read")).expect("JSON");
        assert_eq!((&list["cniVersion"], &list["plugins"][0]["type"]), (&"1.0.0".into(), &"pontoon".into()));
        for capability in ["portMappings", "ips", "mac", "ipRanges", "aliases", "dns"] {
            assert_eq!(list["plugins"][0]["capabilities"][capability], true, "{capability}");
        }
        // Again, over what is there: whole files, nothing beside them.
        paths(&cni("install", &[]));
        assert_eq!(files(&all).len(), before.len() + written.len(), "{:?}", files(&all));
        paths(&cni("uninstall", &[]));
        assert_eq!(files(&all), before);
        assert_eq!(paths(&cni("uninstall", &[])), Vec::<String>::new());

        // A list of that name that is somebody's stays, and nothing is written beside it.
        fs::write(LIST, "{}").expect("write");
        let before = files(&all);
        assert!(!cni("install", &[]).status.success());
        assert!(!cni("install", &["--name", "shop", "--subnet", "10.20.0.0"]).status.success());
        assert_eq!(files(&all), before);
        // The programs stay until the last of our lists goes.
        paths(&cni("install", &["--name", "shop"]));
        paths(&cni("uninstall", &[]));
        assert!(Path::new(LIST).exists() && Path::new("/opt/cni/bin/pontoon").exists());
        paths(&cni("uninstall", &["--name", "shop"]));
        assert_eq!(files(&all), before);
    });
}
