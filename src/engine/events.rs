//! Events to whoever listens, and the last ones for who comes late. Never blocks the writer: a slow listener misses some.
use crate::model::Event;
use parking_lot::Mutex;
use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};
use tokio::sync::broadcast;

/// Events kept for `--since`, and waiting for a listener at the most.
const KEPT: usize = 512;

pub struct Events {
    live: broadcast::Sender<Arc<Event>>,
    past: Mutex<VecDeque<Arc<Event>>>,
    /// How many of each object and action there were.
    counts: Mutex<BTreeMap<(String, String), u64>>,
}

impl Default for Events {
    fn default() -> Self {
        let past = Mutex::new(VecDeque::with_capacity(KEPT));
        Events { live: broadcast::channel(KEPT).0, past, counts: Mutex::default() }
    }
}

impl Events {
    pub fn publish(&self, event: Event) {
        tracing::info!(object = event.object, action = event.action, name = event.name, cause = event.cause);
        *self.counts.lock().entry((event.object.clone(), event.action.clone())).or_default() += 1;
        let event = Arc::new(event);
        let mut past = self.past.lock();
        if past.len() == KEPT {
            past.pop_front();
        }
        past.push_back(event.clone());
        // An error only says that nobody listens.
        let _ = self.live.send(event);
    }

    /// How many listen now.
    pub fn listeners(&self) -> usize {
        self.live.receiver_count()
    }

    /// (object, action) -> how many since the start.
    pub fn counts(&self) -> BTreeMap<(String, String), u64> {
        self.counts.lock().clone()
    }

    /// The past ones from `since` on (RFC 3339; none: no past ones) and all that come: nothing in between is lost.
    pub fn listen(&self, since: Option<&str>) -> (Vec<Arc<Event>>, broadcast::Receiver<Arc<Event>>) {
        let past = self.past.lock();
        let time = |text: &str| text.parse::<jiff::Timestamp>().ok();
        let since = since.and_then(time);
        let from_then =
            |event: &&Arc<Event>| since.is_some_and(|since| time(&event.time).is_some_and(|at| at >= since));
        (past.iter().filter(from_then).cloned().collect(), self.live.subscribe())
    }
}
