//! The relay thread: one epoll loop for held sockets, relayed connections and UDP sessions; it never blocks on any of them.
use super::{Held, Shared, datagram::Sessions, pipe::Pipes, stream::Pair};
use crate::model::Proto;
use nix::sys::epoll::{EpollEvent, EpollFlags, EpollTimeout};
use std::{
    collections::HashMap,
    fs::File,
    net::SocketAddr,
    os::fd::{AsRawFd, OwnedFd},
    sync::Arc,
    time::{Duration, Instant},
};

/// The low bits of a token say what it is a token of.
pub(super) const KIND_BITS: u32 = 2;
pub(super) const HOLD: u64 = 0;
const PAIR: u64 = 1;
pub(super) const SESSION: u64 = 2;
pub(super) const BELL: u64 = 3;

/// Most relayed TCP connections, two descriptors each.
const MOST_PAIRS: usize = 512;
/// A connection idle for so long may be dropped when there is no room for a new one.
const IDLE: Duration = Duration::from_secs(60);
/// Connections accepted from one socket before others get their turn.
const TURN: usize = 32;
/// How often idle UDP sessions are looked for while there are any.
const SWEEP: Duration = Duration::from_secs(15);

pub(super) struct Relay {
    pub(super) shared: Arc<Shared>,
    pub(super) pairs: HashMap<u64, Pair>,
    pub(super) sessions: Sessions,
    pub(super) next: u64,
    pipes: Pipes,
    swept: Instant,
    /// Given up for a moment when descriptors run out, so that a waiting client can be turned away.
    spare: Option<File>,
}

impl Relay {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        let spare = File::open("/dev/null").ok();
        Relay {
            shared,
            pairs: HashMap::new(),
            sessions: Sessions::default(),
            next: 0,
            pipes: Pipes::default(),
            swept: Instant::now(),
            spare,
        }
    }

    pub(super) fn run(mut self) {
        let mut events = [EpollEvent::empty(); 128];
        loop {
            let wait = match self.sessions.is_empty() {
                true => EpollTimeout::NONE,
                false => EpollTimeout::from(SWEEP.as_secs() as u16 * 1000),
            };
            let count = match self.shared.epoll.wait(&mut events, wait) {
                Ok(count) => count,
                Err(nix::Error::EINTR) => 0,
                Err(error) => return tracing::error!("the relay of held ports ends: {error}"),
            };
            for event in &events[..count] {
                let token = event.data();
                match token & ((1 << KIND_BITS) - 1) {
                    HOLD => self.serve(token),
                    PAIR => self.pump(token),
                    SESSION => self.sessions.answer(token),
                    _ => {
                        let _ = self.shared.bell.read();
                        let mut state = self.shared.state.lock();
                        let (closed, heir) = (state.closed, state.heir.take());
                        drop(state);
                        if let Some(heir) = heir {
                            return drop(heir.send(self.give_up()));
                        }
                        if closed {
                            return;
                        }
                        self.drop_released();
                        self.take_up();
                    }
                }
            }
            if !self.sessions.is_empty() && self.swept.elapsed() >= SWEEP {
                self.sessions.sweep(Instant::now());
                self.swept = Instant::now();
            }
        }
    }

    fn serve(&mut self, token: u64) {
        let held = self.shared.state.lock().held.get(&token).cloned();
        let Some(held) = held else { return };
        match held.proto {
            Proto::Tcp => self.accept(token, &held),
            Proto::Udp => self.sessions.carry(token, &held, &self.shared.epoll, &mut self.next),
            Proto::Sctp => {}
        }
    }

    /// Ends what was relayed from ports that were given back (UDP sessions would keep them bound) or lead elsewhere now.
    fn drop_released(&mut self) {
        let state = self.shared.state.lock();
        let leads = |hold: u64, to: &SocketAddr| {
            state.held.get(&hold).is_some_and(|held| held.targets.lock().contains(to))
        };
        self.sessions.retain(|hold, to| leads(hold, to));
        self.pairs.retain(|_, pair| leads(pair.hold, &pair.to));
    }

    /// Room for one more connection, if need be in the place of the one that has been idle longest, and long enough.
    fn has_room(&mut self) -> bool {
        if self.pairs.len() < MOST_PAIRS {
            return true;
        }
        let idlest =
            self.pairs.iter().min_by_key(|(_, pair)| pair.last).map(|(token, pair)| (*token, pair.last));
        match idlest {
            Some((token, last)) if last.elapsed() > IDLE => self.pairs.remove(&token).is_some(),
            _ => false,
        }
    }

    fn accept(&mut self, hold: u64, held: &Held) {
        let Some(listener) = &held.socket else { return };
        for _ in 0..TURN {
            match super::stream::accept(listener.as_raw_fd()) {
                Ok((client, v4)) => self.begin(hold, held, client, v4),
                Err(e) if matches!(e.raw_os_error(), Some(libc::EMFILE | libc::ENFILE)) => {
                    return self.turn_away(listener);
                }
                // Nobody waits, or the client that waited has gone; the socket is asked again if there are more.
                Err(_) => return,
            }
        }
    }

    fn begin(&mut self, hold: u64, held: &Held, client: OwnedFd, v4: bool) {
        // Dropping the client closes the connection: there is no room, or nobody to talk to.
        let (true, Some(target)) = (self.has_room(), held.target(v4)) else { return };
        if let Ok(pair) = Pair::begin(hold, client, target) {
            self.insert(pair);
        }
    }

    pub(super) fn insert(&mut self, pair: Pair) {
        let token = self.next << KIND_BITS | PAIR;
        self.next += 1;
        let flags = EpollFlags::EPOLLIN | EpollFlags::EPOLLOUT | EpollFlags::EPOLLRDHUP | EpollFlags::EPOLLET;
        let added =
            pair.ends().iter().all(|fd| self.shared.epoll.add(fd, EpollEvent::new(flags, token)).is_ok());
        if added {
            self.pairs.insert(token, pair);
        }
    }

    fn turn_away(&mut self, listener: &OwnedFd) {
        self.spare = None;
        drop(super::stream::accept(listener.as_raw_fd()));
        self.spare = File::open("/dev/null").ok();
    }

    fn pump(&mut self, token: u64) {
        let Some(pair) = self.pairs.get_mut(&token) else { return };
        match pair.pump(&mut self.pipes) {
            Ok(super::stream::State::Waiting) => {}
            // Others first; setting the same interest again makes the edge come anew.
            Ok(super::stream::State::Busy) => {
                let flags =
                    EpollFlags::EPOLLIN | EpollFlags::EPOLLOUT | EpollFlags::EPOLLRDHUP | EpollFlags::EPOLLET;
                for fd in pair.ends() {
                    let _ = self.shared.epoll.modify(fd, &mut EpollEvent::new(flags, token));
                }
            }
            Ok(super::stream::State::Ended) | Err(_) => {
                self.pairs.remove(&token);
            }
        }
    }
}
