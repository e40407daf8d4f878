//! Upstream answers, kept as long as their TTLs allow (RFC 1035, RFC 2308). It never keeps more than its bounds, and never
//! mixes answers of different upstream sets.
use super::message::Reply;
use crate::model::Id;
use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

/// Which servers an answer came from: answers of one set are not shown to those who ask another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scope {
    /// The host's servers; the number changes with the host's resolv.conf.
    Host(u64),
    /// A sandbox's own servers; the number is a digest of their list.
    Own(Id, u64),
}

impl Scope {
    /// Whose namespace is asked from; None is the host's.
    pub fn sandbox(&self) -> Option<Id> {
        match self {
            Scope::Host(_) => None,
            Scope::Own(sandbox, _) => Some(*sandbox),
        }
    }
}

/// What makes two queries one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Question {
    pub scope: Scope,
    /// Name in lower case, type, class; wire form.
    pub question: Box<[u8]>,
    /// RD, CD of the header.
    pub flags: u16,
    pub dnssec: bool,
}

#[derive(Debug)]
struct Entry {
    question: Arc<Question>,
    reply: Arc<Reply>,
    stored: Instant,
    until: Instant,
    /// Asked for since the hand came by.
    used: bool,
}

/// Clock replacement (second chance): what is asked for again stays.
#[derive(Debug)]
pub struct Cache {
    places: HashMap<Arc<Question>, usize>,
    entries: Vec<Entry>,
    hand: usize,
    bytes: usize,
    most: usize,
    most_bytes: usize,
}

/// Bytes that an entry costs beside its texts, roughly.
const OVERHEAD: usize = 256;

impl Cache {
    /// At most `most` entries and about `most_bytes` bytes.
    pub fn new(most: usize, most_bytes: usize) -> Self {
        Cache { places: HashMap::new(), entries: Vec::new(), hand: 0, bytes: 0, most, most_bytes }
    }

    /// The answer and its age, if it is still good.
    pub fn get(&mut self, question: &Question, now: Instant) -> Option<(Arc<Reply>, Duration)> {
        let entry = self.entries.get_mut(*self.places.get(question)?)?;
        if entry.until <= now {
            return None;
        }
        entry.used = true;
        Some((entry.reply.clone(), now.saturating_duration_since(entry.stored)))
    }

    pub fn put(&mut self, question: Arc<Question>, reply: Arc<Reply>, ttl: Duration, now: Instant) {
        let cost = cost(&question, &reply);
        if ttl.is_zero() || cost > self.most_bytes {
            return;
        }
        if let Some(place) = self.places.get(&question) {
            self.remove(*place);
        }
        while !self.entries.is_empty()
            && (self.entries.len() >= self.most || self.bytes + cost > self.most_bytes)
        {
            self.evict(now);
        }
        self.places.insert(question.clone(), self.entries.len());
        self.bytes += cost;
        self.entries.push(Entry { question, reply, stored: now, until: now + ttl, used: false });
    }

    /// Forgets what a sandbox's own servers said.
    pub fn forget(&mut self, sandbox: Id) {
        for place in (0..self.entries.len()).rev() {
            if self.entries[place].question.scope.sandbox() == Some(sandbox) {
                self.remove(place);
            }
        }
    }

    fn evict(&mut self, now: Instant) {
        loop {
            self.hand = if self.hand < self.entries.len() { self.hand } else { 0 };
            let Some(entry) = self.entries.get_mut(self.hand) else { return };
            if !entry.used || entry.until <= now {
                return self.remove(self.hand);
            }
            entry.used = false;
            self.hand += 1;
        }
    }

    fn remove(&mut self, place: usize) {
        let entry = self.entries.swap_remove(place);
        self.places.remove(&entry.question);
        self.bytes -= cost(&entry.question, &entry.reply);
        if let Some(moved) = self.entries.get(place) {
            self.places.insert(moved.question.clone(), place);
        }
    }
}

fn cost(question: &Question, reply: &Reply) -> usize {
    OVERHEAD + question.question.len() + reply.body.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(n: u32) -> Arc<Question> {
        let question = n.to_be_bytes().into();
        Arc::new(Question { scope: Scope::Host(0), question, flags: 0, dnssec: false })
    }

    fn reply() -> Arc<Reply> {
        Arc::new(Reply { code: 0, body: vec![0; 100].into(), cut: false })
    }

    #[test]
    fn bounded_and_what_is_used_stays() {
        let (mut cache, now) = (Cache::new(8, 1 << 20), Instant::now());
        for n in 0..100 {
            cache.put(question(n), reply(), Duration::from_secs(60), now);
            assert!(cache.get(&question(0), now).is_some(), "asked for each time, lost after {n}");
        }
        assert_eq!((cache.entries.len(), cache.places.len()), (8, 8));
        assert_eq!(cache.bytes, 8 * cost(&question(0), &reply()));
        let mut small = Cache::new(1000, 5 * cost(&question(0), &reply()));
        (0..100).for_each(|n| small.put(question(n), reply(), Duration::from_secs(60), now));
        assert_eq!(small.entries.len(), 5);
    }

    #[test]
    fn gone_when_its_time_is_over() {
        let (mut cache, now) = (Cache::new(8, 1 << 20), Instant::now());
        cache.put(question(1), reply(), Duration::from_secs(2), now);
        cache.put(question(2), reply(), Duration::ZERO, now);
        let age = |cache: &mut Cache, n, after| {
            Some(cache.get(&question(n), now + Duration::from_secs(after))?.1.as_secs())
        };
        assert_eq!(
            [age(&mut cache, 1, 1), age(&mut cache, 1, 2), age(&mut cache, 2, 0)],
            [Some(1), None, None]
        );
    }
}
