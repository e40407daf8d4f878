//! The result of ADD, in the shape of the version that was asked for. It tells what is, never what was wished.
use super::{call::Seat, config::Config, delegate::Given, failure::Outcome, version::Version};
use crate::model::reply::{EndpointInfo, SandboxInfo};
use serde_json::{Map, Value, json};
use std::net::IpAddr;

/// Where our names are served inside every sandbox.
const RESOLVER: &str = "127.0.0.11";

pub fn result(
    config: &Config,
    seat: &Seat,
    sandbox: &SandboxInfo,
    endpoint: &EndpointInfo,
    given: Option<&Given>,
) -> Value {
    let mut result = match config.previous() {
        Some(Value::Object(previous)) => previous.clone(),
        _ => Map::new(),
    };
    result.insert("cniVersion".to_owned(), json!(config.version.as_str()));
    let before = result.get("interfaces").and_then(Value::as_array).map_or(0, Vec::len);
    let own = interfaces(seat, endpoint);
    let inside = before + own.len() - 1;
    append(&mut result, "interfaces", own);
    append(&mut result, "ips", ips(config.version, endpoint, Some(inside)));
    append(&mut result, "routes", routes(sandbox, endpoint));
    result.insert("dns".to_owned(), dns(config, sandbox, given));
    Value::Object(result)
}

/// As an IPAM plugin: no interface, which the other one makes; routes are those of the configuration.
pub fn lent(config: &Config, sandbox: &SandboxInfo) -> Outcome<Value> {
    let routes = config.describing()?.list("routes")?;
    let ips =
        sandbox.networks.iter().flat_map(|endpoint| ips(config.version, endpoint, None)).collect::<Vec<_>>();
    Ok(json!({ "cniVersion": config.version.as_str(), "ips": ips, "routes": routes, "dns": {} }))
}

/// Puts items behind those that are there.
fn append(result: &mut Map<String, Value>, key: &str, items: Vec<Value>) {
    match result.get_mut(key) {
        Some(Value::Array(there)) => there.extend(items),
        _ => drop(result.insert(key.to_owned(), Value::Array(items))),
    }
}

/// The host's end, then the one inside.
fn interfaces(seat: &Seat, endpoint: &EndpointInfo) -> Vec<Value> {
    let host = endpoint.host_ifname.iter().map(|name| json!({ "name": name }));
    let inside = json!({ "name": endpoint.ifname, "mac": endpoint.mac, "sandbox": seat.netns });
    host.chain([inside]).collect()
}

fn ips(version: Version, endpoint: &EndpointInfo, interface: Option<usize>) -> Vec<Value> {
    let ip = |cidr: &crate::model::address::Cidr| {
        let v6 = cidr.address.is_ipv6();
        let mut ip = json!({ "address": cidr.to_string() });
        if let Some(interface) = interface {
            ip["interface"] = json!(interface);
        }
        if let Some(gateway) = endpoint.gateways.iter().find(|gateway| gateway.is_ipv6() == v6) {
            ip["gateway"] = json!(gateway);
        }
        if version < Version::V1_0_0 {
            ip["version"] = json!(if v6 { "6" } else { "4" });
        }
        ip
    };
    endpoint.addresses.iter().map(ip).collect()
}

/// Default routes, where they lead through this network, and what a foreign plugin wanted.
fn routes(sandbox: &SandboxInfo, endpoint: &EndpointInfo) -> Vec<Value> {
    let route = |gateway: &IpAddr| {
        let (through, all) = match gateway {
            IpAddr::V4(_) => (&sandbox.gateway_network, "0.0.0.0/0"),
            IpAddr::V6(_) => (&sandbox.gateway_network6, "::/0"),
        };
        (through.as_ref() == Some(&endpoint.network)).then(|| json!({ "dst": all, "gw": gateway }))
    };
    let further = endpoint.routes.iter().map(|route| {
        let mut json = json!({ "dst": route.to });
        if let Some(via) = route.via {
            json["gw"] = json!(via);
        }
        json
    });
    endpoint.gateways.iter().filter_map(route).chain(further).collect()
}

/// Our resolver, which passes on what it does not know to the servers that were configured.
fn dns(config: &Config, sandbox: &SandboxInfo, given: Option<&Given>) -> Value {
    let mut dns = config.section().get("dns").or(given.and_then(|given| given.dns.as_ref())).cloned();
    let dns = dns.get_or_insert_default();
    if !dns.is_object() {
        *dns = json!({});
    }
    dns["nameservers"] = json!([RESOLVER]);
    for (key, values) in [("search", &sandbox.dns.search), ("options", &sandbox.dns.options)] {
        if !values.is_empty() {
            dns[key] = json!(values);
        }
    }
    dns.take()
}
