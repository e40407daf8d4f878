//! Compares what the clients were told with what the daemon tells.
use super::{
    client::Client,
    promised::{Promised, Seat},
};
use crate::world::World;
use serde_json::{Value, json};
use std::{collections::BTreeMap, ops::DerefMut};

pub fn list(w: &World, method: &str) -> Vec<Value> {
    w.call(method, json!({})).as_array().cloned().unwrap_or_default()
}

/// Texts under this key.
pub fn texts<'a>(all: impl IntoIterator<Item = &'a Value>, key: &str) -> Vec<String> {
    all.into_iter().filter_map(|one| one[key].as_str().map(str::to_owned)).collect()
}

pub fn inner<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_array().map_or(&[], Vec::as_slice)
}

/// `8080/tcp` for each host port.
pub fn ports(sandbox: &Value) -> impl Iterator<Item = String> + '_ {
    inner(sandbox, "ports").iter().flat_map(|port| {
        let first = port["host_port"].as_u64().unwrap_or(0);
        let proto = port["proto"].as_str().unwrap_or("tcp").to_owned();
        (0..port["count"].as_u64().unwrap_or(1)).map(move |n| format!("{}/{proto}", first + n))
    })
}

/// Objects of the clients as the daemon lists them.
fn listed(w: &World) -> Promised {
    let ours = |value: &Value| value["name"].as_str().filter(|name| name.starts_with('k')).map(str::to_owned);
    let mut sandboxes = BTreeMap::new();
    for one in list(w, "Sandbox.List") {
        let Some(name) = ours(&one) else { continue };
        let volumes = inner(&one, "mounts").iter().map(|mount| &mount["spec"]);
        let seat = Seat {
            networks: texts(inner(&one, "networks"), "network").into_iter().collect(),
            ports: ports(&one).collect(),
            volumes: texts(volumes, "source").into_iter().collect(),
        };
        sandboxes.insert(name, seat);
    }
    let volumes = list(w, "Volume.List").into_iter();
    Promised {
        networks: list(w, "Network.List").iter().filter_map(ours).collect(),
        volumes: volumes.filter_map(|v| Some((ours(&v)?, v["options"]["type"] == "tmpfs"))).collect(),
        sandboxes,
    }
}

/// What every client was promised is there and nothing else; a call without an answer was carried out wholly or not at all.
pub fn all_is_as_promised<C: DerefMut<Target = Client>>(w: &World, clients: impl Iterator<Item = C>) {
    let all = listed(w);
    for (number, mut client) in clients.enumerate() {
        let found = all.of(&format!("k{number}-"));
        if let Some(doubt) = client.doubt.take()
            && found == doubt
        {
            client.promised = doubt;
        }
        let promised = &client.promised;
        assert!(found == *promised, "client {number}\nwas promised {promised:?}\nand finds    {found:?}");
    }
    super::standing::only_what_is_listed(w);
    super::standing::disk(w, &all);
}
