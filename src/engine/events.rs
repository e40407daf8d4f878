//! Events to whoever listens, and the last ones for who comes late. Never blocks the writer: a slow listener misses some.
use crate::model::Event;
use parking_lot::Mutex;
use std::{collections::VecDeque, sync::Arc};
use tokio::sync::broadcast;

/// Events kept for `--since`, and waiting for a listener at the most.
const KEPT: usize = 512;

pub struct Events {
    live: broadcast::Sender<Arc<Event>>,
    past: Mutex<VecDeque<Arc<Event>>>,
}

impl Default for Events {
    fn default() -> Self {
        Events { live: broadcast::channel(KEPT).0, past: Mutex::new(VecDeque::with_capacity(KEPT)) }
    }
}

impl Events {
    pub fn publish(&self, event: Event) {
        tracing::info!(object = event.object, action = event.action, name = event.name, cause = event.cause);
        let event = Arc::new(event);
        let mut past = self.past.lock();
        if past.len() == KEPT {
            past.pop_front();
        }
        past.push_back(event.clone());
        // An error only says that nobody listens.
        let _ = self.live.send(event);
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
