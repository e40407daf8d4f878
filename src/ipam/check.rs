//! Whether a requested subnet can be a network, and which gateway it gets. It never looks at other networks.
use crate::{
    error::{Error, Result},
    model::{
        Family, Subnet,
        address::{from_number, number},
    },
};
use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

/// What an address of a subnet is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddressUse {
    /// A sandbox or a gateway may have it.
    Host,
    /// IPv4: all host bits 0 (RFC 1122, 3.2.1.3).
    Network,
    /// IPv4: all host bits 1.
    Broadcast,
    /// IPv6: all host bits 0, the subnet-router anycast address (RFC 4291, 2.6.1).
    Anycast,
}

impl AddressUse {
    /// The words for an error: "the network address".
    pub fn as_str(self) -> &'static str {
        match self {
            AddressUse::Host => "a host address",
            AddressUse::Network => "the network address",
            AddressUse::Broadcast => "the broadcast address",
            AddressUse::Anycast => "the subnet-router anycast address",
        }
    }
}

/// What `address`, an address inside `subnet`, is for. A /31 (RFC 3021) or /127 (RFC 6164) has two host addresses
/// and a /32 or /128 one: nothing is set aside there.
pub fn address_use(subnet: &Subnet, address: IpAddr) -> AddressUse {
    let family = subnet.family();
    if subnet.prefix() + 1 >= family.bits() {
        return AddressUse::Host;
    }
    match (family, address == subnet.base(), address == subnet.last()) {
        (Family::V4, true, _) => AddressUse::Network,
        (Family::V4, _, true) => AddressUse::Broadcast,
        (Family::V6, true, _) => AddressUse::Anycast,
        _ => AddressUse::Host,
    }
}

/// The gateway of a subnet for which none was given: the first usable address of the range if there is one, else of
/// the subnet. None if nothing is usable.
///
/// "Usable" is measured against the subnet, as Docker does: with 10.1.5.0/24 as range of 10.1.0.0/16 it is 10.1.5.0,
/// an ordinary host address of a /16. People who read Docker's documents expect it, and only sandboxes ever see it.
pub fn default_gateway(
    subnet: &Subnet,
    range: Option<&Subnet>,
    aux: &BTreeMap<String, IpAddr>,
) -> Option<IpAddr> {
    let within = range.unwrap_or(subnet);
    let last = number(within.last());
    let mut candidate = number(within.base());
    while candidate <= last {
        let address = from_number(subnet.family(), candidate);
        if address_use(subnet, address) == AddressUse::Host && !aux.values().any(|a| *a == address) {
            return Some(address);
        }
        candidate = candidate.checked_add(1)?;
    }
    None
}

/// Whether a network can be built from these values: `Invalid` with the first thing that is wrong.
pub fn check_pool(
    subnet: &Subnet,
    gateway: Option<IpAddr>,
    range: Option<&Subnet>,
    aux: &BTreeMap<String, IpAddr>,
) -> Result<()> {
    check_subnet(subnet)?;
    if let Some(range) = range {
        check_range(subnet, range)?;
    }
    if let Some(gateway) = gateway {
        check_host(subnet, "gateway", gateway)?;
    }
    for (name, address) in aux {
        check_host(subnet, &format!("auxiliary address {name}"), *address)?;
        if gateway == Some(*address) {
            return Err(Error::invalid(format!(
                "invalid auxiliary address {name}={address}: it is the gateway of {subnet}"
            )));
        }
    }
    match gateway.or_else(|| default_gateway(subnet, range, aux)) {
        Some(_) => Ok(()),
        None => {
            Err(Error::invalid(format!("invalid subnet {subnet}: its auxiliary addresses leave no gateway")))
        }
    }
}

fn check_range(subnet: &Subnet, range: &Subnet) -> Result<()> {
    if range.family() != subnet.family() {
        return Err(Error::invalid(format!(
            "invalid ip-range {range}: it is {}, but subnet {subnet} is {}",
            words(range.family()),
            words(subnet.family())
        )));
    }
    match subnet.contains_subnet(range) {
        true => Ok(()),
        false => Err(Error::invalid(format!("invalid ip-range {range}: it does not lie in subnet {subnet}"))),
    }
}

fn check_host(subnet: &Subnet, what: &str, address: IpAddr) -> Result<()> {
    let bad = |why: String| Err(Error::invalid(format!("invalid {what} {address}: {why}")));
    let family = Family::of(&address);
    if family != subnet.family() {
        return bad(format!("it is {}, but subnet {subnet} is {}", words(family), words(subnet.family())));
    }
    if !subnet.contains(address) {
        return bad(format!("it does not lie in subnet {subnet}"));
    }
    match address_use(subnet, address) {
        AddressUse::Host => Ok(()),
        other => bad(format!("it is {} of {subnet}", other.as_str())),
    }
}

fn check_subnet(subnet: &Subnet) -> Result<()> {
    let bad = |why: &str| Err(Error::invalid(format!("invalid subnet {subnet}: {why}")));
    let Rules { special, smallest } = rules(subnet.family());
    if subnet.prefix() > smallest {
        return bad("it has no room for a gateway and a sandbox; use a larger one");
    }
    match special
        .iter()
        .find(|(base, prefix, _)| Subnet::new(*base, *prefix).is_ok_and(|reserved| reserved.overlaps(subnet)))
    {
        Some((base, prefix, why)) => bad(&format!("{base}/{prefix} is for {why}; use a private range")),
        None => Ok(()),
    }
}

/// What no network may be made of.
struct Rules {
    special: &'static [(IpAddr, u8, &'static str)],
    /// Longest prefix that still holds two addresses.
    smallest: u8,
}

