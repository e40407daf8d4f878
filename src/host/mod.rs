//! The only room that touches the kernel: netlink, nftables, namespaces, mounts, processes. It knows no promise;
//! it is told what to do and tells what is there.
pub mod fake;
pub mod linux;

use crate::{
    error::Result,
    model::{
        Id, IfName, Subnet,
        kernel::{Item, Op},
        sandbox::Process,
    },
};
use std::{
    net::{TcpListener, UdpSocket},
    path::Path,
};

/// A kernel. Called from one thread, which it may send into other namespaces and always gets home.
pub trait Host: Send {
    /// Carries the operations out, in order. Adding what is there and removing what is gone is fine.
    /// After an error some may be done: the caller removes what it wanted.
    fn apply(&mut self, ops: &[Op]) -> Result<Applied>;

    /// As `apply`, for a caller that has something else to do meanwhile: what a sandbox's resolver needs may still be under
    /// way when it returns. Until `Begun::finish` has, nothing more may be asked of that sandbox. After an error nothing is
    /// under way.
    fn begin(&mut self, ops: &[Op]) -> Result<Begun> {
        self.apply(ops).map(Begun::done)
    }

    /// What is there that bears our mark. `wanted` says in which namespaces to look.
    fn observe(&mut self, wanted: &[Item], extent: Extent) -> Result<Vec<Item>>;

    /// Whether the last `observe` found the tables for elements broken and made them anew, with all wanted ones.
    fn rebuilt(&mut self) -> bool {
        false
    }

    /// From the next `observe` of elements on nobody but us can change our tables, or everybody again, as it always is at
    /// first. False: the kernel knows no such thing.
    fn lock_tables(&mut self, _locked: bool) -> bool {
        false
    }

    /// Waits elsewhere until these links are gone, then calls `done`. Returns at once.
    fn bury(&mut self, leaving: Vec<Leaving>, done: Done);

    /// Prefixes of the host's routes and addresses as they are now: what a new subnet must not collide with.
    fn occupied(&mut self) -> Result<Vec<Subnet>>;

    /// Names of all interfaces of the host. Its cost grows with their number.
    fn interfaces(&mut self) -> Result<Vec<IfName>>;

    fn has_interface(&mut self, name: &IfName) -> Result<bool>;

    /// Inode of the network namespace at `path`; an error if it is none, or the host's own.
    fn namespace(&mut self, path: &Path) -> Result<u64>;

    /// A name for the time since this kernel started, which no later start has (random(4), boot_id).
    fn boot(&mut self) -> Result<String>;

    /// The process with this number, as it can be recognised later. Not found: it is gone.
    fn process(&mut self, pid: u32) -> Result<Process>;

    /// From now on the end of this process, or of the file at this path, is told to whoever started the host.
    fn watch(&mut self, sandbox: Id, sign: Sign) -> Result<()>;
    fn forget(&mut self, sandbox: Id);

    /// Sends SIGTERM, or SIGKILL if `force`. A process that is gone is fine.
    fn end(&mut self, process: Process, force: bool) -> Result<()>;

    /// Takes everything of this instance away and sets what was switched on back.
    fn leave(&mut self) -> Result<()>;
}

/// What to do where another program's firewall drops what sandboxes send and get.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Foreign {
    /// A marked rule of ours, where its owner leaves room for one.
    #[default]
    Open,
    /// `doctor` says so, and nothing else is done.
    Report,
}

/// How far to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// Everything of ours, also what nobody wants.
    All,
    /// Only what is wanted; but all elements if one is. A link whose namespace is not wanted is looked at from the host.
    Wanted,
}

/// What somebody else may have changed, as far as a notice of the kernel tells: where to look.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Suspect {
    /// Something of ours may be there that nobody promised, anywhere.
    Everything,
    /// Notices of links, addresses and routes were lost: it may be any of them, on the host or inside any sandbox.
    Lost,
    /// Something was put right already: it is only to be told.
    Told,
    /// nftables.
    Tables,
    Forwarding,
    /// Mounts of volumes.
    Mounts,
    /// How bridges treat their ports: br_netfilter was switched.
    Ports,
    /// The bridge of a network, and its ports as seen from the host.
    Bridge(Id),
    /// The host end of an endpoint.
    Port(Id),
    /// An endpoint's link, and everything inside its sandbox.
    Link(Id),
}

/// Called once, from any thread.
pub type Done = Box<dyn FnOnce(Result<()>) + Send>;

/// What came of applying.
#[derive(Default)]
pub struct Applied {
    /// Sockets at 127.0.0.11 of sandboxes whose `Resolver` was added.
    pub resolvers: Vec<(Id, UdpSocket, TcpListener)>,
    /// Links that are on their way out: to be handed to `bury`. A bridge that is out of the way already (its name and
    /// subnet free) is not among them: what is left of it goes by itself.
    pub leaving: Vec<Leaving>,
}

/// What was applied, but for what another thread is busy with.
pub struct Begun {
    applied: Applied,
    rest: Vec<Rest>,
}

/// Waits for the sockets of one sandbox.
pub type Rest = Box<dyn FnOnce() -> Result<(Id, UdpSocket, TcpListener)> + Send>;

impl Begun {
    pub fn done(applied: Applied) -> Self {
        Begun { applied, rest: Vec::new() }
    }
    pub fn but_for(applied: Applied, rest: Vec<Rest>) -> Self {
        Begun { applied, rest }
    }

    /// Waits for all of it, also for what comes behind a failure; the first failure is the error.
    pub fn finish(mut self) -> Result<Applied> {
        let all: Vec<_> = self.rest.into_iter().map(|wait| wait()).collect();
        for seat in all {
            self.applied.resolvers.push(seat?);
        }
        Ok(self.applied)
    }
}

/// The host end of a link that is being deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leaving {
    pub index: u32,
    pub name: IfName,
}

/// What tells that a sandbox has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sign {
    Process(Process),
    Path(std::path::PathBuf),
}
