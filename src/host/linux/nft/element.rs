//! Turns a `kernel::Element` into the bytes of its set: key, end of a range, value. Pure; `decode` is its mirror.
use super::{abi, rule::write_verdict, sets::Set, wire::Writer};
use crate::model::{
    Family, IfName, Proto,
    kernel::{Element, IntoVerdict, PairVerdict},
};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// A key or a value: at most `src6`, 16 + 8 + 16 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bytes {
    buffer: [u8; 40],
    length: usize,
}

/// What a map's key leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value {
    Nothing,
    Data(Bytes),
    Accept,
    Goto(&'static str),
}

/// Where an element goes and what it looks like there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Encoded {
    pub set: Set,
    pub key: Bytes,
    /// Last key of a range over several fields (pipapo).
    pub key_end: Option<Bytes>,
    /// First port behind a range of one field (rbtree); a range that ends at 65535 has none.
    pub behind: Option<u16>,
    pub value: Value,
}

impl Bytes {
    const EMPTY: Bytes = Bytes { buffer: [0; 40], length: 0 };

    pub fn as_slice(&self) -> &[u8] {
        &self.buffer[..self.length]
    }
    /// A key of one field, unpadded.
    fn one(value: &[u8]) -> Bytes {
        let mut out = Bytes::EMPTY;
        out.buffer[..value.len()].copy_from_slice(value);
        out.length = value.len();
        out
    }
    /// The next field of a concatenation, padded to 4.
    fn then(mut self, value: &[u8]) -> Bytes {
        self.buffer[self.length..self.length + value.len()].copy_from_slice(value);
        self.length += value.len().next_multiple_of(4);
        self
    }
    fn name(name: &IfName) -> Bytes {
        Bytes { length: 16, ..Bytes::one(name.as_str().as_bytes()) }
    }
    fn family(family: Family) -> Bytes {
        Bytes::EMPTY.then(&[nfproto(family)])
    }
    fn address(self, address: IpAddr) -> Bytes {
        match address {
            IpAddr::V4(a) => self.then(&a.octets()),
            IpAddr::V6(a) => self.then(&a.octets()),
        }
    }
    fn proto(self, proto: Proto) -> Bytes {
        self.then(&[proto.number()])
    }
    fn port(self, port: u16) -> Bytes {
        self.then(&port.to_be_bytes())
    }
}

pub fn nfproto(family: Family) -> u8 {
    if family == Family::V4 { abi::IPV4 } else { abi::IPV6 }
}

/// The set of this element.
pub fn set_of(element: &Element) -> Set {
    let by = |v4: bool, set4, set6| if v4 { set4 } else { set6 };
    match element {
        Element::Net(_) => Set::Net,
        Element::Back(_) => Set::Back,
        Element::Sealed(_) => Set::Sealed,
        Element::Strict(..) => Set::Strict,
        Element::Masq(..) => Set::Masq,
        Element::Snat(_, a) => by(a.is_ipv4(), Set::Snat4, Set::Snat6),
        Element::Pair { .. } => Set::Pair,
        Element::Into { .. } => Set::Into,
        Element::Port { host: Some(_), to, .. } => by(to.is_ipv4(), Set::Port4, Set::Port6),
        Element::Port { host: None, to, .. } => by(to.is_ipv4(), Set::Any4, Set::Any6),
        Element::Range { host: None, proto: Proto::Tcp, to, .. } => by(to.is_ipv4(), Set::Tcp4, Set::Tcp6),
        Element::Range { host: None, proto: Proto::Udp, to, .. } => by(to.is_ipv4(), Set::Udp4, Set::Udp6),
        Element::Range { to, .. } => by(to.is_ipv4(), Set::Range4, Set::Range6),
        Element::Twin(_, a) => by(a.is_ipv4(), Set::Twin4, Set::Twin6),
        Element::Open { to, .. } => by(to.is_ipv4(), Set::Open4, Set::Open6),
        Element::OpenRange { to, .. } => by(to.is_ipv4(), Set::OpenR4, Set::OpenR6),
        Element::Skip6(_) => Set::Skip6,
        Element::Foreign(_) => Set::Foreign,
        Element::Guard(_) => Set::Guard,
        Element::Gateway(a) => by(a.is_ipv4(), Set::Gateway4, Set::Gateway6),
        Element::GuardedPort(_) => Set::GuardedPort,
        Element::Mac(..) => Set::Mac,
        Element::Src4(..) => Set::Src4,
        Element::Src6(..) => Set::Src6,
        Element::Nd6(..) => Set::Nd6,
    }
}

