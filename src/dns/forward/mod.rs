//! Puts questions that nobody here can answer to upstream servers. It never blocks, never asks twice at once for the same,
//! and always says something in the end.
//!
//! A question is a flight: it begins with the first server and goes on to the next when that one refuses, fails or exhausts
//! its patience (100 ms at most), without ceasing to listen to the first. Answers go into the cache and to all who wait.
//! ```text
//! ask -> launch -> (opened) -> ready -> settle -> finish
//!           ^---- advance <---- lost / tick
//! ```
mod attempt;
mod cache;
mod flight;
mod health;
mod message;
mod open;

pub use cache::{Question, Scope};
pub use flight::{Finished, Route, Waiter};
pub use health::Health;
pub use open::{OpenSocket, Opened};

use super::poll::{Interest, Poll, Token};
use super::query::Over;
use super::slots::{Key, Slots};
use super::stats::{Counters, add};
use super::timers::Timers;
use super::wire::{flag, rcode};
use crate::model::Id;
use attempt::{Attempt, Heard};
use cache::Cache;
use flight::Flight;
use message::Reply;
use open::{Opener, Want};
use parking_lot::Mutex;
use std::{
    collections::HashMap,
    io,
    net::SocketAddr,
    os::fd::OwnedFd,
    sync::Arc,
    time::{Duration, Instant},
};

/// Answered flights that still listen, at most.
const MOST_LINGERING: usize = 128;
/// A failure is remembered so long (RFC 9520 asks for at least this).
const FAILURE: Duration = Duration::from_secs(1);

/// The turn in which something happens.
#[derive(Clone, Copy)]
pub struct Now<'a> {
    pub poll: &'a Poll,
    pub at: Instant,
}

pub struct Forward {
    opener: Opener,
    counters: Arc<Counters>,
    health: Arc<Mutex<Health>>,
    flights: Slots<Flight>,
    by_question: HashMap<Arc<Question>, Key>,
    attempts: Slots<Attempt>,
    lingering: usize,
    timers: Timers<Key>,
    cache: Cache,
    finished: Vec<Finished>,
    buffer: Box<[u8]>,
    random: Vec<u8>,
}

impl Forward {
    pub fn new(
        sockets: Arc<dyn OpenSocket>,
        opened: Opened,
        counters: Arc<Counters>,
        health: Arc<Mutex<Health>>,
    ) -> Self {
        Forward {
            opener: Opener::new(sockets, opened),
            counters,
            health,
            flights: Slots::default(),
            by_question: HashMap::new(),
            attempts: Slots::default(),
            lingering: 0,
            timers: Timers::default(),
            cache: Cache::new(4096, 2 << 20),
            finished: Vec::new(),
            buffer: vec![0; 1 << 16].into(),
            random: Vec::new(),
        }
    }

    /// Answers from the cache into `out`, if it can.
    pub fn cached(&mut self, question: &Question, waiter: &Waiter, now: Instant, out: &mut Vec<u8>) -> bool {
        let Some((reply, age)) = self.cache.get(question, now) else { return false };
        dress(&reply, waiter, age, out);
        true
    }

    /// Puts the question to `servers` (not empty), or joins one who already has. The answer comes out of
    /// [`Forward::finished`].
    pub fn ask(&mut self, now: Now<'_>, question: Question, servers: &Arc<[SocketAddr]>, waiter: Waiter) {
        if let Some(flight) = self.by_question.get(&question).and_then(|key| self.flights.get_mut(*key)) {
            add(&self.counters.coalesced, 1);
            return flight.waiters.push(waiter);
        }
        let question = Arc::new(question);
        let (order, probes) = self.health.lock().order(question.scope.sandbox(), servers, now.at);
        let mut flight = Flight::new(question.clone(), servers.clone(), order, now.at);
        flight.waiters.push(waiter);
        let key = self.flights.insert(flight);
        self.by_question.insert(question, key);
        self.advance(now, key);
        for rank in probes {
            self.launch(now, key, rank, false);
        }
        self.tick(now, key);
    }

