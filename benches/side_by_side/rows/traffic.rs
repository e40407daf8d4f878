//! Traffic: throughput, packets and new connections, between sandboxes and through published ports, beside a plain bridge
//! and a plain routed veth. `flow` moves the bytes; connections are counted by `wire`. A tenth is what the scheduler and the
//! other tenants of the machine give and take, and the bounds are narrower: so there are many short rounds, everybody in turn
//! and each round begun by another, and what is held is the median of the rounds' ratios.
use super::{
    Add,
    rounds::{Rounds, in_rounds},
};
use crate::{
    peers::dockerd,
    streets::{ACCEPT, Client, ONE, Street, TELL, To, bridge, dockerd, ours, routed},
    table::{Row, Target},
    unit::Unit,
    wire,
};

const BRIDGE: &str = "plain bridge";
const ROUTED: &str = "plain routed veth";
/// What has a number to hold, and swings, is asked more often: a round by a quarter, the middle of so many by 2 %.
const OFTEN: usize = 150;
const ROUNDS: usize = 20;
/// Connections of a round.
const CONNECTS: usize = 200;

pub fn rows(add: Add<'_>) {
    let (one, many) = (ours("ours-one", false), ours("ours-many", true));
    let (bridge, routed, docker) = (bridge(), routed(), dockerd());
    let sides = Sides { ours: &one, bridge: &bridge, routed: &routed, docker: &docker };
    streams(add, &sides);
    packets(add, &sides);
    connections(add, &sides);
    ten_thousand(add, &one, &many);
    kept(add, &sides);
}

/// Who is asked.
struct Sides<'a> {
    ours: &'a Street,
    bridge: &'a Street,
    routed: &'a Street,
    docker: &'a Result<Street, String>,
}

/// What the limit of a row is.
#[derive(Clone, Copy)]
enum Limit {
    Bridge,
    Routed,
    None,
}

use {Client as F, Limit as L, To as T};

/// Throughput; and where it has a number to hold also the price of the path, which swings by 2 % from run to run.
fn streams(add: Add<'_>, sides: &Sides<'_>) {
    for (what, limit, from, to, bound) in [
        ("sandbox to sandbox", L::Bridge, F::Near, T::Own4, 0.97),
        ("sandbox to sandbox, IPv6", L::Bridge, F::Near, T::Own6, 0.97),
        ("outside to published port", L::Routed, F::Lan, T::Published4, 0.95),
        ("outside to published port, IPv6", L::Routed, F::Lan, T::Published6, 0.95),
    ] {
        let row = Row::new("traffic", format!("TCP, {what}"), Unit::Bits);
        let row = sides.measure(row, limit, OFTEN, |street| street.stream(from, to).map(once));
        add(row.hold(Target::Limit(bound)));
        let row = Row::new("traffic", format!("TCP, {what}: CPU time of 128 KiB"), Unit::Time);
        let row = row.note(proxied(to));
        add(sides.measure(row, limit, 2 * ROUNDS, |street| street.stream_on_one(from, to).map(once)));
    }
    for (what, from, to) in [
        ("host to its port by its address", F::Host, T::Published4),
        ("host to its port by its IPv6 address", F::Host, T::Published6),
        ("host to its port by 127.0.0.1", F::Host, T::Local4),
        ("host to its port by [::1]", F::Host, T::Local6),
        ("sandbox to its own published port (hairpin)", F::Web, T::Published4),
        ("sandbox to its own published port (hairpin), IPv6", F::Web, T::Published6),
    ] {
        let row = Row::new("traffic", format!("TCP, {what}"), Unit::Bits);
        add(sides.measure(row, L::None, ROUNDS, |street| street.stream(from, to).map(once)));
    }
}

fn packets(add: Add<'_>, sides: &Sides<'_>) {
    for (what, limit, from, to) in [
        ("sandbox to sandbox", L::Bridge, F::Near, T::Own4),
        ("sandbox to sandbox, IPv6", L::Bridge, F::Near, T::Own6),
        ("outside to published port", L::Routed, F::Lan, T::Published4),
        ("outside to published port, IPv6", L::Routed, F::Lan, T::Published6),
    ] {
        let row = Row::new("traffic", format!("UDP packets, {what}"), Unit::Rate);
        add(sides.measure(row, limit, ROUNDS, |street| street.packets(from, to).map(once)));
        let row = Row::new("traffic", format!("UDP packet, {what}: CPU time"), Unit::Time);
        let row = row.note(proxied(to));
        add(sides.measure(row, limit, ROUNDS, |street| street.packet_on_one(from, to).map(once)));
    }
}

