//! Firewalls of others: keeps the rules that let our networks pass where they drop what they do not know, puts them back
//! after their owner's reload, and says what it did. What the rules are is `nft::Passage`.
use super::nft::Passage;
use crate::{error::Result, host::Foreign};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

/// So often in a row the rules are put back at once; then each round waits twice as long as the one before.
const PATIENT: u32 = 4;
const LONGEST: Duration = Duration::from_secs(60);

pub struct Keeper {
    passage: Passage,
    policy: Foreign,
    /// The daemon takes its rules away and ends.
    left: Arc<AtomicBool>,
    rounds: u32,
    last: Instant,
    /// To be looked at again.
    due: Option<Instant>,
}

impl Keeper {
    /// In the calling thread's namespace.
    pub fn open(instance: &str, policy: Foreign, left: Arc<AtomicBool>) -> Result<Self> {
        let (passage, last) = (Passage::open(instance)?, Instant::now());
        Ok(Keeper { passage, policy, left, rounds: 0, last, due: Some(last) })
    }

    /// When it wants to look again by itself.
    pub fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Somebody changed a foreign firewall.
    pub fn changed(&mut self) {
        let now = Instant::now();
        if now > self.last + LONGEST {
            self.rounds = 0;
        }
        let pause = match self.rounds.checked_sub(PATIENT) {
            None => Duration::ZERO,
            Some(more) => (Duration::from_millis(200) * 2_u32.saturating_pow(more)).min(LONGEST),
        };
        let at = (self.last + pause).max(now);
        self.due = Some(self.due.map_or(at, |due| due.min(at)));
    }

    /// Looks, if it is time to, and puts back what is missing; says what it did.
    pub fn keep(&mut self) -> Option<String> {
        let now = Instant::now();
        if self.policy == Foreign::Report || self.left.load(Relaxed) {
            self.due = None;
            return None;
        }
        if self.due.is_none_or(|due| due > now) {
            return None;
        }
        self.due = None;
        match self.open_gates() {
            Ok(opened) if opened.is_empty() => None,
            Ok(opened) => {
                (self.rounds, self.last) = (self.rounds + 1, now);
                let again = match self.rounds > PATIENT {
                    true => ", again and again: another program keeps removing it",
                    false => "",
                };
                Some(format!(
                    "{} drops what it does not know: a rule lets our networks pass{again}",
                    opened.join(", ")
                ))
            }
            Err(error) => {
                tracing::warn!(%error, "a foreign firewall may drop what sandboxes send: `pontoon doctor` says more");
                None
            }
        }
    }

    fn open_gates(&mut self) -> Result<Vec<String>> {
        let mut opened = Vec::new();
        for gate in self.passage.gates()?.iter().filter(|gate| gate.is_passable() && gate.is_shut()) {
            self.passage.pass(gate)?;
            opened.push(gate.name());
        }
        Ok(opened)
    }
}
