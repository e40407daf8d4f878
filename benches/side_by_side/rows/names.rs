//! DNS: names of the network and names from outside, beside what else serves them; the limit is a bare echo.
use super::Add;
use crate::{
    dns,
    ours::Ours,
    peers::{
        dnsmasq::{self, Dnsmasq},
        dockerd::{self, Dockerd},
        netavark::{Netavark, Seat},
    },
    place::{self, Place},
    table::{Row, Target},
    unit::Unit,
};
use serde_json::json;
use std::{fs, net::SocketAddr, process::Command, time::Duration};

const AARDVARK: &str = "aardvark-dns";
const ECHO: &str = "bare recvmmsg echo";
/// Names of the one sandbox that is asked for.
pub const NAMES: usize = 20;
const CROWD: usize = 100;

/// A DNS server as its clients see it; `hold` keeps it alive.
struct Served {
    who: &'static str,
    /// Where one client asks, and a second one.
    askers: Vec<(Place, SocketAddr)>,
    /// Of the sandbox that has the names.
    address: String,
    _hold: Box<dyn std::any::Any>,
}

type Made = Result<Served, String>;
/// Lines for dnsperf, by whom they are asked of.
type Questions<'a> = &'a dyn Fn(&Served) -> String;

pub fn rows(add: Add<'_>) {
    let servers =
        [("ours", ours()), (dnsmasq::WHO, dnsmasq()), (AARDVARK, aardvark()), (dockerd::WHO, dockerd())];
    let echo = echo();
    let miss = "missing.example.test A".to_owned();
    let names = |kind: &str| (0..NAMES).map(|number| format!("name{number} {kind}\n")).collect::<String>();
    let fresh: String = (0..20_000).map(|number| format!("u{number}.example.test A\n")).collect();
    let kinds: [(&str, Questions<'_>, usize); 6] = [
        ("names of the network, A", &|_| names("A"), 5),
        ("names of the network, AAAA (none: an empty answer)", &|_| names("AAAA"), 2),
        ("names of the network, PTR", &|served| reverse(&served.address), 2),
        ("names that nobody has, asked of the host's server", &|_| miss.clone(), 2),
        ("names from outside, the same again", &|_| "cached.example.test A".to_owned(), 2),
        ("names from outside, ever new", &|_| fresh.clone(), 2),
    ];
    for (number, (what, questions, runs)) in kinds.into_iter().enumerate() {
        let mut rates: Vec<Result<Vec<f64>, String>> = servers.iter().map(|_| Ok(Vec::new())).collect();
        let mut limit = Vec::new();
        for _ in 0..runs {
            for ((_, served), rates) in servers.iter().zip(&mut rates) {
                let said =
                    served.as_ref().map_err(Clone::clone).and_then(|served| perf(served, &questions(served)));
                match (&mut *rates, said) {
                    (Ok(rates), Ok(rate)) => rates.push(rate),
                    (_, said) => *rates = said.map(|_| vec![]),
                }
            }
            if number == 0 {
                limit.push(perf(&echo, &names("A")).expect("the echo"));
            }
        }
        let own = rates[0].clone().unwrap_or_else(|error| panic!("ours: {error}"));
        let mut row = Row::new("dns", format!("{what}: rate, one client"), Unit::Rate).ours(&own);
        for ((who, _), rates) in servers.iter().zip(&rates).skip(1) {
            row = row.peer(who, rates);
        }
        if number == 0 {
            row = row.limit(ECHO, &limit).hold(Target::Peer(dnsmasq::WHO, 1.5));
        }
        add(row);
    }
    waits(add, &servers, &echo);
    flooded(add, &servers);
    crowds(add);
}

/// One question at a time: what a program waits for.
fn waits(add: Add<'_>, servers: &[(&'static str, Made)], echo: &Served) {
    let ask = |served: &Served| dns::waits(&served.askers[0].0, served.askers[0].1, "name1", 3_000);
    let limit = ask(echo).expect("the echo");
    let row = Row::new("dns", "name of the network, one at a time", Unit::Time).limit(ECHO, &limit);
    add(beside(row, servers, |served| ask(served)));
    let ask = |served: &Served| dns::waits(&served.askers[0].0, served.askers[0].1, "u1.example.test", 1_000);
    let row = Row::new("dns", "name from outside, not cached, one at a time", Unit::Time);
    add(beside(row, servers, |served| ask(served)));
}

