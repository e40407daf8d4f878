//! One subnet, two who have addresses of it: the runtime that reserved it, and endpoints in a network upon it. An address is
//! free when neither has it.
use crate::{error::Result, ipam::Leases, model::reservation::Reservation};
use std::{collections::BTreeSet, net::IpAddr};

pub struct Reserved {
    leases: Leases,
    /// The runtime's.
    held: BTreeSet<IpAddr>,
    /// The endpoints'.
    seated: BTreeSet<IpAddr>,
}

impl Reserved {
    pub fn new(reservation: &Reservation) -> Self {
        let leases = Leases::new(reservation.subnet, reservation.range, None, &Default::default());
        let mut reserved = Reserved { leases, held: BTreeSet::new(), seated: BTreeSet::new() };
        reservation.addresses.iter().for_each(|address| reserved.hold(*address));
        if let Some(last) = reservation.addresses.last() {
            reserved.leases.set_cursor_after(*last);
        }
        reserved
    }

    /// For the runtime: `wanted`, or the next free one. `name` is said in refusals.
    pub fn take(&mut self, name: &str, wanted: Option<IpAddr>) -> Result<IpAddr> {
        let address = self.leases.take(name, wanted)?;
        self.held.insert(address);
        Ok(address)
    }
    pub fn hold(&mut self, address: IpAddr) {
        self.leases.mark(address);
        self.held.insert(address);
    }
    pub fn let_go(&mut self, address: IpAddr) {
        self.held.remove(&address);
        self.free(address);
    }

    /// For an endpoint: an address that the runtime has is what the runtime wants for it.
    pub fn seat(&mut self, network: &str, wanted: Option<IpAddr>) -> Result<IpAddr> {
        let from_runtime = wanted.filter(|ip| self.held.contains(ip) && !self.seated.contains(ip));
        let address = match from_runtime {
            Some(address) => address,
            None => self.leases.take(network, wanted)?,
        };
        self.seated.insert(address);
        Ok(address)
    }
    /// For an endpoint: the next that is free from `first` to `last`.
    pub fn seat_within(&mut self, network: &str, first: IpAddr, last: IpAddr) -> Result<IpAddr> {
        let address = self.leases.take_within(network, first, last)?;
        self.seated.insert(address);
        Ok(address)
    }
    /// An endpoint had it before a restart.
    pub fn seat_again(&mut self, address: IpAddr) {
        if self.leases.subnet().contains(address) {
            self.leases.mark(address);
            self.seated.insert(address);
        }
    }
    pub fn unseat(&mut self, address: IpAddr) {
        if self.seated.remove(&address) {
            self.free(address);
        }
    }

    fn free(&mut self, address: IpAddr) {
        if !self.held.contains(&address) && !self.seated.contains(&address) {
            self.leases.free(address);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{error::Kind, model::Id};

    #[test]
    fn free_when_neither_has_it() {
        let ip = |text: &str| text.parse::<IpAddr>().expect("an address");
        let (id, created) = (Id::from_bytes([1; 32]), String::new());
        let subnet = "10.0.0.0/29".parse().expect("a subnet");
        let addresses = BTreeSet::from([ip("10.0.0.1")]);
        let mut reserved = Reserved::new(&Reservation { id, created, subnet, range: None, addresses });
        let theirs = reserved.take("n", None).expect("one");
        assert_eq!(theirs, ip("10.0.0.2"));
        assert_eq!(reserved.seat("n", Some(theirs)).expect("theirs"), theirs);
        assert_eq!(reserved.seat("n", Some(theirs)).expect_err("twice").kind, Kind::Conflict);
        reserved.let_go(theirs);
        assert_eq!(reserved.take("n", Some(theirs)).expect_err("seated").kind, Kind::Conflict);
        reserved.unseat(theirs);
        reserved.unseat(theirs);
        assert_eq!(reserved.take("n", Some(theirs)).expect("free"), theirs);
        let ours = reserved.seat("n", None).expect("one");
        assert_eq!(ours, ip("10.0.0.3"));
        reserved.let_go(ours);
        assert_eq!(reserved.take("n", Some(ours)).expect_err("ours").kind, Kind::Conflict);
    }
}
