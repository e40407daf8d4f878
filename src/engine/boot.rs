//! Start and stop. At start promises are read, the kernel is observed, and the difference is applied: by the same
//! code as every call. Running sandboxes notice nothing. At the end, with no sandbox left, the kernel is left as found.
use super::{
    change::{self, Change},
    decide::event,
    lock,
    network::predefined,
    repair::reconcile,
    undo,
    view::View,
    writer::Writer,
};
use crate::{
    error::{Kind, Result},
    host::Extent,
    ipam::Intervals,
    model::{
        Id, IfName, Name, Sandbox, Volume,
        kernel::{Item, handed_end, host_end},
        sandbox::Netns,
    },
    plan,
    store::{Contents, Table, Write},
};
use jiff::{SignedDuration, Timestamp};
use std::{collections::HashSet, sync::Arc};

pub fn start(writer: &mut Writer, contents: Contents) -> Result<()> {
    let (boot, removed) = (writer.host.boot()?, contents.removed.clone());
    let noted = contents.boot.as_ref() == Some(&boot);
    let mut dead = load(writer, contents, &boot);
    let (gone, late) = match release_dead(writer, &dead) {
        Ok(gone) => (gone, false),
        Err(error) => {
            // The living are served all the same; the writer tries again.
            tracing::error!(%error, "sandboxes have ended but could not be released yet");
            writer.late.extend(dead.drain(..).map(|(sandbox, cause)| (sandbox.id, cause)));
            (Vec::new(), true)
        }
    };
    if !noted
        && !late
        && let Err(error) = writer.promises.withdraw(vec![this_boot(&boot)?])
    {
        tracing::error!(%error, "which boot of the host this is will be noted with the next promise");
    }
    make_predefined(writer)?;
    let (again, removed): (Vec<_>, Vec<_>) =
        removed.into_iter().partition(|name| writer.state.view.volumes.contains_key(name));
    if !again.is_empty() {
        again.iter().for_each(|name| finish_removal(writer, name));
        writer.end_notes()?;
        writer.promises.withdraw(Vec::new())?;
    }
    let old = super::volume::forget_old_mounts(&writer.state, &boot);
    commit(writer, &old)?;
    for volume in writer.state.view.volumes.values() {
        match writer.volumes.create(volume) {
            // Whoever has the files is away: they are almost always there, and sandboxes should not wait for that.
            Err(error) if error.kind == Kind::Unavailable => {
                tracing::warn!(%error, "missing directories of volumes are made at the next start");
                break;
            }
            made => made?,
        }
    }
    // Names first: a resolver that is served before them would not know its own sandbox.
    publish(writer);
    let wanted = wanted(&writer.state.view, writer.state.settings.strict_default_bridge);
    reconcile(writer, wanted, Extent::All, |_| true)?;
    if !noted && late {
        // The next batch begins with the releases that are late: with these, and not before, the boot is noted.
        writer.promises.owe(this_boot(&boot)?);
    }
    gone.iter().map(|volume| &volume.name).chain(&removed).for_each(|name| finish_removal(writer, name));
    if let Err(error) = writer.end_notes() {
        tracing::error!(%error, "volumes that were removed are looked for again at the next start");
    }
    for (sandbox, cause) in dead {
        let now = (writer.clock)();
        writer.events.publish(event(&now, "sandbox", "release", sandbox.id, &sandbox.name, &cause));
    }
    Ok(())
}

/// Noted once nobody of an earlier boot is promised any more: by it a start knows who cannot be alive.
fn this_boot(boot: &str) -> Result<Write> {
    Ok(Write { table: Table::Boot, key: "boot".to_owned(), value: Some(change::json(&boot)?) })
}

/// Takes the files of a volume away that is promised no more: a crash may have come between both.
fn finish_removal(writer: &mut Writer, name: &Name) {
    if let Err(error) = writer.remove_files(name) {
        tracing::error!(volume = %name, %error, "it is removed, but its files are still there");
    }
}

