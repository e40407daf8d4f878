//! The answer to `setup`: for each network what the container got there. It tells what is, never what was wished.
use super::{wire::Request, wish};
use crate::{
    error::{Error, Result},
    model::{
        reply::{EndpointInfo, SandboxInfo},
        sandbox::Dns,
    },
};
use serde_json::{Map, Value, json};
use std::net::IpAddr;

pub fn answer(request: &Request, sandbox: &SandboxInfo) -> Result<Value> {
    let mut answer = Map::new();
    for (name, _) in &request.networks {
        let network = wish::network(request, name)?;
        let id = super::network::id(network)?;
        let endpoint =
            sandbox.networks.iter().find(|endpoint| endpoint.network_id == id).ok_or_else(|| {
                Error::internal(format!("sandbox {} lost its seat in network {name} meanwhile", sandbox.name))
            })?;
        let resolver = network.dns_enabled.then(|| resolver(sandbox, endpoint)).flatten();
        let servers = if network.dns_enabled { &[] } else { request.dns_servers.as_slice() };
        answer.insert(name.clone(), block(endpoint, resolver, servers));
    }
    Ok(Value::Object(answer))
}

/// Podman takes the server of a network that is left out of resolv.conf, whoever else named it too (4.3.1), so each network
/// names another address of the one resolver.
fn resolver(sandbox: &SandboxInfo, endpoint: &EndpointInfo) -> Option<IpAddr> {
    match endpoint.ifname.as_str() {
        "eth0" => Some(Dns::ADDRESS.into()),
        _ => sandbox.dns.by_network.then(|| Dns::address_in(&endpoint.network_id).into()),
    }
}

/// One network's status. Without names of ours the container asks whom it would have asked anyway.
pub fn block(endpoint: &EndpointInfo, resolver: Option<IpAddr>, servers: &[IpAddr]) -> Value {
    let subnets = endpoint.addresses.iter().map(|cidr| {
        let same = |gateway: &&IpAddr| gateway.is_ipv6() == cidr.address.is_ipv6();
        match endpoint.gateways.iter().find(same) {
            Some(gateway) => json!({ "ipnet": cidr, "gateway": gateway }),
            None => json!({ "ipnet": cidr }),
        }
    });
    let interface = json!({ "mac_address": endpoint.mac, "subnets": subnets.collect::<Vec<_>>() });
    let (servers, domains) = match &resolver {
        Some(resolver) => (std::slice::from_ref(resolver), &[wish::DOMAIN][..]),
        None => (servers, &[][..]),
    };
    json!({
        "dns_search_domains": domains,
        "dns_server_ips": servers,
        "interfaces": { endpoint.ifname.as_str(): interface },
    })
}
