//! The one writer. A `Command` is checked against the view, promised in the ledger, applied to the kernel, published,
//! and answered; nothing else changes a promise. It speaks no dialect and touches the kernel only through `host`.
//!
//! ```text
//!  caller -> [queue] -> decide -> commit ------> apply the rest -> publish -> reply
//!                       |         apply the marked |
//!                       `--- one batch, one commit -'
//! ```
//! A commit takes 0.3 to 0.5 ms, most of it waiting for the disk, and the kernel's part of an attach 0.6; so they are
//! done side by side (an attach took 1.55 ms before and 1.27 since, where the bare kernel calls take 0.73). What may go
//! ahead of the promise is what a start finds
//! by its mark and takes away when nobody promised it: namespaces of ours, bridges, veth links with their routes,
//! elements, held ports. All that takes something away, all that bears no mark (a redirect or a macvlan link in a
//! runtime's namespace) and all files of volumes wait until the promise is durable; and so does the reply. If the ledger
//! refuses, what was done is undone by the same difference turned round; if the daemon dies, the next start does it.
//!
//! One thread does it all: the kernel's RTNL is one lock, so more threads would add latency and no speed
//! (attach-cost.md section 6), and what waits while a batch is applied shares the next commit. What needs no RTNL, a new
//! sandbox's resolver, another thread makes if somebody waits behind it (`carry_out`).
mod books;
mod boot;
mod carry;
mod change;
mod config;
mod decide;
mod endpoint;
mod ends;
mod events;
mod fights;
mod filters;
mod housekeeping;
mod lock;
mod mounts;
mod network;
mod pools;
mod ports;
mod promises;
mod publish;
mod query;
mod removals;
mod repair;
mod reservation;
mod reserved;
mod sandbox;
mod scope;
#[cfg(test)]
pub(crate) mod spec_tests;
mod undo;
mod update;
mod view;
mod volume;
mod why;
mod writer;

pub use decide::{Settings, event, random_id};
pub use endpoint::HAS_SEAT;
pub use events::Events;
pub use housekeeping::Progress;
pub use view::View;
pub use writer::{Message, Parts};

use crate::{
    error::{Error, Result},
    model::{
        Command, Id, Name, Reply, Volume,
        names::Names,
        reply::{Finding, NamespaceInfo, SystemInfo},
        why::{Attempt, Place},
    },
};
use arc_swap::ArcSwap;
use std::{
    net::{IpAddr, SocketAddr, TcpListener, UdpSocket},
    path::PathBuf,
    sync::{Arc, atomic::AtomicU64, mpsc},
    time::Instant,
};

/// Gets the answer to a call; from any thread, once.
pub type Answer = Box<dyn FnOnce(Result<Reply>) + Send>;

/// Who serves 127.0.0.11 in sandboxes, and knows the host's nameservers.
pub trait Resolvers: Send + Sync {
    fn serve(&self, sandbox: Id, udp: UdpSocket, tcp: TcpListener);
    /// Both sockets are closed when it returns.
    fn stop(&self, sandbox: Id);
    fn nameservers(&self) -> Vec<IpAddr>;
    /// The host's resolv.conf.
    fn resolv_conf(&self) -> String;
}

/// Where volumes have their data.
pub trait Volumes: Send + Sync {
    /// Makes the directories of a volume; one that has them already is fine. A power failure may take them while the volume
    /// is new: the next start makes them again.
    fn create(&self, volume: &Volume) -> Result<()>;
    /// Takes a volume's data away, at once; one that is gone is fine. Before `sync_removed` a power failure may bring it back.
    fn remove(&self, name: &Name) -> Result<()>;
    /// What was removed so far is gone for good.
    fn sync_removed(&self) -> Result<()>;
    /// Mounts a volume with mount options over its data; already mounted is fine. May take long (a dead NFS server).
    fn mount(&self, volume: &Volume) -> Result<()>;
    fn unmount(&self, volume: &Volume) -> Result<()>;
    /// Before a volume is used: a copy into it that was killed in its last step is finished.
    fn settle(&self, volume: &Volume) -> Result<()>;
    /// The source of a bind mount: there, or made if `make`.
    fn bind_source(&self, path: &std::path::Path, make: bool) -> Result<()>;
    /// Bytes on disk. `go_on` is asked now and then.
    fn usage(&self, name: &Name, go_on: &dyn Fn() -> bool) -> Result<u64>;
}

/// What the daemon knows of itself and its surroundings.
pub trait Probe: Send + Sync {
    fn info(&self, view: &View) -> SystemInfo;
    fn doctor(&self, view: &View) -> Vec<Finding>;
    /// Which namespace is served, and which one is at `path`.
    fn namespace(&self, path: Option<&std::path::Path>) -> NamespaceInfo;
    /// What is in a network namespace; None: in the host's own.
    fn place(&self, netns: Option<&std::path::Path>) -> Result<Place>;
    /// Opens a TCP connection from there and closes it at once. May take a second.
    fn attempt(&self, netns: Option<&std::path::Path>, to: SocketAddr) -> Result<Attempt>;
}

