//! The addresses of one subnet: which are given out, and which one is next. It never gives out an address twice, nor
//! one that is set aside, and a freed address rests until the cursor has come round.
use super::{AddressUse, Intervals, address_use, check::words};
use crate::{
    error::{Error, Kind, Result},
    model::{
        Family, Subnet,
        address::{from_number, number},
    },
};
use std::{collections::BTreeMap, net::IpAddr};

/// Next-fit allocation in O(log n); a /8 or an IPv6 /48 costs as much as a /30. Build it from values that passed
/// `check_pool`.
#[derive(Debug, Clone)]
pub struct Leases {
    subnet: Subnet,
    /// Where addresses are chosen from; one asked for by name may lie anywhere in the subnet.
    range: Subnet,
    /// What is given out and what is set aside.
    busy: Intervals,
    /// Set aside, and as what.
    reserved: BTreeMap<u128, String>,
    /// Where the search for the next address begins.
    cursor: u128,
    used: u128,
    available: u128,
}

impl Leases {
    /// All free. Set aside are the network and broadcast address (IPv4) or the anycast address (IPv6), the gateway
    /// and the auxiliary addresses. A range that does not lie in the subnet counts as none.
    pub fn new(
        subnet: Subnet,
        range: Option<Subnet>,
        gateway: Option<IpAddr>,
        aux: &BTreeMap<String, IpAddr>,
    ) -> Self {
        let range = range.filter(|range| subnet.contains_subnet(range)).unwrap_or(subnet);
        let (first, last) = (number(range.base()), number(range.last()));
        let mut leases = Leases {
            subnet,
            range,
            busy: Intervals::new(),
            reserved: BTreeMap::new(),
            cursor: first,
            used: 0,
            available: (last - first).saturating_add(1),
        };
        for edge in [subnet.base(), subnet.last()] {
            match address_use(&subnet, edge) {
                AddressUse::Host => {}
                other => leases.reserve(edge, other.as_str().to_owned()),
            }
        }
        gateway.into_iter().for_each(|gateway| leases.reserve(gateway, "the gateway".to_owned()));
        for (name, address) in aux {
            leases.reserve(*address, format!("auxiliary address {name}"));
        }
        leases
    }

    pub fn subnet(&self) -> Subnet {
        self.subnet
    }

    /// Number of addresses given out.
    pub fn used(&self) -> u128 {
        self.used
    }

    /// Number of addresses that can still be chosen without being asked for by name.
    pub fn available(&self) -> u128 {
        self.available
    }

    /// Gives out `wanted`, or the next free address of the range. `network` is the name for errors: `Exhausted` if
    /// none is left, `Conflict` if the wanted one is taken, `Invalid` if it is set aside or not of this subnet.
    pub fn take(&mut self, network: &str, wanted: Option<IpAddr>) -> Result<IpAddr> {
        let Some(address) = wanted else { return self.next(network) };
        match self.refuse(network, address) {
            Some(error) => Err(error),
            None => {
                self.occupy(number(address));
                Ok(address)
            }
        }
    }

    /// Gives out the next free address from `first` to `last`, which lie in the subnet. `Exhausted` if none is left there.
    pub fn take_within(&mut self, network: &str, first: IpAddr, last: IpAddr) -> Result<IpAddr> {
        let (from, to) = (number(first), number(last));
        let begin = if (from..=to).contains(&self.cursor) { self.cursor } else { from };
        let found = self.busy.first_gap(begin, to).or_else(|| self.busy.first_gap(from, to));
        let n = found.ok_or_else(|| {
            Error::exhausted(format!("network {network} has no free address left from {first} to {last}"))
        })?;
        let address = from_number(self.subnet.family(), n);
        self.occupy(n);
        self.set_cursor_after(address);
        Ok(address)
    }

    /// Says that `address` is in use, as promised before a restart. False if it was already, or is none of ours.
    pub fn mark(&mut self, address: IpAddr) -> bool {
        let fresh = self.subnet.contains(address) && !self.busy.contains(number(address));
        if fresh {
            self.occupy(number(address));
        }
        fresh
    }

    /// Takes an address back; one that was not given out is left alone.
    pub fn free(&mut self, address: IpAddr) {
        let n = number(address);
        if self.subnet.contains(address) && self.busy.contains(n) && !self.reserved.contains_key(&n) {
            self.busy.remove(n, n);
            self.used -= 1;
            self.available = self.available.saturating_add(u128::from(self.range.contains(address)));
        }
    }

    /// Puts the search for the next address behind `address`, as it stood before a restart.
    pub fn set_cursor_after(&mut self, address: IpAddr) {
        if self.range.contains(address) && address != self.range.last() {
            self.cursor = number(address) + 1;
        } else {
            self.cursor = number(self.range.base());
        }
    }