    /// A socket that was opened elsewhere, or why it was not.
    pub fn opened(&mut self, now: Now<'_>, key: Key, socket: io::Result<OwnedFd>) {
        let Some(attempt) = self.attempts.get_mut(key) else { return };
        let Some(flight) = self.flights.get(attempt.flight) else { return };
        let question = &flight.question;
        let edns = attempt.edns.then_some(question.dnssec);
        let query = message::query(attempt.id, question.flags | flag::AD, &question.question, edns);
        let interest = if attempt.tcp { Interest::WRITE } else { Interest::READ };
        let started = socket.and_then(|socket| {
            attempt.start(socket, &query)?;
            attempt.fd().map_or(Ok(()), |fd| now.poll.add(fd, Token::Attempt(key), interest))
        });
        add(&self.counters.forwards, 1);
        self.health.lock().sent(attempt.place);
        if started.is_err() {
            self.lost(now, key);
        }
    }

    /// The socket of an attempt is ready.
    pub fn ready(&mut self, now: Now<'_>, key: Key) {
        let Some(attempt) = self.attempts.get_mut(key) else { return };
        let Some(flight) = self.flights.get(attempt.flight) else { return };
        let writing = attempt.wants_write();
        match attempt.receive(&flight.question.question, &mut self.buffer) {
            Heard::Reply(reply) => self.settle(now, key, reply),
            Heard::Lost => self.lost(now, key),
            Heard::Nothing if writing && !attempt.wants_write() => {
                let read = attempt.fd().map(|fd| now.poll.change(fd, Token::Attempt(key), Interest::READ));
                if !matches!(read, Some(Ok(()))) {
                    self.lost(now, key);
                }
            }
            Heard::Nothing => {}
        }
    }

    /// Does what is due.
    pub fn due(&mut self, now: Now<'_>) {
        while let Some(key) = self.timers.due(now.at) {
            self.tick(now, key);
        }
    }

