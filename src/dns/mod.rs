//! Answers each sandbox's DNS queries from the published names and forwards the rest. It never trusts a source address:
//! the socket a query came through is the identity of the asker. It never enters a namespace: sockets are handed in.
//!
//! One thread, `pontoon-dns`, waits for all sockets at once (epoll); there is no task and no buffer per sandbox, and an idle
//! resolver costs no time. A turn takes a bounded batch from every socket that is ready, so no sandbox waits for another's
//! flood. Names of the networks are answered at once ([`mod@answer`]); for the rest there is `forward`.
pub mod answer;
mod batch;
mod carry;
mod forward;
pub mod hostconf;
mod miss;
mod pace;
mod poll;
mod query;
mod reverse;
mod seat;
mod server;
mod share;
mod slots;
pub mod stats;
mod stream;
mod tcp;
#[cfg(test)]
mod tests;
mod timers;
mod watch;
mod wire;

pub use carry::{Asked, Talk, Talks};
pub use forward::OpenSocket;
pub use query::{Over, Query};
pub use stats::{Stats, Upstream};

use crate::error::{Error, Result};
use crate::model::{Id, names::Names};
use arc_swap::ArcSwap;
use forward::Health;
use nix::sys::eventfd::{EfdFlags, EventFd};
use parking_lot::Mutex;
use server::{Command, Server};
use stats::Counters;
use std::{
    net::{TcpListener, UdpSocket},
    path::PathBuf,
    sync::{Arc, mpsc},
    thread::{Builder, JoinHandle},
};

/// Sizes and places. The defaults are right for a host.
#[derive(Debug, Clone)]
pub struct Config {
    /// The host's resolv.conf; watched.
    pub resolv_conf: PathBuf,
    /// Port at which upstream servers are asked.
    pub port: u16,
    /// Misses in flight of one sandbox, and of all together.
    pub in_flight: (usize, usize),
    /// TCP connections of one sandbox, and of all together.
    pub connections: (usize, usize),
    /// Seconds after which a TCP connection without a whole query is closed (RFC 7766 6.2.3).
    pub idle_seconds: u64,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            resolv_conf: "/etc/resolv.conf".into(),
            port: 53,
            in_flight: (256, 2048),
            connections: (32, 1024),
            idle_seconds: 10,
        }
    }
}

/// The resolver. Dropping it closes all its sockets and ends its thread.
pub struct Dns {
    mailbox: Mailbox,
    counters: Arc<Counters>,
    health: Arc<Mutex<Health>>,
    thread: Option<JoinHandle<()>>,
}

/// The way into the DNS thread.
#[derive(Clone)]
struct Mailbox {
    commands: mpsc::Sender<Command>,
    wake: Arc<EventFd>,
}

impl Mailbox {
    fn send(&self, command: Command) {
        // the thread is gone only when Dns is
        if self.commands.send(command).is_ok() {
            // fails only when the counter is full: then the thread is awake anyway
            let _ = self.wake.write(1);
        }
    }
}

impl Dns {
    /// Starts the thread. `names` is read anew at each turn; `sockets` opens the ways upstream.
    pub fn start(config: Config, names: Arc<ArcSwap<Names>>, sockets: Arc<dyn OpenSocket>) -> Result<Dns> {
        let failed = |step: &str, error: std::io::Error| Error::os(format!("starting DNS: {step}"), &error);
        let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
        let wake =
            EventFd::from_value_and_flags(0, flags).map_err(|error| failed("eventfd", error.into()))?;
        let (commands, inbox) = mpsc::channel();
        let mailbox = Mailbox { commands, wake: Arc::new(wake) };
        let (counters, health) = (Arc::<Counters>::default(), Arc::<Mutex<Health>>::default());
        let server =
            Server::new(config, names, sockets, (mailbox.clone(), inbox), counters.clone(), health.clone())
                .map_err(|error| failed("epoll and inotify", error))?;
        let thread = Builder::new().name("pontoon-dns".into()).stack_size(512 * 1024);
        let thread = thread.spawn(move || server.run()).map_err(|error| failed("thread", error))?;
        Ok(Dns { mailbox, counters, health, thread: Some(thread) })
    }

    /// Answers what comes through these sockets as asked by `sandbox`; replaces those it had.
    pub fn serve(&self, sandbox: Id, udp: UdpSocket, tcp: TcpListener) {
        self.mailbox.send(Command::Serve(sandbox, udp, tcp));
    }

    /// Closes the sandbox's sockets, its connections and what it had open upstream, since all of them hold its namespace.
    /// Returns at once; the thread does it at its next turn, within a millisecond unless the machine is overloaded.
    pub fn stop(&self, sandbox: Id) {
        self.mailbox.send(Command::Stop(sandbox));
    }

    /// The sockets of all sandboxes, shared with this resolver: what comes is answered by whoever is faster.
    pub fn sockets(&self) -> Vec<(Id, UdpSocket, TcpListener)> {
        self.ask(Command::Sockets)
    }

    /// Ends the resolver: it answers nothing any more, and gives what it was about to answer.
    pub fn freeze(&self) -> Vec<(Id, Talks)> {
        self.ask(Command::Freeze)
    }

    /// Goes on with what another resolver had begun for a sandbox that is served here.
    pub fn carry(&self, sandbox: Id, talks: Talks) {
        self.mailbox.send(Command::Carry(sandbox, talks));
    }

    fn ask<T>(&self, command: impl FnOnce(mpsc::Sender<Vec<T>>) -> Command) -> Vec<T> {
        let (tell, told) = mpsc::channel();
        self.mailbox.send(command(tell));
        told.recv().unwrap_or_default()
    }

    pub fn stats(&self) -> Stats {
        self.counters.read(self.health.lock().stats())
    }
}

impl Drop for Dns {
    fn drop(&mut self) {
        self.mailbox.send(Command::Quit);
        if let Some(thread) = self.thread.take() {
            // a panic in there has been told already
            let _ = thread.join();
        }
    }
}
