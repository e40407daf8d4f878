//! A network as Docker's JSON. Addresses are valid or `""`: newer clients parse them strictly.
use super::options;
use crate::model::{
    Family,
    address::Cidr,
    network::Driver,
    reply::{Member, NetworkInfo, SubnetInfo},
};
use serde_json::{Map, Value, json};

/// Docker's name of a driver.
pub fn driver(driver: Driver) -> String {
    match driver {
        Driver::None => "null".to_owned(),
        other => other.to_string(),
    }
}

pub fn show(network: &NetworkInfo) -> Value {
    let given = options::shown(&network.options, &network.labels);
    let members = network.members.iter().map(|who| (who.sandbox.to_string(), member(who)));
    json!({
        "Name": network.name,
        "Id": network.id,
        "Created": network.created,
        "Scope": network.scope,
        "Driver": driver(network.driver),
        "EnableIPv4": network.ipv4,
        "EnableIPv6": network.ipv6,
        "IPAM": {
            "Driver": "default",
            "Options": given.ipam_options,
            "Config": network.subnets.iter().map(subnet).collect::<Vec<_>>(),
        },
        "Internal": network.internal,
        "Attachable": given.attachable,
        "Ingress": false,
        "ConfigFrom": { "Network": network.config_from.as_ref().map_or("", |name| name.as_str()) },
        "ConfigOnly": network.config_only,
        "Containers": members.collect::<Map<_, _>>(),
        "Options": given.options,
        "Labels": given.labels,
    })
}

fn subnet(subnet: &SubnetInfo) -> Value {
    let mut shown = json!({ "Subnet": subnet.subnet });
    if let Some(range) = &subnet.range {
        shown["IPRange"] = json!(range);
    }
    if let Some(gateway) = &subnet.gateway {
        shown["Gateway"] = json!(gateway);
    }
    if !subnet.aux.is_empty() {
        shown["AuxiliaryAddresses"] = json!(subnet.aux);
    }
    shown
}

fn member(member: &Member) -> Value {
    let address =
        |family| address(&member.addresses, family).map(|cidr| cidr.to_string()).unwrap_or_default();
    json!({
        "Name": member.name,
        "EndpointID": member.endpoint,
        "MacAddress": member.mac,
        "IPv4Address": address(Family::V4),
        "IPv6Address": address(Family::V6),
    })
}

/// The address of one family.
pub fn address(addresses: &[Cidr], family: Family) -> Option<&Cidr> {
    addresses.iter().find(|cidr| cidr.subnet().family() == family)
}