/// Enters all promises; returns the sandboxes that have ended meanwhile, with the cause.
fn load(writer: &mut Writer, contents: Contents, boot: &str) -> Vec<(Arc<Sandbox>, String)> {
    let rebooted = contents.boot.is_some_and(|then| then != boot);
    let networks =
        contents.networks.into_iter().map(|n| Change::Network { before: None, after: Some(Arc::new(n)) });
    let volumes =
        contents.volumes.into_iter().map(|v| Change::Volume { before: None, after: Some(Arc::new(v)) });
    let mut sandboxes = contents.sandboxes;
    sandboxes.sort_by(|a, b| a.created.cmp(&b.created));
    let seated = sandboxes.iter().map(|s| Change::Sandbox { before: None, after: Some(Arc::new(s.clone())) });
    let reserved = contents.reservations.into_iter();
    let reserved = reserved.map(|r| Change::Reservation { before: None, after: Some(Arc::new(r)) });
    for change in reserved.chain(networks).chain(volumes).chain(seated) {
        change.show(&mut writer.state.view);
        change.book(&mut writer.state.books);
    }
    writer.state.books.resume(sandboxes.iter());
    let mut dead = Vec::new();
    let interfaces = handed_over(writer, &sandboxes);
    for sandbox in sandboxes {
        // No namespace and no process outlives its boot, even if a number of theirs has come again.
        let cause = match rebooted {
            true => Some("the host was started anew".to_owned()),
            false => ended(writer, &sandbox, interfaces.as_ref()),
        };
        if let Some(cause) = cause {
            dead.push((Arc::new(sandbox), cause));
        }
    }
    with_sharers(writer, dead)
}

/// Interfaces of the host, if some were handed over: they end with what they were handed to, and are never made twice.
fn handed_over(writer: &mut Writer, sandboxes: &[Sandbox]) -> Option<HashSet<IfName>> {
    let handed = sandboxes.iter().any(|sandbox| sandbox.netns == Netns::Handed);
    let interfaces = handed.then(|| writer.host.interfaces()).and_then(Result::ok)?;
    Some(interfaces.into_iter().collect())
}

/// Within this time a runtime fetches what was handed to it; what lies on the host later it has put back.
const TO_FETCH: SignedDuration = SignedDuration::from_secs(10);

fn older(sandbox: &Sandbox, now: &str, than: SignedDuration) -> bool {
    let moment = |text: &str| text.parse::<Timestamp>().ok();
    moment(now).zip(moment(&sandbox.created)).is_some_and(|(now, then)| now.duration_since(then) > than)
}

/// Those that share the namespace of an ended one have ended too.
fn with_sharers(writer: &Writer, mut dead: Vec<(Arc<Sandbox>, String)>) -> Vec<(Arc<Sandbox>, String)> {
    let known: HashSet<Id> = dead.iter().map(|(sandbox, _)| sandbox.id).collect();
    for i in 0..dead.len() {
        let sharing = writer.state.books.sharing(dead[i].0.id).filter(|id| !known.contains(id));
        let sharing = sharing.filter_map(|id| writer.state.view.sandboxes.get(id).cloned());
        let cause = format!("sandbox {} has gone", dead[i].0.name);
        let sharing: Vec<_> = sharing.map(|other| (other, cause.clone())).collect();
        dead.extend(sharing);
    }
    dead
}

/// Why a sandbox is no more, or none if it lives.
fn ended(writer: &mut Writer, sandbox: &Sandbox, interfaces: Option<&HashSet<IfName>>) -> Option<String> {
    if let Some(process) = sandbox.process
        && writer.host.process(process.pid).ok() != Some(process)
    {
        return Some(format!("process {} ended while the daemon was away", process.pid));
    }
    let gone = |path: &std::path::Path| format!("its network namespace {} has gone", path.display());
    match &sandbox.netns {
        Netns::Made(path) => writer.host.namespace(path).is_err().then(|| gone(path)),
        Netns::Given { path, inode } | Netns::Leased { path, inode } => {
            (writer.host.namespace(path).ok() != Some(*inode)).then(|| gone(path))
        }
        Netns::Shared(id) => (!writer.state.view.sandboxes.contains_key(id))
            .then(|| "the sandbox it shared is gone".to_owned()),
        Netns::Handed => {
            let there = interfaces?;
            let back = sandbox.endpoints.iter().find(|endpoint| there.contains(&handed_end(&endpoint.id)));
            if let Some(endpoint) = back.filter(|_| older(sandbox, &(writer.clock)(), TO_FETCH)) {
                return Some(format!("its runtime left {} on the host", handed_end(&endpoint.id)));
            }
            let gone = sandbox.endpoints.iter().find(|endpoint| !there.contains(&host_end(&endpoint.id)));
            gone.map(|endpoint| format!("its interface {} has gone", host_end(&endpoint.id)))
        }
        Netns::Host => None,
    }
}

