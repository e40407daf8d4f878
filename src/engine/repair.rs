//! Puts the kernel right after somebody else changed it: looks where a notice points, and applies the difference, by the
//! same code as every call. What another program keeps changing is put right less and less often, and that is said.
use super::{
    boot,
    decide::event,
    view::View,
    writer::{Message, Writer},
};
use crate::{
    error::Result,
    host::{Applied, Extent, Suspect},
    model::{
        Id,
        kernel::{Item, Op},
    },
    plan,
};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, atomic::Ordering::Relaxed},
    time::{Duration, Instant},
};

/// The pause after the first repair in a row that is one too many; it doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// So many repairs of one thing in a row, after the same damage, are a fight, and are said to be one.
const FIGHT: u32 = 4;
/// Left alone so long, a thing is at peace again.
const PEACE: Duration = Duration::from_secs(10);

/// Repairs that were done lately, and those that wait.
#[derive(Default)]
pub(super) struct Repairs {
    fights: HashMap<(Suspect, String), Fight>,
    waiting: BTreeMap<Suspect, (Instant, String)>,
}

struct Fight {
    rounds: u32,
    last: Instant,
    pause: Duration,
}

impl Repairs {
    /// When the next one that waits may be done.
    pub fn due(&self) -> Option<Instant> {
        self.waiting.values().map(|(at, _)| *at).min()
    }

    /// Those that may be looked at now; the others wait until their pause is over.
    fn admit(&mut self, suspects: BTreeMap<Suspect, String>, now: Instant) -> BTreeMap<Suspect, String> {
        let mut all: BTreeMap<Suspect, String> = BTreeMap::new();
        let ripe: Vec<Suspect> = self
            .waiting
            .iter()
            .filter(|(_, (at, _))| *at <= now)
            .map(|(suspect, _)| suspect.clone())
            .collect();
        for suspect in ripe {
            all.extend(self.waiting.remove(&suspect).map(|(_, what)| (suspect, what)));
        }
        for (suspect, what) in suspects {
            match self
                .fights
                .get(&(suspect.clone(), damage(&what)))
                .map(|fight| fight.last + fight.pause)
                .filter(|until| *until > now)
            {
                Some(until) => drop(self.waiting.insert(suspect, (until, what))),
                None => drop(all.insert(suspect, what)),
            }
        }
        self.fights.retain(|_, fight| now < fight.last + fight.pause + PEACE);
        all
    }

    /// Something was wrong there and was put right. Some: so often that it is a fight, and the pause until the next time.
    fn count(&mut self, suspect: &Suspect, what: &str, now: Instant) -> Option<Duration> {
        let fight = self.fights.entry((suspect.clone(), damage(what))).or_insert(Fight {
            rounds: 0,
            last: now,
            pause: Duration::ZERO,
        });
        fight.rounds += 1;
        fight.last = now;
        if fight.rounds < FIGHT {
            return None;
        }
        fight.pause = (fight.pause * 2).clamp(FIRST_PAUSE, LONGEST_PAUSE);
        Some(fight.pause)
    }
}

/// What was noticed, without numbers that differ from time to time.
fn damage(what: &str) -> String {
    what.chars().filter(|c| !c.is_ascii_digit()).collect()
}

/// Looks where the messages of this batch point, and where a pause is over.
pub(super) fn repair(writer: &mut Writer, batch: &[Message]) {
    let mut suspects = BTreeMap::new();
    for message in batch {
        if let Message::Drifted { suspects: more } = message {
            suspects.extend(more.clone());
        }
    }
    if suspects.is_empty() && writer.repairs.waiting.is_empty() {
        return;
    }
    let begin = Instant::now();
    let mut suspects = writer.repairs.admit(suspects, begin);
    writer.state.view.sift(&mut suspects);
    if let Some(what) = suspects.remove(&Suspect::Told) {
        let name = writer.state.settings.instance.clone();
        writer.events.publish(event(&(writer.clock)(), "daemon", "repair", &name, &name, &what));
    }
    if !suspects.is_empty() {
        look(writer, suspects, begin);
    }
}

/// Looks at everything, whatever may be waiting.
pub(super) fn everything(writer: &mut Writer, cause: &str) {
    look(writer, [(Suspect::Everything, cause.to_owned())].into(), Instant::now());
}

fn look(writer: &mut Writer, suspects: BTreeMap<Suspect, String>, begin: Instant) {
    let wanted = wanted(writer, &suspects);
    let extent = if suspects.contains_key(&Suspect::Everything) { Extent::All } else { Extent::Wanted };
    let keep = |op: &Op| extent == Extent::All || !matches!(op, Op::Remove(item) if !is_element(item));
    match reconcile(writer, wanted, extent, keep) {
        Ok(done) if done.is_nothing() => {}
        Ok(done) => {
            tell(writer, &suspects, &done);
            count(writer, &suspects, &done, begin);
        }
        Err(error) => {
            tracing::error!(%error, noticed = said(&suspects), "what others changed could not be put right");
            for (suspect, what) in &suspects {
                let _ = writer.repairs.count(suspect, what, begin);
            }
            let waiting = suspects.into_iter().map(|(suspect, what)| (suspect, (begin + PEACE, what)));
            writer.repairs.waiting.extend(waiting);
        }
    }
}

