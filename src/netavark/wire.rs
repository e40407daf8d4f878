//! What Podman writes to stdin of `setup` and `teardown`. Keys that nobody needs are let be; `null` is as good as nothing.
use crate::model::IfName;
use serde::{Deserialize, Deserializer, de::Error};
use serde_json::Value;
use std::{collections::BTreeMap, net::IpAddr};

type Map = BTreeMap<String, String>;

/// One container, some of its networks.
#[derive(Debug, Clone, Deserialize)]
pub struct Request {
    pub container_id: String,
    pub container_name: String,
    /// Podman 5.5 and later.
    pub container_hostname: Option<String>,
    #[serde(default, deserialize_with = "nothing")]
    pub port_mappings: Vec<PortMapping>,
    /// Upstream servers that were given for this container.
    #[serde(default, deserialize_with = "nothing")]
    pub dns_servers: Vec<IpAddr>,
    /// By network name: a map until Podman 5, in the order of creation since Podman 6.
    #[serde(deserialize_with = "seats")]
    pub networks: Vec<(String, Seat)>,
    pub network_info: BTreeMap<String, Network>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct PortMapping {
    #[serde(default)]
    pub host_ip: String,
    pub container_port: u16,
    pub host_port: u16,
    #[serde(default)]
    pub protocol: String,
    #[serde(default)]
    pub range: u16,
}

/// What is wanted of one network for this container.
#[derive(Debug, Clone, Deserialize)]
pub struct Seat {
    pub interface_name: IfName,
    #[serde(default, deserialize_with = "nothing")]
    pub static_ips: Vec<IpAddr>,
    #[serde(default, deserialize_with = "nothing")]
    pub static_mac: String,
    #[serde(default, deserialize_with = "nothing")]
    pub aliases: Vec<String>,
    #[serde(default, deserialize_with = "nothing")]
    pub options: Map,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Network {
    pub name: String,
    pub id: String,
    #[serde(default)]
    pub driver: String,
    #[serde(default)]
    pub network_interface: Option<String>,
    #[serde(default, deserialize_with = "nothing")]
    pub subnets: Vec<Subnet>,
    #[serde(default, deserialize_with = "nothing")]
    pub routes: Vec<Value>,
    #[serde(default)]
    pub ipv6_enabled: bool,
    #[serde(default)]
    pub internal: bool,
    #[serde(default)]
    pub dns_enabled: bool,
    #[serde(default, deserialize_with = "nothing")]
    pub network_dns_servers: Vec<IpAddr>,
    #[serde(default, deserialize_with = "nothing")]
    pub options: Map,
    #[serde(default, deserialize_with = "nothing")]
    pub ipam_options: Map,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Subnet {
    pub subnet: String,
    #[serde(default)]
    pub gateway: Option<IpAddr>,
}

/// Go writes `null` for what is empty.
fn nothing<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(from: D) -> Result<T, D::Error> {
    Option::<T>::deserialize(from).map(Option::unwrap_or_default)
}

fn seats<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<(String, Seat)>, D::Error> {
    let seat = |name: String, value: Value| {
        let seat: Result<Seat, _> = serde_json::from_value(value);
        seat.map(|seat| (name.clone(), seat)).map_err(|why| Error::custom(format!("networks: {name}: {why}")))
    };
    match Value::deserialize(from)? {
        Value::Object(map) => map.into_iter().map(|(name, value)| seat(name, value)).collect(),
        Value::Array(list) => {
            let named = |value: Value| match value["name"].as_str().map(str::to_owned) {
                Some(name) => seat(name, value),
                None => Err(Error::custom("networks: an entry has no name")),
            };
            list.into_iter().map(named).collect()
        }
        _ => Err(Error::custom("networks: a map or an array is needed")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn request(networks: Value) -> Result<Request, serde_json::Error> {
        serde_json::from_value(json!({
            "container_id": "c1", "container_name": "web", "port_mappings": null, "later": 1,
            "networks": networks, "network_info": {},
        }))
    }

    #[test]
    fn both_shapes_of_networks() {
        let map = json!({"a": {"interface_name": "eth0", "static_ips": null}});
        let list = json!([{"name": "b", "interface_name": "eth1"}, {"name": "a", "interface_name": "eth0"}]);
        let names = |value| request(value).unwrap().networks.into_iter().map(|(n, _)| n).collect::<Vec<_>>();
        assert_eq!(names(map), ["a"]);
        assert_eq!(names(list), ["b", "a"]);
        for (bad, wanted) in [
            (json!("a"), "a map or an array"),
            (json!([{"interface_name": "eth0"}]), "no name"),
            (json!({"a": {"interface_name": "much-too-long-a-name"}}), "networks: a: "),
        ] {
            let error = request(bad).unwrap_err().to_string();
            assert!(error.contains(wanted), "{error}");
        }
    }
}
