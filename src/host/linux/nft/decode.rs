//! Turns what a dump shows of a set back into `kernel::Element`s. Pure; what we would never write is None.
use super::{abi, sets::Set, wire::Attrs};
use crate::model::{
    Family, IfName, Mac, Proto,
    kernel::{Element, IntoVerdict, PairVerdict},
};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Fields of a key or value, one after the other.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    /// The next `N` bytes, and the padding behind them.
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let value = self.0.get(..N)?.try_into().ok()?;
        self.0 = self.0.get(N.next_multiple_of(4)..).unwrap_or(&[]);
        Some(value)
    }
    fn name(&mut self) -> Option<IfName> {
        let bytes: [u8; 16] = self.take()?;
        let end = bytes.iter().position(|b| *b == 0)?;
        IfName::parse(std::str::from_utf8(&bytes[..end]).ok()?).ok()
    }
    fn family(&mut self) -> Option<Family> {
        match self.take()? {
            [abi::IPV4] => Some(Family::V4),
            [abi::IPV6] => Some(Family::V6),
            _ => None,
        }
    }
    fn proto(&mut self) -> Option<Proto> {
        let [number] = self.take()?;
        [Proto::Tcp, Proto::Udp, Proto::Sctp].into_iter().find(|p| p.number() == number)
    }
    fn port(&mut self) -> Option<u16> {
        self.take().map(u16::from_be_bytes)
    }
    fn v4(&mut self) -> Option<Ipv4Addr> {
        self.take::<4>().map(Ipv4Addr::from)
    }
    fn v6(&mut self) -> Option<Ipv6Addr> {
        self.take::<16>().map(Ipv6Addr::from)
    }
    fn mac(&mut self) -> Option<Mac> {
        self.take().map(Mac)
    }
    fn address(&mut self, v4: bool) -> Option<IpAddr> {
        if v4 { self.v4().map(IpAddr::V4) } else { self.v6().map(IpAddr::V6) }
    }
    fn socket(&mut self, v4: bool) -> Option<SocketAddr> {
        Some(SocketAddr::new(self.address(v4)?, self.port()?))
    }
}

/// One element of a set that is not an rbtree; `entry` is the inside of its NFTA_LIST_ELEM.
pub fn decode(set: Set, entry: Attrs<'_>) -> Option<Element> {
    let mut key = Fields(bytes(entry, abi::ELEM_KEY)?);
    let mut value = Fields(bytes(entry, abi::ELEM_DATA).unwrap_or(&[]));
    let k = &mut key;
    let element = match set {
        Set::Net => Element::Net(k.name()?),
        Set::Back => Element::Back(k.name()?),
        Set::Sealed => Element::Sealed(k.name()?),
        Set::Foreign => Element::Foreign(k.name()?),
        Set::GuardedPort => Element::GuardedPort(k.name()?),
        Set::Strict => Element::Strict(k.family()?, k.name()?),
        Set::Masq => Element::Masq(k.family()?, k.name()?),
        Set::Snat4 => Element::Snat(k.name()?, value.address(true)?),
        Set::Snat6 => Element::Snat(k.name()?, value.address(false)?),
        Set::Pair => Element::Pair { from: k.name()?, to: k.name()?, verdict: pair(entry)? },
        Set::Into => Element::Into { family: k.family()?, bridge: k.name()?, verdict: into(entry)? },
        Set::Port4 => port(Some(k.address(true)?), k, value.socket(true)?)?,
        Set::Port6 => port(Some(k.address(false)?), k, value.socket(false)?)?,
        Set::Any4 => port(None, k, value.socket(true)?)?,
        Set::Any6 => port(None, k, value.socket(false)?)?,
        Set::Tcp4 | Set::Tcp6 | Set::Udp4 | Set::Udp6 => return None,
        Set::Range4 | Set::Range6 | Set::OpenR4 | Set::OpenR6 => return range(set, entry),
        Set::Twin4 => Element::Twin(k.name()?, k.address(true)?),
        Set::Twin6 => Element::Twin(k.name()?, k.address(false)?),
        Set::Open4 => Element::Open { to: k.address(true)?, proto: k.proto()?, port: k.port()? },
        Set::Open6 => Element::Open { to: k.address(false)?, proto: k.proto()?, port: k.port()? },
        Set::Skip6 => Element::Skip6(k.v6()?),
        Set::Guard => Element::Guard(k.family()?),
        Set::Gateway4 => Element::Gateway(k.address(true)?),
        Set::Gateway6 => Element::Gateway(k.address(false)?),
        Set::Mac => Element::Mac(k.name()?, k.mac()?),
        Set::Src4 => Element::Src4(k.name()?, k.mac()?, k.v4()?),
        Set::Src6 => Element::Src6(k.name()?, k.mac()?, k.v6()?),
        Set::Nd6 => Element::Nd6(k.name()?, k.v6()?),
    };
    Some(element)
}

