//! What the kernel should hold, as plain values: `plan` makes them, `host` applies and observes them.
//!
//! An `Item` is complete in itself and has a `Key`; two states are compared key by key. Order of work follows
//! from the kind alone (`Item::rank`): add in rising rank, remove in falling rank.
use super::{Family, Id, IfName, Mac, Proto, address::Cidr, options::Sysctl, sandbox::StaticRoute};
use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::PathBuf,
};

/// One thing in the kernel that is ours.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Item {
    /// Forwarding of a family is on and guarded.
    Forwarding(Family),
    Bridge(Bridge),
    /// A network namespace of a sandbox, held open by us.
    Namespace(Namespace),
    /// A volume with mount options, mounted on its `_data`.
    VolumeMount(VolumeMount),
    /// A host port that no other program can bind.
    Hold(Hold),
    Link(Link),
    Shaper(Shaper),
    /// The default routes of a sandbox.
    Routes(Routes),
    /// DNS sockets on 127.0.0.11 and the redirect to them, inside a sandbox.
    Resolver(Resolver),
    Element(Element),
}

/// What makes an `Item` one and the same while its details change.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    Forwarding(Family),
    Bridge(IfName),
    Namespace(Id),
    VolumeMount(String),
    Hold(Proto, Option<IpAddr>, u16),
    /// Endpoint.
    Link(Id),
    /// Endpoint.
    Shaper(Id),
    /// Sandbox.
    Routes(Id),
    /// Sandbox.
    Resolver(Id),
    Element(Element),
}

/// A change of one item.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::large_enum_variant, reason = "a list of them is short and lives as long as one call")]
pub enum Op {
    Add(Item),
    /// Same key, other details: (found, wanted).
    Change(Item, Item),
    Remove(Item),
}

/// A Linux bridge of ours. `alias` is set to `pontoon/<instance>/network/<id>`; group is `LINK_GROUP`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bridge {
    pub network: Id,
    pub name: IfName,
    pub mac: Mac,
    /// None: the kernel's default, 1500.
    pub mtu: Option<u32>,
    /// Gateway addresses; empty when the bridge has none.
    pub addresses: Vec<Cidr>,
    pub ipv6: bool,
    /// 127.0.0.0/8 may be routed to it: the host's own loopback reaches published ports.
    pub route_localnet: bool,
}

/// Link group of every bridge of every instance; other instances' guards let it pass.
pub const LINK_GROUP: u32 = 0x5050;

/// A sandbox's network namespace.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Namespace {
    pub sandbox: Id,
    pub path: PathBuf,
    /// We make it (and its file) and take it away; else it belongs to a runtime.
    pub made: bool,
}

/// A sandbox's interface. The host end (veth) is named `pt<12 hex of the endpoint>` and bears the alias
/// `pontoon/<instance>/endpoint/<id>`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Link {
    pub endpoint: Id,
    pub sandbox: Id,
    pub kind: LinkKind,
    /// Name inside the sandbox, or of the end that waits on the host.
    pub name: IfName,
    pub mac: Mac,
    pub mtu: Option<u32>,
    pub addresses: Vec<Cidr>,
    /// IPv6 is switched on for it (else switched off: CVE-2024-32473).
    pub ipv6: bool,
    /// Known neighbours, written down inside: the gateways and the bridge's MAC.
    pub neighbours: Vec<(IpAddr, Mac)>,
    /// Its switches, written when it is made; what the sandbox makes of them later is its own affair.
    pub sysctls: Box<[Sysctl]>,
    /// Besides the default routes.
    pub routes: Vec<StaticRoute>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LinkKind {
    /// `isolated`: bridge ports that cannot reach each other (ICC off).
    Veth {
        bridge: IfName,
        isolated: bool,
    },
    /// As `Veth`, but the sandbox's end stays on the host until its runtime fetches it.
    Handed {
        bridge: IfName,
        isolated: bool,
    },
    Macvlan {
        parent: IfName,
        mode: MacvlanMode,
    },
    Ipvlan {
        parent: IfName,
        mode: IpvlanMode,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MacvlanMode {
    Bridge,
    Private,
    Vepa,
    Passthru,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IpvlanMode {
    L2,
    L3,
    L3s,
}

/// What holds the traffic of a veth back, on its host end. From the sandbox it comes through a device of its own (ifb)
/// named `pq` and 12 hex digits of the endpoint's id, with the alias `pontoon/<instance>/shaper/<id>`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Shaper {
    pub endpoint: Id,
    pub sandbox: Id,
    /// Towards the sandbox.
    pub ingress: Option<Bucket>,
    /// From it.
    pub egress: Option<Bucket>,
}

/// A token bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bucket {
    /// Bytes a second.
    pub rate: u64,
    /// Bytes, at least one packet.
    pub burst: u32,
}

impl Bucket {
    /// Bytes that may wait beside the burst: 50 ms of the rate, at least one packet as large as TCP hands it down, because
    /// one that finds no room is lost whole.
    pub fn waiting(rate: u64) -> u64 {
        (rate / 20).max(64 << 10)
    }
    /// Bytes that may wait in all.
    pub fn limit(self) -> u32 {
        u32::try_from(u64::from(self.burst) + Bucket::waiting(self.rate)).unwrap_or(u32::MAX)
    }
}

/// Default routes inside a sandbox. None: no way out in that family.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Routes {
    pub sandbox: Id,
    pub v4: Option<Route>,
    pub v6: Option<Route>,
}

/// `gateway` none: the default route is the interface itself (ipvlan L3).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Route {
    pub gateway: Option<IpAddr>,
    pub link: IfName,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Resolver {
    pub sandbox: Id,
    /// At an address for each network too (`sandbox::Dns::by_network`).
    pub by_network: bool,
}

