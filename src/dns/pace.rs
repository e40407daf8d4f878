//! Who floods rests while others ask too. It only measures time; muting a socket is the server's work.
//!
//! A thread that is always busy waits for a processor like any other busy one, milliseconds long, and everybody's questions
//! wait with it; one that sleeps now and then is woken at once. Beside a flood 99 of 100 lookups took up to 12 ms without
//! rests (2 cores, both flooded).
use super::slots::Key;
use std::time::{Duration, Instant};

/// How long a sandbox is not listened to that had a whole turn's worth of questions waiting.
pub const REST: Duration = Duration::from_millis(1);
/// So long after somebody else has asked a flood still disturbs.
const MEMORY: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
pub struct Pace {
    last: Option<Key>,
    /// When the asker was last another one than before.
    changed: Option<Instant>,
}

impl Pace {
    /// It is this seat's turn; does somebody else ask these days as well?
    pub fn is_shared(&mut self, seat: Key, at: Instant) -> bool {
        if self.last.replace(seat).is_some_and(|last| last != seat) {
            self.changed = Some(at);
        }
        self.changed.is_some_and(|changed| at.saturating_duration_since(changed) < MEMORY)
    }
}

#[cfg(test)]
mod tests {
    use super::{super::slots::Slots, *};

    #[test]
    fn alone_or_not() {
        let (mut slots, mut pace, start) = (Slots::default(), Pace::default(), Instant::now());
        let (a, b) = (slots.insert(()), slots.insert(()));
        let mut turn = |seat, after| pace.is_shared(seat, start + Duration::from_millis(after));
        assert!(!turn(a, 0) && !turn(a, 10), "alone");
        assert!(turn(b, 20) && turn(a, 900), "another one");
        assert!(turn(a, 1899) && !turn(a, 1901), "and long after");
    }
}
