//! Deciding what of a sandbox changes while it runs: its name, whom its resolver asks, labels of its seats: the next question
//! is answered from what is published, and the kernel has no part in it. And whose seat a handed one is.
use super::{
    change::Change,
    decide::{Decision, State, World, event},
};
use crate::{
    error::{Error, Result},
    model::{Name, Reply, Sandbox, command::SandboxUpdate, reply::Removed, sandbox::Netns},
};
use std::sync::Arc;

pub fn update(state: &mut State, world: &World<'_>, request: &SandboxUpdate) -> Result<Decision> {
    let before = state.view.find_sandbox(&request.name)?;
    let mut after = Sandbox::clone(&before);
    if let Some(name) = &request.rename {
        after.name = another_name(state, &before, name)?;
    }
    if let Some(servers) = &request.dns_servers {
        may_ask(&before)?;
        after.dns.servers.clone_from(servers);
    }
    if let Some(container) = &request.container {
        after.container = Some(container_of(&before, container)?);
    }
    for (network, labels) in &request.seat_labels {
        let network = state.view.find_network(network)?;
        let seat = after.endpoints.iter_mut().find(|seat| seat.network == network.id);
        let none =
            || Error::not_found(format!("sandbox {} has no seat in network {}", before.name, network.name));
        seat.ok_or_else(none)?.labels.clone_from(labels);
    }
    let reply = Reply::Removed(Removed { name: after.name.to_string(), warnings: Vec::new() });
    if after == *before {
        return Ok(Decision::only(reply));
    }
    let action = if after.name == before.name { "update" } else { "rename" };
    let mut told = event(&world.now, "sandbox", action, before.id, &after.name, "call");
    if action == "rename" {
        told.attributes.insert("old_name".to_owned(), before.name.to_string());
    }
    let change = Change::Sandbox { before: Some(before), after: Some(Arc::new(after)) };
    Ok(Decision::new(vec![change], reply).with_event(told))
}

/// `Conflict` if somebody has it.
fn another_name(state: &State, sandbox: &Sandbox, name: &str) -> Result<Name> {
    let name = Name::parse(name.strip_prefix('/').unwrap_or(name))?;
    match state.view.sandbox_named(name.as_str()) {
        Some(other) if other.id != sandbox.id => Err(Error::conflict(format!(
            "the name {name} is already in use by sandbox {}: choose another",
            other.id.short()
        ))),
        _ => Ok(name),
    }
}

/// Who has a resolver of ours?
fn may_ask(sandbox: &Sandbox) -> Result<()> {
    match sandbox.netns {
        Netns::Made(_) | Netns::Given { .. } => Ok(()),
        _ => Err(Error::invalid(format!(
            "sandbox {} has no resolver of ours: change its nameservers where it runs",
            sandbox.name
        ))),
    }
}

/// A name that was checked, for a seat that was handed over.
fn container_of(sandbox: &Sandbox, name: &str) -> Result<String> {
    match sandbox.netns {
        Netns::Handed if !name.is_empty() => Ok(name.to_owned()),
        Netns::Handed => {
            Err(Error::invalid(format!("sandbox {}: name the container it is a seat of", sandbox.name)))
        }
        _ => Err(Error::invalid(format!(
            "sandbox {} is a container of its own: only what was handed over is a seat of another's",
            sandbox.name
        ))),
    }
}
