//! Host ports that no other program can bind, and the relay for what reaches them; it never sees traffic that DNAT carries.
//!
//! IPv4 traffic is rewritten before it reaches these sockets. What does reach them ([::1], link-local IPv6, IPv6 to a sandbox
//! that has none) is carried to the hold's targets by one epoll thread. Descriptors are scarce: a hold is one socket, a
//! relayed connection two, pipes between them few, and all are bounded.
mod bind;
mod carry;
mod datagram;
mod holder;
mod pipe;
mod relay;
mod stream;
#[cfg(test)]
mod tests;

pub use carry::{Begun, Client, Relayed};

use crate::{
    error::{Error, Result},
    model::{
        Proto,
        kernel::{Hold, Key},
    },
};
use nix::sys::{
    epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags},
    eventfd::{EfdFlags, EventFd},
};
use parking_lot::Mutex;
use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    os::fd::OwnedFd,
    sync::{Arc, mpsc},
    thread,
};

/// The held ports of the network namespace `start` was called in.
pub struct Holds {
    shared: Arc<Shared>,
}

struct Shared {
    epoll: Epoll,
    bell: EventFd,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    tokens: HashMap<Port, u64>,
    held: HashMap<u64, Arc<Held>>,
    next: u64,
    /// Sockets of another holder, to be used instead of new ones.
    adopted: HashMap<Port, OwnedFd>,
    /// What another holder relayed, to be gone on with by the relay thread.
    begun: Vec<Begun>,
    /// Who gets what is relayed when the thread ends.
    heir: Option<mpsc::Sender<Vec<Begun>>>,
    closed: bool,
}

/// Protocol, host address and port that tell holds apart.
pub type Port = (Proto, Option<IpAddr>, u16);

/// One held port.
struct Held {
    /// None: SCTP on a kernel without SCTP sockets, where nobody can bind the port anyway.
    socket: Option<OwnedFd>,
    proto: Proto,
    host: Option<IpAddr>,
    port: u16,
    targets: Mutex<Vec<SocketAddr>>,
}

impl Holds {
    /// Starts the relay thread, in the calling thread's network namespace.
    pub fn start() -> Result<Self> {
        let failed = |e: nix::Error| Error::os("start the relay of held ports", &e.into());
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).map_err(failed)?;
        let bell = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK).map_err(failed)?;
        epoll.add(&bell, EpollEvent::new(EpollFlags::EPOLLIN, relay::BELL)).map_err(failed)?;
        let shared = Arc::new(Shared { epoll, bell, state: Mutex::default() });
        let relay = relay::Relay::new(shared.clone());
        thread::Builder::new()
            .name("pontoon-relay".into())
            .stack_size(256 << 10)
            .spawn(move || relay.run())
            .map_err(|e| Error::os("start the relay of held ports", &e))?;
        Ok(Holds { shared })
    }

    /// Binds the port, or gives a port held already its new targets. `Conflict` names the program that has it. 10 µs.
    ///
    /// Must be called in the namespace of `start`.
    pub fn hold(&self, hold: &Hold) -> Result<()> {
        let key = (hold.proto, hold.host, hold.port);
        let mut state = self.shared.state.lock();
        if let Some(held) = state.tokens.get(&key).and_then(|token| state.held.get(token)) {
            if *held.targets.lock() != hold.targets {
                held.targets.lock().clone_from(&hold.targets);
                let _ = self.shared.bell.write(1);
            }
            return Ok(());
        }
        let socket = match state.adopted.remove(&key) {
            Some(socket) => Some(socket),
            None => bind::bind(hold)?,
        };
        let token = state.next << relay::KIND_BITS | relay::HOLD;
        state.next += 1;
        // SCTP is only reserved: IPv6 clients of [::1] do not speak it.
        if let Some(socket) = socket.as_ref().filter(|_| hold.proto != Proto::Sctp) {
            self.shared
                .epoll
                .add(socket, EpollEvent::new(EpollFlags::EPOLLIN, token))
                .map_err(|e| Error::os(format!("relay port {}/{}", hold.port, hold.proto), &e.into()))?;
        }
        let (proto, host, port) = key;
        let held = Held { socket, proto, host, port, targets: Mutex::new(hold.targets.clone()) };
        state.tokens.insert(key, token);
        state.held.insert(token, Arc::new(held));
        Ok(())
    }

    /// Gives a port back; one that is not held is fine. What is relayed from it ends.
    pub fn release(&self, key: &Key) {
        let Key::Hold(proto, host, port) = key else { return };
        let mut state = self.shared.state.lock();
        let Some(token) = state.tokens.remove(&(*proto, *host, *port)) else { return };
        let held = state.held.remove(&token);
        drop(state);
        if let Some(socket) = held.as_ref().and_then(|held| held.socket.as_ref()) {
            // The relay may still have it in hand; out of the epoll set it is asked no more.
            let _ = self.shared.epoll.delete(socket);
            bind::close_now(socket, *proto);
        }
        let _ = self.shared.bell.write(1);
    }

    /// The keys of all held ports.
    pub fn held(&self) -> Vec<Key> {
        let state = self.shared.state.lock();
        state.tokens.keys().map(|(proto, host, port)| Key::Hold(*proto, *host, *port)).collect()
    }
}

impl Drop for Holds {
    fn drop(&mut self) {
        self.shared.state.lock().closed = true;
        let _ = self.shared.bell.write(1);
    }
}

impl Held {
    /// Where a client of this family is carried to: the target of its family, else any.
    fn target(&self, v4: bool) -> Option<SocketAddr> {
        let targets = self.targets.lock();
        targets.iter().find(|t| t.is_ipv4() == v4).or(targets.first()).copied()
    }
}
