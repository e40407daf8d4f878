//! Deletes bridges that are out of the way already, when the kernel is not needed for anything else.
//!
//! The kernel's `br_multicast_dev_del` waits out a grace period with the RTNL held (16 ms with HZ=250), and again 17 ms
//! without it: a removal that waited for that took 30 ms, and 500 of them 16 s. So a bridge is *retired* first (0.6 ms): no
//! address, down, of another name and mark. From then on its name and its subnet are free. Deleting many as one group does
//! not help: the kernel waits for each, and the RTNL would be held all the time.
use super::super::{
    batch::{Batch, Manner},
    bridge::addresses,
    mark,
    message::{self, Which},
    seen::LinkSeen,
    socket::{Route, explain},
};
use crate::{
    error::Result,
    model::{Id, IfName},
};
use netlink_packet_route::{
    RouteNetlinkMessage,
    link::{LinkAttribute, LinkFlags},
};
use parking_lot::{Condvar, Mutex, MutexGuard};
use std::{
    collections::VecDeque,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

/// With no work for the kernel this long, a bridge is deleted; the next call may have to wait for that.
const QUIET: Duration = Duration::from_millis(20);
/// The only one in so long is deleted at once: whoever looks at `ip link` afterwards does not find it.
const ALONE: Duration = Duration::from_secs(1);
/// Under work without a pause one is deleted all the same when it has waited so long.
const PATIENCE: Duration = Duration::from_secs(5);

/// The retired bridges of one network namespace.
#[derive(Default)]
pub(super) struct Bridges {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    change: Condvar,
}

#[derive(Default)]
struct State {
    /// When each was retired.
    queue: VecDeque<(IfName, Instant)>,
    /// A thread is at work; it ends with the queue.
    working: bool,
    retired: Option<Instant>,
    /// The kernel was last asked for something.
    used: Option<Instant>,
}

impl Bridges {
    /// The kernel is needed now: deletions wait.
    pub(super) fn stand_back(&self) {
        self.shared.state.lock().used = Some(Instant::now());
    }

    /// Takes a bridge that was retired. Called in the namespace where it is.
    pub(super) fn take(&self, name: IfName) -> Result<()> {
        let now = Instant::now();
        let before = self.shared.state.lock().retired.replace(now);
        let alone = before.is_none_or(|before| now - before > ALONE);
        self.queue([name], if alone { None } else { Some(now) })
    }

    /// Those that an earlier daemon left.
    pub(super) fn take_over(&self, names: Vec<IfName>) -> Result<()> {
        self.queue(names, Some(Instant::now()))
    }

    fn queue(&self, names: impl IntoIterator<Item = IfName>, used: Option<Instant>) -> Result<()> {
        let mut state = self.shared.state.lock();
        let now = Instant::now();
        state.queue.extend(names.into_iter().map(|name| (name, now)));
        state.used = used;
        if state.working || state.queue.is_empty() {
            return Ok(());
        }
        let (mut route, shared) = (Route::open()?, self.shared.clone());
        let work = move || {
            while let Some(name) = next(&shared) {
                if let Err(error) = delete(&mut route, &name) {
                    tracing::warn!(%error, "a bridge that was removed lies on the host still");
                }
            }
        };
        let thread = thread::Builder::new().name("bridges".to_owned()).stack_size(128 << 10).spawn(work);
        match thread {
            Ok(_) => state.working = true,
            // It is out of everybody's way; the next removal tries again, and so does the end.
            Err(error) => tracing::warn!(%error, "bridges of removed networks are deleted later"),
        }
        Ok(())
    }

    /// Those that are still there, which are the caller's to delete now, but for the one that is being deleted: it is gone
    /// when this returns.
    pub(super) fn take_back(&self) -> Vec<IfName> {
        let mut state = self.shared.state.lock();
        let left = state.queue.drain(..).map(|(name, _)| name).collect();
        self.shared.change.notify_all();
        while state.working {
            self.shared.change.wait(&mut state);
        }
        left
    }
}

/// Waits for a quiet moment. None: nothing is left, and the thread is over.
fn next(shared: &Shared) -> Option<IfName> {
    let mut state: MutexGuard<'_, State> = shared.state.lock();
    loop {
        let Some((_, since)) = state.queue.front() else {
            state.working = false;
            shared.change.notify_all();
            return None;
        };
        let quiet = state.used.map(|used| (used + QUIET).min(*since + PATIENCE));
        match quiet.filter(|quiet| *quiet > Instant::now()) {
            Some(until) => drop(shared.change.wait_until(&mut state, until)),
            None => return state.queue.pop_front().map(|(name, _)| name),
        }
    }
}

/// By its name, which nobody else has. One that is gone is fine.
fn delete(route: &mut Route, name: &IfName) -> Result<()> {
    let mut batch = Batch::new();
    let request = RouteNetlinkMessage::DelLink(message::link(Which::Name(name), []));
    batch.push(Manner::Plain, request, format!("delete bridge {name}"));
    match route.exchange(&mut batch)?.failures.first() {
        Some(failure) if failure.errno != libc::ENODEV => Err(explain(&batch, failure)),
        _ => Ok(()),
    }
}

/// Takes a bridge of ours out of the way, in one send, and returns its new name. After an error it has the old one still.
pub(super) fn retire(route: &mut Route, instance: &str, network: Id, bridge: &LinkSeen) -> Result<IfName> {
    let gone = IfName::parse(&format!("ptx{:x}", bridge.index))?;
    let mut batch = Batch::new();
    for cidr in addresses(route, bridge.index)? {
        let request = RouteNetlinkMessage::DelAddress(message::address(bridge.index, &cidr));
        batch.push(Manner::Plain, request, format!("take {cidr} from {}", bridge.name));
    }
    let alias = LinkAttribute::IfAlias(mark::gone(network, instance));
    let mut down = message::link(Which::Name(&bridge.name), [alias]);
    down.header.change_mask = LinkFlags::Up;
    batch.push(
        Manner::Plain,
        RouteNetlinkMessage::SetLink(down),
        format!("take bridge {} down", bridge.name),
    );
    // Before Linux 6.2 only a link that is down takes another name.
    let rename = message::set_link(Which::Index(bridge.index), [LinkAttribute::IfName(gone.to_string())]);
    batch.push(Manner::Plain, rename, format!("rename bridge {} to {gone}", bridge.name));
    let (last, outcome) = (batch.len(), route.exchange(&mut batch)?);
    // What went before may fail: an address goes with another one, or with a bridge that somebody deletes meanwhile.
    match outcome.failures.iter().find(|failure| failure.place + 1 == last) {
        Some(failure) if failure.errno != libc::ENODEV => Err(explain(&batch, failure)),
        _ => Ok(gone),
    }
}
