//! The answer to `setup`: for each network what the container got there. It tells what is, never what was wished.
use super::{wire::Request, wish};
use crate::{
    error::{Error, Result},
    model::reply::{EndpointInfo, SandboxInfo},
};
use serde_json::{Map, Value, json};
use std::net::IpAddr;

/// Where our names are served inside every sandbox.
const RESOLVER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(127, 0, 0, 11));

pub fn answer(request: &Request, sandbox: &SandboxInfo) -> Result<Value> {
    let mut answer = Map::new();
    for (name, _) in &request.networks {
        let network = wish::network(request, name)?;
        let id = super::network::id(network)?;
        let endpoint =
            sandbox.networks.iter().find(|endpoint| endpoint.network_id == id).ok_or_else(|| {
                Error::internal(format!("sandbox {} lost its seat in network {name} meanwhile", sandbox.name))
            })?;
        let names = network.dns_enabled && tells_resolver(sandbox, endpoint);
        let servers = if network.dns_enabled { &[] } else { request.dns_servers.as_slice() };
        answer.insert(name.clone(), block(endpoint, names, servers));
    }
    Ok(Value::Object(answer))
}

/// Podman takes the server of a network that is left out of resolv.conf, whoever else named it too (4.3.1): one network
/// names ours, that of the first interface, and the others come and go without a trace.
fn tells_resolver(sandbox: &SandboxInfo, endpoint: &EndpointInfo) -> bool {
    let named = |seat: &&EndpointInfo| seat.aliases.iter().any(|alias| alias.ends_with(wish::DOMAIN));
    let order = |seat: &EndpointInfo| (seat.ifname.as_str().len(), seat.ifname.to_string());
    sandbox.networks.iter().filter(named).all(|other| order(endpoint) <= order(other))
}

/// One network's status. Without names of ours the container asks whom it would have asked anyway.
pub fn block(endpoint: &EndpointInfo, names: bool, servers: &[IpAddr]) -> Value {
    let subnets = endpoint.addresses.iter().map(|cidr| {
        let same = |gateway: &&IpAddr| gateway.is_ipv6() == cidr.address.is_ipv6();
        match endpoint.gateways.iter().find(same) {
            Some(gateway) => json!({ "ipnet": cidr, "gateway": gateway }),
            None => json!({ "ipnet": cidr }),
        }
    });
    let interface = json!({ "mac_address": endpoint.mac, "subnets": subnets.collect::<Vec<_>>() });
    let (servers, domains) = if names { (&[RESOLVER][..], &[wish::DOMAIN][..]) } else { (servers, &[][..]) };
    json!({
        "dns_search_domains": domains,
        "dns_server_ips": servers,
        "interfaces": { endpoint.ifname.as_str(): interface },
    })
}
