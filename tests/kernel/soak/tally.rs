//! What a soak did, in figures, printed as one table at its end.
use std::{
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

#[derive(Default)]
pub struct Tally {
    pub kills: AtomicU64,
    pub stops: AtomicU64,
    /// Calls that were answered with success, and those of them that made an object.
    pub calls: AtomicU64,
    pub made: AtomicU64,
    /// Calls that got no answer: carried out wholly or not at all.
    pub doubts: AtomicU64,
    pub runs: AtomicU64,
    pub faults: AtomicU64,
    /// Connections through a published port that a flush of the ruleset by others has reset while no daemon was there.
    pub cuts: AtomicU64,
    pub queries: AtomicU64,
    pub connections: AtomicU64,
    pub flips: AtomicU64,
    pub raced: AtomicU64,
    pub exchanges: AtomicU64,
    pub starts: Times,
    /// From the damage until all is right, of those during which the daemon lived from the first moment to the last.
    pub repairs: Times,
    /// The same of all others: a daemon was dead or starting, and the start of one is in them.
    pub over_starts: Times,
}

#[derive(Default)]
pub struct Times(Mutex<Vec<Duration>>);

impl Times {
    pub fn note(&self, took: Duration) {
        self.0.lock().expect("lock").push(took);
    }
    fn count(&self) -> u64 {
        self.0.lock().expect("lock").len() as u64
    }
    fn told(&self) -> String {
        let mut all = self.0.lock().expect("lock").clone();
        all.sort();
        let part = |p: usize| all.get((all.len() * p / 100).min(all.len().saturating_sub(1)));
        match (part(50), part(99), all.last()) {
            (Some(p50), Some(p99), Some(most)) => {
                format!("{}: p50 {p50:.0?}, p99 {p99:.0?}, slowest {most:.0?}", all.len())
            }
            _ => "0".to_owned(),
        }
    }
}

pub fn one_more(count: &AtomicU64) {
    count.fetch_add(1, Relaxed);
}

impl Tally {
    /// Which daemon's life it is; none while no daemon lives, or one that starts.
    pub fn life(&self) -> Option<u64> {
        let ends = self.kills.load(Relaxed) + self.stops.load(Relaxed);
        (self.starts.count() == ends).then_some(ends)
    }
    pub fn print(&self, seconds: u64, slowest: (Duration, &str)) {
        let n = |count: &AtomicU64| count.load(Relaxed).to_string();
        let rows = [
            ("seconds", seconds.to_string()),
            ("kills -9 / stops survived", format!("{} / {}", n(&self.kills), n(&self.stops))),
            ("starts until the first answer", self.starts.told()),
            ("calls acknowledged, by 16 clients", n(&self.calls)),
            ("objects made and acknowledged, none lost", n(&self.made)),
            ("calls without an answer, done wholly or not", n(&self.doubts)),
            ("`pontoon run`s that came to their end", n(&self.runs)),
            ("faults injected by others", n(&self.faults)),
            ("connections that such a flush has reset", n(&self.cuts)),
            ("repairs while the daemon lived", self.repairs.told()),
            ("repairs with the start of a daemon in them", self.over_starts.told()),
            ("exchanges of those who talk, none failed", n(&self.exchanges)),
            ("the slowest of them", format!("{:.0?}, {}", slowest.0, slowest.1)),
            (
                "DNS queries / connections of the floods",
                format!("{} / {}", n(&self.queries), n(&self.connections)),
            ),
            ("symlink flips / volumes raced over", format!("{} / {}", n(&self.flips), n(&self.raced))),
        ];
        for (what, value) in rows {
            eprintln!("| {what:<44} | {value} |");
        }
    }
}
