//! What becomes of a query that the published names do not answer: the cache, an upstream, or a refusal at once. It never
//! lets one sandbox use up what others need.
use super::forward::{Finished, Forward, Now, Question, Route, Scope, Waiter};
use super::query::Query;
use super::seat::Seat;
use super::share::Share;
use super::slots::Key;
use super::stats::{Counters, add};
use super::wire::{flag, rcode};
use crate::model::{
    Id,
    names::{Asker, without_self},
};
use std::{
    hash::{DefaultHasher, Hash, Hasher},
    net::SocketAddr,
    sync::Arc,
};

/// Servers of a user's list that are used at most.
const MOST_SERVERS: usize = 6;

pub struct Misses {
    pub forward: Forward,
    counters: Arc<Counters>,
    share: Share,
    /// Clients that wait, of all sandboxes.
    waiting: usize,
    port: u16,
    host: Arc<[SocketAddr]>,
    /// Changes with the host's servers.
    epoch: u64,
}

impl Misses {
    pub fn new(forward: Forward, counters: Arc<Counters>, share: Share, port: u16) -> Self {
        Misses { forward, counters, share, waiting: 0, port, host: Arc::new([]), epoch: 0 }
    }

    /// The host's servers are these from now on; what the former ones said is not used again.
    pub fn set_host(&mut self, servers: Vec<SocketAddr>) {
        if *self.host != *servers {
            self.host = servers.into();
            self.epoch += 1;
        }
    }

    /// Either appends an answer to `out` (false), or has begun to ask: the answer will be among the finished (true).
    pub fn take(
        &mut self,
        now: Now<'_>,
        (seat, key): (&mut Seat, Key),
        asker: Option<&Asker>,
        query: &Query<'_>,
        route: Route,
        out: &mut Vec<u8>,
    ) -> bool {
        add(&self.counters.misses, 1);
        let Some((scope, servers)) = self.upstreams(seat.sandbox, asker) else {
            add(&self.counters.failures, 1);
            query.ask.say(rcode::SERVFAIL, query.question, out);
            return false;
        };
        let question = question(scope, query);
        let waiter = Waiter { seat: key, route, ask: query.ask, question: query.question.into() };
        if self.forward.cached(&question, &waiter, now.at, out) {
            add(&self.counters.cache_hits, 1);
            return false;
        }
        if !self.share.allows(seat.in_flight, self.waiting) {
            add(&self.counters.refused, 1);
            query.ask.say(rcode::REFUSED, query.question, out);
            return false;
        }
        seat.in_flight += 1;
        self.waiting += 1;
        self.forward.ask(now, question, &servers, waiter);
        true
    }

    /// Answers that are ready; who gets one must be counted out of its seat.
    pub fn finished(&mut self) -> Vec<Finished> {
        let finished = self.forward.finished();
        self.waiting -= finished.len();
        finished
    }

    /// Whom this sandbox may ask; None: nobody.
    fn upstreams(&self, sandbox: Id, asker: Option<&Asker>) -> Option<(Scope, Arc<[SocketAddr]>)> {
        let upstream = &asker?.upstream;
        if upstream.servers.is_empty() {
            let host = self.host.clone();
            return (upstream.outside && !host.is_empty()).then_some((Scope::Host(self.epoch), host));
        }
        let own = without_self(upstream.servers.iter().copied().take(MOST_SERVERS), self.port);
        let mut digest = DefaultHasher::new();
        own.hash(&mut digest);
        (!own.is_empty()).then(|| (Scope::Own(sandbox, digest.finish()), own.into()))
    }
}

fn question(scope: Scope, query: &Query<'_>) -> Question {
    let mut question: Box<[u8]> = query.question.into();
    // length bytes are below 64, so no letters
    let name = question.len() - 4;
    question[..name].make_ascii_lowercase();
    let dnssec = query.ask.edns.is_some_and(|edns| edns.dnssec);
    Question { scope, question, flags: query.ask.flags & (flag::RD | flag::CD), dnssec }
}
