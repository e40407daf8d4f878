//! Opens connected sockets inside sandboxes on a thread of its own; no other thread has to leave home for it.
use super::Home;
use crate::error::{Error, Result};
use socket2::{Domain, Protocol, Socket, Type};
use std::{
    io,
    net::SocketAddr,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::mpsc::{Sender, channel},
    thread,
};

/// What kind of socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    Udp,
    /// The connection is begun, not awaited: it is ready when the socket is writable.
    Tcp,
}

/// Who is told of the opened socket. Runs on the opener's thread: hand it on, do not work.
pub type Asked = Box<dyn FnOnce(io::Result<OwnedFd>) + Send>;

struct Job {
    namespace: OwnedFd,
    transport: Transport,
    to: SocketAddr,
    asked: Asked,
}

/// The thread, which ends with the last clone of this.
#[derive(Clone)]
pub struct Opener {
    jobs: Sender<Job>,
}

impl Opener {
    /// Starts the thread; its home is the calling thread's namespace.
    pub fn start() -> Result<Self> {
        let home = Home::here()?;
        let (jobs, inbox) = channel::<Job>();
        let work = move || {
            for job in inbox {
                let opened = home.enter(job.namespace.as_fd(), || connected(job.transport, job.to));
                (job.asked)(opened.unwrap_or_else(|e| Err(io::Error::other(e))));
            }
        };
        thread::Builder::new()
            .name("pontoon-opener".into())
            .stack_size(128 << 10)
            .spawn(work)
            .map_err(|e| Error::os("start the thread that opens sockets in sandboxes", &e))?;
        Ok(Opener { jobs })
    }

    /// Opens a non-blocking socket connected to `to` inside `namespace`, and tells `asked`. Returns at once.
    pub fn open(&self, namespace: BorrowedFd<'_>, transport: Transport, to: SocketAddr, asked: Asked) {
        let job = match namespace.try_clone_to_owned() {
            Ok(namespace) => Job { namespace, transport, to, asked },
            Err(error) => return asked(Err(error)),
        };
        if let Err(returned) = self.jobs.send(job) {
            (returned.0.asked)(Err(io::Error::other("the thread that opens sockets in sandboxes has ended")));
        }
    }

    /// The same, waiting for it. 20 µs.
    pub fn open_in(
        &self,
        namespace: BorrowedFd<'_>,
        transport: Transport,
        to: SocketAddr,
    ) -> io::Result<OwnedFd> {
        let (tell, told) = channel();
        let asked: Asked = Box::new(move |opened| drop(tell.send(opened)));
        self.open(namespace, transport, to, asked);
        told.recv().map_err(io::Error::other)?
    }
}

/// A non-blocking socket connected (or connecting) to `to`, in the calling thread's namespace.
pub fn connected(transport: Transport, to: SocketAddr) -> io::Result<OwnedFd> {
    let (kind, protocol) = match transport {
        Transport::Udp => (Type::DGRAM, Protocol::UDP),
        Transport::Tcp => (Type::STREAM, Protocol::TCP),
    };
    let socket = Socket::new(Domain::for_address(to), kind.nonblocking().cloexec(), Some(protocol))?;
    match socket.connect(&to.into()) {
        Err(e) if e.raw_os_error() != Some(libc::EINPROGRESS) => Err(e),
        _ => Ok(socket.into()),
    }
}
