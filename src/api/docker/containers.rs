//! Sandboxes as containers: list, inspect, rename, remove. A sandbox lives as long as its namespace, so every one is
//! `running`; it never starts or stops anything.
use super::{asked::Asked, container_filter::Choice, container_show, wire};
use crate::{
    api::{Doorways, reply::Answer},
    engine::View,
    error::{Error, Kind, Result},
    model::{
        Command, Name, Reply, Sandbox,
        command::{Filters, SandboxRemove, SandboxUpdate, Which},
        reply::SandboxInfo,
    },
};
use hyper::StatusCode;
use serde_json::{Value, json};
use std::sync::Arc;

/// By id, name (`/web` too) or unique beginning of an id.
pub fn find(view: &View, which: &str) -> Result<Arc<Sandbox>> {
    view.find_sandbox(which).map_err(|error| match error.kind {
        Kind::NotFound => Error::not_found(format!("No such container: {which}")),
        _ if which.is_empty() => Error::invalid("invalid name or ID supplied: \"\""),
        _ => Error::invalid(format!("multiple IDs found with provided prefix: {which}")),
    })
}

async fn found(doorways: &Doorways, filters: Filters) -> Result<Vec<SandboxInfo>> {
    match doorways.run(Command::SandboxList(filters)).await? {
        // Newest first.
        Reply::Sandboxes(sandboxes) => Ok(sandboxes.into_iter().rev().collect()),
        _ => Err(wire::astray()),
    }
}

pub async fn all(doorways: &Doorways) -> Result<Value> {
    let sandboxes = found(doorways, Filters::default()).await?;
    Ok(sandboxes.iter().map(|sandbox| sized(container_show::line(sandbox), true)).collect())
}

pub async fn list(asked: &Asked<'_>, doorways: &Doorways) -> Result<Answer> {
    let choice = Choice::read(asked, &doorways.engine.view())?;
    let sandboxes = found(doorways, choice.engine()).await?;
    let shown = sandboxes.iter().filter(|sandbox| choice.fits(sandbox)).take(choice.limit);
    let size = asked.query.flag("size");
    Ok(wire::ok(&shown.map(|sandbox| sized(container_show::line(sandbox), size)).collect::<Vec<_>>()))
}

/// What a container wrote to its root is not ours to know: nothing.
fn sized(mut shown: Value, wanted: bool) -> Value {
    if wanted {
        shown["SizeRw"] = json!(0);
        shown["SizeRootFs"] = json!(0);
    }
    shown
}

pub async fn inspect(asked: &Asked<'_>, which: &str, doorways: &Doorways) -> Result<Answer> {
    let id = find(&doorways.engine.view(), which)?.id;
    match doorways.run(Command::SandboxInspect(Which::new(id.to_string()))).await? {
        Reply::Sandbox(sandbox) => {
            Ok(wire::ok(&sized(container_show::page(&sandbox), asked.query.flag("size"))))
        }
        _ => Err(wire::astray()),
    }
}

/// Every sandbox runs already.
pub fn start(which: &str, doorways: &Doorways) -> Result<Answer> {
    find(&doorways.engine.view(), which)?;
    Ok(wire::empty(StatusCode::NOT_MODIFIED))
}

/// The texts are dockerd's (daemon/rename.go, daemon/names.go).
pub async fn rename(asked: &Asked<'_>, which: &str, doorways: &Doorways) -> Result<Answer> {
    let wanted = asked.query.get("name").unwrap_or_default();
    let name = wanted.strip_prefix('/').unwrap_or(wanted);
    if wanted.is_empty() {
        return Err(Error::invalid("Neither old nor new names may be empty"));
    }
    let view = doorways.engine.view();
    let sandbox = find(&view, which)?;
    if sandbox.name.as_str() == name {
        return Err(Error::invalid("Renaming a container with the same name as its current name"));
    }
    if Name::parse(name).is_err() {
        return Err(Error::invalid(format!(
            "Error when allocating new name: Invalid container name (/{name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"
        )));
    }
    let request =
        SandboxUpdate { name: sandbox.id.to_string(), rename: Some(name.to_owned()), ..Default::default() };
    doorways.run(Command::SandboxUpdate(request)).await.map_err(|error| match error.kind {
        Kind::Conflict => {
            let holder = view.sandbox_named(name).map(|other| other.id.to_string()).unwrap_or_default();
            Error::conflict(format!(
                "Error when allocating new name: Conflict. The container name \"/{name}\" is already in use by container \"{holder}\". You have to remove (or rename) that container to be able to reuse that name."
            ))
        }
        _ => error,
    })?;
    Ok(wire::empty(StatusCode::NO_CONTENT))
}

pub async fn remove(asked: &Asked<'_>, which: &str, doorways: &Doorways) -> Result<Answer> {
    let sandbox = find(&doorways.engine.view(), which)?;
    let force = asked.query.flag("force");
    if sandbox.process.is_some() && !force {
        return Err(Error::conflict(format!(
            "cannot remove container \"/{}\": container is running: stop the container before removing or force remove",
            sandbox.name
        )));
    }
    let request = SandboxRemove { name: sandbox.id.to_string(), force, volumes: asked.query.flag("v") };
    doorways.run(Command::SandboxRemove(request)).await?;
    Ok(wire::empty(StatusCode::NO_CONTENT))
}
