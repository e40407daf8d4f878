//! `create` (Podman 6): completes a new network with bridge, subnets and gateways. It only answers: the network is made when
//! a container needs it. Free subnets are chosen by the rule that the daemon has for its own.
use super::{network, wire};
use crate::{
    error::{Error, Result},
    ipam::{Pool, Taken, check_pool, default_gateway, pick, ula},
    model::{Family, IfName, Name, Subnet, options::BridgeSettings, options::VlanSettings},
};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;

#[derive(Deserialize)]
pub struct Request {
    /// Kept as it came: unknown keys are Podman's.
    network: Value,
    used: Used,
    options: Options,
}

/// What Podman's other networks have.
#[derive(Deserialize)]
struct Used {
    interfaces: Vec<String>,
    names: BTreeMap<String, String>,
    subnets: Vec<String>,
}

#[derive(Deserialize)]
struct Options {
    subnet_pools: Vec<PoolLine>,
    default_interface_name: String,
    #[serde(default)]
    check_used_subnets: bool,
}

#[derive(Deserialize)]
struct PoolLine {
    base: Subnet,
    size: u8,
}

pub fn create(request: &Request) -> Result<Value> {
    let mut made = request.network.clone();
    let asked: wire::Network = serde_json::from_value(made.clone())
        .map_err(|error| Error::invalid("invalid network").because(error))?;
    check_name(request, &asked)?;
    let bridge = matches!(asked.driver.as_str(), "" | "bridge");
    if bridge {
        made["network_interface"] = json!(interface(request, &asked)?);
    }
    let subnets = subnets(request, &asked)?;
    let kind = if subnets.is_empty() { "none" } else { "host-local" };
    made["ipam_options"] = merged(&made["ipam_options"], "driver", kind);
    made["ipv6_enabled"] = json!(
        asked.ipv6_enabled || subnets.iter().any(|s| s["subnet"].as_str().is_some_and(|s| s.contains(':')))
    );
    made["subnets"] = json!(subnets);
    made["dns_enabled"] = json!(asked.dns_enabled && bridge);
    made["created"] = json!(jiff::Timestamp::now().to_string());
    let complete: wire::Network = serde_json::from_value(made.clone())
        .map_err(|error| Error::internal("complete the network").because(error))?;
    let described = network::described(&complete)?;
    match bridge {
        true => drop(BridgeSettings::parse(&described.options, described.internal)?),
        false if asked.driver == "macvlan" => drop(VlanSettings::macvlan(&described.options)?),
        false => drop(VlanSettings::ipvlan(&described.options)?),
    }
    Ok(made)
}

fn merged(value: &Value, key: &str, default: &str) -> Value {
    let mut value = if value.is_object() { value.clone() } else { json!({}) };
    if value[key].as_str().is_none_or(str::is_empty) {
        value[key] = json!(default);
    }
    value
}

fn check_name(request: &Request, asked: &wire::Network) -> Result<()> {
    Name::parse(&asked.name)?;
    network::id(asked)?;
    match request.used.names.contains_key(&asked.name) {
        // Podman looks for the last three words.
        true => {
            Err(Error::conflict(format!("network name {} already used: network already exists", asked.name)))
        }
        false => Ok(()),
    }
}

fn interface(request: &Request, asked: &wire::Network) -> Result<String> {
    let used = |name: &str| request.used.interfaces.iter().any(|other| other == name);
    match asked.network_interface.as_deref().filter(|name| !name.is_empty()) {
        Some(name) if used(name) => {
            Err(Error::conflict(format!("bridge name {name} is already in use: choose another")))
        }
        Some(name) => IfName::parse(name).map(|name| name.to_string()),
        None => {
            let names = (0..).map(|n: u32| format!("{}{n}", request.options.default_interface_name));
            let free = names.take(100_000).find(|name| !used(name));
            let free = free.ok_or_else(|| Error::exhausted("no name for a bridge is free"))?;
            IfName::parse(&free).map(|name| name.to_string())
        }
    }
}

