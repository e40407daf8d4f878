//! Connections that began while our tables were gone: no rule of ours has seen their first packet, and established ones
//! are not asked again. They are forgotten, so that their next packet is judged as a first one: who slipped in from the LAN
//! is shut out, and who left untranslated is translated. What was translated is older than the gap and is left alone.
//!
//! Messages: linux/netfilter/nfnetlink_conntrack.h; a dump can be asked for by status since kernel 5.8.
use super::{
    Nft, abi,
    conntrack::{DELETE, ORIGINAL, STATUS, STATUS_MASK, SUBSYSTEM},
    observe::ask,
    wire::{Attrs, NESTED, Writer},
};
use crate::{
    error::Result,
    model::{Proto, Subnet, kernel::Element},
};
use std::{collections::HashSet, net::IpAddr};

/// IPCTNL_MSG_CT_GET.
const GET: u16 = SUBSYSTEM | 1;
const ID: u16 = 12;
const ZONE: u16 = 18;
/// IPS_SRC_NAT and IPS_DST_NAT.
const TRANSLATED: u32 = 0x30;

/// A connection as its first packet was.
struct Flow {
    source: IpAddr,
    destination: IpAddr,
    proto: u8,
    port: u16,
}

impl Nft {
    /// Forgets the connections that cross the border of one of `subnets`, or lead to a port that our tables publish, and
    /// are not translated. The answer is how many. One dump of the untranslated ones, 1 us each.
    pub fn judge_again(&mut self, subnets: &[Subnet]) -> Result<usize> {
        let published: HashSet<(u8, u16)> =
            self.elements()?.unwrap_or_default().iter().flat_map(ports).collect();
        let concerns = |flow: &Flow| {
            published.contains(&(flow.proto, flow.port))
                || subnets.iter().any(|ours| ours.contains(flow.source) != ours.contains(flow.destination))
        };
        let mut forgotten = 0;
        for family in [abi::IPV4, abi::IPV6] {
            for stray in self.untranslated(family, concerns)? {
                forgotten += usize::from(self.forget_one(family, &stray)?);
            }
        }
        Ok(forgotten)
    }

    /// (CTA_TUPLE_ORIG, CTA_ID) of each that concerns us. Whoever uses zones is not on our bridges.
    fn untranslated(
        &mut self,
        family: u8,
        concerns: impl Fn(&Flow) -> bool,
    ) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
        let question = |w: &mut Writer| {
            w.be32(STATUS, 0);
            w.be32(STATUS_MASK, TRANSLATED);
        };
        let mut strays = Vec::new();
        let answer = ask(&mut self.socket, GET, abi::DUMP, family, question, |message| {
            let attrs = message.attrs();
            let untranslated = attrs.be32(STATUS).is_some_and(|status| status & TRANSLATED == 0);
            if let (Some(tuple), Some(id), None) = (attrs.get(ORIGINAL), attrs.get(ID), attrs.get(ZONE))
                && untranslated
                && flow(Attrs(tuple)).is_some_and(|flow| concerns(&flow))
            {
                strays.push((tuple.to_vec(), id.to_vec()));
            }
        })?;
        answer.map_err(|refused| refused.into_error("list connections".to_owned()))?;
        Ok(strays)
    }

    /// False: it has ended by itself.
    fn forget_one(&mut self, family: u8, (tuple, id): &(Vec<u8>, Vec<u8>)) -> Result<bool> {
        let seq = self.socket.next_number();
        let mut w = Writer::default();
        let start = w.open(DELETE, abi::REQUEST | abi::ACK, seq, family, 0);
        w.attr(ORIGINAL | NESTED, tuple);
        w.attr(ID, id);
        w.close(start);
        self.socket.advance(1);
        match self.socket.request(w.bytes(), seq, seq)? {
            Ok(()) => Ok(true),
            Err(refused) if refused.errno == libc::ENOENT => Ok(false),
            Err(refused) => Err(refused.into_error("forget a connection".to_owned())),
        }
    }
}

/// CTA_TUPLE_IP 1: CTA_IP_V4_SRC 1, _V4_DST 2, _V6_SRC 3, _V6_DST 4. CTA_TUPLE_PROTO 2: CTA_PROTO_NUM 1, _DST_PORT 3.
fn flow(tuple: Attrs<'_>) -> Option<Flow> {
    let (ip, proto) = (tuple.nested(1)?, tuple.nested(2)?);
    let address = |v4: u16, v6: u16| match ip.get(v4) {
        Some(bytes) => <[u8; 4]>::try_from(bytes).ok().map(IpAddr::from),
        None => <[u8; 16]>::try_from(ip.get(v6)?).ok().map(IpAddr::from),
    };
    let port = proto.get(3).and_then(|bytes| bytes.try_into().ok()).map_or(0, u16::from_be_bytes);
    let number = *proto.get(1)?.first()?;
    Some(Flow { source: address(1, 3)?, destination: address(2, 4)?, proto: number, port })
}

/// Host ports that an element publishes.
fn ports(element: &Element) -> Vec<(u8, u16)> {
    let of = |proto: Proto, ports: std::ops::RangeInclusive<u16>| {
        ports.map(|port| (proto.number(), port)).collect::<Vec<_>>()
    };
    match *element {
        Element::Port { proto, port, .. } => of(proto, port..=port),
        Element::Range { proto, first, last, .. } => of(proto, first..=last),
        _ => Vec::new(),
    }
}
