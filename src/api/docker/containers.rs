//! Sandboxes as containers: list, inspect, remove. A sandbox lives as long as its namespace, so every one is `running`;
//! it never starts or stops anything.
use super::{asked::Asked, container_show, filters::Wanted, wire};
use crate::{
    api::{Doorways, reply::Answer},
    engine::View,
    error::{Error, Kind, Result},
    model::{
        Command, Reply, Sandbox,
        command::{Filters, SandboxRemove, Which},
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
    Ok(json!(found(doorways, Filters::default()).await?.iter().map(container_show::line).collect::<Vec<_>>()))
}

const FILTERS: [&str; 6] = ["id", "name", "label", "network", "volume", "status"];
/// Filters that fit no sandbox: it has no image, no health and no exit code.
const NEVER: [&str; 9] =
    ["ancestor", "before", "exited", "expose", "health", "is-task", "isolation", "publish", "since"];

pub async fn list(asked: &Asked<'_>, doorways: &Doorways) -> Result<Answer> {
    let mut wanted = Wanted::read(asked, &[&FILTERS[..], &NEVER].concat())?;
    let status = wanted.take("status");
    let running = status.is_empty() || status.iter().any(|status| status == "running");
    let never = wanted.filters.keys().any(|key| NEVER.contains(&key.as_str()));
    if never || !running {
        return Ok(wire::ok(&json!([])));
    }
    let limit = asked.query.get("limit").and_then(|limit| limit.parse().ok()).filter(|limit| *limit > 0);
    let sandboxes = found(doorways, wanted.engine()).await?;
    let shown = sandboxes.iter().filter(|sandbox| wanted.fits(sandbox.name.as_str()));
    let shown: Vec<Value> = shown.take(limit.unwrap_or(usize::MAX)).map(container_show::line).collect();
    Ok(wire::ok(&shown))
}

pub async fn inspect(which: &str, doorways: &Doorways) -> Result<Answer> {
    let id = find(&doorways.engine.view(), which)?.id;
    match doorways.run(Command::SandboxInspect(Which::new(id.to_string()))).await? {
        Reply::Sandbox(sandbox) => Ok(wire::ok(&container_show::page(&sandbox))),
        _ => Err(wire::astray()),
    }
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
