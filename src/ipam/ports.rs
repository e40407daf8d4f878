//! Promised host ports: who has which, and which one is free. It never binds one; whether another program of the host
//! has a port is for `host` to say.
use super::Intervals;
use crate::{
    error::{Error, Result},
    model::{
        Family, PortSpec, Proto,
        port::{Holder, Port},
    },
};
use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::Arc,
};

/// The host's ephemeral ports (`ip_local_port_range` without `ip_local_reserved_ports`), both ends included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ephemeral {
    first: u16,
    last: u16,
    reserved: Intervals,
}

impl Ephemeral {
    /// `reserved` holds closed intervals that are not chosen; a port of it can still be asked for by number.
    pub fn new(first: u16, last: u16, reserved: impl IntoIterator<Item = (u16, u16)>) -> Self {
        let mut set = Intervals::new();
        reserved.into_iter().for_each(|(first, last)| set.insert(first.into(), last.into()));
        Ephemeral { first: first.max(1), last, reserved: set }
    }
}

/// Linux's defaults: 32768 to 60999.
impl Default for Ephemeral {
    fn default() -> Self {
        Ephemeral::new(32_768, 60_999, [])
    }
}

/// Ports of one protocol at one host address.
#[derive(Debug, Clone, Default)]
struct Seats {
    busy: Intervals,
    /// First port to last port and who has them.
    by: BTreeMap<u16, (u16, Arc<Holder>)>,
}

/// Where ports are held: an address of the host, or 0.0.0.0 or [::] for every one of its family.
type Place = (Proto, IpAddr);

/// All promised host ports. A question costs O(log n) for one host address, however wide its range; for "every
/// address" it is asked once for each host address that has ports of its own.
#[derive(Debug, Clone, Default)]
pub struct PortTable {
    seats: BTreeMap<Place, Seats>,
    /// Last ephemeral port given, so that a port just given back is not the next one given.
    cursor: BTreeMap<Proto, u16>,
}

impl PortTable {
    pub fn new() -> Self {
        Self::default()
    }

    /// Who has this port at this address (None: at any address).
    pub fn holder(&self, proto: Proto, host: Option<IpAddr>, port: u16) -> Option<&Holder> {
        self.clash(proto, host, port, port).map(|(_, _, holder)| holder)
    }

    /// Writes a promise down, all of it or nothing: `Conflict` names the port and who has it.
    pub fn promise(&mut self, port: &Port, holder: &Arc<Holder>) -> Result<()> {
        let (first, last) = (port.host_port, port.host_last());
        if let Some((place, taken, other)) = self.clash(port.proto, port.host_ip, first, last) {
            return Err(taken_by(place, taken, other));
        }
        for host in places(port.host_ip) {
            let seats = self.seats.entry((port.proto, host)).or_default();
            seats.busy.insert(first.into(), last.into());
            seats.by.insert(first, (last, Arc::clone(holder)));
        }
        Ok(())
    }

    /// Strikes a promise out; what was not promised is left alone.
    pub fn release(&mut self, port: &Port) {
        for host in places(port.host_ip) {
            let place = (port.proto, host);
            let Some(seats) = self.seats.get_mut(&place) else { continue };
            if let Some((last, _)) = seats.by.remove(&port.host_port) {
                seats.busy.remove(port.host_port.into(), last.into());
            }
            if seats.by.is_empty() {
                self.seats.remove(&place);
            }
        }
    }

    /// Turns a checked specification into ports that are free here; write them down with `promise`.
    ///
    /// `elsewhere` are ports that other programs turned out to have: they are passed over where there is a choice.
    /// A spec with several ports and no host port gets them in a row if there is a free row, else one by one.
    /// `Conflict` if a port asked for by number is taken, `Exhausted` if there is no free one to choose.
    pub fn choose(
        &mut self,
        spec: &PortSpec,
        ephemeral: &Ephemeral,
        elsewhere: &Intervals,
    ) -> Result<Vec<Port>> {
        let port = |host_port, port, count| Port {
            host_ip: spec.host_ip,
            host_port,
            port,
            count,
            proto: spec.proto,
        };
        match (spec.host_port.filter(|first| *first != 0), spec.host_port_end) {
            (Some(first), Some(end)) if spec.count == 1 && end > first => {
                let free = self
                    .gap(spec, first, end, 1, &[elsewhere])
                    .ok_or_else(|| self.none_of(spec, first, end))?;
                Ok(vec![port(free, spec.port, 1)])
            }
            (Some(first), _) => {
                let wanted = port(first, spec.port, spec.count);
                match self.clash(spec.proto, spec.host_ip, first, wanted.host_last()) {
                    Some((place, taken, holder)) => Err(taken_by(place, taken, holder)),
                    None => Ok(vec![wanted]),
                }
            }
            (None, _) => self.choose_ephemeral(spec, ephemeral, elsewhere),
        }
    }

