//! The real kernel behind the `Host` trait: the sockets kept open, and what is held in this process.
use super::{
    apply, drift, facts,
    foreign::Keeper,
    hold::Holds,
    namespace::{self, Home, Opener, Transport},
    netlink::{self, Route, reaper::Reaper},
    nft::Nft,
    observe, process,
    seats::Seats,
    tidy_up,
    watch::Watch,
};
use crate::{
    error::{Error, Result},
    host::{Applied, Begun, Done, Extent, Foreign, Host, Leaving, Rest, Sign},
    model::{
        Id, IfName, Subnet,
        kernel::{Item, Op},
        sandbox::Process,
    },
};
use parking_lot::Mutex;
use std::{
    collections::{HashMap, HashSet},
    io,
    net::{SocketAddr, TcpListener, UdpSocket},
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::{Path, PathBuf},
    sync::{Arc, atomic::AtomicBool},
};

/// Namespaces of sandboxes, held open; shared with whoever opens sockets in them.
pub type Namespaces = Arc<Mutex<HashMap<Id, OwnedFd>>>;

/// UDP and TCP sockets at 127.0.0.11 inside sandboxes.
pub type Adopted = Arc<Mutex<HashMap<Id, (UdpSocket, TcpListener)>>>;

/// One instance's part of this host.
pub struct Linux {
    pub(super) instance: String,
    pub(super) run: PathBuf,
    pub(super) home: Home,
    pub(super) route: Route,
    pub(super) nft: Nft,
    pub(super) holds: Arc<Holds>,
    /// DNS sockets of the daemon before, to be used instead of new ones.
    pub(super) adopted: Adopted,
    pub(super) reaper: Reaper,
    pub(super) watch: Watch,
    pub(super) namespaces: Namespaces,
    /// Sandboxes whose resolver this process made.
    pub(super) resolving: HashSet<Id>,
    pub(super) volumes: Arc<dyn MountVolumes>,
    /// With br_netfilter a sandbox reaches its own published port only if its bridge port may send back what came
    /// through it (nft-layout.md section 5).
    pub(super) hairpin: bool,
    /// The last look found our tables broken and made them anew.
    pub(super) rebuilt: bool,
    /// Connections may have begun while our tables were gone.
    pub(super) unjudged: bool,
    /// Rung when a volume is mounted.
    pub(super) mounting: Arc<drift::Bell>,
    /// Everything of ours is being taken away: nothing is put back any more.
    pub(super) left: Arc<AtomicBool>,
    pub(super) sweep: std::sync::mpsc::Sender<tidy_up::Chore>,
    /// Makes seats while we go on; none before there was something to go on with.
    pub(super) seats: Option<Seats>,
    /// Seats that are being made for `begin`.
    pub(super) rest: Option<Vec<Rest>>,
    /// When a redirect was last taken out of a namespace that stays.
    pub(super) parted: Option<std::time::Instant>,
}

/// Who mounts volumes that have mount options.
pub trait MountVolumes: Send + Sync {
    fn mount(&self, mount: &crate::model::kernel::VolumeMount) -> Result<()>;
    fn unmount(&self, volume: &str) -> Result<()>;
    /// Volumes over whose data something is mounted.
    fn mounted(&self) -> Vec<String>;
}

impl Linux {
    /// Opens everything in the calling thread's namespace. `run` is the daemon's run folder, `ended` is told which
    /// sandbox has ended, `drifted` that somebody changed what is ours.
    pub fn open(
        instance: &str,
        run: &Path,
        volumes: Arc<dyn MountVolumes>,
        ended: Box<dyn Fn(Id) + Send>,
        foreign: Foreign,
        drifted: drift::Drifted,
    ) -> Result<Self> {
        namespace::prepare_folder(&run.join("netns"))?;
        let (ear, mut route) = (netlink::listen::Ear::open()?, Route::open()?);
        // Once for all who want to know: for each veth the kernel looks for its peer's namespace among all that have a number
        // (peernet2id), so that a list of 5,000 takes it 0.2 s.
        let links = netlink::observe::links(&mut route)?;
        let mut linux = Linux {
            instance: instance.to_owned(),
            run: run.to_owned(),
            home: Home::here()?,
            route,
            nft: Nft::open(instance)?,
            holds: Arc::new(Holds::start()?),
            adopted: Adopted::default(),
            reaper: Reaper::among(instance, &links)?,
            watch: Watch::start(ended)?,
            namespaces: Namespaces::default(),
            resolving: HashSet::new(),
            volumes,
            hairpin: br_netfilter(),
            rebuilt: false,
            unjudged: false,
            mounting: Arc::new(drift::Bell::new()?),
            left: Arc::default(),
            sweep: tidy_up::sweeper(instance)?,
            seats: None,
            rest: None,
            parted: None,
        };
        linux.nft.keep_translating()?;
        if linux.nft.elements()?.is_none() {
            linux.rebuild(&[])?;
        }
        let mounts = drift::Mounts::open(linux.volumes.clone(), linux.mounting.clone())?;
        let keeper = Keeper::open(instance, foreign, linux.left.clone())?;
        drift::start(instance, (ear, &links), linux.nft.port_id(), mounts, keeper, drifted)?;
        Ok(linux)
    }

    /// The ports held, which may outlive this.
    pub fn holds(&self) -> Arc<Holds> {
        self.holds.clone()
    }

    /// Where to put DNS sockets that sandboxes have already: each is taken from there when its resolver is added.
    pub fn adopted(&self) -> Adopted {
        self.adopted.clone()
    }

