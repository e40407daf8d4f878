//! Deletes host ends and says at once when each is gone; it never deletes a link that was not handed to it or bears
//! another mark.
//!
//! Deleting a link returns after 20 ms of grace period, but the link is gone, and RTM_DELLINK heard, after about 1.2 ms
//! (attach-cost.md, section 4). So several threads wait out the grace periods while a listener tells who is gone. What has
//! come in meanwhile is marked with a link group of ours and deleted in one go, at most `AT_ONCE` links, because the
//! RTNL is held 0.5 ms for each; one such batch at a time, so that an attach gets its turn in between.
mod bridges;
mod dig;
mod hear;

use super::{
    batch::Batch,
    batch::Manner,
    mark::{self, Mark},
    message, observe,
    seen::LinkSeen,
    socket::Route,
};
use crate::{
    error::{Error, Result},
    model::{Id, IfName},
};
use netlink_packet_route::{
    RouteNetlinkMessage,
    link::{LinkAttribute, LinkMessage},
};
use parking_lot::{Condvar, Mutex};
use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

/// Most links in one deletion.
const AT_ONCE: usize = 16;
/// Threads that wait out grace periods of 20 ms, each but the first started when all others do: at one detach every
/// 1.3 ms none waits for a thread.
const DIGGERS: usize = 16;
/// A burial that takes longer is reported as failed.
const LIMIT: Duration = Duration::from_secs(5);

/// Told once when the link is gone, or why not. Runs on the reaper's threads: hand it on, do not work.
pub type Done = Box<dyn FnOnce(Result<()>) + Send>;

/// The reaper of one network namespace. Dropping it lets it finish what it was given.
pub struct Reaper {
    instance: String,
    shared: Arc<Shared>,
    bridges: bridges::Bridges,
}

struct Shared {
    group: u32,
    state: Mutex<State>,
    work: Condvar,
    /// Written when the first burial is waited for, and at the end.
    bell: hear::Bell,
}

#[derive(Default)]
struct State {
    queue: VecDeque<(u32, IfName)>,
    waiting: HashMap<u32, Waiting>,
    /// Indexes of the batch that is being deleted and not yet gone.
    digging: HashSet<u32>,
    /// Threads that delete, and those of them that wait for work.
    diggers: usize,
    idle: usize,
    closed: bool,
}

struct Waiting {
    name: IfName,
    since: Instant,
    done: Vec<Done>,
}

impl Reaper {
    /// Starts in the calling thread's network namespace, and sweeps what an earlier one of this instance left marked.
    pub fn start(instance: &str) -> Result<Self> {
        let links = observe::links(&mut Route::open()?)?;
        Self::among(instance, &links)
    }

    /// The same, when all links are known already.
    pub fn among(instance: &str, links: &[LinkSeen]) -> Result<Self> {
        let mut route = Route::open()?;
        let group = choose_group(links, instance)?;
        sweep(&mut route, group)?;
        let ear = hear::Ear::open()?;
        let shared = Arc::new(Shared {
            group,
            state: Mutex::default(),
            work: Condvar::new(),
            bell: hear::Bell::new()?,
        });
        let (instance, bridges) = (instance.to_owned(), bridges::Bridges::default());
        let gone = |link: &LinkSeen| link.alias.as_deref().is_some_and(|a| mark::is_gone(a, &instance));
        let left = links.iter().filter(|link| link.group != group && gone(link));
        bridges.take_over(left.map(|link| link.name.clone()).collect())?;
        let reaper = Reaper { instance, shared: shared.clone(), bridges };
        spawn("pontoon-gone", move || hear::listen(&shared, &ear))?;
        // One is always there: a sandbox has to go also when the system starts no more threads.
        reaper.dig(&mut reaper.shared.state.lock())?;
        Ok(reaper)
    }

    /// One more thread that deletes, if none is free and there may be more.
    fn dig(&self, state: &mut State) -> Result<()> {
        if state.idle > 0 || state.diggers >= DIGGERS {
            return Ok(());
        }
        let (shared, route) = (self.shared.clone(), Route::open()?);
        spawn("pontoon-reaper", move || dig::work(&shared, route))?;
        state.diggers += 1;
        Ok(())
    }

