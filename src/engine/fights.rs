//! Who fights with us over what: repairs that were done lately, those that wait, and the pauses between them. It looks at
//! nothing and repairs nothing.
use crate::host::Suspect;
use std::{
    collections::{BTreeMap, HashMap},
    time::{Duration, Instant},
};

/// The pause after the first repair in a row that is one too many; it doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// So many repairs of one thing in a row, after the same damage, are a fight, and are said to be one.
const FIGHT: u32 = 4;
/// Sandboxes that are looked into in one go, while calls wait.
const PORTION: usize = 32;
/// Left alone so long, a thing is at peace again.
pub(super) const PEACE: Duration = Duration::from_secs(10);

/// Repairs that were done lately, and those that wait.
#[derive(Default)]
pub(super) struct Repairs {
    fights: HashMap<(Suspect, String), Fight>,
    waiting: BTreeMap<Suspect, (Instant, String)>,
}

struct Fight {
    rounds: u32,
    last: Instant,
    pause: Duration,
}

impl Repairs {
    /// When the next one that waits may be done.
    pub fn due(&self) -> Option<Instant> {
        self.waiting.values().map(|(at, _)| *at).min()
    }

    /// Those that may be looked at now; the others wait until their pause is over.
    pub fn admit(&mut self, suspects: BTreeMap<Suspect, String>, now: Instant) -> BTreeMap<Suspect, String> {
        let mut all: BTreeMap<Suspect, String> = BTreeMap::new();
        let ripe: Vec<Suspect> = self
            .waiting
            .iter()
            .filter(|(_, (at, _))| *at <= now)
            .map(|(suspect, _)| suspect.clone())
            .collect();
        for suspect in ripe {
            all.extend(self.waiting.remove(&suspect).map(|(_, what)| (suspect, what)));
        }
        for (suspect, what) in suspects {
            match self
                .fights
                .get(&(suspect.clone(), damage(&what)))
                .map(|fight| fight.last + fight.pause)
                .filter(|until| *until > now)
            {
                Some(until) => drop(self.waiting.insert(suspect, (until, what))),
                None => drop(all.insert(suspect, what)),
            }
        }
        self.fights.retain(|_, fight| now < fight.last + fight.pause + PEACE);
        self.put_off(&mut all, now);
        all
    }

    /// Looks into more than a few sandboxes wait for the next turn, so that calls come in between.
    fn put_off(&mut self, all: &mut BTreeMap<Suspect, String>, now: Instant) {
        let inside = all.keys().filter(|suspect| matches!(suspect, Suspect::Link(_)));
        let late: Vec<Suspect> = inside.skip(PORTION).cloned().collect();
        for suspect in late {
            let what = all.remove(&suspect);
            self.waiting.extend(what.map(|what| (suspect, (now, what))));
        }
    }

    /// These are to be looked at (again) at that time.
    pub fn wait(&mut self, suspects: impl IntoIterator<Item = (Suspect, String)>, until: Instant) {
        self.waiting.extend(suspects.into_iter().map(|(suspect, what)| (suspect, (until, what))));
    }

    /// Is nothing waiting?
    pub fn is_idle(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Something was wrong there and was put right. Some: so often that it is a fight, and the pause until the next time.
    pub fn count(&mut self, suspect: &Suspect, what: &str, now: Instant) -> Option<Duration> {
        let fight = self.fights.entry((suspect.clone(), damage(what))).or_insert(Fight {
            rounds: 0,
            last: now,
            pause: Duration::ZERO,
        });
        fight.rounds += 1;
        fight.last = now;
        if fight.rounds < FIGHT {
            return None;
        }
        fight.pause = (fight.pause * 2).clamp(FIRST_PAUSE, LONGEST_PAUSE);
        Some(fight.pause)
    }
}

/// What was noticed, without numbers that differ from time to time.
fn damage(what: &str) -> String {
    what.chars().filter(|c| !c.is_ascii_digit()).collect()
}
