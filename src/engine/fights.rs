//! Who fights with us over what: repairs that were done lately, those that wait, and the pauses between them. It looks at
//! nothing and repairs nothing.
use crate::host::Suspect;
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
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

/// So long nobody else can change our tables after a fight over them.
pub(super) const LOCKED: Duration = Duration::from_secs(3600);

/// Repairs that were done lately, and those that wait.
#[derive(Default)]
pub(super) struct Repairs {
    fights: HashMap<(Suspect, String), Fight>,
    waiting: BTreeMap<Suspect, (Instant, String)>,
    locked_until: Option<Instant>,
}

struct Fight {
    rounds: u32,
    last: Instant,
    pause: Duration,
}

impl Repairs {
    /// When the next one that waits may be done, or a lock ends.
    pub fn due(&self) -> Option<Instant> {
        self.waiting.values().map(|(at, _)| *at).chain(self.locked_until).min()
    }

    /// Our tables are under lock from now on.
    pub fn lock(&mut self, now: Instant) {
        self.locked_until = Some(now + LOCKED);
    }

    pub fn is_locked(&self) -> bool {
        self.locked_until.is_some()
    }

    /// Has the lock been there for long enough (or, without `now`, is it to end whatever the time)? Then it is over.
    pub fn unlock(&mut self, now: Option<Instant>) -> bool {
        self.locked_until.take_if(|until| now.is_none_or(|now| *until <= now)).is_some()
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

/// What was noticed, without numbers that differ from time to time, and once if it was noticed twice.
fn damage(what: &str) -> String {
    let words: String = what.chars().filter(|c| !c.is_ascii_digit()).collect();
    let each: BTreeSet<&str> = words.split("; ").collect();
    each.into_iter().collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_over_after_its_time() {
        let (mut repairs, now) = (Repairs::default(), Instant::now());
        repairs.lock(now);
        assert!(repairs.is_locked() && !repairs.unlock(Some(now)));
        assert_eq!(repairs.due(), Some(now + LOCKED), "the writer wakes for it");
        assert!(repairs.unlock(Some(now + LOCKED)) && !repairs.is_locked());
        repairs.lock(now);
        assert!(repairs.unlock(None), "at the end of the daemon");
    }

    #[test]
    fn what_was_noticed_twice_is_the_same_damage() {
        assert_eq!(damage("nft (thread 12) did it; nft (thread 7) did it"), damage("nft (thread 3) did it"));
        assert_ne!(damage("nft (thread 12) did it"), damage("ufw (thread 12) did it"));
    }
}