fn is_element(item: &Item) -> bool {
    matches!(item, Item::Element(_))
}

/// What should stand where the suspects point.
fn wanted(writer: &Writer, suspects: &BTreeMap<Suspect, String>) -> Vec<Item> {
    if suspects.contains_key(&Suspect::Everything) {
        return boot::wanted(writer);
    }
    let view = &writer.state.view;
    let one = |suspect: &Suspect| matches!(suspect, Suspect::Bridge(_) | Suspect::Port(_) | Suspect::Link(_));
    let whole = !suspects.keys().all(one);
    let mut items: BTreeSet<Item> = BTreeSet::new();
    if whole {
        let fits = |item: &Item| suspects.keys().any(|suspect| concerns(suspect, item));
        items.extend(boot::wanted(writer).into_iter().filter(fits));
    }
    for suspect in suspects.keys() {
        match suspect {
            Suspect::Bridge(network) => items.extend(bridge_and_ports(writer, *network)),
            Suspect::Link(endpoint) => {
                let sandbox = view.seated(*endpoint).into_iter();
                let inside = |item: &Item| {
                    matches!(item, Item::Namespace(_) | Item::Link(_) | Item::Routes(_) | Item::Shaper(_))
                };
                items.extend(sandbox.flat_map(|s| plan::sandbox::items(s, view, false)).filter(inside));
            }
            Suspect::Port(endpoint) => {
                let sandbox = view.seated(*endpoint).into_iter();
                let port = |item: &Item| match item {
                    Item::Link(link) => link.endpoint == *endpoint,
                    Item::Shaper(shaper) => shaper.endpoint == *endpoint,
                    _ => false,
                };
                items.extend(sandbox.flat_map(|s| plan::sandbox::items(s, view, false)).filter(port));
            }
            _ => {}
        }
    }
    items.into_iter().collect()
}

/// The items that a suspicion about all of a kind is about.
fn concerns(suspect: &Suspect, item: &Item) -> bool {
    match suspect {
        Suspect::Tables => is_element(item),
        Suspect::Forwarding => matches!(item, Item::Forwarding(_)),
        Suspect::Mounts => matches!(item, Item::VolumeMount(_)),
        Suspect::Ports => matches!(item, Item::Link(_)),
        Suspect::Everything | Suspect::Told | Suspect::Bridge(_) | Suspect::Port(_) | Suspect::Link(_) => {
            false
        }
    }
}

fn bridge_and_ports(writer: &Writer, network: Id) -> Vec<Item> {
    let view = &writer.state.view;
    let Some(network) = view.networks.get(&network) else { return Vec::new() };
    let mut items = plan::network::items(network);
    items.retain(|item| matches!(item, Item::Bridge(_)));
    for sandbox in view.members(network.id) {
        let seats: BTreeSet<Id> =
            sandbox.endpoints.iter().filter(|seat| seat.network == network.id).map(|seat| seat.id).collect();
        let links = plan::sandbox::items(&sandbox, view, false).into_iter();
        items.extend(links.filter(|item| matches!(item, Item::Link(link) if seats.contains(&link.endpoint))));
    }
    items
}

/// What a repair did.
#[derive(Default)]
pub(super) struct Done {
    ops: Vec<Op>,
    rebuilt: bool,
}

impl Done {
    fn is_nothing(&self) -> bool {
        self.ops.is_empty() && !self.rebuilt
    }
}

/// Observes, compares, applies what `keep` says. If it cannot be done as a whole it is done piece by piece, and what
/// fails is said.
pub(super) fn reconcile(
    writer: &mut Writer,
    wanted: Vec<Item>,
    extent: Extent,
    keep: impl Fn(&Op) -> bool,
) -> Result<Done> {
    let found = writer.host.observe(&wanted, extent)?;
    let rebuilt = writer.host.rebuilt();
    let mut ops = plan::diff::diff(found, wanted);
    // Its runtime has it, or has let it go with its namespace: a second one would lie on the host for ever.
    let handed = |op: &Op| matches!(op, Op::Add(Item::Link(link)) if link.kind.is_handed());
    let gone: BTreeSet<Id> = ops.iter().filter(|op| handed(op)).filter_map(endpoint).collect();
    ops.retain(|op| keep(op) && !handed(op) && !endpoint(op).is_some_and(|seat| gone.contains(&seat)));
    let applied = match writer.host.apply(&ops) {
        Ok(applied) => vec![applied],
        Err(error) => {
            tracing::warn!(%error, "the kernel could not be put right in one go, trying piece by piece");
            piece_by_piece(writer, &ops)
        }
    };
    for applied in applied {
        applied.resolvers.into_iter().for_each(|(id, udp, tcp)| writer.resolvers.serve(id, udp, tcp));
        if !applied.leaving.is_empty() {
            writer.host.bury(applied.leaving, Box::new(|_| {}));
        }
    }
    Ok(Done { ops, rebuilt })
}