    /// The way to open sockets, for DNS upstreams.
    pub fn sockets(&self) -> Result<Sockets> {
        Ok(Sockets { namespaces: self.namespaces.clone(), opener: Opener::start()? })
    }
}

/// Do packets that are only bridged pass the hooks of IP in this namespace?
pub(super) fn br_netfilter() -> bool {
    let on = |family: &str| std::fs::read_to_string(format!("/proc/sys/net/bridge/bridge-nf-call-{family}"));
    ["iptables", "ip6tables"].iter().any(|family| on(family).is_ok_and(|value| value.trim() == "1"))
}

/// Do bridged packets of both families pass the forward chain? Then `apart` there keeps neighbours apart; an isolated port
/// would as well, but br_netfilter redirects a published port's packets within the bridge, where isolation drops them.
pub(super) fn bridged_packets_are_filtered() -> bool {
    let on = |family: &str| std::fs::read_to_string(format!("/proc/sys/net/bridge/bridge-nf-call-{family}"));
    ["iptables", "ip6tables"].iter().all(|family| on(family).is_ok_and(|value| value.trim() == "1"))
}

impl Host for Linux {
    fn apply(&mut self, ops: &[Op]) -> Result<Applied> {
        let applied = apply::apply(self, ops);
        // Not before the elements are there, by which they will be judged.
        if std::mem::take(&mut self.unjudged) {
            let _ = self.sweep.send(tidy_up::Chore::JudgeAgain);
        }
        applied
    }

    fn begin(&mut self, ops: &[Op]) -> Result<Begun> {
        self.rest = Some(Vec::new());
        let applied = self.apply(ops);
        let rest = self.rest.take().unwrap_or_default();
        match applied {
            Ok(applied) => Ok(Begun::but_for(applied, rest)),
            Err(error) => {
                // Whoever takes away what there is does not meet the other thread.
                let _ = Begun::but_for(Applied::default(), rest).finish();
                Err(error)
            }
        }
    }

    fn observe(&mut self, wanted: &[Item], extent: Extent) -> Result<Vec<Item>> {
        observe::observe(self, wanted, extent)
    }

    fn rebuilt(&mut self) -> bool {
        std::mem::take(&mut self.rebuilt)
    }

    fn lock_tables(&mut self, locked: bool) -> bool {
        self.nft.lock(locked)
    }

    fn bury(&mut self, leaving: Vec<Leaving>, done: Done) {
        let waiting = Arc::new(Mutex::new((leaving.len(), Some(done), Ok(()))));
        for Leaving { index, name } in leaving {
            let waiting = waiting.clone();
            let gone = move |result: Result<()>| {
                let mut waiting = waiting.lock();
                waiting.0 -= 1;
                if result.is_err() {
                    waiting.2 = result;
                }
                if waiting.0 == 0
                    && let Some(done) = waiting.1.take()
                {
                    done(std::mem::replace(&mut waiting.2, Ok(())));
                }
            };
            self.reaper.bury(index, name, Box::new(gone));
        }
    }

    fn occupied(&mut self) -> Result<Vec<Subnet>> {
        facts::occupied(&mut self.route)
    }

    fn interfaces(&mut self) -> Result<Vec<IfName>> {
        Ok(netlink::observe::links(&mut self.route)?.into_iter().map(|link| link.name).collect())
    }

    fn has_interface(&mut self, name: &IfName) -> Result<bool> {
        Ok(self.route.index(name)?.is_some())
    }

    fn namespace(&mut self, path: &Path) -> Result<u64> {
        let namespace = namespace::open(path, &self.home)?;
        Ok(namespace::identity(namespace.as_fd())?.inode)
    }

    fn boot(&mut self) -> Result<String> {
        process::boot()
    }

    fn process(&mut self, pid: u32) -> Result<Process> {
        process::find(pid)
    }

    fn watch(&mut self, sandbox: Id, sign: Sign) -> Result<()> {
        match sign {
            Sign::Process(process) => self.watch.pid(sandbox, process.pid as i32),
            Sign::Path(path) => self.watch.path(sandbox, &path),
        }
    }

    fn forget(&mut self, sandbox: Id) {
        self.watch.forget(sandbox);
    }

    fn end(&mut self, process: Process, force: bool) -> Result<()> {
        process::end(process, force)
    }

    fn leave(&mut self) -> Result<()> {
        tidy_up::leave(self)
    }
}

/// Opens sockets for DNS upstreams, on the host or inside a sandbox.
pub struct Sockets {
    namespaces: Namespaces,
    opener: Opener,
}

impl Sockets {
    /// For sandboxes in each of which somebody has a socket already.
    pub fn beside<'a>(sockets: impl Iterator<Item = (Id, BorrowedFd<'a>)>) -> Result<Self> {
        let found =
            sockets.filter_map(|(sandbox, socket)| Some((sandbox, namespace::of_socket(socket).ok()?)));
        let namespaces = Arc::new(Mutex::new(found.collect()));
        Ok(Sockets { namespaces, opener: Opener::start()? })
    }

    /// A non-blocking socket connected to `to`; in the sandbox's namespace if one is named.
    pub fn open(&self, sandbox: Option<Id>, transport: Transport, to: SocketAddr) -> io::Result<OwnedFd> {
        // The DNS thread asks for these itself, and stays at home.
        let Some(id) = sandbox else { return namespace::connected(transport, to) };
        let gone = || io::Error::other(Error::not_found("the sandbox is gone"));
        let namespace = self.namespaces.lock().get(&id).ok_or_else(gone)?.try_clone()?;
        self.opener.open_in(namespace.as_fd(), transport, to)
    }
}
