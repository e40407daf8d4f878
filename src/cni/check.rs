//! CHECK and STATUS: is what was given still there, could more be given. They change nothing.
use super::{
    DOORWAY,
    call::Call,
    config::Config,
    delegate,
    failure::{CONFIG, Failure, MISSING, NOT_READY, NOT_READY_AND_LIMITED, Outcome},
    network,
    section::Section,
    wish::Wish,
};
use crate::{
    client::{Client, Owner},
    error::{Error, Kind},
    model::{
        Command,
        command::Which,
        reply::{EndpointInfo, NetworkInfo},
    },
};

pub fn check(call: &Call, config: &Config, client: &Client) -> Outcome<()> {
    let seat = call.seat()?;
    let previous = config.previous().ok_or_else(|| Failure::new(CONFIG, "CHECK needs prevResult"))?;
    let owner = Owner::new(DOORWAY, &seat.container);
    let missing = |what: String| Failure::new(MISSING, what);
    let sandbox = client.sandbox_of(owner)?;
    let sandbox = sandbox.ok_or_else(|| missing(format!("container {} is not attached", seat.container)))?;
    let mut seats = sandbox.networks.iter();
    let endpoint = seats.find(|e| e.ifname == seat.ifname && e.network.as_str() == config.network);
    let endpoint = endpoint.ok_or_else(|| {
        missing(format!("container {} has no {} in network {}", seat.container, seat.ifname, config.network))
    })?;
    for address in claimed(&Section::whole(previous)?, &endpoint.ifname.to_string())? {
        if !endpoint.addresses.iter().any(|own| own.to_string() == address) {
            return Err(missing(format!("address {address} of {} is not promised any more", seat.ifname)));
        }
    }
    link(endpoint)?;
    match &config.ipam {
        Some(kind) => delegate::pass(call, config, kind, None).map(drop),
        None => Ok(()),
    }
}

/// Addresses that the earlier result says are on this interface.
fn claimed(previous: &Section<'_>, ifname: &str) -> Outcome<Vec<String>> {
    let interfaces = previous.sections("interfaces")?;
    let inside = interfaces.iter().enumerate();
    let mut inside = inside.filter(|(_, item)| {
        item.text("name").is_ok_and(|name| name == Some(ifname))
            && item.text("sandbox").is_ok_and(|s| s.is_some())
    });
    let Some((index, _)) = inside.next() else { return Ok(Vec::new()) };
    let ips = previous.sections("ips")?.into_iter();
    let here = ips.filter(|ip| ip.get("interface").and_then(serde_json::Value::as_u64) == Some(index as u64));
    here.filter_map(|ip| ip.text("address").transpose()).map(|text| text.map(str::to_owned)).collect()
}

/// Both ends of a veth pair live and die together, and ours is the one that we see.
fn link(endpoint: &EndpointInfo) -> Outcome<()> {
    match &endpoint.host_ifname {
        Some(name) if nix::net::if_::if_nametoindex(name.as_str()).is_err() => Err(Failure::new(
            MISSING,
            format!("interface {name}, the other end of {}, is gone", endpoint.ifname),
        )),
        _ => Ok(()),
    }
}

pub fn status(call: &Call, config: &Config, client: &Client) -> Outcome<()> {
    let network = client.call::<NetworkInfo>(&Command::NetworkInspect(Which::new(&config.network)));
    match network {
        Ok(network) => room(&network)?,
        Err(error) if error.kind == Kind::NotFound => {
            if network::described(config, &Wish::default(), None)?.is_none() && config.ipam.is_none() {
                return Err(Failure::new(NOT_READY, error.message));
            }
        }
        Err(error) => return Err(not_ready(error)),
    }
    match &config.ipam {
        Some(kind) => delegate::pass(call, config, kind, None).map(drop),
        None => Ok(()),
    }
}

fn room(network: &NetworkInfo) -> Outcome<()> {
    match network.subnets.iter().find(|subnet| subnet.free == 0) {
        Some(full) => Err(Failure::new(
            NOT_READY,
            format!("network {}: no address of {} is free", network.name, full.subnet),
        )),
        None => Ok(()),
    }
}

/// Without the daemon containers keep their connections, but names are not answered.
fn not_ready(error: Error) -> Failure {
    let code = if error.kind == Kind::Unavailable { NOT_READY_AND_LIMITED } else { NOT_READY };
    Failure { code, ..Failure::from(error) }
}