/// What everybody else reads: the last published state.
#[derive(Default)]
pub struct Published {
    pub view: ArcSwap<View>,
    pub names: Arc<ArcSwap<Names>>,
    /// What is put right again and again, because another program keeps changing it: for `doctor`.
    pub fights: ArcSwap<Vec<(Instant, String)>>,
    /// Repairs since the start: how often, how many changes they took, and nanoseconds.
    pub repairs: [AtomicU64; 3],
}

/// The way to the writer, shared by all doorways.
#[derive(Clone)]
pub struct Engine {
    queue: mpsc::Sender<Message>,
    pub published: Arc<Published>,
    pub events: Arc<Events>,
    resolvers: Arc<dyn Resolvers>,
    probe: Arc<dyn Probe>,
    volumes: Arc<dyn Volumes>,
    pruning: Arc<housekeeping::Pruning>,
    root: PathBuf,
    settings: Settings,
}

impl Engine {
    /// Starts the writer's thread; returns when the promises are read and the kernel is as they say.
    pub fn start(parts: Parts, probe: Arc<dyn Probe>) -> Result<(Self, std::thread::JoinHandle<()>)> {
        let engine = Engine {
            queue: parts.queue.0.clone(),
            published: parts.published.clone(),
            events: parts.events.clone(),
            resolvers: parts.resolvers.clone(),
            volumes: parts.volumes.clone(),
            pruning: Arc::default(),
            root: parts.root.clone(),
            settings: parts.settings.clone(),
            probe,
        };
        let (ready, started) = mpsc::channel();
        let thread =
            std::thread::Builder::new().name("engine".to_owned()).spawn(move || writer::run(parts, ready));
        let thread = thread.map_err(|error| Error::os("start the engine's thread", &error))?;
        match started.recv() {
            Ok(Ok(())) => Ok((engine, thread)),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(Error::internal("the engine's thread ended while it started")),
        }
    }

    pub fn view(&self) -> Arc<View> {
        self.published.view.load_full()
    }

    /// Does it take long (sizes, many removals)? Then it wants a thread of its own.
    pub fn is_slow(&self, command: &Command) -> bool {
        use Command::*;
        if let SandboxCreate(_) | VolumeMount(_) = command {
            return !self.far_volumes(command).is_empty();
        }
        matches!(
            command,
            SystemDf(_) | SystemDoctor(_) | SystemWhy(_) | SystemDump(_) | VolumePrune(_) | NetworkPrune(_)
        )
    }

    /// Answers at once from the view, or queues for the writer. Slow commands go to `execute`.
    pub fn submit(&self, command: Command, answer: Answer) {
        match self.query(&command) {
            Some(reply) => answer(reply),
            None => {
                if let Err(mpsc::SendError(Message::Call { answer, .. })) =
                    self.queue.send(Message::Call { command, answer })
                {
                    answer(Err(Error::unavailable("the daemon is stopping")));
                }
            }
        }
    }

    /// Does `command` and waits for the answer. Blocks: not for a tokio worker.
    pub fn execute(&self, command: Command, progress: &Progress<'_>) -> Result<Reply> {
        if let Some(reply) = self.housekeeping(&command, progress) {
            return reply;
        }
        let (send, receive) = mpsc::channel();
        self.submit(command, Box::new(move |reply| drop(send.send(reply))));
        receive.recv().unwrap_or_else(|_| Err(Error::unavailable("the daemon is stopping")))
    }

    /// Tells the writer that it is over. With no sandbox left, the kernel is left as it was found.
    pub fn stop(&self) {
        let _ = self.queue.send(Message::Stop);
    }

    fn query(&self, command: &Command) -> Option<Result<Reply>> {
        let (view, root) = (self.view(), &self.root);
        Some(match command {
            Command::NetworkList(filters) => query::networks(&view, filters).map(Reply::Networks),
            Command::NetworkInspect(which) => view
                .find_network(&which.name)
                .map(|network| Reply::Network(Box::new(query::network_info(&view, &network, true)))),
            Command::SandboxList(filters) => query::sandboxes(&view, root, filters).map(Reply::Sandboxes),
            Command::SandboxInspect(which) => view.find_sandbox(&which.name).map(|sandbox| {
                let strict = self.settings.strict_default_bridge;
                let files =
                    crate::plan::files::files(&sandbox, &*view, strict, &self.resolvers.resolv_conf());
                Reply::Sandbox(Box::new(query::sandbox_info(&view, root, &sandbox, Some(files))))
            }),
            Command::PoolList(_) => Ok(Reply::Reservations(query::reservations(&view))),
            Command::VolumeList(filters) => query::volumes(&view, root, filters).map(Reply::Volumes),
            Command::VolumeInspect(which) => view
                .find_volume(&which.name)
                .map(|volume| Reply::Volume(query::volume_info(&view, root, &volume))),
            Command::SystemInfo(_) => Ok(Reply::Info(Box::new(self.probe.info(&view)))),
            Command::SystemNamespace(asked) => {
                Ok(Reply::Namespace(self.probe.namespace(asked.path.as_deref())))
            }
            _ => return None,
        })
    }
}