/// Promises of the dead are taken back; what they had in the kernel goes with the difference. Returns the volumes that
/// go with them, whose files wait until nothing is mounted there.
fn release_dead(writer: &mut Writer, dead: &[(Arc<Sandbox>, String)]) -> Result<Vec<Arc<Volume>>> {
    let mut changes = Vec::new();
    for (sandbox, _) in dead {
        changes.push(Change::Sandbox { before: Some(sandbox.clone()), after: None });
        if sandbox.auto_remove {
            changes.extend(super::mounts::anonymous(&writer.state.view, sandbox));
        }
    }
    commit(writer, &changes)?;
    let gone = changes.into_iter().filter_map(|change| match change {
        Change::Volume { before, after: None } => before,
        _ => None,
    });
    Ok(gone.collect())
}

fn make_predefined(writer: &mut Writer) -> Result<()> {
    let mut world = super::decide::World {
        host: &mut *writer.host,
        volumes: &*writer.volumes,
        now: (writer.clock)(),
        elsewhere: &Intervals::new(),
        resolvers: &*writer.resolvers,
    };
    let changes = predefined(&writer.state, &mut world)?;
    commit(writer, &changes)
}

fn commit(writer: &mut Writer, changes: &[Change]) -> Result<()> {
    let writes = change::writes(changes)?;
    for change in changes {
        change.show(&mut writer.state.view);
        change.book(&mut writer.state.books);
    }
    match writes.is_empty() {
        true => Ok(()),
        false => {
            writer.promises.commit(writes).inspect_err(|_| undo::forget(&mut writer.state, changes.to_vec()))
        }
    }
}

/// Everything that these promises want. `strict`: no names on the default network.
pub fn wanted(view: &View, strict: bool) -> Vec<Item> {
    let mut items = plan::constant();
    items.extend(view.networks.values().flat_map(|network| plan::network::items(network)));
    items.extend(view.sandboxes.values().flat_map(|sandbox| plan::sandbox::items(sandbox, view, strict)));
    items.extend(view.volumes.values().flat_map(|volume| plan::volume::items(volume)));
    items
}

fn publish(writer: &mut Writer) {
    let view = writer.state.view.clone();
    let networks = view.networks.values().map(|n| Change::Network { before: None, after: Some(n.clone()) });
    let sandboxes = view.sandboxes.values().map(|s| Change::Sandbox { before: None, after: Some(s.clone()) });
    let volumes = view.volumes.values().map(|v| Change::Volume { before: None, after: Some(v.clone()) });
    let reserved = view.reservations.values();
    let reserved = reserved.map(|r| Change::Reservation { before: None, after: Some(r.clone()) });
    let changes: Vec<Change> = networks.chain(sandboxes).chain(volumes).chain(reserved).collect();
    writer.publish(&changes, view);
    writer.watch(&changes);
}

/// With sandboxes alive the kernel stays as it is: they go on without us, and a later start finds them.
pub fn stop(writer: &mut Writer) {
    if !writer.state.view.sandboxes.is_empty() {
        return lock::unlock(writer);
    }
    let all = wanted(&writer.state.view, writer.state.settings.strict_default_bridge);
    let ops = plan::diff::diff(all, []);
    let left = writer.host.apply(&ops).and_then(|applied| bury(writer, applied.leaving));
    if let Err(error) = left.and_then(|()| writer.host.leave()) {
        tracing::warn!(%error, "something of ours stays in the kernel");
    }
}

/// Waits until links are gone.
fn bury(writer: &mut Writer, leaving: Vec<crate::host::Leaving>) -> Result<()> {
    if leaving.is_empty() {
        return Ok(());
    }
    let (tell, told) = std::sync::mpsc::channel();
    writer.host.bury(leaving, Box::new(move |gone| drop(tell.send(gone))));
    told.recv().unwrap_or(Ok(()))
}
