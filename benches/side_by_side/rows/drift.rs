//! How soon what others change is right again with 1,000 sandboxes and their ports in place: from the start of the command that
//! does it until the daemon says that it is done. From its end would flatter: `ip link del` still waits for the kernel's barrier
//! when its link has long been made anew. Only of a bridge with a thousand ports both are said: the kernel takes one after the
//! other off it, and nobody else gets at any link until it is done.
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
    let mut ours = Ours::alone("ours-drift");
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
        let times: Vec<f64> = (0..rounds).map(|n| one(&ours, &repairs, &command(n)).whole).collect();
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
    let delete = format!("ip link del {bridge}");
    let times: Vec<Took> = (0..FEW).map(|_| one(&ours, &repairs, &delete)).collect();
    let ends: Vec<String> = (0..SANDBOXES).map(end).collect();
    ours.kill();
    let bare: Vec<Took> = (0..FEW).map(|_| bare(&ours.place, &bridge, &delete, &ends)).collect();
    let mut row = |what: &str, which: fn(&Took) -> f64, note: &str, hold: Target| {
        let [times, bare] = [&times, &bare].map(|all| all.iter().map(which).collect::<Vec<f64>>());
        add(Row::new("drift", format!("their bridge deleted, {what}, with 1,000 sandboxes"), Unit::Time)
            .ours(&times)
            .limit(BARE, &bare)
            .note(note)
            .hold(hold));
    };
    let anew = "after the end of the command; another bridge, every port put on it and dressed anew";
    row("right again", |took| took.after, anew, Target::Value(BOUND));
    let whole = "from its start: the kernel takes the ports off one by one, and nobody else gets at any link meanwhile";
    row("gone and right again", |took| took.whole, whole, Target::Limit(1.0));
}

const BARE: &str = "ip -batch, the ports alone";

/// The same by hand, with nobody who watches: the bridge deleted, another one, the ports put on it, and said how each is.
/// Without MACs, addresses and rules.
fn bare(place: &Place, bridge: &str, delete: &str, ends: &[String]) -> Took {
    let batch = |what: &str, line: &dyn Fn(&String) -> String| {
        let path = crate::folder().join(format!("ports-{what}"));
        let lines: Vec<String> = ends.iter().map(line).collect();
        std::fs::write(&path, lines.join("\n") + "\n").expect("a batch");
        path.display().to_string()
    };
    let join = batch("join", &|end| format!("link set dev {end} master {bridge}"));
    let dress = batch("dress", &|end| format!("link set dev {end} neigh_suppress on"));
    let start = Instant::now();
    place.run(delete);
    let end = Instant::now();
    place.run(&format!("ip link add name {bridge} type bridge"));
    place.run(&format!("ip link set dev {bridge} up"));
    place.run(&format!("ip -batch {join}"));
    place.run(&format!("bridge -batch {dress}"));
    Took { whole: start.elapsed().as_secs_f64(), after: end.elapsed().as_secs_f64() }
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

/// Seconds to the repair, from the start of the command and from its end.
struct Took {
    whole: f64,
    after: f64,
}

fn one(ours: &Ours, repairs: &Receiver<Instant>, command: &str) -> Took {
    while repairs.try_recv().is_ok() {}
    let mut words = command.split_whitespace();
    let mut program = Command::new(words.next().expect("a program"));
    let start = Instant::now();
    let status = ours.place.enter(|| program.args(words).status());
    let end = Instant::now();
    assert!(status.is_ok_and(|status| status.success()), "{command}");
    let done =
        repairs.recv_timeout(Duration::from_secs(20)).unwrap_or_else(|_| panic!("{command}: no repair"));
    // Some come in parts, while the command is still at work.
    sleep(Duration::from_millis(400));
    let last = repairs.try_iter().last().unwrap_or(done);
    let since = |from: Instant| last.saturating_duration_since(from).as_secs_f64();
    Took { whole: since(start), after: since(end) }
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