    /// When [`Forward::due`] must be called next.
    pub fn next(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// A sandbox is gone: its sockets, and what its own servers said, go with it.
    pub fn forget(&mut self, sandbox: Id) {
        let ours = self.flights.iter().filter(|(_, flight)| flight.question.scope.sandbox() == Some(sandbox));
        for key in ours.map(|(key, _)| key).collect::<Vec<_>>() {
            self.remove(key);
        }
        self.cache.forget(sandbox);
        self.health.lock().forget(sandbox);
    }

    /// All who wait for an answer.
    pub fn waiting(&self) -> impl Iterator<Item = &Waiter> {
        self.flights.iter().flat_map(|(_, flight)| &flight.waiters)
    }

    /// The answers that are ready to go out.
    pub fn finished(&mut self) -> Vec<Finished> {
        std::mem::take(&mut self.finished)
    }

    /// Asks the server at place `rank` of the flight's list.
    fn launch(&mut self, now: Now<'_>, key: Key, rank: usize, tcp: bool) {
        // without randomness nothing is asked: the flight ends in SERVFAIL
        let Some(id) = self.random_id() else { return };
        let Some(flight) = self.flights.get_mut(key) else { return };
        let Some(server) = flight.servers.get(rank) else { return };
        let sandbox = flight.question.scope.sandbox();
        let place = (sandbox, *server);
        let edns = !self.health.lock().is_plain(&place, now.at);
        let attempt = self.attempts.insert(Attempt::new(key, rank, place, id, edns, tcp, now.at));
        flight.attempts.push(attempt);
        if let Some(socket) = self.opener.open(Want { attempt, sandbox, to: *server, tcp }) {
            self.opened(now, attempt, socket);
        }
    }

    /// Asks the next server; ends the flight if there is none and nobody is left to listen to.
    fn advance(&mut self, now: Now<'_>, key: Key) {
        let Some(flight) = self.flights.get_mut(key) else { return };
        match flight.take_next().filter(|_| flight.done.is_none()) {
            Some(rank) => {
                self.launch(now, key, rank, false);
                self.plan(now, key);
            }
            None if !flight.attempts.is_empty() => {}
            None if flight.done.is_some() => self.remove(key),
            None => self.give_up(now, key),
        }
    }

    /// The server cannot be reached, or talks nonsense.
    fn lost(&mut self, now: Now<'_>, key: Key) {
        let Some(attempt) = self.drop_attempt(key) else { return };
        self.health.lock().failed(attempt.place, now.at);
        self.advance(now, attempt.flight);
    }

    /// An answer to the question came.
    fn settle(&mut self, now: Now<'_>, key: Key, reply: Reply) {
        let Some(attempt) = self.drop_attempt(key) else { return };
        self.health.lock().heard(attempt.place, now.at.saturating_duration_since(attempt.started), now.at);
        let better = self.better_pending(attempt.flight, attempt.rank);
        let Some(flight) = self.flights.get_mut(attempt.flight) else { return };
        if flight.done.is_some() {
            return self.advance(now, attempt.flight);
        }
        match reply.code {
            rcode::FORMERR | rcode::NOTIMP if attempt.edns => {
                self.health.lock().chokes(attempt.place, now.at);
                self.launch(now, attempt.flight, attempt.rank, attempt.tcp);
            }
            rcode::NOERROR | rcode::NXDOMAIN if reply.cut && !attempt.tcp => {
                flight.partial = Some(reply);
                self.launch(now, attempt.flight, attempt.rank, true);
            }
            rcode::NOERROR | rcode::NXDOMAIN if reply.is_negative() && better => flight.held = Some(reply),
            rcode::NOERROR | rcode::NXDOMAIN => self.finish(now, attempt.flight, reply),
            _ => {
                self.health.lock().useless(attempt.place);
                self.advance(now, attempt.flight);
            }
        }
    }

    /// Whether a server that stands before `rank` and is worth waiting for has yet to answer: the first may know
    /// names that the others deny.
    fn better_pending(&self, key: Key, rank: usize) -> bool {
        let Some(flight) = self.flights.get(key) else { return false };
        let health = self.health.lock();
        let mut pending = flight.attempts.iter().filter_map(|key| self.attempts.get(*key));
        pending.any(|attempt| attempt.rank < rank && !attempt.doubted && health.is_trusted(&attempt.place))
    }

    /// Nobody had an answer: the second best, or SERVFAIL.
    fn give_up(&mut self, now: Now<'_>, key: Key) {
        let Some(flight) = self.flights.get_mut(key) else { return };
        let second = flight.held.take().or_else(|| flight.partial.take());
        let failure = Reply { code: rcode::SERVFAIL, body: Box::default(), cut: false };
        self.finish(now, key, second.unwrap_or(failure));
    }

    /// Tells all who wait; what has not answered yet is listened to a little longer, to learn whether it lives.
    fn finish(&mut self, now: Now<'_>, key: Key, reply: Reply) {
        let Some(flight) = self.flights.get_mut(key) else { return };
        let reply = Arc::new(reply);
        for waiter in flight.waiters.drain(..) {
            let mut message = Vec::with_capacity(reply.body.len() + 32);
            dress(&reply, &waiter, Duration::ZERO, &mut message);
            self.finished.push(Finished { seat: waiter.seat, route: waiter.route, message });
        }
        let failed = reply.code == rcode::SERVFAIL;
        add(&self.counters.failures, u64::from(failed));
        let life = if failed { FAILURE } else { reply.life() };
        self.by_question.remove(&flight.question);
        self.cache.put(flight.question.clone(), reply, life, now.at);
        if flight.attempts.is_empty() || self.lingering >= MOST_LINGERING {
            return self.remove(key);
        }
        flight.done = Some(now.at);
        self.lingering += 1;
        self.plan(now, key);
    }

    /// Ends what is over, doubts who is silent, and asks the next when patience is at its end.
    fn tick(&mut self, now: Now<'_>, key: Key) {
        let Some(flight) = self.flights.get(key) else { return };
        let (done, over) = (flight.done.is_some(), flight.end() <= now.at);
        let impatient = self.doubt(now, key);
        match (done, over) {
            (true, true) => return self.remove(key),
            (false, true) => return self.give_up(now, key),
            (true, false) => {}
            (false, false) => self.go_on(now, key, impatient),
        }
        self.plan(now, key);
    }

    fn go_on(&mut self, now: Now<'_>, key: Key, impatient: bool) {
        let Some(flight) = self.flights.get_mut(key) else { return };
        if flight.held.is_some() && flight.attempts.is_empty() {
            return self.give_up(now, key);
        }
        if flight.round_at().is_some_and(|at| at <= now.at) {
            flight.begin_round();
            return self.advance(now, key);
        }
        let more = flight.next < flight.order.len();
        if flight.held.is_some() && !self.better_pending(key, usize::MAX) {
            self.give_up(now, key);
        } else if impatient && more {
            self.advance(now, key);
        }
    }

    /// Marks the attempts whose patience is over; whether there was a new one.
    fn doubt(&mut self, now: Now<'_>, key: Key) -> bool {
        let Some(flight) = self.flights.get(key) else { return false };
        let (mut health, mut impatient) = (self.health.lock(), false);
        for attempt in &flight.attempts {
            let Some(attempt) = self.attempts.get_mut(*attempt) else { continue };
            let silent = now.at.saturating_duration_since(attempt.started);
            if !attempt.missed && silent >= health.patience(&attempt.place) {
                attempt.missed = true;
                impatient = true;
                health.missed(attempt.place, now.at);
            }
            if !attempt.doubted && silent >= health::DOUBT {
                attempt.doubted = true;
                health.silent(attempt.place, attempt.started, now.at);
            }
        }
        impatient
    }

    /// Sets the timer for what comes next.
    fn plan(&mut self, now: Now<'_>, key: Key) {
        let Some(flight) = self.flights.get_mut(key) else { return };
        let health = self.health.lock();
        let attempts = flight.attempts.iter().filter_map(|key| self.attempts.get(*key));
        let due = attempts.filter_map(|attempt| match (attempt.missed, attempt.doubted) {
            (false, _) => Some(attempt.started + health.patience(&attempt.place)),
            (true, false) => Some(attempt.started + health::DOUBT),
            (true, true) => None,
        });
        let next = due.chain(flight.round_at()).min().unwrap_or(flight.end()).min(flight.end());
        let next = next.max(now.at + Duration::from_millis(1));
        if flight.timer.is_none_or(|set| set <= now.at || next < set) {
            flight.timer = Some(next);
            self.timers.set(next, key);
        }
    }

    fn drop_attempt(&mut self, key: Key) -> Option<Attempt> {
        let attempt = self.attempts.remove(key)?;
        if let Some(flight) = self.flights.get_mut(attempt.flight) {
            flight.attempts.retain(|other| *other != key);
        }
        Some(attempt)
    }

    /// Ends a flight with its sockets. Who still waits is counted out without a word.
    fn remove(&mut self, key: Key) {
        let Some(flight) = self.flights.remove(key) else { return };
        if flight.done.is_some() {
            self.lingering -= 1;
        } else {
            self.by_question.remove(&flight.question);
        }
        for waiter in flight.waiters {
            self.finished.push(Finished { seat: waiter.seat, route: waiter.route, message: Vec::new() });
        }
        for attempt in flight.attempts {
            self.attempts.remove(attempt);
        }
    }

    /// Two bytes of the kernel's randomness, fetched in bulk (RFC 5452 9.2). None: it has none.
    fn random_id(&mut self) -> Option<u16> {
        if self.random.len() < 2 {
            self.random.resize(256, 0);
            if getrandom::fill(&mut self.random).is_err() {
                self.random.clear();
            }
        }
        Some(u16::from_be_bytes([self.random.pop()?, self.random.pop()?]))
    }
}

fn dress(reply: &Reply, waiter: &Waiter, age: Duration, out: &mut Vec<u8>) {
    match reply.cut && waiter.ask.over == Over::Tcp {
        true => waiter.ask.say(rcode::SERVFAIL, &waiter.question, out),
        false => reply.dress(&waiter.ask, &waiter.question, age, out),
    }
}

/// What a client who sent `query` by UDP would be told after `seconds` if an upstream had sent `packet`.
#[cfg(test)]
pub(in crate::dns) fn probe(query: &[u8], packet: &[u8], seconds: u64) -> Option<Vec<u8>> {
    let query = super::query::Query::parse(query, Over::Udp).ok()?;
    let id = super::wire::u16_at(packet, 0)?;
    let reply = message::read(packet, id, query.question).ok()?;
    let (_, mut out) = (reply.life(), Vec::new());
    reply.dress(&query.ask, query.question, Duration::from_secs(seconds), &mut out);
    Some(out)
}
