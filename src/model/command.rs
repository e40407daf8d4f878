//! The whole vocabulary of the daemon: every doorway translates into a `Command`.
use super::{
    Bandwidth, Family, Id, IfName, Mac, Name, Subnet,
    mount::MountSpec,
    network::Driver,
    options::Sysctl,
    port::{Port, PortSpec},
    sandbox::{Dns, StaticRoute},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    path::PathBuf,
};

type Map = BTreeMap<String, String>;

/// Makes the `Command` enum, its parser and its table of methods from one list.
macro_rules! commands {
    ($($(#[$doc:meta])* $method:literal $variant:ident($request:ty) -> $reply:ty;)*) => {
        /// One request to the daemon.
        #[derive(Debug, Clone, PartialEq)]
        pub enum Command { $($(#[$doc])* $variant($request),)* }

        impl Command {
            /// Every method name, as in `POST /Network.Create`.
            pub const METHODS: &'static [&'static str] = &[$($method),*];

            pub fn method(&self) -> &'static str {
                match self { $(Command::$variant(_) => $method,)* }
            }
            /// Parses the JSON body of `method`. None: there is no such method.
            pub fn parse(method: &str, body: &[u8]) -> Option<Result<Self, serde_json::Error>> {
                Some(match method {
                    $($method => serde_json::from_slice(body).map(Command::$variant),)*
                    _ => return None,
                })
            }
            /// The JSON body of this command.
            pub fn body(&self) -> serde_json::Result<Vec<u8>> {
                match self { $(Command::$variant(request) => serde_json::to_vec(request),)* }
            }
            /// method -> (request schema, reply schema), for GET /schema.
            pub fn schemas(generator: &mut schemars::SchemaGenerator) -> Vec<(&'static str, schemars::Schema, schemars::Schema)> {
                vec![$(($method, generator.subschema_for::<$request>(), generator.subschema_for::<$reply>()),)*]
            }
        }
    };
}

commands! {
    "Network.Create" NetworkCreate(NetworkCreate) -> super::reply::Created;
    "Network.List" NetworkList(Filters) -> Vec<super::reply::NetworkInfo>;
    "Network.Inspect" NetworkInspect(Which) -> super::reply::NetworkInfo;
    "Network.Remove" NetworkRemove(Which) -> super::reply::Removed;
    "Network.Prune" NetworkPrune(Filters) -> super::reply::Pruned;
    "Network.Connect" NetworkConnect(NetworkConnect) -> super::reply::EndpointInfo;
    "Network.Disconnect" NetworkDisconnect(NetworkDisconnect) -> super::reply::Removed;
    "Sandbox.Create" SandboxCreate(SandboxCreate) -> super::reply::Created;
    "Sandbox.List" SandboxList(Filters) -> Vec<super::reply::SandboxInfo>;
    "Sandbox.Inspect" SandboxInspect(Which) -> super::reply::SandboxInfo;
    "Sandbox.Start" SandboxStart(SandboxStart) -> super::reply::Removed;
    "Sandbox.Publish" SandboxPublish(SandboxPublish) -> Vec<Port>;
    "Sandbox.Update" SandboxUpdate(SandboxUpdate) -> super::reply::Removed;
    "Sandbox.Remove" SandboxRemove(SandboxRemove) -> super::reply::Removed;
    "Volume.Create" VolumeCreate(VolumeCreate) -> super::reply::VolumeInfo;
    "Volume.List" VolumeList(Filters) -> Vec<super::reply::VolumeInfo>;
    "Volume.Inspect" VolumeInspect(Which) -> super::reply::VolumeInfo;
    "Volume.Remove" VolumeRemove(VolumeRemove) -> super::reply::Removed;
    "Volume.Mount" VolumeMount(VolumeMount) -> super::reply::VolumeInfo;
    "Volume.Unmount" VolumeUnmount(VolumeMount) -> super::reply::VolumeInfo;
    "Volume.Prune" VolumePrune(VolumePrune) -> super::reply::Pruned;
    "Pool.Reserve" PoolReserve(PoolReserve) -> super::reservation::Reservation;
    "Pool.Release" PoolRelease(WhichPool) -> super::reply::Removed;
    "Pool.List" PoolList(Nothing) -> Vec<super::reservation::Reservation>;
    "Pool.Take" PoolTake(PoolTake) -> super::address::Cidr;
    "Pool.GiveBack" PoolGiveBack(PoolAddress) -> super::reply::Removed;
    "System.Df" SystemDf(Nothing) -> super::reply::Df;
    "System.Info" SystemInfo(Nothing) -> super::reply::SystemInfo;
    "System.Doctor" SystemDoctor(Nothing) -> Vec<super::reply::Finding>;
    "System.Why" SystemWhy(super::why::Why) -> Vec<super::reply::Finding>;
    "System.Dump" SystemDump(Nothing) -> serde_json::Value;
    "System.Namespace" SystemNamespace(Namespace) -> super::reply::NamespaceInfo;
}

/// No arguments: `{}`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Nothing {}

/// Asks whether caller and daemon mean the same namespaces.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Namespace {
    /// A network namespace, by its path.
    pub path: Option<PathBuf>,
}

/// An object by name, full id or unique beginning of its id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Which {
    pub name: String,
}

/// Lists: every given key must fit; of several values of one key, one must.
/// Keys: `name`, `id` (part of it), `driver`, `label` (`k` or `k=v`, all must fit), `label!` (none may, prunes only),
/// `dangling`, `type`, `network`, `volume`, `until`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Filters {
    pub filters: BTreeMap<String, Vec<String>>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct NetworkCreate {
    pub name: String,
    /// Chosen by the caller (runtimes have ids of their own); else random.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<Id>,
    pub driver: Option<Driver>,
    pub pools: Vec<PoolRequest>,
    pub internal: bool,
    /// None: on, whatever subnets are given, as with Docker.
    pub ipv4: Option<bool>,
    pub ipv6: bool,
    pub options: Map,
    pub labels: Map,
    /// Only a configuration, for networks that are made from it: nobody joins it, and it takes no address.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub config_only: bool,
    /// Subnets, options and labels are those of this configuration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config_from: Option<String>,
}

/// A wanted subnet. Host bits in `subnet` are cleared, with a warning. `0.0.0.0/24` or `::/64`: any of this size.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PoolRequest {
    pub subnet: Option<String>,
    pub gateway: Option<IpAddr>,
    pub range: Option<String>,
    pub aux: BTreeMap<String, IpAddr>,
    /// `subnet` is one that was reserved with Pool.Reserve, gateway and all; `range` is said there.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub reserved: bool,
}

