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
    let call = |method: &str, name: &str| timed(|| drop(ours.call(method, json!({ "name": name }))));
    let own = lives(|name| Ok(call("Volume.Create", name)), |name| Ok(call("Volume.Remove", name)));
    let own = own.expect("volumes of ours");
    let peer = theirs.clone().and_then(|docker| {
        let call = |verb: &str, path: &str, body: Value| {
            let mut said = Ok(Value::Null);
            let took = timed(|| said = docker.call(verb, path, body));
            said.map(|_| took)
        };
        lives(
            |name| call("POST", "/volumes/create", json!({ "Name": name })),
            |name| call("DELETE", &format!("/volumes/{name}"), Value::Null),
        )
    });
    for (which, what) in
        ["create a volume", "remove a volume", "create a volume where one of its name was just removed"]
            .into_iter()
            .enumerate()
    {
        let peer = peer.clone().map(|times| times[which].clone());
        add(Row::new("volumes", what, Unit::Time).ours(&own[which]).peer(dockerd::WHO, &peer));
    }
    copy_up(add, &ours, theirs);
}

type Timed = Result<f64, String>;

/// Seconds of creating, of removing, and of creating under the name that has just been freed.
fn lives(
    mut create: impl FnMut(&str) -> Timed,
    mut remove: impl FnMut(&str) -> Timed,
) -> Result<[Vec<f64>; 3], String> {
    let mut times = [const { Vec::new() }; 3];
    for round in 0..RUNS {
        let name = format!("volume{round}");
        times[0].push(create(&name)?);
        times[1].push(remove(&name)?);
        times[2].push(create(&name)?);
        remove(&name)?;
    }
    Ok(times)
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
