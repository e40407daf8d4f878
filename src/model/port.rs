//! Published ports: what a user writes after `-p`, and what was promised.
use super::id::Id;
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::{
    fmt,
    net::{IpAddr, Ipv4Addr},
};

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
            n => format!("{first}-{}", last_of(first, n)),
        };
        match self.host_ip {
            Some(ip @ IpAddr::V6(_)) => write!(f, "[{ip}]:")?,
            Some(ip) => write!(f, "{ip}:")?,
            None => {}
        }
        write!(f, "{}->{}/{}", span(self.host_port), span(self.port), self.proto)
    }
}

impl Port {
    /// The last host port, `host_port` itself for a single one.
    pub fn host_last(&self) -> u16 {
        last_of(self.host_port, self.count)
    }
    /// The sandbox's port that this host port leads to.
    pub fn behind(&self, host_port: u16) -> Option<u16> {
        let ahead = host_port.checked_sub(self.host_port).filter(|ahead| *ahead < self.count)?;
        self.port.checked_add(ahead)
    }
    /// Does this publication do what is asked for? Who asks for every address takes a chosen one as well.
    pub fn serves(&self, wanted: &PortSpec) -> bool {
        let Some(ahead) = wanted.port.checked_sub(self.port) else { return false };
        let host = u32::from(self.host_port) + u32::from(ahead);
        let (first, end) = (wanted.host_port.map(u32::from), wanted.host_port_end.map(u32::from));
        let there = match (first, end) {
            (None, _) => true,
            (Some(first), Some(end)) if wanted.count == 1 => (first..=end).contains(&host),
            (Some(first), _) => first == host,
        };
        there
            && self.proto == wanted.proto
            && u32::from(ahead) + u32::from(wanted.count) <= u32::from(self.count)
            && (wanted.host_ip.is_none() || self.host_ip.is_none() || wanted.host_ip == self.host_ip)
    }
    /// The last port of the sandbox.
    pub fn last(&self) -> u16 {
        last_of(self.port, self.count)
    }
}

/// The last of `count` ports from `first` on; never past 65535.
fn last_of(first: u16, count: u16) -> u16 {
    first.saturating_add(count.saturating_sub(1))
}

impl PortSpec {
    /// Is a host port to be chosen?
    pub fn leaves_choice(&self) -> bool {
        self.host_port.is_none() || self.host_port_end.is_some()
    }
    /// Whether a specification that arrived as values makes sense; text that was parsed always does.
    pub fn check(&self) -> Result<()> {
        let bad = |why: String| Err(Error::invalid(format!("invalid port {self}: {why}")));
        let room = |first: u16| u32::from(first) + u32::from(self.count) <= 65_536;
        if self.port == 0 {
            return bad("ports are numbered from 1 to 65535".into());
        }
        if self.count == 0 {
            return bad("count must be at least 1".into());
        }
        if !room(self.port) || self.host_port.is_some_and(|first| !room(first)) {
            return bad(format!("{} ports from there on would pass 65535", self.count));
        }
        if self.host_ip.is_some_and(|ip| ip.is_multicast() || ip == IpAddr::V4(Ipv4Addr::BROADCAST)) {
            return bad("the host address must be one of the host's own".into());
        }
        match (self.host_port, self.host_port_end) {
            (Some(0), _) => bad("leave host_port out to have a free one chosen".into()),
            (None, Some(_)) => bad("host_port_end needs host_port".into()),
            (Some(first), Some(end)) if end < first => {
                bad(format!("the range of host ports is reversed, write {end}-{first}"))
            }
            (Some(first), Some(end)) if self.count > 1 && end != last_of(first, self.count) => {
                bad(format!("{} host ports cannot lead to {} ports", u32::from(end - first) + 1, self.count))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_is_there() {
        let port: Port = serde_json::from_str(
            r#"{"host_ip":"10.0.0.1","host_port":8080,"port":80,"count":3,"proto":"tcp"}"#,
        )
        .unwrap();
        for (json, there) in [
            (r#"{"port":80}"#, true),
            (r#"{"port":81,"host_port":8081,"count":2}"#, true),
            (r#"{"port":81,"host_port":8081,"count":3}"#, false),
            (r#"{"port":82,"host_port":8000,"host_port_end":8082}"#, true),
            (r#"{"port":82,"host_port":8000,"host_port_end":8081}"#, false),
            (r#"{"port":80,"host_port":8081}"#, false),
            (r#"{"port":79}"#, false),
            (r#"{"port":80,"proto":"udp"}"#, false),
            (r#"{"port":80,"host_ip":"10.0.0.1"}"#, true),
            (r#"{"port":80,"host_ip":"10.0.0.2"}"#, false),
            (r#"{"port":80,"count":65535}"#, false),
        ] {
            assert_eq!(port.serves(&serde_json::from_str(json).unwrap()), there, "{json}");
        }
        let anywhere = Port { host_ip: None, ..port };
        assert!(anywhere.serves(&serde_json::from_str(r#"{"port":80,"host_ip":"10.0.0.2"}"#).unwrap()));
    }

    #[test]
    fn values_that_make_no_sense() {
        for (json, wanted) in [
            (r#"{"port":0}"#, "from 1 to 65535"),
            (r#"{"port":80,"count":0}"#, "at least 1"),
            (r#"{"port":65535,"count":2}"#, "would pass 65535"),
            (r#"{"port":80,"host_port":65530,"count":7}"#, "would pass 65535"),
            (r#"{"port":80,"host_port":0}"#, "leave host_port out"),
            (r#"{"port":80,"host_port_end":90}"#, "needs host_port"),
            (r#"{"port":80,"host_port":90,"host_port_end":80}"#, "reversed, write 80-90"),
            (r#"{"port":80,"host_port":90,"host_port_end":95,"count":2}"#, "6 host ports cannot lead to 2"),
            (r#"{"port":80,"host_ip":"ff02::1"}"#, "host's own"),
        ] {
            let spec: PortSpec = serde_json::from_str(json).unwrap();
            let error = spec.check().unwrap_err();
            assert!(error.message.contains(wanted), "{json}: {error}");
        }
        for json in [r#"{"port":80}"#, r#"{"port":80,"host_port":90,"host_port_end":91,"count":2}"#] {
            serde_json::from_str::<PortSpec>(json).unwrap().check().unwrap();
        }
        assert!(serde_json::from_str::<PortSpec>(r#"{"port":80,"hostport":90}"#).is_err());
    }
}