/// A runtime manages addresses before it makes a network, or without one of ours. No subnet: a free one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PoolReserve {
    /// `0.0.0.0/24` or `::/64`: any of this size.
    pub subnet: Option<String>,
    pub range: Option<String>,
    /// Without a subnet: an IPv6 one.
    pub ipv6: bool,
}

/// A reserved subnet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WhichPool {
    pub pool: Id,
}

/// An address of a reserved subnet for whatever the runtime wants: this one, or the next that is free.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PoolTake {
    pub pool: Id,
    #[serde(default)]
    pub address: Option<IpAddr>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PoolAddress {
    pub pool: Id,
    pub address: IpAddr,
}

/// A wanted seat in a network.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EndpointRequest {
    pub network: String,
    pub ip: Option<Ipv4Addr>,
    pub ip6: Option<Ipv6Addr>,
    pub mac: Option<Mac>,
    pub aliases: Vec<String>,
    /// alias -> name
    pub links: Map,
    pub ifname: Option<IfName>,
    pub priority: i32,
    /// Further addresses in 169.254.0.0/16 or fe80::/64.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub link_local: Vec<IpAddr>,
    /// Kernel settings of the interface, written before it is up.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sysctls: Vec<Sysctl>,
    /// Besides the default routes, which follow from the networks.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<StaticRoute>,
    /// Where addresses that are not asked for by name are chosen from: of those of one family the first that has one free.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ranges: Vec<AddressRange>,
    /// How fast it may be, in networks with a bridge.
    #[serde(skip_serializing_if = "Bandwidth::is_none")]
    pub bandwidth: Bandwidth,
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub labels: Map,
}

