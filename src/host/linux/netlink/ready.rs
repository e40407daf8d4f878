//! Waits until the kernel receives for IPv6 addresses it was just given; it changes nothing.
//!
//! Even without duplicate detection the kernel writes an address's local route from a work queue that needs the RTNL
//! (addrconf_dad_start, net/ipv6/addrconf.c). Until then packets to the address are dropped in silence: a few
//! of 200 first packets were. Usually the route is there at the first looks, within 100 µs.
use super::{
    batch::{Batch, Manner},
    socket::Route,
};
use crate::error::{Error, Result};
use netlink_packet_route::{
    AddressFamily, RouteNetlinkMessage,
    route::{RouteAddress, RouteAttribute, RouteMessage},
};
use std::{
    net::{IpAddr, Ipv6Addr},
    thread,
    time::{Duration, Instant},
};

const LIMIT: Duration = Duration::from_secs(2);
/// Looks before the thread sleeps between them (a sleep is 70 µs at least: timer slack).
const EAGER: u32 = 20;
const PAUSE: Duration = Duration::from_micros(50);

/// Waits for the IPv6 ones of `addresses`; IPv4 addresses are ready at once.
pub(super) fn wait(route: &mut Route, addresses: impl IntoIterator<Item = IpAddr>) -> Result<()> {
    let begin = Instant::now();
    for address in addresses {
        let IpAddr::V6(address) = address else { continue };
        let mut looks = 0;
        while !is_local(route, address)? {
            if begin.elapsed() > LIMIT {
                return Err(Error::unavailable(format!(
                    "address {address}: the kernel does not receive for it"
                )));
            }
            looks += 1;
            match looks < EAGER {
                true => thread::yield_now(),
                false => thread::sleep(PAUSE),
            }
        }
    }
    Ok(())
}

/// Whether packets to `address` are taken in. A lookup, which needs no RTNL.
fn is_local(route: &mut Route, address: Ipv6Addr) -> Result<bool> {
    let mut request = RouteMessage::default();
    request.header.address_family = AddressFamily::Inet6;
    request.header.destination_prefix_length = 128;
    request.attributes.push(RouteAttribute::Destination(RouteAddress::Inet6(address)));
    let mut batch = Batch::new();
    batch.push(Manner::Plain, RouteNetlinkMessage::GetRoute(request), format!("look up {address}"));
    let outcome = route.exchange(&mut batch)?;
    // No route at all (the interface has only just come up) is "not yet" as well.
    Ok(outcome.data.iter().any(|(_, body)| body.get(7) == Some(&libc::RTN_LOCAL)))
}