    fn choose_ephemeral(
        &mut self,
        spec: &PortSpec,
        ephemeral: &Ephemeral,
        elsewhere: &Intervals,
    ) -> Result<Vec<Port>> {
        let mut passed = elsewhere.clone();
        let row = self.next_row(spec, spec.count.max(1), ephemeral, &passed).is_some();
        let wide = if row { spec.count.max(1) } else { 1 };
        let mut chosen = Vec::new();
        for i in (0..spec.count).step_by(wide.into()) {
            let first = self
                .next_row(spec, wide, ephemeral, &passed)
                .ok_or_else(|| self.none_of(spec, ephemeral.first, ephemeral.last))?;
            let (host_ip, proto) = (spec.host_ip, spec.proto);
            let port =
                Port { host_ip, host_port: first, port: spec.port.saturating_add(i), count: wide, proto };
            passed.insert(first.into(), port.host_last().into());
            self.cursor.insert(proto, port.host_last());
            chosen.push(port);
        }
        Ok(chosen)
    }

    /// First port of a free row of `wide` ephemeral ports, searched on from the last one given.
    fn next_row(&self, spec: &PortSpec, wide: u16, ephemeral: &Ephemeral, passed: &Intervals) -> Option<u16> {
        let avoid = [&ephemeral.reserved, passed];
        let behind = self.cursor.get(&spec.proto).map_or(ephemeral.first, |last| last.saturating_add(1));
        self.gap(spec, behind.max(ephemeral.first), ephemeral.last, wide, &avoid)
            .or_else(|| self.gap(spec, ephemeral.first, ephemeral.last, wide, &avoid))
    }

    /// First port of `wide` ports in a row within `first..=last` that clash with nothing and lie in none of `avoid`.
    fn gap(&self, spec: &PortSpec, first: u16, last: u16, wide: u16, avoid: &[&Intervals]) -> Option<u16> {
        let sets: Vec<&Intervals> = self
            .rivals(spec.proto, spec.host_ip)
            .map(|(_, seats)| &seats.busy)
            .chain(avoid.iter().copied())
            .collect();
        let (mut next, last) = (u128::from(first), u128::from(last));
        loop {
            let end = next + u128::from(wide) - 1;
            if end > last {
                return None;
            }
            match sets.iter().filter_map(|set| set.overlap(next, end)).map(|(_, to)| to).max() {
                Some(to) => next = to + 1,
                None => return u16::try_from(next).ok(),
            }
        }
    }

    /// The first promise that shares a port with `first..=last` at `host`: where, which port, whose.
    fn clash(
        &self,
        proto: Proto,
        host: Option<IpAddr>,
        first: u16,
        last: u16,
    ) -> Option<(Place, u16, &Holder)> {
        self.rivals(proto, host).find_map(|(place, seats)| {
            let (begin, (_, holder)) =
                seats.by.range(..=last).next_back().filter(|(_, (end, _))| *end >= first)?;
            Some((*place, first.max(*begin), holder.as_ref()))
        })
    }

    /// Places whose ports exclude the same port at `host`: itself and the wildcard of its family; for a wildcard all
    /// of the family; for None both families.
    fn rivals(&self, proto: Proto, host: Option<IpAddr>) -> impl Iterator<Item = (&Place, &Seats)> {
        let near = host.filter(|ip| !ip.is_unspecified());
        let single = near.into_iter().flat_map(move |ip| [(proto, wildcard(Family::of(&ip))), (proto, ip)]);
        let (from, to) = match (near, host) {
            (Some(_), _) => (None, None),
            (None, Some(ip)) => (Some(Family::of(&ip)), Some(Family::of(&ip))),
            (None, None) => (Some(Family::V4), Some(Family::V6)),
        };
        let every = from
            .zip(to)
            .into_iter()
            .flat_map(move |(from, to)| self.seats.range((proto, wildcard(from))..=(proto, highest(to))));
        single.filter_map(|place| self.seats.get_key_value(&place)).chain(every)
    }

    fn none_of(&self, spec: &PortSpec, first: u16, last: u16) -> Error {
        Error::exhausted(format!(
            "no host port of {first}-{last}/{} is free for port {}: give a wider range or remove a sandbox that \
             publishes one",
            spec.proto, spec.port
        ))
    }
}

fn taken_by((proto, host): Place, port: u16, holder: &Holder) -> Error {
    let at = std::net::SocketAddr::new(host, port);
    Error::conflict(format!(
        "host port {at}/{proto} is already published by sandbox {}: choose another or remove that sandbox",
        holder.name
    ))
}

/// The places a port at `host` occupies: None is every address of both families.
fn places(host: Option<IpAddr>) -> impl Iterator<Item = IpAddr> {
    let both = [wildcard(Family::V4), wildcard(Family::V6)];
    let count = if host.is_some() { 1 } else { 2 };
    host.map_or(both, |ip| [ip; 2]).into_iter().take(count)
}

fn wildcard(family: Family) -> IpAddr {
    match family {
        Family::V4 => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        Family::V6 => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    }
}

fn highest(family: Family) -> IpAddr {
    match family {
        Family::V4 => IpAddr::V4(Ipv4Addr::BROADCAST),
        Family::V6 => IpAddr::V6(Ipv6Addr::from(u128::MAX)),
    }
}

#[cfg(test)]
#[path = "ports_tests.rs"]
mod tests;
