//! Networks: list, inspect, remove, prune. The rules are the engine's; the refusals are said in Docker's words.
use super::{asked::Asked, filters::Wanted, network_show, wire};
use crate::{
    api::{Doorways, reply::Answer},
    engine::View,
    error::{Error, Kind, Result},
    model::{
        Command, Id, Network, Reply,
        command::{Filters, Which},
        reply::NetworkInfo,
    },
};
use hyper::StatusCode;
use serde_json::{Value, json};
use std::sync::Arc;

/// By id, name or unique beginning of an id.
pub fn find(view: &View, which: &str) -> Result<Arc<Network>> {
    view.find_network(which).map_err(|error| match error.kind {
        Kind::NotFound => Error::not_found(format!("network {which} not found")),
        _ => {
            Error::invalid(format!("network {which} is ambiguous (several matches found based on ID prefix)"))
        }
    })
}

const FILTERS: [&str; 7] = ["dangling", "driver", "id", "label", "name", "scope", "type"];

pub async fn list(asked: &Asked<'_>, doorways: &Doorways) -> Result<Answer> {
    let mut wanted = Wanted::read(asked, &FILTERS)?;
    if let Some(dangling) = wanted.take_flag("dangling")? {
        wanted.filters.insert("dangling".to_owned(), vec![dangling.to_string()]);
    }
    for driver in wanted.filters.get_mut("driver").into_iter().flatten().filter(|driver| *driver == "null") {
        *driver = "none".to_owned();
    }
    let Reply::Networks(networks) = doorways.run(Command::NetworkList(wanted.engine())).await? else {
        return Err(wire::astray());
    };
    let mut shown = Vec::new();
    for network in networks.iter().filter(|n| wanted.fits(&[n.name.as_str()], &n.id.to_string())) {
        shown.push(match asked.version < (1, 28) {
            true => network_show::show(&*get(network.id, doorways).await?),
            false => network_show::show(network),
        });
    }
    Ok(wire::ok(&shown))
}

/// With its members.
async fn get(id: Id, doorways: &Doorways) -> Result<Box<NetworkInfo>> {
    match doorways.run(Command::NetworkInspect(Which::new(id.to_string()))).await? {
        Reply::Network(network) => Ok(network),
        _ => Err(wire::astray()),
    }
}

pub async fn inspect(asked: &Asked<'_>, which: &str, doorways: &Doorways) -> Result<Answer> {
    let found = find(&doorways.engine.view(), which)?;
    if asked.query.get("scope").is_some_and(|scope| scope != "local") {
        return Err(Error::not_found(format!("network {which} not found")));
    }
    let mut shown = network_show::show(&*get(found.id, doorways).await?);
    if asked.query.flag("verbose") {
        shown["Services"] = json!({});
    }
    Ok(wire::ok(&shown))
}

pub async fn remove(which: &str, doorways: &Doorways) -> Result<Answer> {
    let view = doorways.engine.view();
    let network = find(&view, which)?;
    let result = doorways.run(Command::NetworkRemove(Which::new(network.id.to_string()))).await;
    result.map_err(|error| in_use(&doorways.engine.view(), &network, error))?;
    Ok(wire::empty(StatusCode::NO_CONTENT))
}

fn in_use(view: &View, network: &Network, error: Error) -> Error {
    if error.kind != Kind::Conflict {
        return error;
    }
    if network.config_only {
        return Error::denied(format!(
            "error while removing network: configuration network \"{}\" is in use",
            network.name
        ))
        .because(error);
    }
    let members = view.members(network.id);
    let users = members.iter().map(|user| format!("name:\"{}\" id:\"{}\"", user.name, user.id.short()));
    let users: Vec<String> = users.collect();
    let name = &network.name;
    Error::denied(format!(
        "error while removing network: network {name} has active endpoints ({})",
        users.join(", ")
    ))
}

pub async fn prune(asked: &Asked<'_>, doorways: &Doorways) -> Result<Answer> {
    let mut wanted = Wanted::read(asked, &["until", "label", "label!"])?;
    let until = match wanted.take("until").as_slice() {
        [] => None,
        [until] => Some(super::events::moment(until)?),
        _ => return Err(Error::invalid("more than one until filter specified")),
    };
    if let Some(until) = until {
        wanted.filters.insert("until".to_owned(), vec![until]);
    }
    let pruned = Command::NetworkPrune(Filters { filters: wanted.filters });
    match doorways.run(pruned).await? {
        Reply::Pruned(pruned) => Ok(wire::ok(&json!({ "NetworksDeleted": or_null(pruned.removed) }))),
        _ => Err(wire::astray()),
    }
}

/// Go says null for an empty list.
pub fn or_null(names: Vec<String>) -> Value {
    if names.is_empty() { Value::Null } else { json!(names) }
}
