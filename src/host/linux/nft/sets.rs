//! The sets and maps of the layout: names, keys, values. It holds no element (see `element`).
//!
//! Meaning of each: reference/nft-layout.md, sections 2 and 3.
use super::{
    abi,
    shape::{self, Data, Field, Typeof},
    wire::Writer,
};
use Field::{Ether, IfName, Ipv4, Ipv6, NfProto, Proto, Raw16, Service, Text16};

/// A set or map by name. Those from `GuardedPort` on live in table `bridge`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Set {
    Net,
    Back,
    Sealed,
    Strict,
    Masq,
    Snat4,
    Snat6,
    Pair,
    Into,
    Port4,
    Port6,
    Any4,
    Any6,
    Tcp4,
    Udp4,
    Tcp6,
    Udp6,
    Range4,
    Range6,
    Twin4,
    Twin6,
    Open4,
    Open6,
    OpenR4,
    OpenR6,
    Skip6,
    Foreign,
    Guard,
    Gateway4,
    Gateway6,
    GuardedPort,
    Mac,
    Src4,
    Src6,
    Nd6,
}

/// What a set or map is made of.
#[derive(Debug)]
pub struct Shape {
    pub set: Set,
    pub name: &'static str,
    key: &'static [Field],
    data: Data,
    interval: bool,
    said: Option<Typeof>,
    comment: Option<&'static str>,
}

const META_IIFNAME: u32 = 6;
const META_OIFNAME: u32 = 7;
const META_NFPROTO: u32 = 15;
const FAMILY_IN: Typeof = Typeof::Concat(&[Typeof::Meta(META_NFPROTO), Typeof::Meta(META_IIFNAME)]);
const FAMILY_OUT: Typeof = Typeof::Concat(&[Typeof::Meta(META_NFPROTO), Typeof::Meta(META_OIFNAME)]);
const ROUTE_BACK: Typeof = Typeof::Fib(2, 1);
/// `iifname . @th,64,128`
const TARGET: Typeof = Typeof::Concat(&[Typeof::Meta(META_IIFNAME), Typeof::Payload(&[0, 0, 3, 64, 128])]);
const ADDRESS4: Data = Data::Fields(&[Ipv4]);
const ADDRESS6: Data = Data::Fields(&[Ipv6]);
const SOCKET4: Data = Data::Fields(&[Ipv4, Service]);
const SOCKET6: Data = Data::Fields(&[Ipv6, Service]);

const fn set(set: Set, name: &'static str, key: &'static [Field]) -> Shape {
    Shape { set, name, key, data: Data::Nothing, interval: false, said: None, comment: None }
}
const fn map(set: Set, name: &'static str, key: &'static [Field], data: Data) -> Shape {
    Shape { set, name, key, data, interval: false, said: None, comment: None }
}

impl Shape {
    const fn interval(self) -> Shape {
        Shape { interval: true, ..self }
    }
    const fn said(self, expression: Typeof) -> Shape {
        Shape { said: Some(expression), ..self }
    }
    const fn comment(self, text: &'static str) -> Shape {
        Shape { comment: Some(text), ..self }
    }
}

/// In the order of `Set`.
pub static SHAPES: [Shape; 35] = [
    set(Set::Net, "net", &[IfName]).comment("our bridges"),
    set(Set::Back, "back", &[Text16]).said(ROUTE_BACK).comment("our bridges, as a route answer"),
    set(Set::Sealed, "sealed", &[IfName]).comment("internal networks"),
    set(Set::Strict, "strict", &[NfProto, IfName])
        .said(FAMILY_IN)
        .comment("family . bridge that has a gateway address"),
    set(Set::Masq, "masq", &[NfProto, IfName])
        .said(FAMILY_IN)
        .comment("family . bridge: masquerade what leaves"),
    map(Set::Snat4, "snat4", &[IfName], ADDRESS4).comment("or leave with this address"),
    map(Set::Snat6, "snat6", &[IfName], ADDRESS6),
    map(Set::Pair, "pair", &[IfName, IfName], Data::Verdict(false))
        .comment("from . to: goto within, goto apart (ICC off), accept (trusted)"),
    map(Set::Into, "into", &[NfProto, IfName], Data::Verdict(true))
        .said(FAMILY_OUT)
        .comment("goto into_nat, into_routed, into_open"),
    map(Set::Port4, "port4", &[Ipv4, Proto, Service], SOCKET4),
    map(Set::Port6, "port6", &[Ipv6, Proto, Service], SOCKET6),
    map(Set::Any4, "any4", &[Proto, Service], SOCKET4),
    map(Set::Any6, "any6", &[Proto, Service], SOCKET6),
    map(Set::Tcp4, "tcp4", &[Service], ADDRESS4).interval(),
    map(Set::Udp4, "udp4", &[Service], ADDRESS4).interval(),
    map(Set::Tcp6, "tcp6", &[Service], ADDRESS6).interval(),
    map(Set::Udp6, "udp6", &[Service], ADDRESS6).interval(),
    map(Set::Range4, "range4", &[Ipv4, Proto, Service], ADDRESS4).interval(),
    map(Set::Range6, "range6", &[Ipv6, Proto, Service], ADDRESS6).interval(),
    set(Set::Twin4, "twin4", &[IfName, Ipv4]).comment("other network of a sandbox . its published address"),
    set(Set::Twin6, "twin6", &[IfName, Ipv6]),
    set(Set::Open4, "open4", &[Ipv4, Proto, Service]).comment("ports open in routed networks"),
    set(Set::Open6, "open6", &[Ipv6, Proto, Service]),
    set(Set::OpenR4, "openr4", &[Ipv4, Proto, Service]).interval(),
    set(Set::OpenR6, "openr6", &[Ipv6, Proto, Service]).interval(),
    set(Set::Skip6, "skip6", &[Ipv6]).comment("::1 where the daemon serves it itself"),
    set(Set::Foreign, "foreign", &[IfName]).comment("bridges of other engines"),
    set(Set::Guard, "guard", &[NfProto]).comment("families whose forwarding we switched on"),
    set(Set::Gateway4, "gateway4", &[Ipv4]).comment("of networks that are closed from outside"),
    set(Set::Gateway6, "gateway6", &[Ipv6]),
    set(Set::GuardedPort, "port", &[IfName]).comment("guarded bridge ports"),
    set(Set::Mac, "mac", &[IfName, Ether]),
    set(Set::Src4, "src4", &[IfName, Ether, Ipv4]),
    set(Set::Src6, "src6", &[IfName, Ether, Ipv6]),
    set(Set::Nd6, "nd6", &[IfName, Raw16]).said(TARGET).comment("port . ND target"),
];

