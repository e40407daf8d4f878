//! What comes back: the objects that the native API returns and `--format json` prints.
use super::{
    Bandwidth, Id, IfName, Mac, Name, Subnet, Volume,
    address::Cidr,
    mount::MountSpec,
    network::Driver,
    options::Sysctl,
    port::Port,
    reservation::Reservation,
    sandbox::{Dns, Netns, Process, StaticRoute},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, net::IpAddr, path::PathBuf};

type Map = BTreeMap<String, String>;

/// The answer to a `Command`; on the wire just the inner value.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Reply {
    Created(Created),
    Networks(Vec<NetworkInfo>),
    Network(Box<NetworkInfo>),
    Endpoint(EndpointInfo),
    Sandboxes(Vec<SandboxInfo>),
    Sandbox(Box<SandboxInfo>),
    Ports(Vec<Port>),
    Volumes(Vec<VolumeInfo>),
    Volume(VolumeInfo),
    Reservation(Reservation),
    Reservations(Vec<Reservation>),
    Address(Cidr),
    Removed(Removed),
    Pruned(Pruned),
    Df(Df),
    Info(Box<SystemInfo>),
    Findings(Vec<Finding>),
    Namespace(NamespaceInfo),
    Value(serde_json::Value),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Created {
    pub id: Id,
    pub name: Name,
    #[serde(default)]
    pub warnings: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Removed {
    pub name: String,
    #[serde(default)]
    pub warnings: Vec<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Pruned {
    pub removed: Vec<String>,
    /// Bytes.
    pub reclaimed: u64,
    /// What was left, and why.
    #[serde(default)]
    pub kept: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NetworkInfo {
    pub id: Id,
    pub name: Name,
    pub driver: Driver,
    pub scope: String,
    pub created: String,
    pub internal: bool,
    pub ipv4: bool,
    pub ipv6: bool,
    /// The Linux bridge, or the parent interface of a macvlan or ipvlan network.
    pub device: Option<IfName>,
    pub subnets: Vec<SubnetInfo>,
    pub options: Map,
    pub labels: Map,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub config_only: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_from: Option<Name>,
    /// How many sandboxes have a seat in it.
    pub sandboxes: usize,
    /// Who they are (inspect only).
    #[serde(default)]
    pub members: Vec<Member>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SubnetInfo {
    pub subnet: Subnet,
    pub gateway: Option<IpAddr>,
    pub range: Option<Subnet>,
    #[serde(default)]
    pub aux: BTreeMap<String, IpAddr>,
    /// Addresses in use by sandboxes.
    pub used: u64,
    /// Addresses that can still be handed out (at most 2^64 - 1 is said).
    pub free: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Member {
    pub sandbox: Id,
    pub name: Name,
    pub endpoint: Id,
    pub mac: Mac,
    pub addresses: Vec<Cidr>,
    pub ports: Vec<Port>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EndpointInfo {
    pub id: Id,
    pub network: Name,
    pub network_id: Id,
    pub ifname: IfName,
    /// The host's end of the veth pair, or none.
    pub host_ifname: Option<IfName>,
    pub mac: Mac,
    pub addresses: Vec<Cidr>,
    pub gateways: Vec<IpAddr>,
    pub aliases: Vec<String>,
    #[serde(default)]
    pub links: Map,
    pub priority: i32,
    /// Which of the addresses were asked for by name, and not chosen.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub asked: Vec<IpAddr>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub link_local: Vec<IpAddr>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sysctls: Vec<Sysctl>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<StaticRoute>,
    #[serde(default, skip_serializing_if = "Bandwidth::is_none")]
    pub bandwidth: Bandwidth,
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub labels: Map,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SandboxInfo {
    pub id: Id,
    pub name: Name,
    pub created: String,
    /// `registered`, or `running` when a process is known.
    pub status: String,
    pub hostname: String,
    pub netns: Netns,
    /// Where the namespace is, whoever made it.
    pub netns_path: Option<PathBuf>,
    pub process: Option<Process>,
    pub networks: Vec<EndpointInfo>,
    /// Through which networks the default routes go.
    pub gateway_network: Option<Name>,
    pub gateway_network6: Option<Name>,
    pub ports: Vec<Port>,
    pub mounts: Vec<MountInfo>,
    pub dns: Dns,
    pub hosts: Vec<(String, IpAddr)>,
    pub labels: Map,
    /// Names by which its neighbours find it.
    pub names: Vec<String>,
    /// Handed ones that say the same here are seats of one container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    /// Contents for its /etc/resolv.conf and /etc/hosts (inspect only).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files: Option<Files>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Files {
    pub resolv_conf: String,
    pub hosts: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MountInfo {
    /// As it was asked for, the source filled in.
    pub spec: MountSpec,
    /// What a runtime has to mount: a volume's data or the host path.
    pub path: Option<PathBuf>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct VolumeInfo {
    pub name: Name,
    pub driver: String,
    pub scope: String,
    pub created: String,
    pub mountpoint: PathBuf,
    pub options: Map,
    pub labels: Map,
    pub anonymous: bool,
    /// Names of the sandboxes that use it.
    pub users: Vec<Name>,
    /// Mounts that runtimes have of it besides, by their own numbers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mounts: Vec<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Df {
    pub networks: DfCount,
    pub sandboxes: DfCount,
    pub volumes: Vec<VolumeUsage>,
    /// Bytes of all volumes.
    pub size: u64,
    /// Bytes that `volume prune` would free, and `volume prune -a`.
    pub reclaimable: u64,
    pub reclaimable_all: u64,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DfCount {
    pub total: usize,
    pub active: usize,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct VolumeUsage {
    pub name: Name,
    pub users: usize,
    /// Bytes on disk; none where it is not ours to measure (mount options, foreign driver).
    pub size: Option<u64>,
    pub anonymous: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SystemInfo {
    pub version: String,
    pub instance: String,
    pub root: PathBuf,
    pub run: PathBuf,
    pub pid: u32,
    pub started: String,
    pub kernel: String,
    pub networks: usize,
    pub sandboxes: usize,
    pub volumes: usize,
    pub ports: usize,
    /// Bytes.
    pub resident_memory: u64,
    pub open_files: u64,
    pub open_files_limit: u64,
    /// Bytes that this machine has.
    #[serde(default)]
    pub memory: u64,
    pub address_pools: Vec<String>,
    pub features: BTreeMap<String, bool>,
}

/// Inodes of network namespaces, as the daemon sees them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NamespaceInfo {
    /// The one that it serves: its own.
    pub home: u64,
    /// The one at the path that was asked about; none if nothing is there for the daemon.
    pub at_path: Option<u64>,
}

/// One line of `doctor`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Finding {
    /// `ok`, `warning` or `problem`
    pub level: String,
    pub check: String,
    pub message: String,
    /// What to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

impl VolumeInfo {
    pub fn of(volume: &Volume, mountpoint: PathBuf, users: Vec<Name>) -> Self {
        VolumeInfo {
            name: volume.name.clone(),
            driver: volume.driver.clone(),
            scope: "local".to_owned(),
            created: volume.created.clone(),
            mountpoint,
            options: volume.options.clone(),
            labels: volume.labels.clone(),
            anonymous: volume.anonymous,
            users,
            mounts: volume.mounts.keys().cloned().collect(),
        }
    }
}
