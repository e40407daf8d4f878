//! One network, one port, one DNS name, made durable: attached and detached one at a time, through the native API.
use super::{Add, turns::Round};
use crate::{
    bare::{self, Bare, Hand},
    clock::timed,
    ours::{Ours, ports},
    peers::{cni, dockerd, netavark},
    place::{self, Place},
    table::{Row, Target},
    unit::Unit,
};
use std::{
    io::ErrorKind,
    net::{SocketAddr, TcpStream},
    ops::Range,
    path::{Path, PathBuf},
    time::Duration,
};

const BLOCKS: usize = 20;
/// Sandboxes that stand at once.
const BLOCK: usize = 50;
const PEER_ROUNDS: usize = 20;

/// Seconds of attaches and of detaches.
#[derive(Default, Clone)]
pub struct Times {
    pub attach: Vec<f64>,
    pub detach: Vec<f64>,
}

pub fn rows(add: Add<'_>) {
    let (floor, own, answered) = pairs();
    let dockerd = dockerd();
    let netavark = netavark();
    let cni = cni();
    let pick = |times: &Result<Times, String>, attach: bool| match times {
        Ok(times) => Ok(if attach { times.attach.clone() } else { times.detach.clone() }),
        Err(error) => Err(error.clone()),
    };
    for attach in [true, false] {
        let (ours, floor) = if attach { (&own.attach, &floor.attach) } else { (&own.detach, &floor.detach) };
        let what = if attach { "attach" } else { "detach, until eth0, address, name and port are free" };
        let row = Row::new("attach", what, Unit::Time)
            .ours(ours)
            .limit(bare::WHO, floor)
            .peer(dockerd::WHO, &pick(&dockerd, attach))
            .peer(netavark::WHO, &pick(&netavark, attach))
            .peer(cni::WHO, &pick(&cni, attach));
        add(match attach {
            true => row
                .hold(Target::Limit(2.0))
                .hold(Target::Peer(dockerd::WHO, 15.0))
                .hold(Target::Peer(netavark::WHO, 20.0))
                .hold(Target::Peer(cni::WHO, 30.0))
                .note("dockerd connects a running container, without a port"),
            false => row.hold(Target::Value(0.0025)),
        });
    }
    add(Row::new("attach", "first packet after the attach answered within 0.1 s", Unit::Share)
        .ours(&[answered])
        .hold(Target::Value(1.0))
        .note(format!("{} attaches", BLOCKS * BLOCK)));
}

/// Bare calls and ours in turn; and which part of our first packets was answered.
fn pairs() -> (Times, Times, f64) {
    let (bare, ours) = (Bare::start("bare"), Ours::start("ours"));
    let mut hand = bare.hand();
    let (mut floor, mut own, mut lost) = (Times::default(), Times::default(), 0);
    for block in 0..BLOCKS {
        lost += stand_and_go(&mut hand, &ours, block * BLOCK..(block + 1) * BLOCK, &mut floor, &mut own);
    }
    let share = 1.0 - lost as f64 / own.attach.len() as f64;
    (floor, own, share)
}

/// Attaches in turn; then detaches, all of one and all of the other, because the grace period that follows a deletion
/// (20 ms) makes whoever comes next wait. How many first packets of ours were lost.
pub fn stand_and_go(
    hand: &mut Hand<'_>,
    ours: &Ours,
    rounds: Range<usize>,
    floor: &mut Times,
    own: &mut Times,
) -> usize {
    let mut lost = 0;
    let path = |letter: char, round: usize| PathBuf::from(format!("/run/netns/{letter}{round}"));
    for round in rounds.clone() {
        let (mine, theirs) = (place::empty(&format!("o{round}")), place::empty(&format!("b{round}")));
        floor.attach.push(hand.attach(round, &theirs));
        own.attach.push(attached(ours, round, &mine));
        lost += usize::from(!answers(&mine, "10.98.0.1"));
    }
    for turn in 0..2 {
        std::thread::sleep(Duration::from_millis(60));
        for round in rounds.clone() {
            match turn {
                0 => floor.detach.push(hand.detach(round)),
                _ => own.detach.push(timed(|| ours.detach(&format!("s{round}")))),
            }
        }
    }
    rounds
        .for_each(|round| ['o', 'b'].map(|letter| place::forget(&path(letter, round))).into_iter().collect());
    place::pause();
    lost
}