/// One client asks as fast as it can, another one at a time.
fn flooded(add: Add<'_>, servers: &[(&'static str, Made)]) {
    let row = Row::new("dns", "name of the network, one at a time, while a neighbour floods", Unit::Time);
    add(beside(row, servers, |served| {
        let (place, server) = &served.askers[1];
        let _flood = dns::Flood::start(place, *server, "name1")?;
        std::thread::sleep(Duration::from_millis(300));
        dns::waits(&served.askers[0].0, served.askers[0].1, "name1", 1_000)
    }));
}

fn beside(
    mut row: Row,
    servers: &[(&'static str, Made)],
    measure: impl Fn(&Served) -> Result<Vec<f64>, String>,
) -> Row {
    for (number, (who, served)) in servers.iter().enumerate() {
        let times = served.as_ref().map_err(Clone::clone).and_then(&measure);
        row = match number {
            0 => row.ours(&times.unwrap_or_else(|error| panic!("ours: {error}"))),
            _ => row.peer(who, &times),
        };
    }
    row
}

/// 100 sandboxes at once, each asks again when it has its answer.
fn crowds(add: Add<'_>) {
    let length = Duration::from_millis(1_500);
    let own = {
        let ours = Ours::start("ours-crowd");
        asked_for(&ours);
        let asker = |number| {
            ours.attach(&format!("c{number}"), None, vec![]);
            (ours.look(&format!("c{number}")).0, "127.0.0.11:53".parse().expect("an address"))
        };
        let askers: Vec<_> = (0..CROWD).map(asker).collect();
        dns::crowd(&askers, "name1", length).expect("a crowd")
    };
    let aardvark = (|| {
        let peer = Netavark::start("aardvark-crowd")?;
        let askers = (0..CROWD)
            .map(|number| seat(&peer, number, &format!("c{number}")))
            .collect::<Result<Vec<_>, _>>()?;
        dns::crowd(&askers, "name1", length)
    })();
    let dnsmasq = Dnsmasq::bridged("dnsmasq-crowd", CROWD).and_then(|(peer, places)| {
        let askers: Vec<_> = places.into_iter().map(|place| (place, peer.address)).collect();
        dns::crowd(&askers, "name1", length)
    });
    let rate = |said: &Result<(f64, Vec<f64>), String>| said.clone().map(|(rate, _)| vec![rate]);
    let times = |said: &Result<(f64, Vec<f64>), String>| said.clone().map(|(_, times)| times);
    let why = "a hundred containers take dockerd a minute: not run";
    add(Row::new("dns", "100 sandboxes at once: rate", Unit::Rate)
        .ours(&[own.0])
        .peer(dnsmasq::WHO, &rate(&dnsmasq))
        .peer(AARDVARK, &rate(&aardvark))
        .peer(dockerd::WHO, &Err(why.to_owned())));
    add(Row::new("dns", "100 sandboxes at once: each wait", Unit::Time)
        .ours(&own.1)
        .peer(dnsmasq::WHO, &times(&dnsmasq))
        .peer(AARDVARK, &times(&aardvark)));
}

fn asked_for(ours: &Ours) {
    let aliases: Vec<String> = (0..NAMES).map(|number| format!("name{number}")).collect();
    ours.call(
        "Sandbox.Create",
        json!({ "name": "web", "networks": [{ "network": "bench", "aliases": aliases }] }),
    );
}

fn ours() -> Made {
    let ours = Ours::start("ours-dns");
    dns::upstream(&ours.place, "127.0.0.1:53");
    asked_for(&ours);
    let asker = |name: &str| {
        ours.attach(name, None, vec![]);
        (ours.look(name).0, "127.0.0.11:53".parse().expect("an address"))
    };
    let askers = vec![asker("asker"), asker("flood")];
    let address = ours.look("web").1[0].to_string();
    Ok(Served { who: "ours", askers, address, _hold: Box::new(ours) })
}

fn dnsmasq() -> Made {
    let peer = Dnsmasq::alone("dnsmasq")?;
    dns::upstream(&peer.place, "127.0.0.1:5353");
    let asker = || (Place::at(&peer.place.path), peer.address);
    let askers = vec![asker(), asker()];
    Ok(Served { who: dnsmasq::WHO, askers, address: "10.94.0.2".to_owned(), _hold: Box::new(peer) })
}

fn echo() -> Served {
    let place = Place::new("echo");
    dns::echo(&place, "127.0.0.1:53");
    let askers = vec![(place, "127.0.0.1:53".parse().expect("an address"))];
    Served { who: ECHO, askers, address: String::new(), _hold: Box::new(()) }
}

fn seat(peer: &Netavark, number: usize, name: &str) -> Result<(Place, SocketAddr), String> {
    let netns =
        place::empty(&format!("{}-{name}", peer.place.path.file_name().unwrap_or_default().display()));
    peer.setup(&Seat { number, name, netns: &netns, ports: None }, true)?;
    Ok((Place::at(&netns), "10.77.0.1:53".parse().expect("an address")))
}

fn aardvark() -> Made {
    let peer = Netavark::start("aardvark")?;
    dns::upstream(&peer.place, "127.0.0.1:53");
    let askers = ["asker", "flood"].iter().enumerate().map(|(number, name)| seat(&peer, number, name));
    let askers = askers.collect::<Result<Vec<_>, _>>()?;
    let address = Netavark::address(0);
    Ok(Served { who: AARDVARK, askers, address, _hold: Box::new(peer) })
}

fn dockerd() -> Made {
    let docker = Dockerd::start("dockerd-dns")?;
    dns::upstream(&docker.place, "10.97.0.1:53");
    let aliases: Vec<String> = (0..NAMES).map(|number| format!("name{number}")).collect();
    docker.network("first", "10.96.0.0/16")?;
    docker.container("web", "first", &[])?;
    let body = json!({ "Container": "web", "EndpointConfig": { "Aliases": aliases } });
    docker.call("POST", "/networks/bench/connect", body)?;
    let address = docker.look("web", "bench")?.1;
    let mut askers = Vec::new();
    for name in ["asker", "flood"] {
        docker.container(name, "bench", &[])?;
        askers.push((docker.look(name, "bench")?.0, "127.0.0.11:53".parse().expect("an address")));
    }
    Ok(Served { who: dockerd::WHO, askers, address, _hold: Box::new(docker) })
}

fn reverse(address: &str) -> String {
    let parts: Vec<&str> = address.split('.').rev().collect();
    format!("{}.in-addr.arpa PTR", parts.join("."))
}

fn command(server: SocketAddr, file: &str) -> Command {
    let mut command = Command::new("dnsperf");
    command.args(["-s", &server.ip().to_string(), "-p", &server.port().to_string()]);
    command.args(["-d", file, "-l", "1", "-c", "1", "-t", "2"]);
    command
}

/// dnsperf for a second, 100 questions under way: answers a second. Lost ones are an error.
fn perf(served: &Served, questions: &str) -> Result<f64, String> {
    let file = crate::folder().join("questions");
    fs::write(&file, questions).map_err(|error| error.to_string())?;
    let (place, server) = &served.askers[0];
    let output = place.enter(|| command(*server, &file.display().to_string()).output());
    let output = output.map_err(|error| format!("dnsperf (apt install dnsperf): {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let number = |label: &str| -> Option<f64> {
        let rest = text.lines().find_map(|line| line.trim().strip_prefix(label))?;
        rest.split_whitespace().next()?.parse().ok()
    };
    match (number("Queries per second:"), number("Queries lost:"), number("Queries sent:")) {
        (Some(rate), Some(lost), Some(sent)) if lost <= sent / 1_000.0 => Ok(rate),
        (_, Some(lost), Some(sent)) => Err(format!("{}: {lost} of {sent} questions lost", served.who)),
        _ => Err(format!("{}: dnsperf: {}", served.who, String::from_utf8_lossy(&output.stderr).trim())),
    }
}
