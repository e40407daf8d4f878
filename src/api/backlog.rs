//! Answers that were made and are not taken yet: so many bytes of them. When there are more, whoever has taken nothing for
//! longest is given up before the next one is made. Small ones do not count: there is one for a connection at the most.
use super::crowd::LIGHT;
use parking_lot::Mutex;
use std::{collections::BTreeMap, sync::Arc};
use tokio::sync::Notify;

/// Bytes; the one that goes past it is made still.
const MOST: usize = 64 << 20;

#[derive(Default)]
pub struct Backlog {
    state: Mutex<State>,
    freed: Notify,
}

#[derive(Default)]
struct State {
    bytes: usize,
    /// Of those who are given up and have not gone yet.
    going: usize,
    /// Counts what is taken, as a clock.
    ticks: u64,
    /// Who takes how much, and whom to tell; the one that took nothing for longest at the front.
    taking: BTreeMap<u64, (usize, Arc<Notify>)>,
}

/// A large answer on its way.
pub struct Taking {
    backlog: Arc<Backlog>,
    tick: u64,
    bytes: usize,
}

impl Backlog {
    /// Returns when another answer may be made.
    pub async fn room(&self) {
        loop {
            let freed = self.freed.notified();
            tokio::pin!(freed);
            freed.as_mut().enable();
            if self.is_room() {
                return;
            }
            freed.await;
        }
    }

    /// If not, there will be: whoever is told to go is gone when its connection hears of it.
    fn is_room(&self) -> bool {
        let mut state = self.state.lock();
        if state.bytes - state.going > MOST
            && let Some((_, (bytes, longest))) = state.taking.pop_first()
        {
            state.going += bytes;
            longest.notify_one();
        }
        state.bytes <= MOST
    }

    /// An answer of so many bytes; `give_up` is notified if nothing of it is taken while others want theirs.
    pub fn enter(self: &Arc<Self>, bytes: usize, give_up: Arc<Notify>) -> Option<Taking> {
        if bytes <= LIGHT {
            return None;
        }
        let mut state = self.state.lock();
        state.bytes += bytes;
        state.ticks += 1;
        let tick = state.ticks;
        state.taking.insert(tick, (bytes, give_up));
        Some(Taking { backlog: self.clone(), tick, bytes })
    }
}

impl Taking {
    /// Something of it was taken.
    pub fn goes_on(&mut self) {
        let mut state = self.backlog.state.lock();
        if let Some(taking) = state.taking.remove(&self.tick) {
            state.ticks += 1;
            self.tick = state.ticks;
            state.taking.insert(self.tick, taking);
        }
    }
}

impl Drop for Taking {
    fn drop(&mut self) {
        let mut state = self.backlog.state.lock();
        state.bytes -= self.bytes;
        if state.taking.remove(&self.tick).is_none() {
            state.going -= self.bytes;
        }
        drop(state);
        self.backlog.freed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test]
    async fn the_one_that_took_nothing_for_longest_is_given_up() {
        let backlog = Arc::new(Backlog::default());
        let signs: Vec<_> = (0..3).map(|_| Arc::new(Notify::new())).collect();
        assert!(backlog.enter(LIGHT, signs[0].clone()).is_none());
        let mut taking: Vec<_> =
            signs.iter().map(|sign| backlog.enter(MOST / 2, sign.clone()).expect("a large one")).collect();
        taking[0].goes_on();
        let waiting: Vec<_> = (0..9)
            .map(|_| {
                let backlog = backlog.clone();
                tokio::spawn(async move { backlog.room().await })
            })
            .collect();
        let soon = |sign: &Arc<Notify>| {
            let sign = sign.clone();
            async move { tokio::time::timeout(Duration::from_millis(20), sign.notified()).await.is_ok() }
        };
        assert!(soon(&signs[1]).await, "it took nothing");
        assert!(!soon(&signs[0]).await && !soon(&signs[2]).await, "however many wait, one is enough");
        assert!(waiting.iter().all(|next| !next.is_finished()));
        drop(taking.remove(1));
        for next in waiting {
            assert!(tokio::time::timeout(Duration::from_secs(1), next).await.is_ok_and(|done| done.is_ok()));
        }
    }
}
