//! The daemon is killed again and again, at any moment, while 16 clients work and sandboxes talk, others flood and change
//! volumes under its hands. After each start: what was acknowledged is there, nothing else is, and those who talked were
//! never interrupted.
//!
//! A quarter of a minute of it in `make test`; `make soak` sets `SOAK_KILLS` and `SOAK_SECONDS`, whichever is reached first,
//! and `SOAK_DRIFT`: somebody else changes what is ours meanwhile.
mod client;
mod drift;
mod flood;
mod judge;
mod promised;
mod races;
mod standing;
mod tally;
mod traffic;

use crate::world::{World, need, world_with_neighbours};
use client::Client;
use drift::Drift;
use parking_lot::{Mutex, RwLock};
use promised::Dice;
use serde_json::json;
use std::{
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    thread,
    time::{Duration, Instant},
};
use tally::{Tally, one_more};
use traffic::Witness;

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

/// Who lives in the world while the daemon dies.
struct Cast {
    seed: u64,
    witness: Witness,
    flood: crate::world::Box,
    drift: Option<Drift>,
    outside: races::Outside,
    clients: Vec<Mutex<Client>>,
    /// Shut between a death and the verdict after the next start.
    gate: RwLock<()>,
    over: AtomicBool,
    tally: Tally,
}

#[test]
fn killed_at_any_moment_nothing_is_lost_and_nothing_stays() {
    need(&["ip", "nft", "ss", "dig", "sysctl"]);
    let (kills, seconds) = (number("SOAK_KILLS", 1_000_000), number("SOAK_SECONDS", 12));
    let seed = number("SOAK_SEED", u64::from(std::process::id()));
    eprintln!("SOAK_SEED={seed}");
    world_with_neighbours(|w, lan, _| {
        let witness = Witness::new(w, lan);
        w.call("Volume.Create", json!({"name": "run-vol"}));
        let cast = Cast {
            seed,
            flood: w.sandbox("flood", &["witness"]),
            drift: drift::wanted().then(|| Drift::new(w, &witness.device)),
            outside: races::Outside::new(),
            clients: (0..CLIENTS).map(|n| Mutex::new(Client::new(n, seed))).collect(),
            gate: RwLock::new(()),
            over: AtomicBool::new(false),
            tally: Tally::default(),
            witness,
        };
        let start = Instant::now();
        thread::scope(|scope| {
            let _end = End(&cast.over);
            cast.play(scope, w);
            let mut dice = Dice::new(seed);
            while cast.tally.kills.load(Relaxed) < kills && start.elapsed() < Duration::from_secs(seconds) {
                cast.kill_and_judge(w, &mut dice);
            }
        });
        cast.tally.print(start.elapsed().as_secs(), cast.witness.slowest());
        cast.clients.iter().for_each(|client| client.lock().leave(&w.daemon));
        if cast.drift.is_some() {
            w.remove("drift-a");
            w.call("Volume.Remove", json!({"name": "drift-vol"}));
        }
        w.call("Volume.Prune", json!({"all": true}));
    });
}

impl Cast {
    fn play<'s, 'e>(&'e self, scope: &'s thread::Scope<'s, 'e>, w: &'e World) {
        self.witness.talk(scope, &self.over, &self.tally);
        flood::begin(scope, w, &self.flood.place, &self.over, &self.tally);
        scope.spawn(|| races::volumes(w, &self.over, &self.gate, &self.tally));
        scope.spawn(|| races::runs(w, &self.over, &self.gate, &self.tally));
        if let Some(drift) = &self.drift {
            scope.spawn(move || drift.disturb(w, self.seed + 1, &self.over, &self.gate, &self.tally));
        }
        for client in &self.clients {
            scope.spawn(move || {
                while !self.over.load(Relaxed) {
                    let _open = self.gate.read();
                    client.lock().act(&w.daemon, &self.tally);
                }
            });
        }
    }

    fn kill_and_judge(&self, w: &World, dice: &mut Dice) {
        // Mostly in the middle of its first work; now and then it lives long enough for a command to be run.
        let life = if dice.below(5) == 0 { 2000 } else { 250 };
        thread::sleep(Duration::from_millis(dice.below(life)));
        // Now and then in order: then somebody else answers names until the next start.
        match dice.below(8) {
            0 => {
                one_more(&self.tally.stops);
                w.daemon.stop();
            }
            _ => {
                one_more(&self.tally.kills);
                w.daemon.kill();
            }
        }
        let _closed = self.gate.write();
        self.tally.starts.note(w.daemon.again());
        races::clear_up(w);
        judge::all_is_as_promised(w, self.clients.iter().map(|client| client.lock()));
        self.outside.is_untouched();
        self.witness.never_stopped();
    }
}