/// Key and value of this element.
pub fn encode(element: &Element) -> Encoded {
    let plain = |key| (key, Value::Nothing);
    let (key, value) = match element {
        Element::Range { .. } | Element::OpenRange { .. } => return encode_range(element),
        Element::Net(name)
        | Element::Back(name)
        | Element::Sealed(name)
        | Element::Foreign(name)
        | Element::GuardedPort(name) => plain(Bytes::name(name)),
        Element::Strict(family, name) | Element::Masq(family, name) => {
            plain(Bytes::family(*family).then(Bytes::name(name).as_slice()))
        }
        Element::Snat(name, to) => (Bytes::name(name), Value::Data(Bytes::EMPTY.address(*to))),
        Element::Pair { from, to, verdict } => {
            (Bytes::name(from).then(Bytes::name(to).as_slice()), Value::pair(*verdict))
        }
        Element::Into { family, bridge, verdict } => {
            (Bytes::family(*family).then(Bytes::name(bridge).as_slice()), Value::into(*verdict))
        }
        Element::Port { host, proto, port, to } => {
            let key = host.map_or(Bytes::EMPTY, |host| Bytes::EMPTY.address(host));
            (key.proto(*proto).port(*port), Value::socket(to))
        }
        Element::Twin(name, address) => plain(Bytes::name(name).address(*address)),
        Element::Open { to, proto, port } => plain(Bytes::EMPTY.address(*to).proto(*proto).port(*port)),
        Element::Skip6(address) => plain(Bytes::one(&address.octets())),
        Element::Gateway(address) => plain(Bytes::EMPTY.address(*address)),
        Element::Guard(family) => plain(Bytes::one(&[nfproto(*family)])),
        Element::Mac(name, mac) => plain(Bytes::name(name).then(&mac.0)),
        Element::Src4(name, mac, address) => {
            plain(Bytes::name(name).then(&mac.0).address(IpAddr::V4(*address)))
        }
        Element::Src6(name, mac, address) => {
            plain(Bytes::name(name).then(&mac.0).address(IpAddr::V6(*address)))
        }
        Element::Nd6(name, address) => plain(Bytes::name(name).address(IpAddr::V6(*address))),
    };
    Encoded { set: set_of(element), key, key_end: None, behind: None, value }
}

fn encode_range(element: &Element) -> Encoded {
    let set = set_of(element);
    let (low, high, proto, first, last, value) = match element {
        Element::Range { host, proto, first, last, to } => {
            let (low, high) = host.map_or_else(|| every(*to), |host| (host, host));
            (low, high, *proto, *first, *last, Value::Data(Bytes::EMPTY.address(*to)))
        }
        Element::OpenRange { to, proto, first, last } => (*to, *to, *proto, *first, *last, Value::Nothing),
        _ => unreachable!("only ranges come here"),
    };
    if matches!(set, Set::Tcp4 | Set::Tcp6 | Set::Udp4 | Set::Udp6) {
        let key = Bytes::one(&first.to_be_bytes());
        return Encoded { set, key, key_end: None, behind: last.checked_add(1), value };
    }
    let key = |address, port| Bytes::EMPTY.address(address).proto(proto).port(port);
    Encoded { set, key: key(low, first), key_end: Some(key(high, last)), behind: None, value }
}

/// First and last address of the family of `like`.
fn every(like: IpAddr) -> (IpAddr, IpAddr) {
    match like {
        IpAddr::V4(_) => (Ipv4Addr::UNSPECIFIED.into(), Ipv4Addr::BROADCAST.into()),
        IpAddr::V6(_) => (IpAddr::from([0; 16]), IpAddr::from([255; 16])),
    }
}

impl Value {
    fn pair(verdict: PairVerdict) -> Value {
        match verdict {
            PairVerdict::Within => Value::Goto("within"),
            PairVerdict::Apart => Value::Goto("apart"),
            PairVerdict::Accept => Value::Accept,
        }
    }
    fn into(verdict: IntoVerdict) -> Value {
        match verdict {
            IntoVerdict::Nat => Value::Goto("into_nat"),
            IntoVerdict::Open => Value::Goto("into_open"),
            IntoVerdict::Routed => Value::Goto("into_routed"),
        }
    }
    fn socket(to: &SocketAddr) -> Value {
        Value::Data(Bytes::EMPTY.address(to.ip()).port(to.port()))
    }
}

impl Encoded {
    /// Writes the list entry, or the two of a range in an rbtree. To remove, the value is left out.
    pub fn write(&self, w: &mut Writer, removing: bool) {
        let entry = w.open_nest(abi::LIST);
        w.nest(abi::ELEM_KEY, |w| w.attr(abi::DATA_VALUE, self.key.as_slice()));
        if let Some(end) = &self.key_end {
            w.nest(abi::ELEM_KEY_END, |w| w.attr(abi::DATA_VALUE, end.as_slice()));
        }
        if !removing {
            self.write_value(w);
        }
        w.close_nest(entry);
        if let Some(behind) = self.behind {
            w.nest(abi::LIST, |w| {
                w.be32(abi::ELEM_FLAGS, abi::ELEM_INTERVAL_END);
                w.nest(abi::ELEM_KEY, |w| w.attr(abi::DATA_VALUE, &behind.to_be_bytes()));
            });
        }
    }

    fn write_value(&self, w: &mut Writer) {
        match self.value {
            Value::Nothing => {}
            Value::Data(bytes) => w.nest(abi::ELEM_DATA, |w| w.attr(abi::DATA_VALUE, bytes.as_slice())),
            Value::Accept => w.nest(abi::ELEM_DATA, |w| write_verdict(w, abi::ACCEPT, None)),
            Value::Goto(chain) => w.nest(abi::ELEM_DATA, |w| write_verdict(w, abi::GOTO, Some(chain))),
        }
    }
}
