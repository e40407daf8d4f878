//! The daemon is killed again and again, at any moment, while 16 clients work and sandboxes talk. After each start: what was
//! acknowledged is there, nothing else is, and those who talked were never interrupted.
//!
//! A quarter of a minute of it in `make test`; `make soak` sets `SOAK_KILLS` and `SOAK_SECONDS`, whichever is reached first,
//! and `SOAK_DRIFT`: somebody else changes what is ours meanwhile.
mod client;
mod judge;
mod traffic;

use crate::world::{need, world_with_neighbours};
use client::{Client, Dice};
use parking_lot::RwLock;
use serde_json::json;
use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    thread,
    time::{Duration, Instant},
};
use traffic::{Flood, Witness};

const CLIENTS: usize = 16;

fn number(variable: &str, usual: u64) -> u64 {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}

/// Also when an assertion fails, or the threads would go on for ever.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

#[test]
fn killed_at_any_moment_nothing_is_lost_and_nothing_stays() {
    need(&["ip", "nft", "ss", "dig"]);
    let (kills, seconds) = (number("SOAK_KILLS", 1_000_000), number("SOAK_SECONDS", 12));
    let seed = number("SOAK_SEED", u64::from(std::process::id()));
    eprintln!("SOAK_SEED={seed}");
    world_with_neighbours(|w, lan, _| {
        let witness = &Witness::new(w, lan);
        let flood = w.sandbox("flood", &["witness"]);
        let clients: Vec<_> = (0..CLIENTS).map(|n| parking_lot::Mutex::new(Client::new(n, seed))).collect();
        let (over, gate, calls) = (AtomicBool::new(false), RwLock::new(()), AtomicU64::new(0));
        let (over, gate, calls) = (&over, &gate, &calls);
        let (mut killed, mut stopped, mut slowest) = (0, 0, Duration::ZERO);
        thread::scope(|scope| {
            let _end = End(over);
            witness.talk(scope, over);
            Flood::begin(scope, &flood.place, over);
            if traffic::drift() {
                scope.spawn(move || {
                    let mut dice = Dice::new(seed + 1);
                    while !over.load(Relaxed) {
                        thread::sleep(Duration::from_millis(500 + dice.below(3000)));
                        let _open = gate.read();
                        witness.disturb(w, &mut dice);
                    }
                });
            }
            for client in &clients {
                scope.spawn(move || {
                    while !over.load(Relaxed) {
                        let _open = gate.read();
                        calls.fetch_add(u64::from(client.lock().act(&w.daemon)), Relaxed);
                    }
                });
            }
            let (mut dice, start) = (Dice::new(seed), Instant::now());
            while killed < kills && start.elapsed() < Duration::from_secs(seconds) {
                thread::sleep(Duration::from_millis(dice.below(250)));
                // Now and then in order: then somebody else answers names until the next start.
                match dice.below(8) {
                    0 => {
                        w.daemon.stop();
                        stopped += 1;
                    }
                    _ => {
                        w.daemon.kill();
                        killed += 1;
                    }
                }
                let _closed = gate.write();
                slowest = slowest.max(w.daemon.again());
                judge::all_is_as_promised(w, clients.iter().map(|client| client.lock()));
                witness.never_stopped();
            }
        });
        eprintln!(
            "{killed} kills and {stopped} stops survived, {} calls acknowledged, {} exchanges of the witnesses, slowest {:?}; \
             slowest start {slowest:?}",
            calls.load(Relaxed),
            witness.exchanges(),
            witness.slowest(),
        );
        clients.iter().for_each(|client| client.lock().leave(&w.daemon));
        w.call("Volume.Prune", json!({"all": true}));
    });
}
