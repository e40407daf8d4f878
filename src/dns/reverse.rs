//! Addresses written backwards under `in-addr.arpa` and `ip6.arpa` (RFC 1035 3.5, RFC 3596 2.5). Never a partial one.
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The address that a lower-case reverse name spells in full; None for anything else.
pub fn parse(name: &str) -> Option<IpAddr> {
    let arpa = name.strip_suffix(".arpa")?;
    match arpa.strip_suffix(".in-addr") {
        Some(v4) => parse_v4(v4).map(IpAddr::V4),
        None => parse_v6(arpa.strip_suffix(".ip6")?).map(IpAddr::V6),
    }
}

fn parse_v4(text: &str) -> Option<Ipv4Addr> {
    let reversed: Ipv4Addr = text.parse().ok()?;
    let [a, b, c, d] = reversed.octets();
    Some(Ipv4Addr::new(d, c, b, a))
}

fn parse_v6(text: &str) -> Option<Ipv6Addr> {
    let bytes = text.as_bytes();
    if bytes.len() != 63 {
        return None;
    }
    let mut number = 0_u128;
    for (at, byte) in bytes.iter().enumerate() {
        match at % 2 {
            0 => number |= u128::from(char::from(*byte).to_digit(16)?) << (2 * at),
            _ if *byte == b'.' => {}
            _ => return None,
        }
    }
    Some(Ipv6Addr::from(number))
}