impl Set {
    pub fn shape(self) -> &'static Shape {
        &SHAPES[self as usize]
    }
    pub fn name(self) -> &'static str {
        self.shape().name
    }
    /// Family of the table it lives in.
    pub fn family(self) -> u8 {
        if self < Set::GuardedPort { abi::INET } else { abi::BRIDGE }
    }
}

impl Shape {
    /// Attributes of NFT_MSG_NEWSET behind the table's name.
    pub fn write(&self, w: &mut Writer) {
        const INTERVAL: u32 = 4;
        const MAP: u32 = 8;
        const CONCAT: u32 = 0x80;
        let is_map = !matches!(self.data, Data::Nothing);
        let ranges_of_many = self.interval && self.key.len() > 1;
        let mut flags = 0;
        for (on, flag) in [(is_map, MAP), (self.interval, INTERVAL), (ranges_of_many, CONCAT)] {
            flags |= if on { flag } else { 0 };
        }
        w.text(2, self.name);
        w.be32(3, flags);
        w.be32(4, shape::number(self.key));
        w.be32(5, shape::width(self.key));
        match self.data {
            Data::Nothing => {}
            Data::Fields(fields) => {
                w.be32(6, shape::number(fields));
                w.be32(7, shape::width(fields));
            }
            Data::Verdict(_) => {
                w.be32(6, 0xffff_ff00);
                w.be32(7, 16);
            }
        }
        if ranges_of_many {
            w.nest(9, |w| w.nest(2, |w| shape::widths(self.key).for_each(|n| w.nest(1, |w| w.be32(1, n)))));
        }
        w.be32(10, 1 + self.set as u32);
        w.attr(13, &shape::notes(self.key, self.said, self.data, self.comment));
    }
}

/// A constant list of values inside a rule: `{ icmp, ipv6-icmp }`.
#[derive(Debug)]
pub struct Listed {
    /// Number within a transaction; those of `Set` are below 100.
    pub id: u32,
    pub field: Field,
    pub said: Typeof,
    pub values: &'static [&'static [u8]],
}

/// The kernel makes a name of it.
pub const LISTED_NAME: &str = "__set%d";

impl Listed {
    /// Attributes of NFT_MSG_NEWSET behind the table's name.
    pub fn write(&self, w: &mut Writer) {
        const ANONYMOUS_CONSTANT: u32 = 3;
        let key = [self.field];
        w.text(2, LISTED_NAME);
        w.be32(3, ANONYMOUS_CONSTANT);
        w.be32(4, shape::number(&key));
        w.be32(5, shape::width(&key));
        w.nest(9, |w| w.be32(1, self.values.len() as u32));
        w.be32(10, self.id);
        w.attr(13, &shape::notes(&key, Some(self.said), Data::Nothing, None));
    }

    /// Attributes of NFT_MSG_NEWSETELEM behind the table's name.
    pub fn write_values(&self, w: &mut Writer) {
        w.text(abi::LIST_SET, LISTED_NAME);
        w.be32(4, self.id);
        w.nest(abi::LIST_ELEMENTS, |w| {
            for value in self.values {
                w.nest(abi::LIST, |w| w.nest(abi::ELEM_KEY, |w| w.attr(abi::DATA_VALUE, value)));
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_stand_in_order() {
        for (i, shape) in SHAPES.iter().enumerate() {
            assert_eq!(shape.set as usize, i, "{}", shape.name);
        }
    }
}
