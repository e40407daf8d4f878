//! Opens sockets to upstream servers. The host's are opened on the spot; those of a sandbox, which need a visit to its
//! namespace, on a thread of their own, so that no answer waits for one. It never enters a namespace itself.
use crate::dns::slots::Key;
use crate::model::Id;
use std::{
    io,
    net::SocketAddr,
    os::fd::OwnedFd,
    sync::{Arc, mpsc},
    thread,
};

/// Opens a non-blocking socket that is connected (TCP: connecting) to `to`, with a source port chosen at random by the
/// kernel. `sandbox` None: in the host's namespace, which must not block; else in the sandbox's own, which may.
pub trait OpenSocket: Send + Sync {
    fn udp(&self, sandbox: Option<Id>, to: SocketAddr) -> io::Result<OwnedFd>;
    fn tcp(&self, sandbox: Option<Id>, to: SocketAddr) -> io::Result<OwnedFd>;
}

/// A socket that is wanted.
#[derive(Debug, Clone, Copy)]
pub struct Want {
    pub attempt: Key,
    pub sandbox: Option<Id>,
    pub to: SocketAddr,
    pub tcp: bool,
}

/// Called on the opening thread with what became of a [`Want`].
pub type Opened = Arc<dyn Fn(Key, io::Result<OwnedFd>) + Send + Sync>;

pub struct Opener {
    sockets: Arc<dyn OpenSocket>,
    opened: Opened,
    /// Made when first needed; ends when this is dropped.
    thread: Option<mpsc::Sender<Want>>,
}

impl Opener {
    pub fn new(sockets: Arc<dyn OpenSocket>, opened: Opened) -> Self {
        Opener { sockets, opened, thread: None }
    }

    /// The socket, or None if it will be told later.
    pub fn open(&mut self, want: Want) -> Option<io::Result<OwnedFd>> {
        if want.sandbox.is_none() {
            return Some(open(&*self.sockets, want));
        }
        if self.thread.is_none() {
            match self.start() {
                Ok(thread) => self.thread = Some(thread),
                Err(error) => return Some(Err(error)),
            }
        }
        let sent = self.thread.as_ref().is_some_and(|thread| thread.send(want).is_ok());
        if sent {
            return None;
        }
        self.thread = None;
        Some(Err(io::Error::other("the opening thread ended")))
    }

    fn start(&self) -> io::Result<mpsc::Sender<Want>> {
        let (sender, wants) = mpsc::channel::<Want>();
        let (sockets, opened) = (self.sockets.clone(), self.opened.clone());
        let work = move || wants.iter().for_each(|want| opened(want.attempt, open(&*sockets, want)));
        thread::Builder::new().name("pontoon-dns-open".into()).stack_size(128 * 1024).spawn(work)?;
        Ok(sender)
    }
}

fn open(sockets: &dyn OpenSocket, want: Want) -> io::Result<OwnedFd> {
    match want.tcp {
        false => sockets.udp(want.sandbox, want.to),
        true => sockets.tcp(want.sandbox, want.to),
    }
}
