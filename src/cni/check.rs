//! CHECK and STATUS: is what was given still there, could more be given. They change nothing.
use super::{
    DOORWAY, LENDING, attach,
    call::{Call, Seat},
    config::Config,
    delegate,
    failure::{CONFIG, Failure, MISSING, NOT_READY, NOT_READY_AND_LIMITED, Outcome},
    loopback, network,
    section::Section,
    wish::Wish,
};
use crate::{
    client::{Client, Owner},
    error::{Error, Kind},
    host::linux::{
        inside::{self, Inside, RouteInside},
        shaped,
    },
    model::{
        Command,
        command::Which,
        reply::{EndpointInfo, NetworkInfo},
    },
};
use ipnetwork::IpNetwork;
use serde_json::Value;
use std::net::IpAddr;

/// First what the kernel has in the container's own namespace, whoever repairs it, then what the daemon promises.
pub fn check(call: &Call, config: &Config, client: &Client) -> Outcome<()> {
    let seat = call.seat()?;
    let previous = config.previous().ok_or_else(|| Failure::new(CONFIG, "CHECK needs prevResult"))?;
    if config.lends {
        return lease(config, client, &seat, &Section::whole(previous)?);
    }
    let claimed = Claimed::read(&Section::whole(previous)?, &seat)?;
    let seen = inside::look(&seat.netns).map_err(|error| loopback::unusable(&seat, error))?;
    claimed.stand(&seen)?;
    let owner = Owner::new(DOORWAY, &seat.container);
    let sandbox = client.sandbox_of(owner)?;
    let sandbox = sandbox.ok_or_else(|| missing(format!("container {} is not attached", seat.container)))?;
    let mut seats = sandbox.networks.iter();
    let endpoint = seats.find(|e| e.ifname == seat.ifname && e.network.as_str() == config.network);
    let endpoint = endpoint.ok_or_else(|| {
        missing(format!("container {} has no {} in network {}", seat.container, seat.ifname, config.network))
    })?;
    limits(endpoint)?;
    for address in &claimed.addresses {
        if !endpoint.addresses.iter().any(|own| own.to_string() == *address) {
            return Err(missing(format!("address {address} of {} is not promised any more", seat.ifname)));
        }
    }
    match &config.ipam {
        Some(kind) => delegate::pass(call, config, kind, None).map(drop),
        None => Ok(()),
    }
}

/// Is the bandwidth limited as it is promised?
fn limits(endpoint: &EndpointInfo) -> Outcome<()> {
    if endpoint.bandwidth.is_none() {
        return Ok(());
    }
    let found = shaped::look(&endpoint.id)?;
    for (word, wanted, found) in [
        ("ingress", endpoint.bandwidth.ingress, found.ingress),
        ("egress", endpoint.bandwidth.egress, found.egress),
    ] {
        let wanted = wanted.map(|limit| limit.rate / 8);
        if wanted != found {
            let (ifname, bits) = (&endpoint.ifname, wanted.unwrap_or(0) * 8);
            return Err(missing(format!("the {word} limit of {ifname}, {bits} bit/s, is gone")));
        }
    }
    Ok(())
}

/// Are the addresses that the other plugin has put on its interface promised still?
fn lease(config: &Config, client: &Client, seat: &Seat, previous: &Section<'_>) -> Outcome<()> {
    let key = attach::lease(seat, &config.name);
    let sandbox = client.sandbox_of(Owner::new(LENDING, &key))?;
    let sandbox = sandbox.ok_or_else(|| missing(format!("no address is promised to {key}")))?;
    let ips = previous.sections("ips")?;
    for own in sandbox.networks.iter().flat_map(|endpoint| &endpoint.addresses) {
        if !ips.iter().any(|ip| ip.text("address").is_ok_and(|text| text == Some(&own.to_string()))) {
            return Err(missing(format!("address {own} is promised to {key}, which has another")));
        }
    }
    Ok(())
}

fn missing(what: String) -> Failure {
    Failure::new(MISSING, what)
}

/// What the earlier result says of our interface.
struct Claimed<'a> {
    ifname: &'a str,
    mac: Option<String>,
    addresses: Vec<String>,
    /// Destination and gateway.
    routes: Vec<(IpNetwork, Option<IpAddr>)>,
}

impl<'a> Claimed<'a> {
    fn read(previous: &Section<'_>, seat: &'a Seat) -> Outcome<Self> {
        let ifname = seat.ifname.as_str();
        let mut claimed = Claimed { ifname, mac: None, addresses: Vec::new(), routes: Vec::new() };
        for route in previous.sections("routes")? {
            let to = route.parse("dst")?.ok_or_else(|| route.bad("dst", "it is missing"))?;
            claimed.routes.push((to, route.parse("gw")?));
        }
        let interfaces = previous.sections("interfaces")?;
        let ours = |item: &Section<'_>| {
            let text = |key| item.text(key).ok().flatten();
            text("name") == Some(ifname) && text("sandbox").is_some()
        };
        let Some(index) = interfaces.iter().position(ours) else { return Ok(claimed) };
        claimed.mac = interfaces[index].text("mac")?.map(str::to_lowercase);
        for ip in previous.sections("ips")? {
            if ip.get("interface").and_then(Value::as_u64) == Some(index as u64) {
                claimed.addresses.extend(ip.text("address")?.map(str::to_owned));
            }
        }
        Ok(claimed)
    }

    /// Is it all there? A look into the namespace says.
    fn stand(&self, seen: &Inside) -> Outcome<()> {
        let name = self.ifname;
        let interface = seen.interfaces.iter().find(|interface| interface.name.as_str() == name);
        let interface = interface.ok_or_else(|| missing(format!("interface {name} is gone")))?;
        if !interface.up {
            return Err(missing(format!("interface {name} is down")));
        }
        let mac = interface.mac.map(|mac| mac.to_string());
        if self.mac.is_some() && self.mac != mac {
            let mac = mac.unwrap_or_default();
            return Err(missing(format!("interface {name} has another MAC address now, {mac}")));
        }
        for address in &self.addresses {
            if !interface.addresses.iter().any(|there| there.to_string() == *address) {
                return Err(missing(format!("address {address} of {name} is gone")));
            }
        }
        for (to, gateway) in &self.routes {
            if !seen.routes.iter().any(|route| leads(route, to, *gateway)) {
                let gateway = gateway.map(|gateway| format!(" via {gateway}")).unwrap_or_default();
                return Err(missing(format!("the route to {to}{gateway} is gone")));
            }
        }
        Ok(())
    }
}

fn leads(route: &RouteInside, to: &IpNetwork, gateway: Option<IpAddr>) -> bool {
    let same = match &route.to {
        None => to.prefix() == 0 && to.is_ipv6() == route.v6,
        Some(subnet) => subnet.base() == to.network() && subnet.prefix() == to.prefix(),
    };
    same && (gateway.is_none() || route.gateway == gateway)
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