const V4: Rules = Rules {
    special: &[
        (IpAddr::V4(Ipv4Addr::UNSPECIFIED), 8, "\"this network\" (RFC 1122)"),
        (IpAddr::V4(Ipv4Addr::new(127, 0, 0, 0)), 8, "loopback"),
        (IpAddr::V4(Ipv4Addr::new(169, 254, 0, 0)), 16, "link-local addresses"),
        (IpAddr::V4(Ipv4Addr::new(224, 0, 0, 0)), 4, "multicast"),
        (IpAddr::V4(Ipv4Addr::BROADCAST), 32, "broadcast"),
    ],
    smallest: 31,
};

const V6: Rules = Rules {
    special: &[
        (IpAddr::V6(Ipv6Addr::UNSPECIFIED), 128, "the unspecified address"),
        (IpAddr::V6(Ipv6Addr::LOCALHOST), 128, "loopback"),
        (IpAddr::V6(Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0, 0)), 96, "IPv4-mapped addresses"),
        (IpAddr::V6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0)), 10, "link-local addresses"),
        (IpAddr::V6(Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0)), 8, "multicast"),
    ],
    smallest: 127,
};

fn rules(family: Family) -> Rules {
    if family == Family::V4 { V4 } else { V6 }
}

pub(super) fn words(family: Family) -> &'static str {
    if family == Family::V4 { "IPv4" } else { "IPv6" }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subnet(text: &str) -> Subnet {
        text.parse().unwrap()
    }

    fn aux(pairs: &[(&str, &str)]) -> BTreeMap<String, IpAddr> {
        pairs.iter().map(|(name, ip)| (name.to_string(), ip.parse().unwrap())).collect()
    }

    #[test]
    fn gateways() {
        for (net, range, taken, wanted) in [
            ("10.1.0.0/16", None, "", "10.1.0.1"),
            ("10.1.0.0/16", Some("10.1.5.0/24"), "", "10.1.5.0"),
            ("10.1.0.0/16", Some("10.1.0.0/24"), "", "10.1.0.1"),
            ("10.1.0.0/16", None, "10.1.0.1", "10.1.0.2"),
            ("10.1.0.0/31", None, "", "10.1.0.0"),
            ("10.1.0.0/30", Some("10.1.0.3/32"), "", "none"),
            ("10.1.0.0/24", Some("10.1.0.9/32"), "10.1.0.9", "none"),
            ("fd00::/64", None, "", "fd00::1"),
            ("fd00::/64", Some("fd00::100/120"), "", "fd00::100"),
            ("fd00::/127", None, "", "fd00::"),
        ] {
            let range = range.map(subnet);
            let aux = if taken.is_empty() { aux(&[]) } else { aux(&[("a", taken)]) };
            let found = default_gateway(&subnet(net), range.as_ref(), &aux);
            assert_eq!(found.map_or("none".into(), |ip| ip.to_string()), wanted, "{net} {range:?}");
        }
    }

    #[test]
    fn refusals_name_the_values() {
        for (net, gateway, range, extra, wanted) in [
            ("10.0.0.0/24", "10.0.1.1", "", "", "gateway 10.0.1.1: it does not lie in subnet 10.0.0.0/24"),
            ("10.0.0.0/24", "10.0.0.0", "", "", "gateway 10.0.0.0: it is the network address of 10.0.0.0/24"),
            ("10.0.0.0/24", "10.0.0.255", "", "", "it is the broadcast address"),
            ("fd00::/64", "fd00::", "", "", "it is the subnet-router anycast address"),
            ("fd00::/64", "10.0.0.1", "", "", "gateway 10.0.0.1: it is IPv4, but subnet fd00::/64 is IPv6"),
            ("10.0.0.0/24", "", "10.0.0.0/23", "", "ip-range 10.0.0.0/23: it does not lie in"),
            ("10.0.0.0/24", "", "fd00::/64", "", "ip-range fd00::/64: it is IPv6, but"),
            ("10.0.0.0/24", "", "", "10.9.0.1", "auxiliary address a 10.9.0.1: it does not lie in"),
            ("10.0.0.0/24", "10.0.0.7", "", "10.0.0.7", "a=10.0.0.7: it is the gateway of"),
            ("10.0.0.8/32", "", "", "", "has no room"),
            ("fd00::8/128", "", "", "", "has no room"),
            ("127.1.0.0/16", "", "", "", "127.0.0.0/8 is for loopback"),
            ("169.254.7.0/24", "", "", "", "link-local"),
            ("224.0.0.0/24", "", "", "", "multicast"),
            ("0.0.0.0/1", "", "", "", "0.0.0.0/8 is for \"this network\""),
            ("255.255.255.0/24", "", "", "", "broadcast"),
            ("fe80::/64", "", "", "", "link-local"),
            ("ff05::/64", "", "", "", "multicast"),
            ("::/64", "", "", "", "unspecified"),
            ("10.0.0.0/31", "", "10.0.0.0/32", "10.0.0.0", "leave no gateway"),
        ] {
            let some = |text: &str| (!text.is_empty()).then(|| text.parse().unwrap());
            let range = (!range.is_empty()).then(|| subnet(range));
            let extra = if extra.is_empty() { aux(&[]) } else { aux(&[("a", extra)]) };
            let error = check_pool(&subnet(net), some(gateway), range.as_ref(), &extra).unwrap_err();
            assert!(error.message.contains(wanted), "{net}: {error}");
        }
    }

    #[test]
    fn what_may_be_a_network() {
        for net in
            ["10.0.0.0/8", "10.0.0.0/31", "182.18.0.0/16", "240.0.0.0/24", "fd00::/48", "2001:db8::/127"]
        {
            check_pool(&subnet(net), None, None, &aux(&[])).unwrap();
        }
    }
}