fn port(host: Option<IpAddr>, key: &mut Fields<'_>, to: SocketAddr) -> Option<Element> {
    Some(Element::Port { host, proto: key.proto()?, port: key.port()?, to })
}

/// A range over address, protocol and port: one address or all of them, one protocol.
fn range(set: Set, entry: Attrs<'_>) -> Option<Element> {
    let v4 = matches!(set, Set::Range4 | Set::OpenR4);
    let mut low = Fields(bytes(entry, abi::ELEM_KEY)?);
    let mut high = Fields(bytes(entry, abi::ELEM_KEY_END)?);
    let (from, until) = (low.address(v4)?, high.address(v4)?);
    let proto = low.proto()?;
    if proto != high.proto()? {
        return None;
    }
    let (first, last) = (low.port()?, high.port()?);
    if matches!(set, Set::OpenR4 | Set::OpenR6) {
        return (from == until).then_some(Element::OpenRange { to: from, proto, first, last });
    }
    let every = match until {
        IpAddr::V4(a) => a == Ipv4Addr::BROADCAST,
        IpAddr::V6(a) => a.octets() == [255; 16],
    };
    let host = match from == until {
        true => Some(from),
        false if from.is_unspecified() && every => None,
        false => return None,
    };
    let to = Fields(bytes(entry, abi::ELEM_DATA)?).address(v4)?;
    Some(Element::Range { host, proto, first, last, to })
}

/// The rbtree of `set` as it comes piece by piece, starts and ends in any order.
#[derive(Debug, Default)]
pub struct Tree {
    /// (port, true where a range starts, target), ends before starts of the same port.
    edges: Vec<(u16, bool, Option<IpAddr>)>,
}

impl Tree {
    /// False: an entry that we would never write.
    pub fn add(&mut self, set: Set, entry: Attrs<'_>) -> bool {
        let port = bytes(entry, abi::ELEM_KEY).and_then(|key| Fields(key).port());
        let end = entry.be32(abi::ELEM_FLAGS).is_some_and(|flags| flags & abi::ELEM_INTERVAL_END != 0);
        let v4 = matches!(set, Set::Tcp4 | Set::Udp4);
        let to = bytes(entry, abi::ELEM_DATA).and_then(|data| Fields(data).address(v4));
        match port {
            Some(port) if end || to.is_some() => self.edges.push((port, !end, to)),
            _ => return false,
        }
        true
    }

    /// The ranges. A start without an end behind it runs to 65535; an end without a start (nft writes one at 0) is
    /// nothing.
    pub fn ranges(mut self, set: Set) -> Vec<Element> {
        let proto = if matches!(set, Set::Tcp4 | Set::Tcp6) { Proto::Tcp } else { Proto::Udp };
        self.edges.sort_unstable();
        let mut out = Vec::new();
        for (i, (first, starts, to)) in self.edges.iter().enumerate() {
            let (true, Some(to)) = (*starts, *to) else { continue };
            let last = self.edges.get(i + 1).map_or(u16::MAX, |(next, ..)| next.saturating_sub(1));
            out.push(Element::Range { host: None, proto, first: *first, last, to });
        }
        out
    }
}

fn bytes<'a>(entry: Attrs<'a>, kind: u16) -> Option<&'a [u8]> {
    entry.nested(kind)?.get(abi::DATA_VALUE)
}

fn pair(entry: Attrs<'_>) -> Option<PairVerdict> {
    match verdict(entry)? {
        (abi::ACCEPT, _) => Some(PairVerdict::Accept),
        (abi::GOTO, "within") => Some(PairVerdict::Within),
        (abi::GOTO, "apart") => Some(PairVerdict::Apart),
        _ => None,
    }
}

fn into(entry: Attrs<'_>) -> Option<IntoVerdict> {
    match verdict(entry)? {
        (abi::GOTO, "into_nat") => Some(IntoVerdict::Nat),
        (abi::GOTO, "into_open") => Some(IntoVerdict::Open),
        (abi::GOTO, "into_routed") => Some(IntoVerdict::Routed),
        _ => None,
    }
}

fn verdict(entry: Attrs<'_>) -> Option<(i32, &str)> {
    let verdict = entry.nested(abi::ELEM_DATA)?.nested(abi::DATA_VERDICT)?;
    Some((verdict.be32(abi::VERDICT_CODE)? as i32, verdict.text(abi::VERDICT_CHAIN).unwrap_or("")))
}
