//! One attach through each doorway, beside the same client with its own default networking: first the calls and programs
//! alone, then whole clients as people type them. All of a row in turn, in one run.
use super::{
    Add,
    attach::{Times, chain_once, connect_once, seat_once},
    turns::{Round, Turn, in_turn},
};
use crate::{
    ours::Ours,
    peers::{
        cni::{self, Chain},
        containerd::{self, Containerd},
        dockerd::{self, Dockerd},
        netavark::{self, Netavark},
        podman::{self, Podman},
        runc::{self, Bundle},
    },
    place,
    table::{Figure, Row},
    unit::Unit,
};

/// Of calls and programs, of whole clients.
const CALLS: usize = 9;
const CLIENTS: usize = 6;

pub fn rows(add: Add<'_>) {
    let ours = Ours::start("ours-doors");
    ours.network("first", "10.95.0.0/16");
    ours.join("box", "first", None, vec![]);
    programs(add, &ours);
    docker(add, &ours);
    podman(add, &ours);
    ctr(add, &ours);
    hook(add, &ours);
}

/// What clients call: a process for each ADD or setup.
fn programs(add: Add<'_>, ours: &Ours) {
    let (own, chain) = (Chain::ours(ours), Chain::reference("cni-doors"));
    let once = |chain: &Chain, number| in_new_place(|netns| chain_once(chain, 25_000, number, netns));
    let [own, chain] = in_turn(CALLS, [Turn::new(|n| once(&own, n)), Turn::with(&chain, once)]);
    both(add, "CNI, whole process", ("ADD", "DEL"), own, &[(cni::WHO, chain)]);
    let (own, peer) = (Netavark::ours(ours), Netavark::start("netavark-doors"));
    own.stays("ours-stays").expect("a first container");
    let once = |peer: &Netavark, number| in_new_place(|netns| seat_once(peer, number, netns));
    let peer = peer.and_then(|peer| peer.stays("stays").map(|()| peer));
    let [own, peer] = in_turn(CALLS, [Turn::new(|n| once(&own, n)), Turn::with(&peer, once)]);
    both(add, "netavark, whole process", ("setup", "teardown"), own, &[(netavark::WHO, peer)]);
}

/// dockerd with a network of its own and one that is ours by its plugin protocol.
fn docker(add: Add<'_>, ours: &Ours) {
    let docker = Dockerd::start_at(place::Place::at(&ours.place.path), "dockerd-doors").and_then(|docker| {
        docker.plugged("plugged")?;
        docker.network("first", "10.96.0.0/16")?;
        docker.container("box", "first", &[])?;
        Ok(docker)
    });
    let connect = |docker: &Dockerd, network: &str| connect_once(&docker.socket, network, "box");
    let [api, plugged, own] = in_turn(
        CALLS,
        [
            Turn::new(|_| connect_once(&ours.socket(), "bench", "box")),
            Turn::with(&docker, |docker, _| connect(docker, "plugged")),
            Turn::with(&docker, |docker, _| connect(docker, "bench")),
        ],
    );
    both(add, "Docker API", ("connect", "disconnect"), api, &[(dockerd::WHO, own.clone())]);
    both(add, "dockerd with our plugins", ("connect", "disconnect"), plugged, &[(dockerd::WHO, own)]);
    let run = |docker: &Dockerd, network: &str, port: u16| {
        let name = format!("run-{port}");
        let attach = docker.run(&name, network, port)?;
        docker.remove(&name)?;
        Ok((attach, 0.0))
    };
    let [plugged, own, none] = in_turn(
        CLIENTS,
        [
            Turn::with(&docker, |docker, n| run(docker, "plugged", 28_000 + n as u16)),
            Turn::with(&docker, |docker, n| run(docker, "bench", 28_100 + n as u16)),
            Turn::with(&docker, |docker, n| run(docker, "none", 28_200 + n as u16)),
        ],
    );
    whole(
        add,
        "docker run -d -p, our plugins",
        plugged,
        &[(dockerd::WHO, own)],
        ("docker run --network none", none),
    );
}