fn connections(add: Add<'_>, sides: &Sides<'_>) {
    for (what, limit, from, to) in [
        ("sandbox to sandbox", L::Bridge, F::Near, T::Own4),
        ("sandbox to sandbox, IPv6", L::Bridge, F::Near, T::Own6),
        ("outside to published port", L::Routed, F::Lan, T::Published4),
        ("outside to published port, IPv6", L::Routed, F::Lan, T::Published6),
        ("sandbox to its own published port (hairpin)", L::None, F::Web, T::Published4),
        ("sandbox to its own published port (hairpin), IPv6", L::None, F::Web, T::Published6),
        ("sandbox to a neighbour's published port", L::None, F::Near, T::Published4),
        ("sandbox to a neighbour's published port, IPv6", L::None, F::Near, T::Published6),
        ("host to its port by its address", L::None, F::Host, T::Published4),
        ("host to its port by its IPv6 address", L::None, F::Host, T::Published6),
        ("host to its port by 127.0.0.1", L::None, F::Host, T::Local4),
        ("host to its port by [::1]", L::None, F::Host, T::Local6),
    ] {
        let connect = |street: &Street| street.connects(from, to, ACCEPT, CONNECTS);
        let row = Row::new("traffic", format!("connect to first byte, {what}"), Unit::Time);
        add(sides.measure(row, limit, ROUNDS, connect));
    }
}

/// The same daemon with one published port and with 10,000. A connection takes 30 or 100 us, as the scheduler has it, so
/// there are many short rounds, and each side begins every other one.
fn ten_thousand(add: Add<'_>, one: &Street, many: &Street) {
    for (family, to) in [("", T::Published4), (", IPv6", T::Published6)] {
        let connect = |street: &Street, port| street.connects(F::Lan, to, port, CONNECTS).map(Some);
        let [full, few] = in_rounds(ROUNDS, [&|_| connect(many, ONE), &|_| connect(one, ACCEPT)]);
        let rate = |rounds: &Rounds| -> Rounds {
            let rate = |times: &Vec<f64>| times.len() as f64 / times.iter().sum::<f64>();
            rounds.iter().map(|round| round.as_ref().map(|times| vec![rate(times)])).collect()
        };
        let (full, few) = (full.expect("connections"), few.expect("connections"));
        let what = format!("through one of 10,000 published ports{family}");
        let limit = "through the only one";
        add(Row::new("traffic", format!("new connections {what}: rate, one client"), Unit::Rate)
            .rounds(&rate(&full))
            .limit_rounds(limit, &rate(&full), &rate(&few))
            .hold(Target::Limit(0.95)));
        add(Row::new("traffic", format!("connect to first byte, {what}"), Unit::Time)
            .rounds(&full)
            .limit_rounds(limit, &full, &few));
    }
}

fn kept(add: Add<'_>, sides: &Sides<'_>) {
    for (what, to) in [("IPv4", T::Published4), ("IPv6", T::Published6)] {
        let kept = |street: &Street| {
            let said = wire::told(&street.lan, street.address(to, TELL)?)?;
            let kept = said.starts_with("192.0.2.") || said.starts_with("2001:db8:1:");
            Ok(once(f64::from(u8::from(kept))))
        };
        let row = Row::new("traffic", format!("source address kept, {what}"), Unit::Share);
        add(sides.measure(row, L::None, 1, kept).hold(Target::Value(1.0)));
    }
}

/// Said of a time that one CPU takes.
fn proxied(to: To) -> &'static str {
    match to {
        T::Published6 => "dockerd has a proxy for IPv6, on other CPUs: what it is waited for counts",
        _ => "",
    }
}

fn once(value: f64) -> Vec<f64> {
    vec![value]
}

impl Sides<'_> {
    fn measure(
        &self,
        row: Row,
        limit: Limit,
        rounds: usize,
        one: impl Fn(&Street) -> Result<Vec<f64>, String>,
    ) -> Row {
        let limit = match limit {
            L::Bridge => Some((BRIDGE, self.bridge)),
            L::Routed => Some((ROUTED, self.routed)),
            L::None => None,
        };
        let plain = |_| limit.map(|(_, street)| one(street)).transpose();
        // A peer that is far away need not be measured as closely as a limit that is near.
        let peer = |round: usize| match self.docker {
            _ if limit.is_some() && !round.is_multiple_of(4) => Ok(None),
            Ok(street) => one(street).map(Some),
            Err(error) => Err(error.clone()),
        };
        let [own, plain, peer] = in_rounds(rounds, [&|_| one(self.ours).map(Some), &plain, &peer]);
        let own = own.unwrap_or_else(|error| panic!("{}: {error}", row.what));
        let all = |rounds: Rounds| rounds.into_iter().flatten().flatten().collect();
        let row = row.rounds(&own).peer(dockerd::WHO, &peer.map(all));
        limit.iter().fold(row, |row, (who, _)| match &plain {
            Ok(plain) => row.limit_rounds(who, &own, plain),
            Err(error) => panic!("{}, {who}: {error}", row.what),
        })
    }
}
