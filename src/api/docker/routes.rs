//! The table of calls. What is not in it is not there.
use super::{
    asked::Asked, connect, containers, events, info, network_create, networks, system, unsupported, volumes,
    wire,
};
use crate::{
    api::{Doorways, reply::Answer},
    error::Result,
};
use hyper::StatusCode;
use serde_json::json;

pub async fn go(asked: &Asked<'_>, doorways: &Doorways) -> Result<Answer> {
    let path: Vec<&str> = asked.path.iter().map(String::as_str).collect();
    match (asked.method.as_str(), path.as_slice()) {
        ("OPTIONS", _) => Ok(wire::empty(StatusCode::OK)),
        ("GET" | "HEAD", ["_ping"]) => Ok(system::ping(asked.method)),
        ("GET", ["version"]) => system::version(doorways).await,
        ("GET", ["info"]) => info::info(asked, doorways).await,
        ("GET", ["events"]) => events::watch(asked, doorways),
        ("GET", ["system", "df"]) => system::df(asked, doorways).await,

        ("GET", ["networks"]) => networks::list(asked, doorways).await,
        ("POST", ["networks", "create"]) => network_create::create(asked, doorways).await,
        ("POST", ["networks", "prune"]) => networks::prune(asked, doorways).await,
        ("GET", ["networks", id]) => networks::inspect(asked, id, doorways).await,
        ("DELETE", ["networks", id]) => networks::remove(id, doorways).await,
        ("POST", ["networks", id, "connect"]) => connect::connect(asked, id, doorways).await,
        ("POST", ["networks", id, "disconnect"]) => connect::disconnect(asked, id, doorways).await,

        ("GET", ["volumes"]) => volumes::list(asked, doorways).await,
        ("POST", ["volumes", "create"]) => volumes::create(asked, doorways).await,
        ("POST", ["volumes", "prune"]) => volumes::prune(asked, doorways).await,
        ("GET", ["volumes", name]) => volumes::inspect(name, doorways).await,
        ("DELETE", ["volumes", name]) => volumes::remove(asked, name, doorways).await,
        ("PUT", ["volumes", _]) => Err(unsupported::no_swarm()),

        ("GET", ["containers", "json"]) => containers::list(asked, doorways).await,
        ("GET", ["containers", id, "json"]) => containers::inspect(asked, id, doorways).await,
        ("POST", ["containers", id, "start"]) => containers::start(id, doorways),
        ("POST", ["containers", id, "rename"]) => containers::rename(asked, id, doorways).await,
        ("DELETE", ["containers", id]) => containers::remove(asked, id, doorways).await,

        // Not our trade: there are none, and the commands that ask for them along with the rest go on.
        ("POST", ["containers", "prune"]) => none(&json!({"ContainersDeleted": null, "SpaceReclaimed": 0})),
        ("POST", ["images", "prune"]) => none(&json!({"ImagesDeleted": null, "SpaceReclaimed": 0})),
        ("POST", ["build", "prune"]) => none(&json!({"CachesDeleted": null, "SpaceReclaimed": 0})),
        ("GET", ["images", "json"] | ["plugins"]) => none(&json!([])),
        ("GET", ["images", name @ .., "json"]) => Err(unsupported::no_image(&name.join("/"))),
        (verb, path) => Err(unsupported::refuse(verb, path, &doorways.engine.view())),
    }
}

fn none(value: &serde_json::Value) -> Result<Answer> {
    Ok(wire::ok(value))
}
