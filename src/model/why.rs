//! A connection that somebody asks about: from whom, to what; and what is seen on its way.
use super::{IfName, Mac, Proto, address::Cidr};
use crate::error::{Error, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{
    net::{IpAddr, SocketAddr},
    str::FromStr,
    time::Duration,
};

/// Why does this connection work, or not?
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Why {
    /// A sandbox by name or id; `host`: this host; `lan`: a machine outside it.
    pub from: String,
    /// `NAME[:PORT][/PROTO]`, with an address instead of the name, or `:PORT` for one of this host.
    pub to: String,
}

/// Where a connection is to go, as it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    pub host: Host,
    pub port: Option<u16>,
    pub proto: Proto,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Host {
    Name(String),
    Address(IpAddr),
    /// Wherever this host publishes.
    This,
}

/// What there is in a network namespace.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Place {
    pub interfaces: Vec<Interface>,
    pub listeners: Vec<Listener>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interface {
    pub name: IfName,
    pub mac: Option<Mac>,
    pub up: bool,
    pub addresses: Vec<Cidr>,
}

/// A socket that waits for clients. An unspecified address takes them at all; `::` those of IPv4 too, as nearly all do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Listener {
    pub proto: Proto,
    pub at: SocketAddr,
}

/// What came of opening a TCP connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attempt {
    Connected(Duration),
    /// Somebody is there and says no (RST).
    Refused,
    /// Nothing came back in this time.
    Silence(Duration),
    /// It could not be sent, or a router said no.
    Failed(String),
}

impl Place {
    pub fn has(&self, address: IpAddr) -> bool {
        self.interfaces.iter().flat_map(|interface| &interface.addresses).any(|cidr| cidr.address == address)
    }
}

impl Listener {
    /// Does it take what is sent to `address`?
    pub fn hears(&self, address: IpAddr) -> bool {
        let own = self.at.ip();
        own == address || own.is_unspecified() && (own.is_ipv6() || address.is_ipv4())
    }
}

impl FromStr for Destination {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let bad = |why: &str| {
            let form = "write NAME:PORT, ADDRESS:PORT, [IPV6]:PORT or :PORT, and /udp behind it for UDP";
            Error::invalid(format!("invalid destination {text:?}: {why}; {form}"))
        };
        let (rest, proto) = match text.rsplit_once('/') {
            None => (text, Proto::Tcp),
            Some((rest, proto)) => match proto.to_ascii_lowercase().as_str() {
                "tcp" => (rest, Proto::Tcp),
                "udp" => (rest, Proto::Udp),
                _ => return Err(bad("the protocol must be tcp or udp")),
            },
        };
        let (host, port) = split(rest).ok_or_else(|| bad("the [ has no ]"))?;
        let number = |port: &str| port.parse().ok().filter(|port| *port > 0);
        let port = port.map(|port| number(port).ok_or_else(|| bad("ports are numbered from 1 to 65535")));
        let (host, port) = (host.trim_end_matches('.'), port.transpose()?);
        let host = match (host.parse(), host.is_empty()) {
            (Ok(address), _) => Host::Address(address),
            (Err(_), true) if port.is_some() => Host::This,
            (Err(_), true) => return Err(bad("it is empty")),
            (Err(_), false) if host.contains(|c: char| c.is_whitespace() || "[]:".contains(c)) => {
                return Err(bad("that is neither a name nor an address"));
            }
            (Err(_), false) => Host::Name(host.to_ascii_lowercase()),
        };
        Ok(Destination { host, port, proto })
    }
}

/// Host and port. None: a bracket is missing.
fn split(text: &str) -> Option<(&str, Option<&str>)> {
    if let Some(inside) = text.strip_prefix('[') {
        let (host, rest) = inside.split_once(']')?;
        return Some((host, rest.strip_prefix(':')));
    }
    Some(match text.split_once(':') {
        // an IPv6 address by itself
        Some((_, rest)) if rest.contains(':') => (text, None),
        Some((host, port)) => (host, Some(port)),
        None => (text, None),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn destinations() {
        let name = |name: &str| Host::Name(name.to_owned());
        let address = |text: &str| Host::Address(text.parse().unwrap());
        for (text, host, port, proto) in [
            ("redis", name("redis"), None, Proto::Tcp),
            ("Redis.back-end.:6379", name("redis.back-end"), Some(6379), Proto::Tcp),
            ("10.0.0.1:53/UDP", address("10.0.0.1"), Some(53), Proto::Udp),
            ("fd00::1", address("fd00::1"), None, Proto::Tcp),
            ("[fd00::1]:80/tcp", address("fd00::1"), Some(80), Proto::Tcp),
            ("[::1]", address("::1"), None, Proto::Tcp),
            (":8080", Host::This, Some(8080), Proto::Tcp),
        ] {
            assert_eq!(text.parse::<Destination>().unwrap(), Destination { host, port, proto }, "{text}");
        }
        for (text, why) in [
            ("", "it is empty"),
            (":", "from 1 to 65535"),
            ("redis:0", "from 1 to 65535"),
            ("redis:http", "from 1 to 65535"),
            ("redis:1/icmp", "must be tcp or udp"),
            ("[::1:80", "has no ]"),
            ("two words:80", "neither a name nor an address"),
            ("http://redis", "must be tcp or udp"),
        ] {
            let error = text.parse::<Destination>().unwrap_err();
            assert!(error.message.contains(why), "{text}: {error}");
        }
    }

    #[test]
    fn who_hears_what() {
        for (at, address, hears) in [
            ("0.0.0.0:1", "10.0.0.1", true),
            ("[::]:1", "10.0.0.1", true),
            ("0.0.0.0:1", "fd00::1", false),
            ("127.0.0.1:1", "10.0.0.1", false),
            ("10.0.0.1:1", "10.0.0.1", true),
        ] {
            let listener = Listener { proto: Proto::Tcp, at: at.parse().unwrap() };
            assert_eq!(listener.hears(address.parse().unwrap()), hears, "{at} {address}");
        }
    }
}
