//! The plugin interface of netavark 1.6 and later (API 1.0.0): Podman's own netavark stays, and networks of the driver
//! `pontoon` are ours. A plugin is a program by the driver's name in one of Podman's plugin folders.
use super::{DOORWAY, answer, network, place, setup, teardown, wire, wish};
use crate::{
    client::Owner,
    error::{Error, Result},
    model::{
        Command,
        command::Which,
        reply::{Created, NetworkInfo},
    },
};
use serde::Deserialize;
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    ffi::OsString,
    path::{Path, PathBuf},
};

#[derive(Deserialize)]
struct Input {
    container_id: String,
    container_name: String,
    port_mappings: Option<Vec<wire::PortMapping>>,
    network: wire::Network,
    network_options: wire::Seat,
}

pub fn serve(args: impl IntoIterator<Item = OsString>) -> Result<Option<Value>> {
    let mut args = args.into_iter();
    let verb = args.next().unwrap_or_else(|| "info".into());
    let netns = args.next().map(PathBuf::from);
    let netns =
        || netns.as_deref().ok_or_else(|| Error::invalid("the path of a network namespace is missing"));
    match verb.to_string_lossy().as_ref() {
        "info" => Ok(Some(json!({ "version": env!("CARGO_PKG_VERSION"), "api_version": "1.0.0" }))),
        "create" => create(super::parse(None)?).map(Some),
        "setup" => join(super::parse(None)?, netns()?).map(Some),
        "teardown" => teardown::teardown(None, &request(super::parse(None)?)).map(|()| None),
        other => Err(Error::invalid(format!(
            "unknown command {other}: a netavark plugin knows info, create, setup and teardown"
        ))),
    }
}

/// Completes a network as the daemon would make it: it is made and taken away again, until a container needs it.
fn create(mut asked: Value) -> Result<Value> {
    let network: wire::Network = serde_json::from_value(asked.clone())
        .map_err(|error| Error::invalid("invalid network on stdin").because(error))?;
    let mut wanted = network::described(&ours(network))?;
    wanted.ipv4 = None;
    wanted.ipv6 |= asked["ipv6_enabled"].as_bool().unwrap_or(false);
    let server = place::for_host()?.ok_or_else(|| {
        Error::unavailable("no daemon serves this network namespace: start it here with `pontoon daemon`")
    })?;
    server.call::<Created>(&Command::NetworkCreate(wanted.clone()))?;
    let found = server.call::<NetworkInfo>(&Command::NetworkInspect(Which::new(wanted.name)));
    wanted.id.into_iter().try_for_each(|id| network::remove(&server, id))?;
    let found = found?;
    let subnets = found.subnets.iter().map(|s| json!({ "subnet": s.subnet, "gateway": s.gateway }));
    asked["subnets"] = json!(subnets.collect::<Vec<_>>());
    asked["network_interface"] = json!(found.device);
    asked["ipv6_enabled"] = json!(found.ipv6);
    Ok(asked)
}

fn join(input: Input, netns: &Path) -> Result<Value> {
    let request = request(input);
    let networks = request.network_info.values().map(network::described).collect::<Result<Vec<_>>>()?;
    let server = place::for_setup(None, netns)?;
    let owner = Owner::new(DOORWAY, &request.container_id);
    let sandbox = setup::attach(&server.client, owner, &wish::sandbox(&request, netns)?, &networks)?;
    let mut answer = answer::answer(&request, &sandbox)?;
    let name = request.networks.first().map(|(name, _)| name.as_str()).unwrap_or_default();
    Ok(answer[name].take())
}

/// The same as netavark itself would ask, for one network.
fn request(input: Input) -> wire::Request {
    let name = input.network.name.clone();
    wire::Request {
        container_id: input.container_id,
        container_name: input.container_name,
        container_hostname: None,
        port_mappings: input.port_mappings.unwrap_or_default(),
        dns_servers: Vec::new(),
        networks: vec![(name.clone(), input.network_options)],
        network_info: BTreeMap::from([(name, ours(input.network))]),
    }
}

/// Its driver is us, which is a bridge.
fn ours(network: wire::Network) -> wire::Network {
    wire::Network { driver: "bridge".to_owned(), ipam_options: BTreeMap::new(), ..network }
}
