//! Publishing many ports on one sandbox, as a range and one by one, and taking them back: the whole call.
use super::Add;
use crate::{
    clock::timed,
    ours::{Ours, ports},
    peers::{
        cni::{self, Chain},
        dockerd::{self, Dockerd},
        netavark::{self, Netavark, Seat},
    },
    place,
    table::{Row, Target},
    unit::Unit,
};

/// Seconds of publishing and of taking back.
type Both = (Vec<f64>, Vec<f64>);

pub fn rows(add: Add<'_>) {
    let ours = Ours::start("ours-ports");
    let docker = Dockerd::start("dockerd-ports");
    for (count, runs) in [(1_u16, 20), (100, 10), (1_000, 7), (10_000, 3)] {
        let peers = if count <= 100 { peers(&docker, count) } else { vec![] };
        for range in [true, false] {
            if count == 1 && !range {
                continue;
            }
            let (publish, take) = own(&ours, count, range, runs);
            let how = if count == 1 {
                ""
            } else if range {
                " as a range"
            } else {
                " one by one"
            };
            let many =
                if count == 1 { "1 port".to_owned() } else { format!("{} ports{how}", thousands(count)) };
            let mut out = Row::new("ports", format!("publish {many}"), Unit::Time).ours(&publish);
            let mut back = Row::new("ports", format!("take back {many}"), Unit::Time).ours(&take);
            for (who, times) in &peers {
                let pick = |first: bool| times.clone().map(|both| if first { both.0 } else { both.1 });
                out = out.peer(who, &pick(true));
                back = back.peer(who, &pick(false));
            }
            if count == 1_000 {
                out = out
                    .hold(Target::Value(0.025))
                    .note("not run with the peers: dockerd takes 45 s and 2,000 processes, and 92 s to remove them (DESIGN.md section 7)");
            }
            add(out);
            add(back);
        }
    }
}

fn thousands(count: u16) -> String {
    if count >= 1_000 { format!("{},{:03}", count / 1_000, count % 1_000) } else { count.to_string() }
}

fn own(ours: &Ours, count: u16, range: bool, runs: usize) -> Both {
    let netns = place::empty(&format!("ports{count}{range}"));
    // Every second host port, so that nobody can make a range of them.
    let specs = match range {
        true => vec![ports(20_000, 20_000, count)],
        false => (0..count).map(|number| ports(20_000 + 2 * number, 20_000 + number, 1)).collect(),
    };
    let once = |_| {
        let (name, specs) = ("many", specs.clone());
        (timed(|| ours.attach(name, Some(&netns), specs)), timed(|| ours.detach(name)))
    };
    (0..runs).map(once).unzip()
}

fn peers(docker: &Result<Dockerd, String>, count: u16) -> Vec<(&'static str, Result<Both, String>)> {
    let docker = match docker {
        Ok(docker) => dockerd(docker, count),
        Err(error) => Err(error.clone()),
    };
    vec![(dockerd::WHO, docker), (netavark::WHO, netavark(count)), (cni::WHO, chain(count))]
}

/// What ports add to the start and the end of a container, as containers cost dockerd 0.5 s without any.
fn dockerd(docker: &Dockerd, count: u16) -> Result<Both, String> {
    let runs = if count == 1 { 5 } else { 1 };
    let once = |number: u16| -> Result<(f64, f64), String> {
        let ports: Vec<_> = (0..number).map(|port| (20_000 + 2 * port, 20_000 + port, "tcp")).collect();
        docker.create("many", "bench", &ports)?;
        let mut said = Ok(());
        let start = timed(|| said = docker.begin("many"));
        said?;
        let mut said = Ok(());
        let end = timed(|| said = docker.remove("many"));
        said.map(|()| (start, end))
    };
    let mut both = Both::default();
    for _ in 0..runs {
        let (none, some) = (once(0)?, once(count)?);
        both.0.push((some.0 - none.0).max(0.0));
        both.1.push((some.1 - none.1).max(0.0));
    }
    Ok(both)
}

fn netavark(count: u16) -> Result<Both, String> {
    let peer = Netavark::start(&format!("netavark-ports{count}"))?;
    let netns = place::empty(&format!("nvports{count}"));
    let seat = Seat { number: 1, name: "many", netns: &netns, ports: Some((26_000, count)) };
    repeat(5, || peer.setup(&seat, false), || peer.teardown(&seat, false))
}

fn chain(count: u16) -> Result<Both, String> {
    let chain = Chain::reference(&format!("cni-ports{count}"))?;
    let netns = place::empty(&format!("cniports{count}"));
    let ports: Vec<u16> = (0..count).map(|port| 26_000 + 2 * port).collect();
    let runs = if count == 1 { 5 } else { 2 };
    repeat(runs, || chain.add("many", &netns, &ports), || chain.del("many", &netns, &ports))
}

fn repeat(
    runs: usize,
    mut go: impl FnMut() -> Result<(), String>,
    mut back: impl FnMut() -> Result<(), String>,
) -> Result<Both, String> {
    let mut both = Both::default();
    for _ in 0..runs {
        let mut said = Ok(());
        both.0.push(timed(|| said = go()));
        said?;
        let mut said = Ok(());
        both.1.push(timed(|| said = back()));
        said?;
    }
    Ok(both)
}
