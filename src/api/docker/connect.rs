//! `POST /networks/{id}/connect` and `/disconnect`: a container's seat in a network, in Docker's words.
use super::{asked::Asked, containers, networks, wire};
use crate::{
    api::{Doorways, reply::Answer},
    engine::HAS_SEAT,
    error::{Error, Kind, Result},
    model::{
        Command, Mac, Network, Sandbox,
        command::{EndpointRequest, NetworkConnect, NetworkDisconnect},
        network::Driver,
        options::EndpointSettings,
    },
};
use hyper::StatusCode;
use serde::Deserialize;
use std::{collections::BTreeMap, net::IpAddr, str::FromStr};

#[derive(Default, Deserialize)]
#[serde(default)]
struct Body {
    container: String,
    endpointconfig: Endpoint,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Endpoint {
    ipamconfig: IpamConfig,
    links: Vec<String>,
    aliases: Vec<String>,
    macaddress: String,
    driveropts: Option<BTreeMap<String, String>>,
    gwpriority: i32,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct IpamConfig {
    ipv4address: String,
    ipv6address: String,
    linklocalips: Vec<String>,
}

pub async fn connect(asked: &Asked<'_>, which: &str, doorways: &Doorways) -> Result<Answer> {
    let body: Body = asked.json()?;
    let view = doorways.engine.view();
    let (network, sandbox) = (networks::find(&view, which)?, containers::find(&view, &body.container)?);
    joinable(&network)?;
    let endpoint = translate(body.endpointconfig, &network)?;
    let fixed: Vec<IpAddr> =
        endpoint.ip.map(IpAddr::V4).into_iter().chain(endpoint.ip6.map(IpAddr::V6)).collect();
    let request = NetworkConnect { sandbox: sandbox.id.to_string(), endpoint };
    let result = doorways.run(Command::NetworkConnect(request)).await;
    result.map_err(|error| refused(error, &sandbox, &network, &fixed))?;
    Ok(wire::empty(StatusCode::OK))
}

fn joinable(network: &Network) -> Result<()> {
    match network.driver {
        Driver::Host => Err(Error::invalid(
            "container cannot be disconnected from host network or connected to host network",
        )),
        Driver::None if !network.config_only => Err(Error::invalid(
            "container cannot be connected to multiple networks with one of the networks in private (none) mode",
        )),
        _ => Ok(()),
    }
}

fn refused(error: Error, sandbox: &Sandbox, network: &Network, fixed: &[IpAddr]) -> Error {
    // The gateway's and those kept aside are in use, for Docker.
    let kept =
        |ip| network.pools.iter().any(|p| p.gateway == Some(ip) || p.aux.values().any(|aux| *aux == ip));
    match error.kind {
        Kind::Invalid if fixed.iter().any(|ip| kept(*ip)) => {
            Error::denied("Address already in use").because(error)
        }
        // Somebody else's call may have given it this seat meanwhile: what was read before says nothing.
        Kind::Conflict if error.to_string().contains(HAS_SEAT) => Error::denied(format!(
            "endpoint with name {} already exists in network {}",
            sandbox.name, network.name
        )),
        Kind::Conflict if !fixed.is_empty() => Error::denied("Address already in use").because(error),
        Kind::Conflict => Error { kind: Kind::Denied, ..error },
        _ => error,
    }
}

fn translate(wanted: Endpoint, network: &Network) -> Result<EndpointRequest> {
    let settings = settings(wanted.driveropts.unwrap_or_default())?;
    let link_local = wanted.ipamconfig.linklocalips.iter();
    let link_local = link_local.map(|text| {
        text.parse().map_err(|_| Error::invalid(format!("invalid link-local IP address: {text}")))
    });
    let links = wanted.links.iter().map(|link| {
        let (name, alias) = link.split_once(':').unwrap_or((link, link));
        (alias.to_owned(), name.to_owned())
    });
    Ok(EndpointRequest {
        network: network.id.to_string(),
        ip: maybe("IPv4 address", &wanted.ipamconfig.ipv4address)?,
        ip6: maybe("IPv6 address", &wanted.ipamconfig.ipv6address)?,
        mac: maybe::<Mac>("MAC address", &wanted.macaddress)?,
        links: links.collect(),
        aliases: wanted.aliases,
        ifname: settings.ifname,
        priority: wanted.gwpriority,
        link_local: link_local.collect::<Result<_>>()?,
        sysctls: settings.sysctls,
        ..EndpointRequest::default()
    })
}

/// Options of other drivers are passed over.
fn settings(mut options: BTreeMap<String, String>) -> Result<EndpointSettings> {
    options.retain(|key, _| key.starts_with("com.docker.network.endpoint."));
    EndpointSettings::parse(&options)
}

fn maybe<T: FromStr>(what: &str, text: &str) -> Result<Option<T>> {
    match text {
        "" => Ok(None),
        text => text.parse().map(Some).map_err(|_| Error::invalid(format!("invalid {what}: {text}"))),
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Leave {
    container: String,
    force: bool,
}

pub async fn disconnect(asked: &Asked<'_>, which: &str, doorways: &Doorways) -> Result<Answer> {
    let body: Leave = asked.json()?;
    let view = doorways.engine.view();
    let network = networks::find(&view, which)?;
    let sandbox = containers::find(&view, &body.container).map_err(|error| match body.force {
        true => Error::not_found(format!("endpoint {} not found", body.container)),
        false => error,
    })?;
    if network.driver == Driver::Host {
        joinable(&network)?;
    }
    let request = NetworkDisconnect { network: network.id.to_string(), sandbox: sandbox.id.to_string() };
    let result = doorways.run(Command::NetworkDisconnect(request)).await;
    result.map_err(|error| match error.kind {
        // Docker has no class for it.
        Kind::NotFound => {
            Error::internal(format!("container {} is not connected to network {}", sandbox.id, network.name))
        }
        _ => error,
    })?;
    Ok(wire::empty(StatusCode::OK))
}
