//! Puts the kernel right after somebody else changed it: looks where a notice points, and applies the difference, by the
//! same code as every call. What another program keeps changing is put right less and less often, and that is said.
use super::{
    change::Change,
    decide::event,
    fights::{LOCKED, PEACE},
    lock, scope,
    view::View,
    writer::{Message, Writer},
};
use crate::{
    error::{Error, Kind, Result},
    host::{Applied, Extent, Suspect},
    model::{
        Id,
        kernel::{Item, Op},
    },
    plan,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Instant,
};

/// Looks where the messages of this batch point, and where a pause is over.
pub(super) fn repair(writer: &mut Writer, batch: &[Message]) {
    let mut suspects = BTreeMap::new();
    for message in batch {
        if let Message::Drifted { suspects: more } = message {
            suspects.extend(more.clone());
        }
    }
    if writer.repairs.unlock(Some(Instant::now())) {
        writer.host.lock_tables(false);
        suspects.insert(Suspect::Tables, "the lock on them is over".to_owned());
    }
    if suspects.is_empty() && writer.repairs.is_idle() {
        return;
    }
    let begin = Instant::now();
    let mut suspects = writer.repairs.admit(suspects, begin);
    writer.state.view.sift(&mut suspects);
    if let Some(what) = suspects.remove(&Suspect::Told) {
        let name = writer.state.settings.instance.clone();
        writer.events.publish(event(&(writer.clock)(), "daemon", "repair", &name, &name, &what));
    }
    if let Some(what) = suspects.get(&Suspect::Lost) {
        // The host's side serves everybody and is looked at now, with three dumps; the sandboxes come portion by portion.
        let insides = scope::insides(&writer.state.view, what);
        writer.repairs.wait(insides, begin);
    }
    if !suspects.is_empty() {
        look(writer, suspects, begin);
    }
}

/// Looks at everything, whatever may be waiting.
pub(super) fn everything(writer: &mut Writer, cause: &str) {
    look(writer, [(Suspect::Everything, cause.to_owned())].into(), Instant::now());
}

/// A call may find our tables or a bridge gone before the notice of it has come, or while a fight pauses. True: it was so,
/// they are there again, and what failed with `error` may succeed now.
pub(super) fn found_by_a_call(writer: &mut Writer, changes: &[Change], error: &Error) -> bool {
    if error.kind != Kind::NotFound {
        return false;
    }
    let what = || "a call found it gone".to_owned();
    let sandboxes = changes.iter().filter_map(|change| match change {
        Change::Sandbox { before, after } => Some(before.iter().chain(after)),
        _ => None,
    });
    let seats = sandboxes.flatten().flat_map(|sandbox| &sandbox.endpoints);
    let bridges = seats.map(|seat| (Suspect::Bridge(seat.network), what()));
    look(writer, bridges.chain([(Suspect::Tables, what())]).collect(), Instant::now())
}

/// True: something was wrong and was put right.
fn look(writer: &mut Writer, suspects: BTreeMap<Suspect, String>, begin: Instant) -> bool {
    // What is applied, not what is decided: of a batch that is being carried out the rest is still to come.
    let view = writer.published.view.load_full();
    let wanted = scope::wanted(&view, writer.state.settings.strict_default_bridge, &suspects);
    let extent = if suspects.contains_key(&Suspect::Everything) { Extent::All } else { Extent::Wanted };
    let keep = |op: &Op| extent == Extent::All || !matches!(op, Op::Remove(item) if !is_element(item));
    match reconcile(writer, wanted, extent, keep) {
        Ok(done) if done.is_nothing() => false,
        Ok(done) => {
            tell(writer, &suspects, &done);
            count(writer, &suspects, &done, begin);
            true
        }
        Err(error) => {
            tracing::error!(%error, noticed = said(&suspects), "what others changed could not be put right");
            for (suspect, what) in &suspects {
                let _ = writer.repairs.count(suspect, what, begin);
            }
            writer.repairs.wait(suspects, begin + PEACE);
            false
        }
    }
}

fn is_element(item: &Item) -> bool {
    matches!(item, Item::Element(_))
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
    let mut words: Vec<String> = suspects.values().cloned().collect();
    words.dedup();
    few(words).join("; ")
}

/// A bridge with a thousand ports is told of in a line.
fn few(mut words: Vec<String>) -> Vec<String> {
    const SHOWN: usize = 3;
    if words.len() > SHOWN {
        let more = words.len() - SHOWN;
        words.truncate(SHOWN);
        words[SHOWN - 1] += &format!(" and {more} more");
    }
    words
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
            fights.push(match *suspect == Suspect::Tables && lock::lock(writer, now) {
                true => format!(
                    "{what}: again and again, nobody else can change them for {} min now",
                    LOCKED.as_secs() / 60
                ),
                false => {
                    format!("{what}: again and again, it is put right every {} s now", pause.as_secs_f32())
                }
            });
        }
    }
    if !fights.is_empty() {
        let fights = few(fights);
        let name = writer.state.settings.instance.clone();
        let told = event(&(writer.clock)(), "daemon", "fight", &name, &name, &fights.join("; "));
        writer.events.publish(told);
        tracing::warn!(fights = fights.join("; "), "another program keeps changing what is ours");
        writer.published.fights.store(Arc::new(fights.into_iter().map(|fight| (now, fight)).collect()));
    }
}