    fn next(&mut self, network: &str) -> Result<IpAddr> {
        let (first, last) = (number(self.range.base()), number(self.range.last()));
        let found = self.busy.first_gap(self.cursor, last).or_else(|| self.busy.first_gap(first, last));
        let n = found.ok_or_else(|| self.exhausted(network))?;
        let address = from_number(self.subnet.family(), n);
        self.occupy(n);
        self.set_cursor_after(address);
        Ok(address)
    }

    fn occupy(&mut self, n: u128) {
        self.busy.insert(n, n);
        self.used += 1;
        self.count_out(n);
    }

    fn reserve(&mut self, address: IpAddr, why: String) {
        let n = number(address);
        if self.subnet.contains(address) && !self.busy.contains(n) {
            self.busy.insert(n, n);
            self.reserved.insert(n, why);
            self.count_out(n);
        }
    }

    fn count_out(&mut self, n: u128) {
        let in_range = self.range.contains(from_number(self.subnet.family(), n));
        self.available = self.available.saturating_sub(u128::from(in_range));
    }

    /// Why this very address cannot be given out.
    fn refuse(&self, network: &str, address: IpAddr) -> Option<Error> {
        let subnet = self.subnet;
        let (kind, why) = if !subnet.contains(address) {
            (Kind::Invalid, format!("it does not lie in subnet {subnet}"))
        } else if let Some(why) = self.reserved.get(&number(address)) {
            (Kind::Invalid, format!("it is {why} of {subnet}; ask for another"))
        } else if self.busy.contains(number(address)) {
            (Kind::Conflict, "it is in use; ask for another or leave the choice to the network".to_owned())
        } else {
            return None;
        };
        Some(Error::new(kind, format!("address {address} cannot be had in network {network}: {why}")))
    }