/// Whose link or limits are to be made.
fn endpoint(op: &Op) -> Option<Id> {
    match op {
        Op::Add(Item::Link(link)) => Some(link.endpoint),
        Op::Add(Item::Shaper(shaper)) => Some(shaper.endpoint),
        _ => None,
    }
}

fn piece_by_piece(writer: &mut Writer, ops: &[Op]) -> Vec<Applied> {
    let mut applied = Vec::new();
    for op in ops {
        match writer.host.apply(std::slice::from_ref(op)) {
            Ok(one) => applied.push(one),
            Err(error) => tracing::error!(?op, %error, "promised, but it cannot be done now"),
        }
    }
    applied
}

fn said(suspects: &BTreeMap<Suspect, String>) -> String {
    const SHOWN: usize = 3;
    let mut words: Vec<&str> = suspects.values().map(String::as_str).collect();
    words.dedup();
    match words.len() {
        n if n > SHOWN => format!("{} and {} more", words[..SHOWN].join("; "), n - SHOWN),
        _ => words.join("; "),
    }
}

/// One event: what was noticed, and what was done. About the one network or sandbox that it concerns, else the daemon.
fn tell(writer: &mut Writer, suspects: &BTreeMap<Suspect, String>, done: &Done) {
    let view = &writer.state.view;
    let instance = &writer.state.settings.instance;
    let (object, id, name) = about(view, &done.ops).unwrap_or(("daemon", instance.clone(), instance.clone()));
    let mut words = plan::words::done(&done.ops);
    if done.rebuilt {
        words.insert(0, "our nftables tables were made anew".to_owned());
    }
    let cause = format!("{}: {}", said(suspects), words.join(", "));
    let now = (writer.clock)();
    let mut event = event(&now, object, "repair", id, name, &cause);
    event.attributes.insert("changes".to_owned(), (done.ops.len() + usize::from(done.rebuilt)).to_string());
    writer.events.publish(event);
}

fn about(view: &View, ops: &[Op]) -> Option<(&'static str, String, String)> {
    let mut networks = BTreeSet::new();
    let mut sandboxes = BTreeSet::new();
    for op in ops {
        match item(op) {
            Item::Bridge(bridge) => drop(networks.insert(bridge.network)),
            Item::Link(link) => drop(sandboxes.insert(link.sandbox)),
            Item::Routes(routes) => drop(sandboxes.insert(routes.sandbox)),
            Item::Shaper(shaper) => drop(sandboxes.insert(shaper.sandbox)),
            _ => return None,
        }
    }
    match (networks.first(), sandboxes.first()) {
        (Some(id), _) if networks.len() == 1 => {
            view.networks.get(id).map(|n| ("network", id.to_string(), n.name.to_string()))
        }
        (None, Some(id)) if sandboxes.len() == 1 => {
            view.sandboxes.get(id).map(|s| ("sandbox", id.to_string(), s.name.to_string()))
        }
        _ => None,
    }
}

fn item(op: &Op) -> &Item {
    match op {
        Op::Add(item) | Op::Change(_, item) | Op::Remove(item) => item,
    }
}

/// Counts the suspects that were right, and says so when it has become a fight.
fn count(writer: &mut Writer, suspects: &BTreeMap<Suspect, String>, done: &Done, begin: Instant) {
    let now = Instant::now();
    let [times, changes, nanoseconds] = &writer.published.repairs;
    times.fetch_add(1, Relaxed);
    changes.fetch_add(done.ops.len() as u64, Relaxed);
    nanoseconds.fetch_add((now - begin).as_nanos() as u64, Relaxed);
    let mut fights = Vec::new();
    for (suspect, what) in suspects {
        if let Some(pause) = writer.repairs.count(suspect, what, now) {
            fights.push(format!(
                "{what}: again and again, it is put right every {} s now",
                pause.as_secs_f32()
            ));
        }
    }
    if !fights.is_empty() {
        let name = writer.state.settings.instance.clone();
        let told = event(&(writer.clock)(), "daemon", "fight", &name, &name, &fights.join("; "));
        writer.events.publish(told);
        tracing::warn!(fights = fights.join("; "), "another program keeps changing what is ours");
        writer.published.fights.store(Arc::new(fights.into_iter().map(|fight| (now, fight)).collect()));
    }
}
