//! Notices when somebody else changes what is ours in the kernel, by subscription, and says what it may be. It repairs
//! nothing and knows no promise: whether something is really wrong is found out by looking.
//!
//! One thread for everything: nftables events, links, addresses and routes of the host and of all sandboxes, switches
//! below /proc/sys/net, mounts. It wakes at the first notice and reads what has come a little later, all at once: our
//! own changes cost it next to nothing then, however many they are.
mod links;
mod mounts;
mod switches;

pub use mounts::{Bell, Mounts};

use super::{
    foreign::Keeper,
    netlink::{LinkSeen, listen::Ear},
    nft::{Notice, Watch},
};
use crate::{
    error::{Error, Result},
    host::Suspect,
};
use links::Links;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::{
    collections::BTreeMap,
    os::fd::AsFd,
    time::{Duration, Instant},
};
use switches::Switches;

/// Told what may have drifted, and what was noticed of it.
pub type Drifted = Box<dyn Fn(BTreeMap<Suspect, String>) + Send>;

/// A flush or the end of a bridge comes as many notices: what follows within this time belongs together.
const GATHER: Duration = Duration::from_millis(5);
/// Pause after a source of notices that cannot be read.
const TROUBLE: Duration = Duration::from_secs(1);

/// What the thread listens with.
struct Listener {
    instance: String,
    /// Port number of the socket that we change nftables with.
    own: u32,
    tables: Watch,
    ear: Ear,
    links: Links,
    switches: Switches,
    keeper: Keeper,
    mounts: Mounts,
    drifted: Drifted,
}

/// Starts the thread, in the calling thread's namespace. `heard`: its ear, and all links as they were when it was open already,
/// so that nothing falls in between. `own` is the port number of the socket that we change the
/// tables with.
pub fn start(
    instance: &str,
    (ear, seen): (Ear, &[LinkSeen]),
    own: u32,
    mounts: Mounts,
    keeper: Keeper,
    drifted: Drifted,
) -> Result<()> {
    let tables = Watch::open(instance)?;
    let (mut links, mut switches) = (Links::default(), Switches::open()?);
    links.among(seen, instance, &mut switches);
    let instance = instance.to_owned();
    let mut listener = Listener { instance, own, tables, ear, links, switches, keeper, mounts, drifted };
    let thread = std::thread::Builder::new().name("drift".to_owned()).stack_size(256 << 10);
    let thread = thread.spawn(move || {
        loop {
            listener.round();
        }
    });
    thread.map(drop).map_err(|error| Error::os("start the thread that notices drift", &error))
}

impl Listener {
    fn round(&mut self) {
        let mut ready = [
            PollFd::new(self.tables.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.ear.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.switches.as_fd(), PollFlags::POLLIN),
            self.mounts.poll(),
        ];
        let mut suspects = BTreeMap::new();
        let wait = self.keeper.due().map(|due| due.saturating_duration_since(Instant::now()));
        let wait = wait.map_or(PollTimeout::NONE, |wait| {
            PollTimeout::try_from(wait + Duration::from_millis(1)).unwrap_or(PollTimeout::MAX)
        });
        if poll(&mut ready, wait).is_err() {
            return;
        }
        let mounts = ready[3].any() == Some(true);
        std::thread::sleep(GATHER);
        let heard = [
            self.hear_tables(&mut suspects),
            self.hear_links(&mut suspects),
            self.switches.heard(&mut suspects),
        ];
        if let Some(what) = self.keeper.keep() {
            note(&mut suspects, Suspect::Told, what);
        }
        if mounts {
            self.mounts.look(&mut suspects);
        }
        if !suspects.is_empty() {
            (self.drifted)(suspects);
        }
        if let Some(error) = heard.into_iter().find_map(Result::err) {
            tracing::warn!(%error, "what others change in the kernel may be noticed late");
            std::thread::sleep(TROUBLE);
        }
    }

    /// Who did what to our tables, if it was not us.
    fn hear_tables(&mut self, suspects: &mut BTreeMap<Suspect, String>) -> Result<()> {
        for notice in self.tables.heard()? {
            if matches!(notice, Notice::Commit { foreign: true, .. } | Notice::Lost) {
                self.keeper.changed();
            }
            let what = match notice {
                Notice::Commit { author, touched, name, thread, .. }
                    if author != self.own && touched.any() =>
                {
                    format!("{name} (thread {thread}) changed our nftables tables")
                }
                Notice::Commit { .. } => continue,
                Notice::Lost => "nftables events were lost".to_owned(),
            };
            note(suspects, Suspect::Tables, what);
        }
        Ok(())
    }

    fn hear_links(&mut self, suspects: &mut BTreeMap<Suspect, String>) -> Result<()> {
        for heard in self.ear.heard()? {
            if self.links.hear(heard, &self.instance, &mut self.switches, suspects) {
                self.links.look(&self.instance, &mut self.switches)?;
                note(suspects, Suspect::Lost, "notices of links and routes were lost".to_owned());
            }
        }
        Ok(())
    }
}

/// Adds what was noticed to what is known of a suspect already.
fn note(suspects: &mut BTreeMap<Suspect, String>, suspect: Suspect, what: impl Into<String>) {
    /// Bytes that are kept of a suspect.
    const ENOUGH: usize = 200;
    let (what, known) = (what.into(), suspects.entry(suspect).or_default());
    if known.is_empty() {
        *known = what;
    } else if known.len() < ENOUGH && !known.contains(&what) {
        *known += "; ";
        *known += &what;
    }
}
