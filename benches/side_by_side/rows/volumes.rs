//! Volumes: creating, removing, and filling one from what the root has at its place (copy-up), beside `cp -a`.
use super::Add;
use crate::{
    clock::timed,
    ours::Ours,
    peers::dockerd::{self, Dockerd},
    table::Row,
    unit::Unit,
};
use serde_json::{Value, json};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

const RUNS: usize = 30;
const COPIES: usize = 5;
const FOLDERS: usize = 100;
const FILES: usize = 50;

pub fn rows(add: Add<'_>) {
    let ours = Ours::alone("ours-volumes");
    let docker = Dockerd::start("dockerd-volumes");
    let theirs = docker.as_ref().map_err(Clone::clone);
    let once = |_| {
        let body = json!({ "name": "one" });
        let create = timed(|| drop(ours.call("Volume.Create", body.clone())));
        (create, timed(|| drop(ours.call("Volume.Remove", body.clone()))))
    };
    let (create, remove): (Vec<f64>, Vec<f64>) = (0..RUNS).map(once).unzip();
    let peer = theirs.clone().and_then(dockers);
    let pick = |first: bool| peer.clone().map(|both| if first { both.0 } else { both.1 });
    add(Row::new("volumes", "create a volume", Unit::Time).ours(&create).peer(dockerd::WHO, &pick(true)));
    add(Row::new("volumes", "remove a volume", Unit::Time).ours(&remove).peer(dockerd::WHO, &pick(false)));
    copy_up(add, &ours, theirs);
}

fn dockers(docker: &Dockerd) -> Result<(Vec<f64>, Vec<f64>), String> {
    let mut both = (Vec::new(), Vec::new());
    for _ in 0..RUNS {
        let mut said = Ok(Value::Null);
        both.0.push(timed(|| said = docker.call("POST", "/volumes/create", json!({ "Name": "one" }))));
        said?;
        let mut said = Ok(Value::Null);
        both.1.push(timed(|| said = docker.call("DELETE", "/volumes/one", Value::Null)));
        said?;
    }
    Ok(both)
}

/// The whole of a first start with the volume, less that of one whose volume is filled already.
fn copy_up(add: Add<'_>, ours: &Ours, docker: Result<&Dockerd, String>) {
    let root = crate::folder().join("root");
    plant(&root);
    let (mut floor, mut own) = (Vec::new(), Vec::new());
    for round in 0..COPIES {
        let copy = crate::folder().join(format!("copy{round}"));
        let cp = |to: &Path| Command::new("cp").arg("-a").arg(root.join("tree")).arg(to).status();
        floor.push(timed(|| assert!(cp(&copy).is_ok_and(|status| status.success()), "cp -a")));
        let volume = format!("full{round}");
        let (first, second) = (start(ours, &root, &volume), start(ours, &root, &volume));
        own.push((first - second).max(0.0));
        let filled = ours.call("Volume.Inspect", json!({ "name": volume }));
        let data = PathBuf::from(filled["mountpoint"].as_str().expect("a path"));
        assert_eq!(fs::read_dir(&data).expect("a volume").count(), FOLDERS + 1, "the volume was not filled");
        fs::remove_dir_all(&copy).expect("the copy");
        ours.call("Volume.Remove", json!({ "name": volume }));
    }
    let theirs = docker.and_then(|docker| dockers_copies(docker, &root));
    add(Row::new("volumes", "copy-up of 5,000 files and one of 64 MiB", Unit::Time)
        .ours(&own)
        .limit("cp -a", &floor)
        .peer(dockerd::WHO, &theirs));
}

fn start(ours: &Ours, root: &Path, volume: &str) -> f64 {
    let mut command = ours.command();
    command.args(["run", "--rm", "--network", "none", "--rootfs"]).arg(root);
    command.args(["-v", &format!("{volume}:/tree"), "--", "/bin/busybox", "true"]);
    timed(|| {
        let status = ours.place.enter(|| command.status());
        assert!(status.is_ok_and(|status| status.success()), "{command:?}");
    })
}

fn dockers_copies(docker: &Dockerd, root: &Path) -> Result<Vec<f64>, String> {
    docker.import(root, "tree")?;
    let mut times = Vec::new();
    for round in 0..COPIES {
        let once = |name: &str| {
            let mount = json!({ "Type": "volume", "Source": format!("full{round}"), "Target": "/tree" });
            let body = json!({ "Image": "tree", "Cmd": ["/bin/busybox", "true"], "HostConfig": { "Mounts": [mount] } });
            let mut said = Ok(Value::Null);
            let took = timed(|| said = docker.call("POST", &format!("/containers/create?name={name}"), body));
            said?;
            docker.remove(name).map(|()| took)
        };
        let (first, second) = (once("first")?, once("second")?);
        times.push((first - second).max(0.0));
    }
    Ok(times)
}

/// A root with busybox and `/tree`.
fn plant(root: &Path) {
    let tree = root.join("tree");
    for folder in 0..FOLDERS {
        let folder = tree.join(format!("folder{folder}"));
        fs::create_dir_all(&folder).expect("a folder");
        for file in 0..FILES {
            fs::write(folder.join(format!("file{file}")), vec![file as u8; 100 + 300 * file])
                .expect("a file");
        }
    }
    fs::write(tree.join("large"), vec![7; 64 << 20]).expect("a file");
    for folder in ["bin", "proc", "sys", "dev", "etc", "tmp", "run"] {
        fs::create_dir_all(root.join(folder)).expect("a folder");
    }
    let busybox = ["/bin/busybox", "/usr/bin/busybox"].into_iter().find(|path| Path::new(path).exists());
    fs::copy(busybox.expect("busybox (apt install busybox-static)"), root.join("bin/busybox"))
        .expect("busybox");
}
