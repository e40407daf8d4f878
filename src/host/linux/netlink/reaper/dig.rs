//! The threads that delete; each takes a batch when no other batch is under way, and none decides what is deleted.
use super::{
    super::{
        batch::{Batch, Manner},
        message::{Which, link},
        socket::{Route, explain},
    },
    AT_ONCE, Shared, delete_group, mark,
};
use crate::{error::Error, model::IfName};
use netlink_packet_route::RouteNetlinkMessage;
use std::collections::HashMap;

pub(super) fn work(shared: &Shared, mut route: Route) {
    while let Some(batch) = next(shared) {
        match batch.as_slice() {
            [(index, name)] => delete_one(shared, &mut route, *index, name),
            many => delete_many(shared, &mut route, many),
        }
    }
}

/// Waits for work and for the batch before to be gone. None: the reaper was dropped and nothing is left.
fn next(shared: &Shared) -> Option<Vec<(u32, IfName)>> {
    let mut state = shared.state.lock();
    loop {
        if !state.queue.is_empty() && state.digging.is_empty() {
            let count = state.queue.len().min(AT_ONCE);
            let batch: Vec<_> = state.queue.drain(..count).collect();
            state.digging.extend(batch.iter().map(|(index, _)| *index));
            return Some(batch);
        }
        if state.closed && state.queue.is_empty() {
            drop(state);
            shared.work.notify_all();
            return None;
        }
        state.idle += 1;
        shared.work.wait(&mut state);
        state.idle -= 1;
    }
}

/// By name: an index may be somebody else's by now, `pt` and 48 bits of an id are not.
fn delete_one(shared: &Shared, route: &mut Route, index: u32, name: &IfName) {
    let mut batch = Batch::new();
    let request = RouteNetlinkMessage::DelLink(link(Which::Name(name), []));
    batch.push(Manner::Plain, request, format!("delete {name}"));
    let outcome = route.exchange(&mut batch).and_then(|outcome| match outcome.failures.first() {
        Some(failure) if failure.errno != libc::ENODEV => Err(explain(&batch, failure)),
        _ => Ok(()),
    });
    shared.finish(index, outcome);
}

fn delete_many(shared: &Shared, route: &mut Route, links: &[(u32, IfName)]) {
    let mut batch = Batch::new();
    for (_, name) in links {
        batch.push(Manner::Plain, mark(name, shared.group), format!("mark {name} for deletion"));
    }
    batch.push(Manner::Plain, delete_group(shared.group), "delete marked links");
    let outcome = match route.exchange(&mut batch) {
        Ok(outcome) => outcome,
        Err(error) => return links.iter().for_each(|(index, _)| shared.finish(*index, Err(error.clone()))),
    };
    let failed: HashMap<usize, Error> = outcome
        .failures
        .iter()
        .filter(|failure| failure.errno != libc::ENODEV)
        .map(|failure| (failure.place, explain(&batch, failure)))
        .collect();
    let all = failed.get(&links.len());
    for (place, (index, _)) in links.iter().enumerate() {
        match failed.get(&place).or(all) {
            Some(error) => shared.finish(*index, Err(error.clone())),
            None => shared.finish(*index, Ok(())),
        }
    }
}

/// All of these links at once, whoever is deleting others meanwhile. Those that are gone are fine.
pub(super) fn delete_group_of(route: &mut Route, group: u32, names: &[IfName]) -> Result<(), Error> {
    let mut batch = Batch::new();
    for name in names {
        batch.push(Manner::Plain, mark(name, group), format!("mark {name} for deletion"));
    }
    batch.push(Manner::Plain, delete_group(group), "delete marked links");
    let outcome = route.exchange(&mut batch)?;
    match outcome.failures.iter().find(|failure| failure.errno != libc::ENODEV) {
        Some(failure) => Err(explain(&batch, failure)),
        None => Ok(()),
    }
}
