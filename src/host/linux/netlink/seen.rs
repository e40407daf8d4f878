//! Links, addresses and routes as the kernel tells them (rtnetlink(7)); it reads only what we compare, and never fails
//! on an attribute it does not know.
use super::reply::{attributes, i32_at, text_of, u32_at};
use crate::model::{IfName, Mac, Subnet, address::Cidr};
use std::net::IpAddr;

const LINK_HEAD: usize = 16;
const ADDRESS_HEAD: usize = 8;
const ROUTE_HEAD: usize = 12;
const NEIGHBOUR_HEAD: usize = 12;
// include/uapi/linux/if_link.h, IFLA_BRPORT_*
const BRPORT_MODE: u16 = 4;
const BRPORT_ISOLATED: u16 = 33;

/// An interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkSeen {
    pub index: u32,
    pub name: IfName,
    pub mac: Option<Mac>,
    pub mtu: u32,
    /// Administratively up (IFF_UP).
    pub up: bool,
    /// It has a carrier (IFF_LOWER_UP).
    pub carrier: bool,
    pub group: u32,
    pub alias: Option<String>,
    /// Index of its bridge.
    pub master: Option<u32>,
    /// Index of its peer or parent, which may lie in another namespace.
    pub link: Option<u32>,
    /// `bridge`, `veth`, `macvlan` ...; None for hardware.
    pub kind: Option<String>,
    /// Number, here, of the namespace that `link` lies in.
    pub namespace: Option<i32>,
    /// Of a bridge port: may not reach other such ports; may send back what came through it.
    pub isolated: bool,
    pub hairpin: bool,
}

/// An address of an interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddressSeen {
    pub index: u32,
    pub cidr: Cidr,
    /// IPv6 address of scope link.
    pub link_local: bool,
}

/// A route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteSeen {
    /// None: the default route.
    pub to: Option<Subnet>,
    pub v6: bool,
    pub gateway: Option<IpAddr>,
    pub index: Option<u32>,
    pub table: u32,
    /// Unicast (RTN_UNICAST), as opposed to local, broadcast, blackhole ...
    pub unicast: bool,
    /// rtm_protocol: 2 kernel, 3 boot, 4 static ...
    pub protocol: u8,
    /// Metric; 0 when the kernel names none.
    pub metric: u32,
}

/// A neighbour entry, or a forwarding entry of a bridge port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NeighbourSeen {
    pub index: u32,
    /// None in a forwarding entry.
    pub address: Option<IpAddr>,
    pub mac: Option<Mac>,
    pub permanent: bool,
}

impl LinkSeen {
    /// From the body of an RTM_NEWLINK; None if it has no usable name.
    pub(super) fn parse(body: &[u8]) -> Option<Self> {
        let flags = u32_at(body, 8)?;
        let mut name = None;
        let mut seen = LinkSeen {
            index: u32_at(body, 4)?,
            name: IfName::parse("?").ok()?,
            mac: None,
            mtu: 0,
            up: flags & libc::IFF_UP as u32 != 0,
            carrier: flags & (1 << 16) != 0,
            group: 0,
            alias: None,
            master: None,
            link: None,
            kind: None,
            namespace: None,
            isolated: false,
            hairpin: false,
        };
        for (kind, value) in attributes(body, LINK_HEAD) {
            match kind {
                libc::IFLA_ADDRESS => seen.mac = value.try_into().ok().map(Mac),
                libc::IFLA_IFNAME => name = IfName::parse(&text_of(value)).ok(),
                libc::IFLA_MTU => seen.mtu = u32_at(value, 0)?,
                libc::IFLA_LINK => seen.link = u32_at(value, 0),
                libc::IFLA_MASTER => seen.master = u32_at(value, 0),
                libc::IFLA_IFALIAS => seen.alias = Some(text_of(value)),
                libc::IFLA_GROUP => seen.group = u32_at(value, 0)?,
                libc::IFLA_LINK_NETNSID => seen.namespace = i32_at(value, 0),
                libc::IFLA_LINKINFO => seen.read_info(value),
                _ => {}
            }
        }
        Some(LinkSeen { name: name?, ..seen })
    }

    fn read_info(&mut self, info: &[u8]) {
        for (kind, value) in attributes(info, 0) {
            match kind {
                libc::IFLA_INFO_KIND => self.kind = Some(text_of(value)),
                libc::IFLA_INFO_SLAVE_DATA => {
                    for (kind, value) in attributes(value, 0) {
                        match kind {
                            BRPORT_MODE => self.hairpin = value == [1],
                            BRPORT_ISOLATED => self.isolated = value == [1],
                            _ => {}
                        }
                    }
                }
                _ => {}
            }
        }
    }
}

impl AddressSeen {
    pub(super) fn parse(body: &[u8]) -> Option<Self> {
        let (mut local, mut address) = (None, None);
        for (kind, value) in attributes(body, ADDRESS_HEAD) {
            match kind {
                libc::IFA_LOCAL => local = ip(value),
                libc::IFA_ADDRESS => address = ip(value),
                _ => {}
            }
        }
        let address = local.or(address)?;
        let scope = *body.get(3)?;
        Some(AddressSeen {
            index: u32_at(body, 4)?,
            cidr: Cidr { address, prefix: *body.get(1)? },
            link_local: address.is_ipv6() && scope == libc::RT_SCOPE_LINK,
        })
    }
}

impl RouteSeen {
    pub(super) fn parse(body: &[u8]) -> Option<Self> {
        let v6 = i32::from(*body.first()?) == libc::AF_INET6;
        let mut seen = RouteSeen {
            to: None,
            v6,
            gateway: None,
            index: None,
            table: u32::from(*body.get(4)?),
            unicast: *body.get(7)? == libc::RTN_UNICAST,
            protocol: *body.get(5)?,
            metric: 0,
        };
        let prefix = *body.get(1)?;
        for (kind, value) in attributes(body, ROUTE_HEAD) {
            match kind {
                libc::RTA_DST => seen.to = Subnet::new(ip(value)?, prefix).ok(),
                libc::RTA_GATEWAY => seen.gateway = ip(value),
                libc::RTA_OIF => seen.index = u32_at(value, 0),
                libc::RTA_PRIORITY => seen.metric = u32_at(value, 0)?,
                libc::RTA_TABLE => seen.table = u32_at(value, 0)?,
                _ => {}
            }
        }
        Some(seen)
    }
}

impl NeighbourSeen {
    pub(super) fn parse(body: &[u8]) -> Option<Self> {
        let state = u16::from_ne_bytes(body.get(8..10)?.try_into().ok()?);
        let (mut address, mut mac) = (None, None);
        for (kind, value) in attributes(body, NEIGHBOUR_HEAD) {
            match kind {
                libc::NDA_DST => address = ip(value),
                libc::NDA_LLADDR => mac = value.try_into().ok().map(Mac),
                _ => {}
            }
        }
        let permanent = state & libc::NUD_PERMANENT != 0;
        Some(NeighbourSeen { index: u32_at(body, 4)?, address, mac, permanent })
    }
}

fn ip(value: &[u8]) -> Option<IpAddr> {
    if let Ok(four) = <[u8; 4]>::try_from(value) {
        return Some(IpAddr::from(four));
    }
    <[u8; 16]>::try_from(value).ok().map(IpAddr::from)
}
