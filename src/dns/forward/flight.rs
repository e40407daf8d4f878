//! One question on its way: who waits for it, whom it was put to, and when patience ends. Values and small decisions only;
//! it never touches a socket.
use super::cache::Question;
use super::message::Reply;
use crate::dns::batch::Peer;
use crate::dns::query::Ask;
use crate::dns::slots::Key;
use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

/// After this all waiters are told SERVFAIL: resolvers ask again after 5 s.
const DEADLINE: Duration = Duration::from_millis(4500);
/// When all servers are asked once more, because packets get lost.
const ROUNDS: [Duration; 3] =
    [Duration::from_millis(500), Duration::from_millis(1500), Duration::from_millis(3000)];
/// How long an answered flight listens on, to learn whether a slow server lives.
const LINGER: Duration = Duration::from_secs(1);

/// Where an answer goes.
#[derive(Clone, Copy)]
pub enum Route {
    Udp(Peer),
    /// A client's connection.
    Tcp(Key),
}

/// A client that waits.
pub struct Waiter {
    pub seat: Key,
    pub route: Route,
    pub ask: Ask,
    /// As it wrote it.
    pub question: Box<[u8]>,
}

/// An answer on its way back. Empty: nothing is to be said any more.
pub struct Finished {
    pub seat: Key,
    pub route: Route,
    pub message: Vec<u8>,
}

pub struct Flight {
    pub question: Arc<Question>,
    pub servers: Arc<[SocketAddr]>,
    /// Places in `servers`, in the order in which to ask.
    pub order: Vec<usize>,
    /// Place in `order` of the next to ask.
    pub next: usize,
    rounds: usize,
    pub waiters: Vec<Waiter>,
    pub attempts: Vec<Key>,
    started: Instant,
    /// A negative answer, kept back while a better server may still speak.
    pub held: Option<Reply>,
    /// A truncated answer, in case TCP fails.
    pub partial: Option<Reply>,
    /// Its next timer.
    pub timer: Option<Instant>,
    /// Answered; it only listens.
    pub done: Option<Instant>,
}

impl Flight {
    pub fn new(question: Arc<Question>, servers: Arc<[SocketAddr]>, order: Vec<usize>, now: Instant) -> Self {
        Flight {
            question,
            servers,
            order,
            next: 0,
            rounds: 0,
            waiters: Vec::new(),
            attempts: Vec::new(),
            started: now,
            held: None,
            partial: None,
            timer: None,
            done: None,
        }
    }

    /// When it ends, whatever happens.
    pub fn end(&self) -> Instant {
        self.done.map_or(self.started + DEADLINE, |done| done + LINGER)
    }

    /// When all servers are to be asked again, if all have been asked.
    pub fn round_at(&self) -> Option<Instant> {
        let wait =
            ROUNDS.get(self.rounds).filter(|_| self.next >= self.order.len() && self.done.is_none())?;
        Some(self.started + *wait)
    }

    pub fn begin_round(&mut self) {
        self.rounds += 1;
        self.next = 0;
    }

    /// The next server to ask.
    pub fn take_next(&mut self) -> Option<usize> {
        let rank = *self.order.get(self.next)?;
        self.next += 1;
        Some(rank)
    }
}