/// `host` none: every address, IPv4 and IPv6, one dual-stack socket. `targets`: where traffic that reaches the socket
/// itself ([::1], link-local IPv6, IPv6 to a sandbox without it) is carried to, at most one address a family.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hold {
    pub proto: Proto,
    pub host: Option<IpAddr>,
    pub port: u16,
    pub targets: Vec<SocketAddr>,
}

/// A volume of the local driver with mount options.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VolumeMount {
    pub volume: String,
    /// Local driver options `type`, `device`, `o`.
    pub options: BTreeMap<String, String>,
}

/// What happens between the ports of one bridge, or from a trusted interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PairVerdict {
    Within,
    Apart,
    Accept,
}

/// What is let into a network from elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum IntoVerdict {
    Nat,
    Open,
    Routed,
}

/// One element of the constant nftables tables (reference/nft-layout.md has every set and its meaning).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Element {
    Net(IfName),
    Back(IfName),
    Sealed(IfName),
    Strict(Family, IfName),
    Masq(Family, IfName),
    /// Leaves with this address: snat4 or snat6.
    Snat(IfName, IpAddr),
    Pair {
        from: IfName,
        to: IfName,
        verdict: PairVerdict,
    },
    Into {
        family: Family,
        bridge: IfName,
        verdict: IntoVerdict,
    },
    /// port4, port6 (host given), any4, any6 (any host address). Families of `host` and `to` are equal.
    Port {
        host: Option<IpAddr>,
        proto: Proto,
        port: u16,
        to: SocketAddr,
    },
    /// tcp4, udp4, tcp6, udp6 (any host address), range4, range6 (host given, or sctp). Ports stay equal.
    Range {
        host: Option<IpAddr>,
        proto: Proto,
        first: u16,
        last: u16,
        to: IpAddr,
    },
    Twin(IfName, IpAddr),
    /// open4, open6.
    Open {
        to: IpAddr,
        proto: Proto,
        port: u16,
    },
    /// openr4, openr6.
    OpenRange {
        to: IpAddr,
        proto: Proto,
        first: u16,
        last: u16,
    },
    Skip6(Ipv6Addr),
    Foreign(IfName),
    Guard(Family),
    /// gateway4, gateway6: what only our networks reach, and the host itself.
    Gateway(IpAddr),
    // table bridge: who a sandbox may claim to be
    GuardedPort(IfName),
    Mac(IfName, Mac),
    Src4(IfName, Mac, Ipv4Addr),
    Src6(IfName, Mac, Ipv6Addr),
    Nd6(IfName, Ipv6Addr),
}

impl Item {
    pub fn key(&self) -> Key {
        match self {
            Item::Forwarding(family) => Key::Forwarding(*family),
            Item::Bridge(b) => Key::Bridge(b.name.clone()),
            Item::Namespace(n) => Key::Namespace(n.sandbox),
            Item::VolumeMount(v) => Key::VolumeMount(v.volume.clone()),
            Item::Hold(h) => Key::Hold(h.proto, h.host, h.port),
            Item::Link(l) => Key::Link(l.endpoint),
            Item::Shaper(s) => Key::Shaper(s.endpoint),
            Item::Routes(r) => Key::Routes(r.sandbox),
            Item::Resolver(r) => Key::Resolver(r.sandbox),
            Item::Element(e) => Key::Element(e.clone()),
        }
    }

    /// Place in the order of work. A network's elements stand before its bridge exists, so that it is never open.
    pub fn rank(&self) -> u8 {
        match self {
            Item::Forwarding(_) => 0,
            Item::Namespace(_) => 1,
            Item::VolumeMount(_) => 2,
            Item::Hold(_) => 3,
            Item::Element(_) => 4,
            Item::Bridge(_) => 5,
            Item::Link(_) => 6,
            Item::Routes(_) => 7,
            Item::Resolver(_) => 8,
            Item::Shaper(_) => 9,
        }
    }
}

impl Link {
    /// Name of the host end: `pt` and 12 hex digits of the endpoint's id.
    pub fn host_name(&self) -> IfName {
        host_end(&self.endpoint)
    }
}

impl LinkKind {
    /// The bridge that its host end is a port of, and whether that port is kept apart from the others.
    pub fn bridge(&self) -> Option<(&IfName, bool)> {
        match self {
            LinkKind::Veth { bridge, isolated } | LinkKind::Handed { bridge, isolated } => {
                Some((bridge, *isolated))
            }
            LinkKind::Macvlan { .. } | LinkKind::Ipvlan { .. } => None,
        }
    }
    pub fn is_handed(&self) -> bool {
        matches!(self, LinkKind::Handed { .. })
    }
}

/// Name of an endpoint's host end: `pt` and 12 hex digits of its id.
pub fn host_end(endpoint: &Id) -> IfName {
    named("pt", endpoint)
}

/// Name of the end that waits on the host for its runtime: `ph` and 12 hex digits of the endpoint's id.
pub fn handed_end(endpoint: &Id) -> IfName {
    named("ph", endpoint)
}

/// Name of the device through which an endpoint's sandbox sends: `pq` and 12 hex digits of its id.
pub fn queue(endpoint: &Id) -> IfName {
    named("pq", endpoint)
}

fn named(prefix: &str, endpoint: &Id) -> IfName {
    match IfName::parse(&format!("{prefix}{}", endpoint.short())) {
        Ok(name) => name,
        Err(_) => unreachable!("14 letters and digits are an interface name"),
    }
}
