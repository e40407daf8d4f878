//! `update`: Podman has changed the upstream servers of a network. Its containers that run ask the new ones from now on, but
//! for those that have servers of their own.
use super::{DOORWAY, place, wish};
use crate::{
    client::Client,
    error::{Error, Kind, Result},
    model::{
        Command,
        command::{Filters, SandboxUpdate},
        reply::{NetworkInfo, Removed, SandboxInfo},
    },
};
use std::{collections::BTreeMap, net::IpAddr, path::Path};

/// `servers`: addresses with commas between; nothing at all takes away those that are there.
pub fn update(config: Option<&Path>, network: &str, servers: &str) -> Result<()> {
    let parse = |text: &str| {
        let bad = |error| {
            Error::invalid(format!("invalid DNS server {text:?} of network {network}")).because(error)
        };
        text.trim().parse().map_err(|error: std::net::AddrParseError| bad(error))
    };
    let servers: Vec<IpAddr> =
        servers.split(',').filter(|text| !text.is_empty()).map(parse).collect::<Result<_>>()?;
    // It goes on past failures and tells the first.
    let mut result = Ok(());
    for client in place::for_update(config)? {
        result = result.and(tell_all(&client, network, &servers));
    }
    result
}

fn tell_all(client: &Client, network: &str, servers: &[IpAddr]) -> Result<()> {
    let label = format!("{}={DOORWAY}", super::network::LABEL);
    let ours: Vec<NetworkInfo> = client.call(&Command::NetworkList(filters("label", label)))?;
    let Some(found) = ours.iter().find(|found| super::network::is_called(found, network)) else {
        return Ok(());
    };
    let members = filters("network", found.id.to_string());
    let sandboxes: Vec<SandboxInfo> = client.call(&Command::SandboxList(members))?;
    let mut result = Ok(());
    for sandbox in &sandboxes {
        result = result.and(tell(client, sandbox, found, servers));
    }
    result
}

fn filters(key: &str, value: String) -> Filters {
    Filters { filters: BTreeMap::from([(key.to_owned(), vec![value])]) }
}

fn tell(client: &Client, sandbox: &SandboxInfo, network: &NetworkInfo, servers: &[IpAddr]) -> Result<()> {
    let own = sandbox.labels.contains_key(wish::OWN_SERVERS);
    let mut all: Vec<IpAddr> = Vec::new();
    for seat in &sandbox.networks {
        let known = match seat.network_id == network.id {
            true => servers.to_vec(),
            false => {
                let text = seat.labels.get(wish::SERVERS).map(String::as_str).unwrap_or_default();
                text.split(',').filter_map(|server| server.parse().ok()).collect()
            }
        };
        all.extend(known.into_iter().filter(|server| !all.contains(server)).collect::<Vec<_>>());
    }
    let request = SandboxUpdate {
        name: sandbox.id.to_string(),
        dns_servers: (!own).then_some(all),
        seat_labels: BTreeMap::from([(network.id.to_string(), wish::seat_labels(servers))]),
        ..SandboxUpdate::default()
    };
    match client.call::<Removed>(&Command::SandboxUpdate(request)) {
        // It has ended meanwhile.
        Err(error) if error.kind == Kind::NotFound => Ok(()),
        done => done.map(drop),
    }
}
