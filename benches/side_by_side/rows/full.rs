//! The same attach in a full house: does it cost more when there is more? (DESIGN.md section 7)
use super::{
    Add,
    attach::{Times, stand_and_go},
};
use crate::{
    bare::{self, Bare, Hand},
    ours::{Ours, ports},
    place,
    table::{Row, Target},
    unit::Unit,
};

const ROUNDS: usize = 60;
/// Below the 1,023 ports of a bridge.
const HOUSE: usize = 900;
const PORTS: u16 = 10_000;

pub fn rows(add: Add<'_>) {
    let (bare, ours) = (Bare::start("bare-full"), Ours::start("ours-full"));
    let mut hand = bare.hand();
    let mut unanswered = 0;
    let mut probe = |hand: &mut Hand<'_>| {
        let (mut floor, mut own) = (Times::default(), Times::default());
        unanswered += stand_and_go(hand, &ours, 0..ROUNDS, &mut floor, &mut own);
        (floor, own)
    };
    let (_, none) = probe(&mut hand);
    ours.attach("many", None, vec![ports(20_000, 20_000, PORTS)]);
    let (_, many) = probe(&mut hand);
    ours.detach("many");
    // One after the other again, so that a drift of the machine does not look like a cost.
    let (_, again) = probe(&mut hand);
    let none =
        Times { attach: [none.attach, again.attach].concat(), detach: [none.detach, again.detach].concat() };
    row(add, &many, &none, None, "10,000 ports", 1.2);
    for one in 0..HOUSE {
        hand.attach(1_000 + one, &place::empty(&format!("hb{one}")));
        ours.attach(&format!("house{one}"), None, vec![]);
    }
    let (floor, full) = probe(&mut hand);
    row(add, &full, &none, Some(&floor), "900 sandboxes on one bridge", 2.0);
    let share = 1.0 - unanswered as f64 / (4 * ROUNDS) as f64;
    add(Row::new("full", "first packet after the attach answered, in all of these", Unit::Share)
        .ours(&[share])
        .hold(Target::Value(1.0)));
}

fn row(add: Add<'_>, with: &Times, none: &Times, floor: Option<&Times>, what: &str, bound: f64) {
    for (word, with, none, floor) in [
        ("attach", &with.attach, &none.attach, floor.map(|floor| &floor.attach)),
        ("detach", &with.detach, &none.detach, floor.map(|floor| &floor.detach)),
    ] {
        let mut row =
            Row::new("full", format!("{word} with {what}"), Unit::Time).ours(with).limit("with none", none);
        if let Some(floor) = floor {
            row = row.peer(bare::WHO, &Ok(floor.clone()));
        }
        add(if word == "attach" { row.hold(Target::Limit(bound)) } else { row });
    }
}