    /// Has the host end `index`, named `name`, deleted, and its peer with it. A link that is gone already is `Ok`.
    pub fn bury(&self, index: u32, name: IfName, done: Done) {
        let mut state = self.shared.state.lock();
        let first = state.waiting.is_empty();
        match state.waiting.get_mut(&index) {
            Some(waiting) => waiting.done.push(done),
            None => {
                let waiting = Waiting { name: name.clone(), since: Instant::now(), done: vec![done] };
                state.waiting.insert(index, waiting);
                state.queue.push_back((index, name));
            }
        }
        if let Err(error) = self.dig(&mut state) {
            // One is always there, and it is done later.
            tracing::warn!(%error, "links are deleted more slowly");
        }
        drop(state);
        self.shared.work.notify_one();
        if first {
            self.shared.bell.ring();
        }
    }

    /// Takes the network's bridge, with our mark, out of the way: its name, its addresses and its subnet are free when this
    /// returns. It is deleted when there is time. After an error it stands under its name.
    pub fn retire(&self, route: &mut Route, network: Id, bridge: &LinkSeen) -> Result<()> {
        let gone = bridges::retire(route, &self.instance, network, bridge)?;
        self.bridges.take(gone)
    }

    /// The kernel is about to be asked for something that a caller waits for.
    pub fn stand_back(&self) {
        self.bridges.stand_back();
    }

    /// Deletes the bridges that are out of the way, here and now: 16 ms each.
    pub fn clear(&self, route: &mut Route) -> Result<()> {
        let names = self.bridges.take_back();
        names.chunks(AT_ONCE).try_for_each(|names| dig::delete_group_of(route, self.shared.group, names))
    }
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<()> {
    let thread = thread::Builder::new().name(name.to_owned()).stack_size(128 << 10).spawn(work);
    thread.map(drop).map_err(|e| Error::os(format!("start the thread {name}"), &e))
}

impl Drop for Reaper {
    fn drop(&mut self) {
        self.shared.state.lock().closed = true;
        self.shared.work.notify_all();
        self.shared.bell.ring();
    }
}

impl Shared {
    /// The link is out of the way; tells whoever waited. Whoever comes second finds nobody.
    fn finish(&self, index: u32, outcome: Result<()>) {
        let mut state = self.state.lock();
        let waiting = state.waiting.remove(&index);
        let free = state.digging.remove(&index) && state.digging.is_empty();
        drop(state);
        if free {
            self.work.notify_one();
        }
        for done in waiting.into_iter().flat_map(|w| w.done) {
            done(outcome.clone());
        }
    }
}

/// A number from the instance's name that no link but marked ones of ours has (the deletion takes a whole group).
pub(super) fn choose_group(links: &[LinkSeen], instance: &str) -> Result<u32> {
    let ours = |alias: &Option<String>| {
        alias.as_deref().is_some_and(|a| {
            let link = matches!(Mark::parse(a, instance), Some(Mark::Endpoint(_) | Mark::Shaper(_)));
            link || mark::is_gone(a, instance)
        })
    };
    // FNV-1a (RFC 9923), 28 bits of it, below 0x60000000 and far from LINK_GROUP.
    let hash = instance.bytes().fold(0x811c_9dc5_u32, |h, b| (h ^ u32::from(b)).wrapping_mul(0x0100_0193));
    let first = 0x5000_0000 | (hash & 0x0fff_fff0) | 0x8000;
    (first..first + 16)
        .find(|group| links.iter().filter(|link| link.group == *group).all(|link| ours(&link.alias)))
        .ok_or_else(|| Error::conflict(format!("link groups {first:#x} to {:#x} are in use", first + 15)))
}

fn sweep(route: &mut Route, group: u32) -> Result<()> {
    let mut batch = Batch::new();
    batch.push(Manner::Plain, delete_group(group), "sweep left-over host ends");
    match route.exchange(&mut batch)?.failures.first() {
        Some(failure) if failure.errno != libc::ENODEV => Err(super::socket::explain(&batch, failure)),
        _ => Ok(()),
    }
}

fn delete_group(group: u32) -> RouteNetlinkMessage {
    let mut message = LinkMessage::default();
    message.attributes.push(LinkAttribute::Group(group));
    RouteNetlinkMessage::DelLink(message)
}

fn mark(name: &IfName, group: u32) -> RouteNetlinkMessage {
    message::set_link(message::Which::Name(name), [LinkAttribute::Group(group)])
}
