//! Waiting for many sockets at once: epoll with keys that go stale. It never reads or writes a socket itself.
use super::slots::Key;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use std::{
    io,
    os::fd::AsFd,
    time::{Duration, Instant},
};

/// Who a ready descriptor belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Token {
    /// Commands wait.
    Wake,
    /// The host's resolv.conf changed.
    Watch,
    /// UDP socket of a seat.
    Udp(Key),
    /// TCP listener of a seat.
    Listener(Key),
    /// A client's TCP connection.
    Connection(Key),
    /// A socket to an upstream server.
    Attempt(Key),
}

impl Token {
    fn bits(self) -> u64 {
        let (kind, bits) = match self {
            Token::Wake => (0, 0),
            Token::Watch => (1, 0),
            Token::Udp(key) => (2, key.bits()),
            Token::Listener(key) => (3, key.bits()),
            Token::Connection(key) => (4, key.bits()),
            Token::Attempt(key) => (5, key.bits()),
        };
        kind << 56 | bits
    }

    fn from_bits(bits: u64) -> Self {
        let key = Key::from_bits(bits);
        match bits >> 56 {
            1 => Token::Watch,
            2 => Token::Udp(key),
            3 => Token::Listener(key),
            4 => Token::Connection(key),
            5 => Token::Attempt(key),
            _ => Token::Wake,
        }
    }
}

/// What to wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interest {
    pub read: bool,
    pub write: bool,
}

impl Interest {
    pub const READ: Self = Interest { read: true, write: false };
    pub const WRITE: Self = Interest { read: false, write: true };
    /// Only errors and the hang-up of both sides, which are always told.
    pub const NONE: Self = Interest { read: false, write: false };

    fn event(self, token: Token) -> EpollEvent {
        let mut flags = EpollFlags::empty();
        flags.set(EpollFlags::EPOLLIN, self.read);
        flags.set(EpollFlags::EPOLLOUT, self.write);
        EpollEvent::new(flags, token.bits())
    }
}

/// A descriptor that became ready.
#[derive(Debug, Clone, Copy)]
pub struct Ready {
    pub token: Token,
    pub read: bool,
    /// Error or hang-up.
    pub broken: bool,
}

/// Level-triggered, so a turn may leave work for the next one; the kernel turns its ready list, so all get their turn.
pub struct Poll {
    epoll: Epoll,
}

/// Descriptors told by one wait at most.
const TURN: usize = 32;

impl Poll {
    pub fn new() -> io::Result<Self> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        Ok(Poll { epoll })
    }

    /// Closing the descriptor takes it out again.
    pub fn add(&self, fd: impl AsFd, token: Token, interest: Interest) -> io::Result<()> {
        Ok(self.epoll.add(fd, interest.event(token))?)
    }

    pub fn change(&self, fd: impl AsFd, token: Token, interest: Interest) -> io::Result<()> {
        Ok(self.epoll.modify(fd, &mut interest.event(token))?)
    }

    /// For descriptors that stay open elsewhere.
    pub fn remove(&self, fd: impl AsFd) {
        // one that is not in the set is fine
        let _ = self.epoll.delete(fd);
    }

    /// Waits until something is ready or `until` has come, and appends what is ready to `ready`.
    pub fn wait(&self, until: Option<Instant>, ready: &mut Vec<Ready>) -> io::Result<()> {
        let timeout =
            until.map_or(EpollTimeout::NONE, |until| millis(until.saturating_duration_since(Instant::now())));
        let mut events = [EpollEvent::empty(); TURN];
        let count = match self.epoll.wait(&mut events, timeout) {
            Ok(count) => count,
            Err(nix::Error::EINTR) => 0,
            Err(error) => return Err(error.into()),
        };
        ready.extend(events.iter().take(count).map(|event| Ready {
            token: Token::from_bits(event.data()),
            read: event.events().contains(EpollFlags::EPOLLIN),
            broken: event.events().intersects(EpollFlags::EPOLLERR | EpollFlags::EPOLLHUP),
        }));
        Ok(())
    }
}

/// Rounded up, else the last fraction of a millisecond would be spent spinning.
fn millis(wait: Duration) -> EpollTimeout {
    let millis = wait.as_micros().div_ceil(1000);
    EpollTimeout::from(u16::try_from(millis).unwrap_or(u16::MAX))
}