/// Seconds of one attach with one port.
pub fn attached(ours: &Ours, round: usize, netns: &Path) -> f64 {
    let port = vec![ports(10_000 + round as u16, 80, 1)];
    timed(|| ours.attach(&format!("s{round}"), Some(netns), port))
}

/// Does a closed TCP port there refuse at once? (ICMP answers are rate-limited, a refusal is not.)
pub fn answers(netns: &Path, gateway: &str) -> bool {
    let there: SocketAddr = format!("{gateway}:9").parse().expect("an address");
    let asked = Place::at(netns).enter(|| TcpStream::connect_timeout(&there, Duration::from_millis(100)));
    asked.is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused)
}

fn dockerd() -> Result<Times, String> {
    let docker = dockerd::Dockerd::start("dockerd")?;
    docker.network("first", "10.96.0.0/16")?;
    docker.container("box", "first", &[])?;
    connects(&docker.socket, "box")
}

/// Connects and disconnects one that runs, over and over.
fn connects(socket: &Path, container: &str) -> Result<Times, String> {
    let mut times = Times::default();
    for _ in 0..PEER_ROUNDS {
        let (attach, detach) = connect_once(socket, "bench", container)?;
        times.attach.push(attach);
        times.detach.push(detach);
    }
    Ok(times)
}

/// `POST /networks/NETWORK/connect` and `/disconnect`, the same client for whoever serves the Docker API.
pub fn connect_once(socket: &Path, network: &str, container: &str) -> Round {
    let call = |verb: &str| {
        let body = serde_json::json!({ "Container": container });
        let mut said = Ok(());
        let path = format!("/networks/{network}/{verb}");
        let took = timed(|| said = crate::http::json(socket, "POST", &path, &body).map(drop));
        said.map(|()| took)
    };
    Ok((call("connect")?, call("disconnect")?))
}

fn netavark() -> Result<Times, String> {
    let peer = netavark::Netavark::start("netavark")?;
    peer.stays("nvstays")?;
    each("nv", |number, netns| seat_once(&peer, number, netns))
}

/// setup and teardown of one port.
pub fn seat_once(peer: &netavark::Netavark, number: usize, netns: &Path) -> Round {
    let name = format!("c{number}");
    let seat = netavark::Seat { number, name: &name, netns, ports: Some((26_000 + number as u16, 1)) };
    let mut said = Ok(());
    let attach = timed(|| said = peer.setup(&seat, true));
    said?;
    let mut said = Ok(());
    let detach = timed(|| said = peer.teardown(&seat, true));
    said.map(|()| (attach, detach))
}

fn cni() -> Result<Times, String> {
    let chain = cni::Chain::reference("cni")?;
    each("cni", |number, netns| chain_once(&chain, 25_000, number, netns))
}

/// ADD and DEL of one port.
pub fn chain_once(chain: &cni::Chain, first: u16, number: usize, netns: &Path) -> Round {
    let (name, port) = (format!("c{number}"), [first + number as u16]);
    let mut said = Ok(());
    let attach = timed(|| said = chain.add(&name, netns, &port));
    said?;
    let mut said = Ok(());
    let detach = timed(|| said = chain.del(&name, netns, &port));
    said.map(|()| (attach, detach))
}

fn each(prefix: &str, mut round: impl FnMut(usize, &Path) -> Round) -> Result<Times, String> {
    let mut times = Times::default();
    for number in 0..PEER_ROUNDS {
        let netns = place::empty(&format!("{prefix}{number}"));
        let (attach, detach) = round(number, &netns)?;
        times.attach.push(attach);
        times.detach.push(detach);
        place::forget(&netns);
    }
    Ok(times)
}
