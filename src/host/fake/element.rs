//! Elements as the kernel keeps them: one value for a key, and ranges that do not overlap (nft_set_rbtree.c).
use super::machine::Machine;
use crate::{
    error::{Error, Result},
    model::kernel::{Element, IntoVerdict, PairVerdict},
};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The element with its value left out: what it is found by.
fn key(element: &Element) -> Element {
    let blank = |ip: &IpAddr| match ip {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    match element.clone() {
        Element::Snat(name, to) => Element::Snat(name, blank(&to)),
        Element::Pair { from, to, .. } => Element::Pair { from, to, verdict: PairVerdict::Within },
        Element::Into { family, bridge, .. } => Element::Into { family, bridge, verdict: IntoVerdict::Nat },
        Element::Port { host, proto, port, to } => {
            Element::Port { host, proto, port, to: SocketAddr::new(blank(&to.ip()), 0) }
        }
        Element::Range { host, proto, first, last, to } => {
            Element::Range { host, proto, first, last, to: blank(&to) }
        }
        set => set,
    }
}

impl Machine {
    /// Equal ones are fine; a key with another value, or an overlapping range, is EEXIST.
    pub fn add_element(&mut self, element: &Element) -> Result<()> {
        let exists = |other: &Element| {
            Err(Error::conflict(format!("add {element:?}: File exists: {other:?} is there")))
        };
        let key = key(element);
        match self.elements.get(&key) {
            Some(other) if other == element => return Ok(()),
            Some(other) => return exists(other),
            None => {}
        }
        let ranged = matches!(element, Element::Range { .. });
        if ranged && let Some(other) = self.elements.values().find(|other| overlap(element, other)) {
            return exists(other);
        }
        self.elements.insert(key, element.clone());
        Ok(())
    }

    /// One that is gone is fine, and so is one whose key has another value by now: it stays.
    pub fn remove_element(&mut self, element: &Element) {
        let key = key(element);
        if self.elements.get(&key) == Some(element) {
            self.elements.remove(&key);
        }
    }
}

fn overlap(a: &Element, b: &Element) -> bool {
    match (a, b) {
        (
            Element::Range { host, proto, first, last, to },
            Element::Range { host: host2, proto: proto2, first: first2, last: last2, to: to2 },
        ) => {
            let same = host == host2 && proto == proto2 && to.is_ipv4() == to2.is_ipv4();
            same && first <= last2 && first2 <= last
        }
        _ => false,
    }
}