/// Podman with both of its backends, each beside what Debian gives it.
fn podman(add: Add<'_>, ours: &Ours) {
    for (backend, who) in [("cni", podman::WITH_CNI), ("netavark", podman::WITH_NETAVARK)] {
        let own = Podman::ours(ours, backend);
        let theirs = Podman::theirs(backend);
        let run = |podman: &Podman, network: Option<&str>, port: usize| -> Round {
            Ok((podman.run(network, port as u16)?, 0.0))
        };
        let [with, without, none] = in_turn(
            CLIENTS,
            [
                Turn::with(&own, |podman, n| run(podman, Some("peer"), 28_300 + n)),
                Turn::with(&theirs, |podman, n| run(podman, Some("peer"), 28_400 + n)),
                Turn::with(&theirs, |podman, n| run(podman, None, 28_500 + n)),
            ],
        );
        let what = format!("podman run -d -p, backend {backend}");
        whole(add, &what, with, &[(who, without)], ("podman run --network none", none));
    }
}

fn ctr(add: Add<'_>, ours: &Ours) {
    let containerd = Containerd::start("containerd", ours);
    let run = |containerd: &Containerd, network, number| Ok((containerd.run(network, number)?, 0.0));
    let [with, without, none] = in_turn(
        CLIENTS,
        [
            Turn::with(&containerd, |containerd, n| run(containerd, containerd::Network::Ours, n)),
            Turn::with(&containerd, |containerd, n| run(containerd, containerd::Network::Debians, n)),
            Turn::with(&containerd, |containerd, n| run(containerd, containerd::Network::None, n)),
        ],
    );
    whole(add, "ctr run -d --cni", with, &[(cni::WHO, without)], ("ctr run without --cni", none));
}

/// A runtime alone has no networking that could be beside ours: what is left is its own time.
fn hook(add: Add<'_>, ours: &Ours) {
    let bundle = Bundle::make("runc", ours);
    let [with, none] = in_turn(
        CLIENTS,
        [
            Turn::with(&bundle, |bundle, n| Ok((bundle.run(true, n)?, 0.0))),
            Turn::with(&bundle, |bundle, n| Ok((bundle.run(false, n)?, 0.0))),
        ],
    );
    whole(add, "runc run -d with our hook", with, &[], (runc::WHO, none));
}

fn in_new_place(round: impl FnOnce(&std::path::Path) -> Round) -> Round {
    let netns = place::empty("turn");
    let took = round(&netns);
    place::forget(&netns);
    took
}

type Peer<'a> = (&'a str, Result<Times, String>);

fn both(add: Add<'_>, door: &str, words: (&str, &str), own: Result<Times, String>, peers: &[Peer<'_>]) {
    for (attach, word) in [(true, words.0), (false, words.1)] {
        let row = Row::new("doorways", format!("{door}: {word}"), Unit::Time).ours_if(&part(&own, attach));
        add(peers.iter().fold(row, |row, (who, times)| row.peer(who, &part(times, attach))));
    }
}

/// `bare`: the same client without any network, which nobody can be faster than.
fn whole(add: Add<'_>, what: &str, own: Result<Times, String>, peers: &[Peer<'_>], bare: Peer<'_>) {
    let row = Row::new("doorways", what, Unit::Time).ours_if(&part(&own, true));
    let row = peers.iter().fold(row, |row, (who, times)| row.peer(who, &part(times, true)));
    add(match part(&bare.1, true) {
        Ok(samples) => network_alone(row.limit(bare.0, &samples)),
        Err(error) => row.note(error),
    });
}

/// What the network alone adds to the client's own time, as a note.
fn network_alone(row: Row) -> Row {
    let Some(Ok(bare)) = row.limit.as_ref().map(|limit| limit.figure.clone()) else { return row };
    let adds = |figure: &Figure| match figure.middle - bare.middle {
        more if more > 0.0 => Unit::Time.show(more),
        _ => "lost in the noise".to_owned(),
    };
    let Ok(own) = &row.ours else { return row };
    let others = row.peers.iter().filter_map(|peer| Some((&peer.who, peer.figure.as_ref().ok()?)));
    let others: String = others.map(|(who, figure)| format!(", {who} {}", adds(figure))).collect();
    let note = format!("the network's part: ours {}{others}", adds(own));
    row.note(note)
}

fn part(times: &Result<Times, String>, attach: bool) -> Result<Vec<f64>, String> {
    times.clone().map(|times| if attach { times.attach } else { times.detach })
}
