//! Sandboxes and endpoints as promised.
use super::{
    Bandwidth, Family, Id, IfName, Mac, Name, Subnet, mount::MountSpec, options::Sysctl, port::Port,
};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    path::PathBuf,
};

/// Where a sandbox's network namespace comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Netns {
    /// We made it, at this path.
    Made(PathBuf),
    /// A runtime's. `inode` tells a recycled path from the one that was registered.
    Given { path: PathBuf, inode: u64 },
    /// The host's own.
    Host,
    /// That of another sandbox.
    Shared(Id),
    /// A runtime's that we never enter: each interface is handed over on the host, and the runtime fetches it, moves it in
    /// and furnishes it.
    Handed,
    /// A runtime's that somebody else furnishes: only addresses are ours, for as long as it is there.
    Leased { path: PathBuf, inode: u64 },
}

/// One container's place: a network namespace, its names, its ports, its mounts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sandbox {
    pub id: Id,
    pub name: Name,
    /// RFC 3339.
    pub created: String,
    pub netns: Netns,
    #[serde(default)]
    pub hostname: String,
    #[serde(default)]
    pub endpoints: Vec<Endpoint>,
    #[serde(default)]
    pub ports: Vec<Port>,
    #[serde(default)]
    pub mounts: Vec<MountSpec>,
    #[serde(default)]
    pub dns: Dns,
    /// `--add-host`
    #[serde(default)]
    pub hosts: Vec<(String, IpAddr)>,
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// What runs in it, if we were told: when it ends, the sandbox is released.
    #[serde(default)]
    pub process: Option<Process>,
    /// Anonymous volumes go with it.
    #[serde(default)]
    pub auto_remove: bool,
    /// Of a handed one: what its runtime calls the namespace that the interface is in. Those that say the same are seats of
    /// one container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
}

/// A process that cannot be mistaken for a later one with the same number: pid and start time
/// (field 22 of /proc/PID/stat, in clock ticks since boot).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Process {
    pub pid: u32,
    pub started: u64,
}

/// What a sandbox was told about DNS.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default)]
pub struct Dns {
    pub servers: Vec<IpAddr>,
    pub search: Vec<String>,
    pub options: Vec<String>,
    /// Domains below which only we know names: what we do not know there does not exist.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub local: Vec<String>,
    /// Served at an address for each network too (`Dns::address_in`), for a runtime that forgets a network's server when the
    /// container leaves that network.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub by_network: bool,
}

impl Dns {
    /// Where the daemon answers in every sandbox.
    pub const ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 11);
    /// 16 bits: where it answers too in a sandbox with `by_network`.
    pub const BY_NETWORK: [u8; 2] = [127, 11];

    /// That of one network: nearly never the same for two.
    pub fn address_in(network: &Id) -> Ipv4Addr {
        let [first, second] = Self::BY_NETWORK;
        let [third, fourth, ..] = network.to_bytes();
        Ipv4Addr::new(first, second, third, fourth)
    }

    /// Is this an address at which the daemon itself answers in sandboxes?
    pub fn is_ours(address: IpAddr) -> bool {
        match address {
            IpAddr::V4(v4) => v4 == Self::ADDRESS || v4.octets().starts_with(&Self::BY_NETWORK),
            IpAddr::V6(_) => false,
        }
    }
}

/// A route inside a sandbox besides its default ones.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(deny_unknown_fields)]
pub struct StaticRoute {
    pub to: Subnet,
    /// In the endpoint's own network. None: the network itself is the way.
    #[serde(default)]
    pub via: Option<IpAddr>,
}

/// A sandbox's seat in a network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    pub id: Id,
    pub network: Id,
    /// Inside.
    pub ifname: IfName,
    pub mac: Mac,
    #[serde(default)]
    pub ip4: Option<Ipv4Addr>,
    #[serde(default)]
    pub ip6: Option<Ipv6Addr>,
    #[serde(default)]
    pub aliases: Vec<String>,
    /// alias -> the name that it stands for (`--link name:alias`)
    #[serde(default)]
    pub links: BTreeMap<String, String>,
    /// Among several networks the highest gives the default route.
    #[serde(default)]
    pub priority: i32,
    /// Which of its addresses were asked for by name, and not chosen.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub asked: Vec<IpAddr>,
    /// Addresses that were asked for beside those of the network.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub link_local: Vec<IpAddr>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sysctls: Vec<Sysctl>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<StaticRoute>,
    #[serde(default, skip_serializing_if = "Bandwidth::is_none")]
    pub bandwidth: Bandwidth,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

/// Label with the value `runtime`: the runtime binds the host ports itself once the sandbox stands (Podman does), so
/// nobody else may hold them.
pub const PORTS_HELD_BY: &str = "io.pontoon.ports-held-by";

impl Sandbox {
    /// Do we keep its host ports from other programs?
    pub fn holds_ports(&self) -> bool {
        self.labels.get(PORTS_HELD_BY).is_none_or(|who| who != "runtime")
    }
    /// Path of its namespace, unless it is the host's or another sandbox's, or nobody told us.
    pub fn netns_path(&self) -> Option<&PathBuf> {
        match &self.netns {
            Netns::Made(path) | Netns::Given { path, .. } => Some(path),
            Netns::Host | Netns::Shared(_) | Netns::Handed | Netns::Leased { .. } => None,
        }
    }
    pub fn endpoint_in(&self, network: Id) -> Option<&Endpoint> {
        self.endpoints.iter().find(|endpoint| endpoint.network == network)
    }
}

impl Endpoint {
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> + use<> {
        self.ip4.map(IpAddr::V4).into_iter().chain(self.ip6.map(IpAddr::V6))
    }
    pub fn address(&self, family: Family) -> Option<IpAddr> {
        match family {
            Family::V4 => self.ip4.map(IpAddr::V4),
            Family::V6 => self.ip6.map(IpAddr::V6),
        }
    }
}