    fn exhausted(&self, network: &str) -> Error {
        let place = match self.range == self.subnet {
            true => self.subnet.to_string(),
            false => format!("range {} of {}", self.range, self.subnet),
        };
        Error::exhausted(format!(
            "network {network} has no free {} address left in {place}: {} in use, so disconnect a sandbox or use a \
             network with a larger subnet",
            words(Family::of(&self.subnet.base())),
            self.used
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn leases(subnet: &str, range: Option<&str>, gateway: Option<&str>) -> Leases {
        let range = range.map(|r| r.parse().unwrap());
        Leases::new(subnet.parse().unwrap(), range, gateway.map(ip), &BTreeMap::new())
    }

    #[test]
    fn gives_out_in_order() {
        for (subnet, range, gateway, available, wanted) in [
            ("10.0.0.0/29", None, Some("10.0.0.1"), 5, "10.0.0.2 10.0.0.3 10.0.0.4 10.0.0.5 10.0.0.6"),
            ("10.0.0.0/29", None, None, 6, "10.0.0.1 10.0.0.2 10.0.0.3 10.0.0.4 10.0.0.5 10.0.0.6"),
            ("10.0.0.0/16", Some("10.0.5.0/30"), Some("10.0.5.0"), 3, "10.0.5.1 10.0.5.2 10.0.5.3"),
            ("10.0.0.0/24", Some("10.0.0.252/30"), Some("10.0.0.1"), 3, "10.0.0.252 10.0.0.253 10.0.0.254"),
            ("10.0.0.0/31", None, Some("10.0.0.0"), 1, "10.0.0.1"),
            ("10.0.0.4/32", None, None, 1, "10.0.0.4"),
            ("fd00::/126", None, Some("fd00::1"), 2, "fd00::2 fd00::3"),
            ("fd00::/127", None, Some("fd00::"), 1, "fd00::1"),
        ] {
            let mut leases = leases(subnet, range, gateway);
            assert_eq!(leases.available(), available, "{subnet}");
            for wanted in wanted.split(' ') {
                assert_eq!(leases.take("n", None).unwrap(), ip(wanted));
            }
            assert_eq!(leases.take("n", None).unwrap_err().kind, Kind::Exhausted);
            assert_eq!((leases.available(), leases.used()), (0, available));
        }
    }

    #[test]
    fn a_part_of_it() {
        let mut leases = leases("10.0.0.0/24", None, Some("10.0.0.51"));
        let mut take = |first: &str, last: &str| leases.take_within("n", ip(first), ip(last));
        for wanted in ["10.0.0.50", "10.0.0.52", "10.0.0.53"] {
            assert_eq!(take("10.0.0.50", "10.0.0.53").unwrap(), ip(wanted));
        }
        let error = take("10.0.0.50", "10.0.0.53").unwrap_err();
        assert_eq!(error.message, "network n has no free address left from 10.0.0.50 to 10.0.0.53");
        assert_eq!(take("10.0.0.0", "10.0.0.3").unwrap(), ip("10.0.0.1"), "never the network's own address");
        assert_eq!(take("10.0.0.254", "10.0.0.255").unwrap(), ip("10.0.0.254"));
        leases.free(ip("10.0.0.50"));
        assert_eq!(leases.take_within("n", ip("10.0.0.50"), ip("10.0.0.53")).unwrap(), ip("10.0.0.50"));
    }

    #[test]
    fn a_freed_address_rests() {
        let mut leases = leases("10.0.0.0/29", None, Some("10.0.0.1"));
        let first = leases.take("n", None).unwrap();
        leases.free(first);
        leases.free(first);
        let rest: Vec<_> = (0..5).map(|_| leases.take("n", None).unwrap().to_string()).collect();
        assert_eq!(rest, ["10.0.0.3", "10.0.0.4", "10.0.0.5", "10.0.0.6", "10.0.0.2"]);
    }

    #[test]
    fn after_a_restart() {
        let mut leases = leases("10.0.0.0/24", None, Some("10.0.0.1"));
        assert!(leases.mark(ip("10.0.0.2")));
        assert!(!leases.mark(ip("10.0.0.2")));
        assert!(!leases.mark(ip("10.9.0.2")));
        assert!(!leases.mark(ip("10.0.0.1")));
        leases.free(ip("10.0.0.1"));
        leases.set_cursor_after(ip("10.0.0.254"));
        assert_eq!(leases.take("n", None).unwrap(), ip("10.0.0.3"));
        leases.set_cursor_after(ip("10.0.0.255"));
        assert_eq!(leases.take("n", None).unwrap(), ip("10.0.0.4"));
        assert_eq!(leases.used(), 3);
    }

    #[test]
    fn refusals() {
        let aux = BTreeMap::from([("printer".to_owned(), ip("10.0.0.9"))]);
        let subnet = "10.0.0.0/28".parse().unwrap();
        let mut leases = Leases::new(subnet, None, Some(ip("10.0.0.1")), &aux);
        leases.take("n", Some(ip("10.0.0.7"))).unwrap();
        for (wanted, kind, text) in [
            ("10.0.0.7", Kind::Conflict, "in use"),
            ("10.0.1.7", Kind::Invalid, "does not lie in subnet 10.0.0.0/28"),
            ("fd00::7", Kind::Invalid, "does not lie in"),
            ("10.0.0.0", Kind::Invalid, "the network address"),
            ("10.0.0.15", Kind::Invalid, "the broadcast address"),
            ("10.0.0.1", Kind::Invalid, "the gateway"),
            ("10.0.0.9", Kind::Invalid, "auxiliary address printer"),
        ] {
            let error = leases.take("web", Some(ip(wanted))).unwrap_err();
            assert_eq!(error.kind, kind, "{error}");
            assert!(error.message.contains(text) && error.message.contains("network web"), "{error}");
        }
    }

    #[test]
    fn wide_subnets_cost_nothing() {
        let mut all = leases("::/0", None, None);
        assert_eq!(all.available(), u128::MAX - 1);
        assert_eq!(all.take("n", None).unwrap(), ip("::1"));
        let mut big = leases("10.0.0.0/8", None, Some("10.0.0.1"));
        for _ in 0..100_000 {
            big.take("n", None).unwrap();
        }
        assert_eq!((big.busy.len(), big.available()), (2, (1 << 24) - 3 - 100_000));
    }

    proptest! {
        #[test]
        fn never_twice_and_never_reserved(steps in prop::collection::vec((0u8..4, 0u32..64), 1..200)) {
            let base = u32::from(std::net::Ipv4Addr::new(10, 0, 0, 0));
            let mut leases = leases("10.0.0.0/26", Some("10.0.0.32/27"), Some("10.0.0.33"));
            let mut model = BTreeSet::new();
            for (what, offset) in steps {
                let address = IpAddr::V4((base + offset).into());
                match what {
                    0 => { leases.free(address); model.remove(&address); }
                    1 => if let Ok(given) = leases.take("n", Some(address)) {
                        prop_assert!(given == address && model.insert(given));
                    },
                    _ => match leases.take("n", None) {
                        Ok(given) => {
                            prop_assert!("10.0.0.32/27".parse::<Subnet>().unwrap().contains(given));
                            prop_assert!(model.insert(given));
                        }
                        Err(_) => prop_assert_eq!(leases.available(), 0),
                    },
                }
                for reserved in [0, 33, 63] {
                    prop_assert!(!model.contains(&IpAddr::V4((base + reserved).into())));
                }
                let in_range = model.iter().filter(|a| number(**a) >= u128::from(base + 32)).count() as u128;
                prop_assert_eq!((leases.used(), leases.available()), (model.len() as u128, 30 - in_range));
            }
        }
    }
}
