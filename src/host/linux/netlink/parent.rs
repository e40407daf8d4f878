//! macvlan and ipvlan interfaces, made on a parent of the host straight into a sandbox; it never changes the parent.
use super::{
    batch::{Batch, Manner},
    message::{self, Which},
    socket::{Route, explain},
    veth::name_taken,
};
use crate::{
    error::{Error, Result},
    model::{
        IfName,
        kernel::{IpvlanMode, Link, LinkKind, MacvlanMode},
    },
};
use netlink_packet_route::{
    RouteNetlinkMessage,
    link::{InfoData, InfoIpVlan, InfoKind, InfoMacVlan, IpVlanMode, LinkAttribute, LinkInfo, MacVlanMode},
};
use std::os::fd::{AsRawFd, BorrowedFd};

/// Makes the interface with its final name, MAC and MTU, still down. Its index is not told: `inside` looks it up.
/// `Unsupported` if this kernel has no such links, `Conflict` if the sandbox has an interface of that name.
pub fn attach(route: &mut Route, link: &Link, namespace: BorrowedFd<'_>) -> Result<()> {
    let (parent, kind, info) = match &link.kind {
        LinkKind::Macvlan { parent, mode } => (parent, "macvlan", macvlan(*mode)),
        LinkKind::Ipvlan { parent, mode } => (parent, "ipvlan", ipvlan(*mode)),
        LinkKind::Veth { .. } | LinkKind::Handed { .. } => {
            return Err(Error::internal(format!("{} is a veth, it has no parent", link.name)));
        }
    };
    let Some(parent_index) = route.index(parent)? else {
        return Err(Error::not_found(format!(
            "make {kind} {}: the host has no interface {parent}",
            link.name
        )));
    };
    let mut all = vec![
        LinkAttribute::Link(parent_index),
        LinkAttribute::NetNsFd(namespace.as_raw_fd()),
        LinkAttribute::LinkInfo(info),
    ];
    all.extend(link.mtu.map(LinkAttribute::Mtu));
    if kind == "macvlan" {
        all.push(LinkAttribute::Address(link.mac.0.to_vec())); // an ipvlan shares its parent's MAC
    }
    let mut batch = Batch::new();
    let request = RouteNetlinkMessage::NewLink(message::link(Which::Name(&link.name), all));
    batch.push(Manner::Create, request, format!("make {kind} {} on {parent}", link.name));
    let outcome = route.exchange(&mut batch)?;
    match outcome.failures.first() {
        None => Ok(()),
        Some(f) if f.errno == libc::EEXIST => Err(name_taken(&link.name)),
        Some(f) if f.errno == libc::EOPNOTSUPP => Err(missing(kind, &link.name).because(explain(&batch, f))),
        Some(f) if f.errno == libc::EBUSY => Err(busy(kind, parent).because(explain(&batch, f))),
        Some(f) => Err(explain(&batch, f)),
    }
}

/// Deletes the interface `name` of the namespace the calling thread is in (a sandbox's, through `Home::enter`); gone
/// already is fine. Waits for a grace period, about 20 ms: nobody else can be told of its end.
pub fn detach(name: &IfName) -> Result<()> {
    super::veth::remove(&mut Route::open()?, name)
}

fn missing(kind: &str, name: &IfName) -> Error {
    Error::unsupported(format!("cannot make {name}: this kernel has no {kind}"))
}

fn busy(kind: &str, parent: &IfName) -> Error {
    Error::conflict(format!(
        "cannot put a {kind} on {parent}: it is used by a bridge, macvlan or ipvlan already"
    ))
}

fn macvlan(mode: MacvlanMode) -> Vec<LinkInfo> {
    let mode = match mode {
        MacvlanMode::Bridge => MacVlanMode::Bridge,
        MacvlanMode::Private => MacVlanMode::Private,
        MacvlanMode::Vepa => MacVlanMode::Vepa,
        MacvlanMode::Passthru => MacVlanMode::Passthrough,
    };
    vec![LinkInfo::Kind(InfoKind::MacVlan), LinkInfo::Data(InfoData::MacVlan(vec![InfoMacVlan::Mode(mode)]))]
}

fn ipvlan(mode: IpvlanMode) -> Vec<LinkInfo> {
    let mode = match mode {
        IpvlanMode::L2 => IpVlanMode::L2,
        IpvlanMode::L3 => IpVlanMode::L3,
        IpvlanMode::L3s => IpVlanMode::L3S,
    };
    vec![LinkInfo::Kind(InfoKind::IpVlan), LinkInfo::Data(InfoData::IpVlan(vec![InfoIpVlan::Mode(mode)]))]
}
