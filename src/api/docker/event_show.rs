//! One event of the engine in Docker's words. A sandbox runs as long as it is there, so its creation is told as that of a
//! container that joins its networks and starts, and its end as that of one that dies: that is what proxies and service
//! registries listen for.
use super::{container_show, network_show};
use crate::{
    engine::View,
    model::{Event, Sandbox},
};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::sync::Arc;

/// Attributes of a network's event.
const DRIVER: &str = "driver";
const SANDBOX_ID: &str = "sandbox_id";
/// Attribute of a sandbox's event: its networks, by name.
const NETWORKS: &str = "networks";

/// What Docker would have told, in its order. `views`: the newest first, and one from before the event.
pub fn told(event: &Event, views: &[&Arc<View>]) -> Vec<Value> {
    let seats = |action| seats(event, action, views);
    match (event.object.as_str(), event.action.as_str()) {
        ("sandbox", "create") => {
            let [create, start] = ["create", "start"].map(|action| show(event, action, views));
            [create].into_iter().chain(seats("connect")).chain([start]).collect()
        }
        // It was told at the creation.
        ("sandbox", "start") => Vec::new(),
        ("sandbox", "remove" | "release") => {
            let mut die = show(event, "die", views);
            die["Actor"]["Attributes"]["exitCode"] = json!("0");
            let destroy = show(event, "destroy", views);
            [die].into_iter().chain(seats("disconnect")).chain([destroy]).collect()
        }
        ("network" | "volume", "remove") => vec![show(event, "destroy", views)],
        (_, action) => vec![show(event, action, views)],
    }
}

fn show(event: &Event, action: &str, views: &[&Arc<View>]) -> Value {
    let kind = if event.object == "sandbox" { "container" } else { event.object.as_str() };
    let mut shown = line(event, kind, action, &event.id, attributes(event, views));
    if kind == "container" {
        shown["status"] = json!(action);
        shown["id"] = json!(event.id);
        shown["from"] = json!(container_show::IMAGE);
    }
    shown
}

fn line(event: &Event, kind: &str, action: &str, id: &str, attributes: Value) -> Value {
    let time = event.time.parse::<Timestamp>().unwrap_or_default();
    json!({
        "Type": kind,
        "Action": action,
        "Actor": { "ID": id, "Attributes": attributes },
        "scope": "local",
        "time": time.as_second(),
        "timeNano": i64::try_from(time.as_nanosecond()).unwrap_or_default(),
    })
}

/// The networks that it came with, or that it left by its end. One that is gone as well is told by its name.
fn seats(event: &Event, action: &str, views: &[&Arc<View>]) -> Vec<Value> {
    let names = event.attributes.get(NETWORKS).map(String::as_str).unwrap_or_default();
    let seat = |name: &str| {
        let network = views.iter().find_map(|view| view.network_named(name));
        let kind = network
            .as_ref()
            .map_or_else(|| "bridge".to_owned(), |network| network_show::driver(network.driver));
        let attributes = json!({ "container": event.id, "name": name, "type": kind });
        let id = network.map_or_else(|| name.to_owned(), |network| network.id.to_string());
        line(event, "network", action, &id, attributes)
    };
    names.split(',').filter(|name| !name.is_empty()).map(seat).collect()
}

fn sandbox(event: &Event, views: &[&Arc<View>]) -> Option<Arc<Sandbox>> {
    views.iter().find_map(|view| view.find_sandbox(&event.id).ok())
}

fn attributes(event: &Event, views: &[&Arc<View>]) -> Value {
    let mut all = match event.object.as_str() {
        "volume" => json!({ "driver": "local" }),
        "sandbox" => container(event, views),
        _ => json!({ "name": event.name }),
    };
    for (key, value) in event
        .attributes
        .iter()
        .filter(|(key, _)| !matches!(key.as_str(), "sandbox" | "old_name" | DRIVER | NETWORKS | SANDBOX_ID))
    {
        all[key] = json!(value);
    }
    if let Some(driver) = event.attributes.get(DRIVER) {
        all["type"] = json!(if driver == "none" { "null" } else { driver });
    }
    if let Some(id) = event.attributes.get(SANDBOX_ID) {
        all["container"] = json!(id);
    }
    all
}

/// Its labels, image and name, and the name that it had before a renaming.
fn container(event: &Event, views: &[&Arc<View>]) -> Value {
    let sandbox = sandbox(event, views);
    let mut all = json!(sandbox.map(|sandbox| sandbox.labels.clone()).unwrap_or_default());
    all["image"] = json!(container_show::IMAGE);
    all["name"] = json!(event.name);
    if let Some(old) = event.attributes.get("old_name") {
        all["oldName"] = json!(format!("/{old}"));
    }
    all
}
