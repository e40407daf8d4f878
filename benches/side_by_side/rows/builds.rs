//! This build beside another one of Pontoon, call by call in turn with the bare calls: did a change make it faster or
//! slower? `PONTOON_BENCH_OTHER=/path/to/pontoon make bench ROW=builds`; without the variable it measures nothing.
use super::{Add, attach::attached, together};
use crate::{
    bare::{self, Bare},
    clock::timed,
    ours::{Ours, ports},
    place,
    table::Row,
    unit::Unit,
};
use serde_json::json;
use std::{path::Path, thread::sleep, time::Duration};

/// The other program.
const OTHER: &str = "PONTOON_BENCH_OTHER";
const BLOCKS: usize = 10;
/// Sandboxes that stand at once.
const BLOCK: usize = 50;

/// What is measured, in seconds.
type Times = Vec<(&'static str, Vec<f64>)>;

pub fn rows(add: Add<'_>) {
    let Some(other) = std::env::var_os(OTHER) else { return eprintln!("bench: builds: {OTHER} names none") };
    let both = [Ours::start("ours-builds"), Ours::of(Path::new(&other), "other-builds")];
    let (bare, mut times) = (Bare::start("bare-builds"), [Times::new(), Times::new()]);
    let mut floor = Vec::new();
    let mut hand = bare.hand();
    for block in 0..BLOCKS {
        for round in block * BLOCK..(block + 1) * BLOCK {
            floor.push(hand.attach(round, &place::empty(&format!("b{round}"))));
            // Each is the first one every other time: whoever follows the bare calls finds the kernel warm.
            for who in [round % 2, 1 - round % 2] {
                let netns = place::empty(&format!("o{who}-{round}"));
                note(&mut times[who], "attach", attached(&both[who], round, &netns));
            }
        }
        for who in [2, block % 2, 1 - block % 2] {
            sleep(Duration::from_millis(60));
            for round in block * BLOCK..(block + 1) * BLOCK {
                match both.get(who) {
                    None => _ = hand.detach(round),
                    Some(ours) => {
                        note(&mut times[who], "detach", timed(|| ours.detach(&format!("s{round}"))))
                    }
                }
            }
        }
        let all = block * BLOCK..(block + 1) * BLOCK;
        all.flat_map(|round| {
            ["b".to_owned(), "o0-".to_owned(), "o1-".to_owned()].map(|w| format!("{w}{round}"))
        })
        .for_each(|name| place::forget(&Path::new("/run/netns").join(name)));
        place::pause();
        for who in [block % 2, 1 - block % 2] {
            small(&both[who], &mut times[who]);
        }
    }
    tell(add, &floor, &times);
    let rates = together::beside(&both, 3);
    add(row("16 callers attaching at once: rate", Unit::Rate, &rates[0], &rates[1]));
}

/// What takes a runtime's user one call.
fn small(ours: &Ours, times: &mut Times) {
    for round in 0..5 {
        let network = json!({ "name": format!("n{round}") });
        note(times, "create a network", timed(|| ours.network(&format!("n{round}"), "10.97.0.0/24")));
        note(times, "remove a network", timed(|| drop(ours.call("Network.Remove", network))));
        let volume = json!({ "name": format!("v{round}") });
        note(times, "create a volume", timed(|| drop(ours.call("Volume.Create", volume.clone()))));
        note(times, "remove a volume", timed(|| drop(ours.call("Volume.Remove", volume))));
    }
    ours.attach("hundred", None, vec![ports(30_000, 30_000, 100)]);
    note(times, "take back 100 ports", timed(|| ours.detach("hundred")));
}

fn note(times: &mut Times, what: &'static str, seconds: f64) {
    match times.iter_mut().find(|(known, _)| *known == what) {
        Some((_, all)) => all.push(seconds),
        None => times.push((what, vec![seconds])),
    }
}

fn tell(add: Add<'_>, floor: &[f64], times: &[Times; 2]) {
    for ((what, ours), (_, other)) in times[0].iter().zip(&times[1]) {
        let row = row(what, Unit::Time, ours, other);
        add(if *what == "attach" { row.peer(bare::WHO, &Ok(floor.to_vec())) } else { row });
    }
}

fn row(what: &str, unit: Unit, ours: &[f64], other: &[f64]) -> Row {
    Row::new("builds", what, unit).ours(ours).limit("the other build", other)
}
