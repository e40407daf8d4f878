//! Networks as promised: a bridge (or macvlan, ipvlan, host, none) with subnets, gateways and settings.
use super::{
    Family, Id, IfName, Mac, Name, Subnet,
    address::Cidr,
    options::{BridgeSettings, VlanSettings},
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt, net::IpAddr};

/// What a network is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Driver {
    Bridge,
    Macvlan,
    Ipvlan,
    Host,
    None,
}

impl fmt::Display for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Driver::Bridge => "bridge",
            Driver::Macvlan => "macvlan",
            Driver::Ipvlan => "ipvlan",
            Driver::Host => "host",
            Driver::None => "none",
        })
    }
}

/// A subnet of a network. Addresses are handed out of `range`, or of the whole subnet without one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Pool {
    pub subnet: Subnet,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<IpAddr>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub range: Option<Subnet>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub aux: BTreeMap<String, IpAddr>,
    /// A runtime has reserved it, and may have addresses of it besides our endpoints.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reservation: Option<Id>,
}

/// A promised network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network {
    pub id: Id,
    pub name: Name,
    pub driver: Driver,
    /// RFC 3339.
    pub created: String,
    #[serde(default)]
    pub internal: bool,
    pub ipv4: bool,
    pub ipv6: bool,
    #[serde(default)]
    pub pools: Vec<Pool>,
    /// As the user wrote them; `settings` is what they mean.
    #[serde(default)]
    pub options: BTreeMap<String, String>,
    pub settings: Settings,
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Only a configuration: it has no device, no addresses and no members.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub config_only: bool,
    /// The configuration that it was made from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_from: Option<Name>,
}

/// What the options mean, by driver.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Settings {
    Bridge { device: IfName, mac: Mac, settings: BridgeSettings },
    Vlan { parent: IfName, settings: VlanSettings },
    Plain,
}

/// Label of a network that a runtime knows too, with that runtime's name: `network prune` leaves it alone.
pub const HELD_BY: &str = "io.pontoon.held-by";

/// Names of the networks that are always there.
pub const PREDEFINED: [&str; 3] = ["bridge", "host", "none"];

impl Network {
    pub fn predefined(&self) -> bool {
        PREDEFINED.contains(&self.name.as_str())
    }
    /// The Linux bridge, for a bridge network.
    pub fn device(&self) -> Option<&IfName> {
        match &self.settings {
            Settings::Bridge { device, .. } => Some(device),
            _ => None,
        }
    }
    pub fn bridge(&self) -> Option<&BridgeSettings> {
        match &self.settings {
            Settings::Bridge { settings, .. } => Some(settings),
            _ => None,
        }
    }
    pub fn pool(&self, family: Family) -> Option<&Pool> {
        self.pools.iter().find(|pool| pool.subnet.family() == family)
    }
    /// The pool that an address lies in.
    pub fn pool_of(&self, address: IpAddr) -> Option<&Pool> {
        self.pools.iter().find(|pool| pool.subnet.contains(address))
    }
    /// `address` with the length of its subnet here.
    pub fn cidr(&self, address: IpAddr) -> Option<Cidr> {
        self.pool_of(address).map(|pool| pool.subnet.with(address))
    }
    /// Can a sandbox reach the world through it, in this family?
    pub fn leads_out(&self, family: Family) -> bool {
        let gateway = self.pool(family).is_some_and(|pool| pool.gateway.is_some());
        let inhibited = family == Family::V4 && self.bridge().is_some_and(|bridge| bridge.inhibit_ipv4);
        !self.internal && gateway && (!inhibited || self.pool(family).is_some())
    }
}
