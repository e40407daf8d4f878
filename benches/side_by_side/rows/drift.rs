//! How soon what others change is right again with 1,000 sandboxes and their ports in place: from the start of the command that
//! does it until the daemon says that it is done. From its end would flatter: `ip link del` still waits for the kernel's barrier
//! when its link has long been made anew.
use super::Add;
use crate::{
    ours::{Ours, ports},
    place::Place,
    table::{Row, Target},
    unit::Unit,
};
use std::{
    io::{BufRead, BufReader, Write},
    os::unix::{fs::symlink, net::UnixStream},
    process::Command,
    sync::mpsc::{Receiver, channel},
    thread::sleep,
    time::{Duration, Instant},
};

const SANDBOXES: usize = 1_000;
const BOUND: f64 = 0.2;
/// The same thing again and again is a fight, and is put right less and less often.
const ROUNDS: usize = 50;
const FEW: usize = 3;

pub fn rows(add: Add<'_>) {
    let ours = Ours::alone("ours-drift");
    ours.network("drift", "10.97.0.0/16");
    (0..SANDBOXES)
        .for_each(|n| ours.join(&format!("s{n}"), "drift", None, vec![ports(10_000 + n as u16, 80, 1)]));
    let network = ours.call("Network.Inspect", serde_json::json!({"name": "drift"}));
    let bridge = network["device"].as_str().expect("a bridge").to_owned();
    let end = |n: usize| {
        let info = serde_json::to_value(ours.sandbox(&format!("s{n}"))).expect("JSON");
        info["networks"][0]["host_ifname"].as_str().expect("a host end").to_owned()
    };
    let ends: Vec<String> = (0..2 * ROUNDS).map(end).collect();
    let repairs = repairs(&ours);
    let mut row = |what: &str, rounds: usize, command: &dyn Fn(usize) -> String| {
        let times: Vec<f64> = (0..rounds).map(|n| one(&ours, &repairs, &command(n))).collect();
        add(Row::new("drift", format!("{what}, with 1,000 sandboxes"), Unit::Time)
            .ours(&times)
            .note("from the start of the command, which is part of it")
            .hold(Target::Value(BOUND)));
    };
    row("the ruleset flushed, right again", ROUNDS, &|n| format!("{} flush ruleset", nft(n)));
    row("an element deleted, right again", ROUNDS, &|n| {
        format!("{} delete element inet pontoon net {{ {bridge} }}", nft(ROUNDS + n))
    });
    row("a port taken off its bridge, right again", ROUNDS, &|n| format!("ip link set {} nomaster", ends[n]));
    row("a veth deleted, right again", ROUNDS, &|n| format!("ip link del {}", ends[ROUNDS + n]));
    row("their bridge set down, right again", FEW, &|_| format!("ip link set {bridge} down"));
    row("its address removed, right again", FEW, &|_| format!("ip addr flush dev {bridge}"));
    // The kernel lets a thousand ports go first, 0.4 to 1.6 s, and holds the RTNL until the command ends.
    let times: Vec<f64> = (0..FEW).map(|_| one(&ours, &repairs, &format!("ip link del {bridge}"))).collect();
    add(Row::new("drift", "their bridge deleted, right again, with 1,000 sandboxes", Unit::Time)
        .ours(&times)
        .limit(BARE, &bare())
        .note("after the end of the command; another bridge, with every port put on it and dressed anew")
        .hold(Target::Limit(1.0)));
}

const BARE: &str = "ip -batch, the ports alone";

/// Seconds that it takes to put a thousand ports on a new bridge and say how each is: without MACs, addresses and rules.
fn bare() -> Vec<f64> {
    let place = Place::new("bare-ports");
    let batch = |what: &str, line: &dyn Fn(usize) -> String| {
        let path = crate::folder().join(format!("ports-{what}"));
        let lines: Vec<String> = (0..SANDBOXES).map(line).collect();
        std::fs::write(&path, lines.join("\n") + "\n").expect("a batch");
        format!("ip -batch {}", path.display())
    };
    place.run(&batch("make", &|n| format!("link add h{n} up type veth peer name p{n}")));
    let join = batch("join", &|n| format!("link set dev h{n} master ports0"));
    let dress = batch("dress", &|n| format!("link set dev h{n} type bridge_slave neigh_suppress on"));
    let once = |_| {
        place.run("ip link add name ports0 type bridge");
        place.run("ip link set dev ports0 up");
        let start = Instant::now();
        place.run(&join);
        place.run(&dress);
        let took = start.elapsed().as_secs_f64();
        place.run("ip link del dev ports0");
        took
    };
    (0..FEW).map(once).collect()
}

/// Another name of nft for every round, since who does it belongs to what is noticed.
fn nft(round: usize) -> String {
    let name: String = format!("{round:03}").bytes().map(|digit| char::from(digit - b'0' + b'a')).collect();
    let path = crate::folder().join(format!("nft-{name}"));
    if !path.exists() {
        symlink("/usr/sbin/nft", &path).expect("a link");
    }
    path.display().to_string()
}

/// Seconds from the start of the command to the repair.
fn one(ours: &Ours, repairs: &Receiver<Instant>, command: &str) -> f64 {
    while repairs.try_recv().is_ok() {}
    let mut words = command.split_whitespace();
    let mut program = Command::new(words.next().expect("a program"));
    let start = Instant::now();
    let status = ours.place.enter(|| program.args(words).status());
    assert!(status.is_ok_and(|status| status.success()), "{command}");
    let done =
        repairs.recv_timeout(Duration::from_secs(20)).unwrap_or_else(|_| panic!("{command}: no repair"));
    // Some come in parts, while the command is still at work.
    sleep(Duration::from_millis(400));
    let last = repairs.try_iter().last().unwrap_or(done);
    last.saturating_duration_since(start).as_secs_f64()
}

/// When repairs were said, from now on.
fn repairs(ours: &Ours) -> Receiver<Instant> {
    let mut stream = UnixStream::connect(ours.socket()).expect("connect");
    let request = "POST /Events.Watch HTTP/1.1\r\nhost: bench\r\ncontent-length: 2\r\n\r\n{}";
    stream.write_all(request.as_bytes()).expect("ask for events");
    let (tell, told) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            if line.contains("\"repair\"") && tell.send(Instant::now()).is_err() {
                return;
            }
        }
    });
    sleep(Duration::from_millis(200));
    told
}
