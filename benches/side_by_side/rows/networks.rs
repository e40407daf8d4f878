//! Creating and removing networks: one, and one more where there are 500; and how long the list takes to print.
use super::Add;
use crate::{
    bare::{self, Bare},
    clock::timed,
    ours::Ours,
    peers::dockerd::{self, Dockerd},
    table::Row,
    unit::Unit,
};
use serde_json::{Value, json};
use std::process::{Command, Stdio};

const MANY: usize = 500;
const RUNS: usize = 20;

/// Seconds of creating and of removing.
type Both = (Vec<f64>, Vec<f64>);

pub fn rows(add: Add<'_>) {
    let ours = Ours::alone("ours-networks");
    let docker = Dockerd::start("dockerd-networks");
    let theirs = docker.as_ref().map_err(Clone::clone);
    let (one, peer) = (own(&ours, 0), theirs.clone().and_then(dockers));
    let bare = Bare::start("bare-networks");
    let floor: Vec<f64> = (0..RUNS).map(|round| bare.bridge(round)).collect();
    both(add, &floor, &one, &peer);
    list(add, "network ls, whole process, 3 networks", &ours, theirs.clone());
    let subnet = |number: usize| format!("10.{}.{}.0/24", 100 + number / 250, number % 250);
    let create = |number: usize| timed(|| ours.network(&format!("many{number}"), &subnet(number)));
    let created: Vec<f64> = (0..MANY).map(create).collect();
    let full = own(&ours, MANY);
    for (word, with, none) in [("create", &full.0, &one.0), ("remove", &full.1, &one.1)] {
        add(Row::new("networks", format!("{word} a network where there are {MANY}"), Unit::Time)
            .ours(with)
            .limit("with none", none)
            .note("dockerd was not given so many"));
    }
    list(add, "network ls, whole process, 500 networks (dockerd: 3)", &ours, theirs);
    let remove = |number: usize| {
        timed(|| drop(ours.call("Network.Remove", json!({ "name": format!("many{number}") }))))
    };
    let removed: Vec<f64> = (0..MANY).map(remove).collect();
    add(Row::new("networks", format!("create {MANY} networks, all of them"), Unit::Time)
        .ours(&[created.iter().sum()]));
    add(Row::new("networks", format!("remove {MANY} networks, all of them"), Unit::Time)
        .ours(&[removed.iter().sum()]));
}

fn both(add: Add<'_>, floor: &[f64], own: &Both, peer: &Result<Both, String>) {
    let (create, remove) = match peer {
        Ok((create, remove)) => (Ok(create.clone()), Ok(remove.clone())),
        Err(error) => (Err(error.clone()), Err(error.clone())),
    };
    let row = Row::new("networks", "create a network", Unit::Time).ours(&own.0).limit(bare::WHO, floor);
    add(row.peer(dockerd::WHO, &create));
    add(Row::new("networks", "remove a network", Unit::Time).ours(&own.1).peer(dockerd::WHO, &remove));
}

fn own(ours: &Ours, others: usize) -> Both {
    let once = |number: usize| {
        let name = format!("one{others}-{number}");
        let create = timed(|| ours.network(&name, "10.99.7.0/24"));
        (create, timed(|| drop(ours.call("Network.Remove", json!({ "name": name })))))
    };
    (0..RUNS).map(once).unzip()
}

fn dockers(docker: &Dockerd) -> Result<Both, String> {
    let mut both = Both::default();
    for _ in 0..RUNS {
        let mut said = Ok(());
        both.0.push(timed(|| said = docker.network("one", "10.99.7.0/24")));
        said?;
        let mut said = Ok(Value::Null);
        both.1.push(timed(|| said = docker.call("DELETE", "/networks/one", Value::Null)));
        said?;
    }
    Ok(both)
}

fn list(add: Add<'_>, what: &str, ours: &Ours, docker: Result<&Dockerd, String>) {
    let run = |command: &mut Command| {
        let mut fine = false;
        let took = timed(|| fine = command.status().is_ok_and(|status| status.success()));
        if fine { Ok(took) } else { Err(format!("{command:?} failed")) }
    };
    let own: Result<Vec<f64>, String> =
        (0..RUNS).map(|_| run(ours.command().args(["network", "ls"]))).collect();
    let theirs = docker.and_then(|docker| {
        let once = |_| {
            let mut command = Command::new("docker");
            command.arg("-H").arg(format!("unix://{}", docker.socket.display())).args(["network", "ls"]);
            run(command.stdin(Stdio::null()).stdout(Stdio::null()))
        };
        (0..RUNS).map(once).collect()
    });
    add(Row::new("networks", what, Unit::Time)
        .ours(&own.expect("pontoon network ls"))
        .peer("docker", &theirs));
}