/// Part of a subnet of the network, both ends included; without them all of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AddressRange {
    pub subnet: Subnet,
    #[serde(default)]
    pub first: Option<IpAddr>,
    #[serde(default)]
    pub last: Option<IpAddr>,
    /// Refused if the network has another there.
    #[serde(default)]
    pub gateway: Option<IpAddr>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct NetworkConnect {
    pub sandbox: String,
    pub endpoint: EndpointRequest,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NetworkDisconnect {
    pub network: String,
    pub sandbox: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SandboxCreate {
    /// None: a name is made of the id.
    pub name: Option<String>,
    /// Chosen by the caller (runtimes have ids of their own); else random.
    pub id: Option<Id>,
    /// An existing namespace; none: one is made.
    pub netns: Option<PathBuf>,
    /// The runtime fetches each interface from the host under the name `ph` and 12 hex digits of the endpoint's id, and
    /// sees to all that is inside: addresses, routes, names.
    pub handed: bool,
    /// Only addresses are promised; another program makes the interfaces of the namespace at `netns`.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub leased: bool,
    /// Empty: joins `bridge`. `host`, `none` and `sandbox:NAME` stand alone.
    pub networks: Vec<EndpointRequest>,
    pub ports: Vec<PortSpec>,
    pub mounts: Vec<MountSpec>,
    pub hostname: Option<String>,
    pub dns: Dns,
    pub hosts: Vec<(String, IpAddr)>,
    pub labels: Map,
    pub auto_remove: bool,
}

/// Tells what runs in a sandbox: when this process ends, the sandbox is released.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SandboxStart {
    pub name: String,
    pub pid: u32,
}

/// Publishes these ports of a sandbox instead of those that are published now. Answers with all that it has then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SandboxPublish {
    pub name: String,
    pub ports: Vec<PortSpec>,
    /// Besides those that are published now; what is published already is not published twice.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub add: bool,
}

/// Changes what of a sandbox can change while it runs; what is left out stays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SandboxUpdate {
    pub name: String,
    /// Another name; neighbours find it by that one, and no longer by the old one.
    pub rename: Option<String>,
    /// Whom its resolver asks for names that are not ours; empty: the host's nameservers.
    pub dns_servers: Option<Vec<IpAddr>>,
    /// Of a handed one: what its runtime calls the namespace that it moves the interface into.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    /// Labels of seats, by network, instead of those that they have.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub seat_labels: BTreeMap<String, Map>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SandboxRemove {
    pub name: String,
    /// Kill its process at once instead of asking it to end first.
    #[serde(default)]
    pub force: bool,
    /// Its anonymous volumes go too.
    #[serde(default)]
    pub volumes: bool,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct VolumeCreate {
    /// None: anonymous.
    pub name: Option<String>,
    pub driver: Option<String>,
    pub options: Map,
    pub labels: Map,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VolumeRemove {
    pub name: String,
    /// A missing volume is fine.
    #[serde(default)]
    pub force: bool,
}

/// A runtime's use of a volume for a container that is no sandbox here. The volume stays until every mount is given back,
/// or the host starts anew; a mount given back twice, or taken twice, counts once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VolumeMount {
    pub name: String,
    /// The runtime's own number for this mount.
    pub id: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct VolumePrune {
    /// Named ones too.
    pub all: bool,
    pub filters: BTreeMap<String, Vec<String>>,
}

impl AddressRange {
    pub fn family(&self) -> Family {
        self.subnet.family()
    }
    pub fn first(&self) -> IpAddr {
        self.first.unwrap_or(self.subnet.base())
    }
    pub fn last(&self) -> IpAddr {
        self.last.unwrap_or(self.subnet.last())
    }
    pub fn contains(&self, address: IpAddr) -> bool {
        self.subnet.contains(address) && (self.first()..=self.last()).contains(&address)
    }
}

impl Which {
    pub fn new(name: impl Into<String>) -> Self {
        Which { name: name.into() }
    }
}

/// Names that no user network may take.
pub fn reserved_network_name(name: &Name) -> bool {
    matches!(name.as_str(), "bridge" | "host" | "none" | "default")
}
