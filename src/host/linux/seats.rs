//! Makes DNS seats on a thread of its own while the engine's thread makes the next sandbox's links; it decides nothing.
//!
//! A seat takes a tenth of a millisecond, an eighth of an attach, and nothing of it needs the RTNL, for which all else of an
//! attach waits. One that nobody waits behind is made where it is wanted: to wake a thread for it would take longer.
use super::{
    attach::{DnsSockets, Seat, resolver_seat},
    namespace::Home,
    tidy_up::Chore,
};
use crate::{
    error::{Error, Result},
    host::Rest,
    model::kernel::Resolver,
};
use std::{
    os::fd::{AsFd, OwnedFd},
    sync::mpsc,
};

/// The thread, which ends with this.
pub struct Seats {
    jobs: mpsc::Sender<Job>,
}

/// A seat that is wanted.
pub struct Wanted {
    pub namespace: OwnedFd,
    pub resolver: Resolver,
    pub adopted: Option<DnsSockets>,
    /// Who closes the redirect's socket, if not the thread itself.
    pub closer: Option<mpsc::Sender<Chore>>,
}

struct Job {
    wanted: Wanted,
    made: mpsc::Sender<Result<DnsSockets>>,
}

impl Seats {
    /// Starts the thread; its home is the calling thread's namespace.
    pub fn start() -> Result<Self> {
        let (home, (jobs, inbox)) = (Home::here()?, mpsc::channel::<Job>());
        let work = move || {
            for Job { wanted, made } in inbox {
                let _ = made.send(make(&home, wanted));
            }
        };
        let thread = std::thread::Builder::new().name("seats".to_owned()).stack_size(256 << 10).spawn(work);
        thread.map_err(|error| Error::os("start the thread of the DNS seats", &error))?;
        Ok(Seats { jobs })
    }

    /// Has a seat made; what it gives waits for that.
    pub fn begin(&self, wanted: Wanted) -> Rest {
        let (sandbox, (made, told)) = (wanted.resolver.sandbox, mpsc::channel());
        // If the thread is gone, nobody tells.
        let _ = self.jobs.send(Job { wanted, made });
        Box::new(move || {
            let lost = || Err(Error::internal("the thread of the DNS seats has ended"));
            told.recv().unwrap_or_else(|_| lost()).map(|(udp, tcp)| (sandbox, udp, tcp))
        })
    }
}

fn make(home: &Home, wanted: Wanted) -> Result<DnsSockets> {
    let Wanted { namespace, resolver, adopted, closer } = wanted;
    let (sockets, redirect): Seat =
        home.enter(namespace.as_fd(), || resolver_seat(&resolver, adopted)).and_then(|seat| seat)?;
    if let Some(closer) = closer {
        let _ = closer.send(Chore::Close(redirect));
    }
    Ok(sockets)
}
