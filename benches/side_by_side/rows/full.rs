//! The same attach in a full house: does it cost more when there is more? (DESIGN.md section 7) The bare calls meet the
//! same house, on a bridge of their own: what they take more there is the kernel's, which walks over the bridge's ports.
use super::{
    Add,
    attach::{Times, stand_and_go},
};
use crate::{
    bare::{self, Bare, Hand},
    ours::{Ours, ports},
    place,
    table::{Figure, Row, Target, times},
    unit::Unit,
};

const ROUNDS: usize = 60;
/// So often 10,000 ports come and go, so that a drift of the machine does not look like a cost.
const TURNS: usize = 4;
const EACH_TURN: usize = 20;
/// Below the 1,023 ports of a bridge.
const HOUSE: usize = 900;
const PORTS: u16 = 10_000;

pub fn rows(add: Add<'_>) {
    let (bare, ours) = (Bare::start("bare-full"), Ours::start("ours-full"));
    let mut hand = bare.hand();
    let mut unanswered = 0;
    let mut probe = |hand: &mut Hand<'_>, rounds: usize, floor: &mut Times, own: &mut Times| {
        unanswered += stand_and_go(hand, &ours, 0..rounds, floor, own);
    };
    let [mut empty, mut none, mut unused, mut many] = [(); 4].map(|()| Times::default());
    for _ in 0..TURNS {
        probe(&mut hand, EACH_TURN, &mut empty, &mut none);
        ours.attach("many", None, vec![ports(20_000, 20_000, PORTS)]);
        probe(&mut hand, EACH_TURN, &mut unused, &mut many);
        ours.detach("many");
    }
    row(add, &many, &none, None, "10,000 ports", 1.2);
    for one in 0..HOUSE {
        hand.attach(1_000 + one, &place::empty(&format!("hb{one}")));
        ours.attach(&format!("house{one}"), None, vec![]);
    }
    let [mut floor, mut full] = [(); 2].map(|()| Times::default());
    probe(&mut hand, ROUNDS, &mut floor, &mut full);
    row(add, &full, &none, Some((&floor, &empty)), "900 sandboxes on one bridge", 2.0);
    let share = 1.0 - unanswered as f64 / (2 * TURNS * EACH_TURN + ROUNDS) as f64;
    add(Row::new("full", "first packet after the attach answered, in all of these", Unit::Share)
        .ours(&[share])
        .hold(Target::Value(1.0)));
}

/// `floor`: the bare calls with and without.
fn row(add: Add<'_>, with: &Times, none: &Times, floor: Option<(&Times, &Times)>, what: &str, bound: f64) {
    for (word, with, none, floor) in [
        ("attach", &with.attach, &none.attach, floor.map(|(with, none)| (&with.attach, &none.attach))),
        ("detach", &with.detach, &none.detach, floor.map(|(with, none)| (&with.detach, &none.detach))),
    ] {
        let mut row =
            Row::new("full", format!("{word} with {what}"), Unit::Time).ours(with).limit("with none", none);
        if let Some((with, none)) = floor {
            let more = Figure::of(with).middle / Figure::of(none).middle;
            row = row.peer(bare::WHO, &Ok(with.clone()));
            row = row.note(format!("the kernel's part: the bare calls take {} the time there", times(more)));
        }
        add(if word == "attach" { row.hold(Target::Limit(bound)) } else { row });
    }
}