/// Those that were given, completed with gateways, and for each family that is wanted and has none, a free one.
fn subnets(request: &Request, asked: &wire::Network) -> Result<Vec<Value>> {
    if asked.ipam_options.get("driver").is_some_and(|driver| driver == "none" || driver == "dhcp") {
        return Ok(Vec::new());
    }
    let others = request.used.subnets.iter().map(|text| text.parse()).collect::<Result<Vec<Subnet>>>()?;
    let mut taken = Taken::new();
    taken.extend(others.iter().copied());
    let given = request.network["subnets"].as_array().cloned().unwrap_or_default();
    let mut made = Vec::new();
    let mut families = Vec::new();
    for (value, subnet) in given.into_iter().zip(&asked.subnets) {
        let parsed: Subnet = subnet.subnet.parse()?;
        let clash = others.iter().find(|other| other.overlaps(&parsed));
        if let Some(other) = clash.filter(|_| request.options.check_used_subnets) {
            return Err(Error::conflict(format!(
                "subnet {parsed} is already used by another network ({other}): choose another"
            )));
        }
        check_pool(&parsed, subnet.gateway, None, &BTreeMap::new())?;
        families.push(parsed.family());
        made.push(with_gateway(value, &parsed, asked));
    }
    let none = families.is_empty();
    for (family, wanted) in [(Family::V4, none || asked.ipv6_enabled), (Family::V6, asked.ipv6_enabled)] {
        if wanted && !families.contains(&family) {
            let free = pick(&pools(request, family)?, family, None, &[&taken])?;
            made.push(with_gateway(json!({ "subnet": free.to_string() }), &free, asked));
        }
    }
    Ok(made)
}

/// A network without any way out needs none, unless its names are asked there.
fn with_gateway(mut value: Value, subnet: &Subnet, asked: &wire::Network) -> Value {
    if value["gateway"].is_null() && (!asked.internal || asked.dns_enabled) {
        value["gateway"] = json!(default_gateway(subnet, None, &BTreeMap::new()));
    }
    value
}

fn pools(request: &Request, family: Family) -> Result<Vec<Pool>> {
    let lines = request.options.subnet_pools.iter().filter(|line| line.base.family() == family);
    let pools: Vec<Pool> = lines.map(|line| Pool { base: line.base, size: line.size }).collect();
    if family == Family::V4 || !pools.is_empty() {
        return Ok(pools);
    }
    let mut bytes = [0; 5];
    getrandom::fill(&mut bytes).map_err(|error| Error::internal("choose a random prefix").because(error))?;
    Ok(vec![ula(bytes)?])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(network: Value) -> Request {
        let mut whole =
            json!({"name": "web", "id": "ab".repeat(32), "driver": "bridge", "dns_enabled": true});
        for (key, value) in network.as_object().unwrap() {
            whole[key] = value.clone();
        }
        let value = json!({
            "network": whole,
            "used": {"interfaces": ["podman0", "podman1"], "names": {"old": "id"}, "subnets": ["10.88.0.0/16", "10.89.0.0/24"]},
            "options": {"subnet_pools": [{"base": "10.89.0.0/16", "size": 24}, {"base": "10.90.0.0/15", "size": 24}],
                "default_interface_name": "podman", "check_used_subnets": true},
        });
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn a_network_is_completed() {
        let made = create(&request(json!({"labels": {"a": "b"}}))).unwrap();
        assert_eq!((&made["network_interface"], &made["labels"]["a"]), (&json!("podman2"), &json!("b")));
        assert_eq!(made["subnets"], json!([{"subnet": "10.89.1.0/24", "gateway": "10.89.1.1"}]));
        assert_eq!(made["ipam_options"]["driver"], "host-local");
        assert!(made["created"].as_str().unwrap().ends_with('Z'));
        let dual = create(&request(
            json!({"ipv6_enabled": true, "subnets": [{"subnet": "10.99.0.0/24", "gateway": "10.99.0.9"}]}),
        ));
        let dual = dual.unwrap();
        assert_eq!(dual["subnets"][0]["gateway"], "10.99.0.9");
        assert!(dual["subnets"][1]["subnet"].as_str().unwrap().starts_with("fd"), "{dual}");
        let inside = create(&request(json!({"internal": true, "dns_enabled": false}))).unwrap();
        assert_eq!(inside["subnets"][0].get("gateway"), None);
        let vlan = json!({"driver": "macvlan", "network_interface": "eth0", "subnets": [{"subnet": "10.99.0.0/24"}]});
        assert_eq!(create(&request(vlan)).unwrap()["dns_enabled"], false);
    }

    #[test]
    fn what_is_refused() {
        for (network, wanted) in [
            (json!({"name": "old"}), "network already exists"),
            (json!({"name": "a b"}), "invalid name"),
            (json!({"id": "7"}), "invalid id"),
            (json!({"network_interface": "podman1"}), "bridge name podman1 is already in use"),
            (
                json!({"subnets": [{"subnet": "10.88.1.0/24"}]}),
                "already used by another network (10.88.0.0/16)",
            ),
            (json!({"subnets": [{"subnet": "10.99.0.0/24", "gateway": "10.98.0.1"}]}), "10.98.0.1"),
            (json!({"options": {"mtu": "big"}}), "invalid option mtu=big"),
            (json!({"options": {"colour": "red"}}), "unknown option \"colour\""),
            (json!({"driver": "fancy"}), "driver \"fancy\" is not served"),
        ] {
            let error = create(&request(network.clone())).unwrap_err().to_string();
            assert!(error.contains(wanted), "{network}: {error}");
        }
    }
}
