//! Published ports: what a user writes after `-p`, and what was promised.
use super::id::Id;
use serde::{Deserialize, Serialize};
use std::{fmt, net::IpAddr};

/// Transport protocol of a port.
#[derive(
    Debug,
    Clone,
    Copy,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Proto {
    #[default]
    Tcp,
    Udp,
    Sctp,
}

impl Proto {
    /// The IP protocol number (IANA).
    pub fn number(self) -> u8 {
        match self {
            Proto::Tcp => 6,
            Proto::Udp => 17,
            Proto::Sctp => 132,
        }
    }
    pub fn as_str(self) -> &'static str {
        match self {
            Proto::Tcp => "tcp",
            Proto::Udp => "udp",
            Proto::Sctp => "sctp",
        }
    }
}

impl fmt::Display for Proto {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a caller asks for, `[HOST_IP:][HOST[-HOST]:]PORT[-PORT][/PROTO]`. On the wire an object; the CLI parses the text.
///
/// Without `host_ip` every address of the host, both families. Without `host_port` a free one is chosen.
/// `count` ports are published, host_port+i to port+i; `host_port_end` set with `count` 1 means
/// "the first free one of host_port..=host_port_end".
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PortSpec {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_ip: Option<IpAddr>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_port: Option<u16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_port_end: Option<u16>,
    pub port: u16,
    #[serde(default = "one")]
    pub count: u16,
    #[serde(default)]
    pub proto: Proto,
}

fn one() -> u16 {
    1
}

/// A promised publication: `count` host ports from `host_port` on lead to `count` sandbox ports from `port` on.
/// `host_ip` none = every address, IPv4 and IPv6.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema,
)]
pub struct Port {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_ip: Option<IpAddr>,
    pub host_port: u16,
    pub port: u16,
    #[serde(default = "one")]
    pub count: u16,
    pub proto: Proto,
}

/// Who holds a host port, for error messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    pub sandbox: Id,
    pub name: String,
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let span = |first: u16| match self.count {
            1 => first.to_string(),
            n => format!("{first}-{}", first + (n - 1)),
        };
        match self.host_ip {
            Some(ip @ IpAddr::V6(_)) => write!(f, "[{ip}]:")?,
            Some(ip) => write!(f, "{ip}:")?,
            None => {}
        }
        write!(f, "{}->{}/{}", span(self.host_port), span(self.port), self.proto)
    }
}
