//! The text after `-p`, to a `PortSpec` and back. It never asks whether a port is free.
//!
//! ```text
//! [IP:][HOST[-HOST]:]PORT[-PORT][/PROTO]      8080:80   127.0.0.1::80/udp   [::1]:80:80   8000-8010:80
//! target=PORT,published=HOST,protocol=P,host_ip=IP,mode=host|ingress                (Docker's long form)
//! ```
use super::{PortSpec, Proto};
use crate::error::{Error, Result};
use std::{fmt, net::IpAddr, str::FromStr};

impl PortSpec {
    /// One specification, or several of the short form with commas between them.
    pub fn parse_list(text: &str) -> Result<Vec<Self>> {
        if text.contains('=') {
            return Ok(vec![text.parse()?]);
        }
        text.split(',').map(str::parse).collect()
    }
}

impl FromStr for PortSpec {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        let spec = if text.contains('=') { long(text) } else { short(text) };
        spec.map_err(|why| Error::invalid(format!("invalid port {text:?}: {why}"))).and_then(|spec| {
            spec.check()?;
            Ok(spec)
        })
    }
}

/// Why a text is no port, to be put behind the text itself.
type Why = String;

/// The first and last port of `N` or `N-M`.
type Span = (u16, u16);

fn short(text: &str) -> Result<PortSpec, Why> {
    let (ports, proto) = match text.split_once('/') {
        Some((ports, proto)) => (ports, proto_of(proto)?),
        None => (text, Proto::default()),
    };
    let (host_ip, ports) = split_ip(ports)?;
    let (host, port) = match ports.split_once(':') {
        Some((host, port)) => (host, port),
        None => ("", ports),
    };
    build(host_ip, host_span(host)?, span(port)?, proto)
}

fn long(text: &str) -> Result<PortSpec, Why> {
    let (mut target, mut host, mut host_ip, mut proto, mut seen) = (None, None, None, None, Vec::new());
    for field in text.split(',') {
        let (key, value) =
            field.split_once('=').ok_or_else(|| format!("{field:?} should be KEY=VALUE, like target=80"))?;
        if seen.contains(&key) {
            return Err(format!("{key} is given twice"));
        }
        seen.push(key);
        match key {
            "target" => target = Some(span(value)?),
            "published" => host = host_span(value)?,
            "protocol" => proto = Some(proto_of(value)?),
            "host_ip" => host_ip = Some(address(value.trim_start_matches('[').trim_end_matches(']'))?),
            // one host has no routing mesh: both mean the same
            "mode" if matches!(value, "host" | "ingress") => {}
            "mode" => return Err(format!("mode {value:?} is neither host nor ingress")),
            _ => {
                return Err(format!(
                    "unknown key {key:?}, known are target, published, protocol, host_ip, mode"
                ));
            }
        }
    }
    let target = target.ok_or("target=PORT is missing")?;
    build(host_ip, host, target, proto.unwrap_or_default())
}

fn build(host_ip: Option<IpAddr>, host: Option<Span>, port: Span, proto: Proto) -> Result<PortSpec, Why> {
    let wide = |(first, last): Span| u32::from(last - first) + 1;
    let count = u16::try_from(wide(port)).map_err(|_| "that are too many ports")?;
    if let Some(host) = host
        && count > 1
        && wide(host) != wide(port)
    {
        return Err(format!("{} host ports cannot lead to {count} ports, make the ranges equal", wide(host)));
    }
    let end = host.filter(|(first, last)| count == 1 && last > first).map(|(_, last)| last);
    Ok(PortSpec {
        host_ip,
        host_port: host.map(|(first, _)| first),
        host_port_end: end,
        port: port.0,
        count,
        proto,
    })
}

/// Splits a leading `IP:` or `[IP]:` off.
fn split_ip(text: &str) -> Result<(Option<IpAddr>, &str), Why> {
    if let Some(rest) = text.strip_prefix('[') {
        let (ip, rest) = rest.split_once(']').ok_or("']' is missing")?;
        let rest = rest.strip_prefix(':').filter(|rest| rest.matches(':').count() == 1);
        let rest = rest.ok_or("behind [IP] comes :HOST:PORT or ::PORT")?;
        return match address(ip)? {
            ip @ IpAddr::V6(_) => Ok((Some(ip), rest)),
            IpAddr::V4(_) => Err("only an IPv6 address is put in brackets".into()),
        };
    }
    match text.matches(':').count() {
        0 | 1 => Ok((None, text)),
        2 if !text.starts_with(':') => {
            let (ip, rest) = text.split_once(':').unwrap_or_default();
            Ok((Some(address(ip)?), rest))
        }
        _ => Err("write an IPv6 address in brackets, like [::1]:8080:80".into()),
    }
}

fn address(text: &str) -> Result<IpAddr, Why> {
    text.parse().map_err(|_| format!("{text:?} is not an IP address of this host"))
}

fn proto_of(text: &str) -> Result<Proto, Why> {
    let lower = text.to_ascii_lowercase();
    let known = [Proto::Tcp, Proto::Udp, Proto::Sctp];
    let found = known.into_iter().find(|proto| proto.as_str() == lower);
    found.ok_or_else(|| format!("protocol {text:?} is none of tcp, udp, sctp"))
}

/// Host ports; nothing and 0 mean a free one.
fn host_span(text: &str) -> Result<Option<Span>, Why> {
    if text.is_empty() || text.bytes().all(|b| b == b'0') {
        return Ok(None);
    }
    span(text).map(Some)
}

fn span(text: &str) -> Result<Span, Why> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (number(first)?, number(last)?);
    match first <= last {
        true => Ok((first, last)),
        false => Err(format!("range {text} is reversed, write {last}-{first}")),
    }
}

fn number(text: &str) -> Result<u16, Why> {
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    let port = text.parse().ok().filter(|port| digits && *port != 0);
    port.ok_or_else(|| format!("{text:?} is not a port from 1 to 65535"))
}

/// The short form; parsing it gives the same value again.
impl fmt::Display for PortSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let last = |first: u16| first.saturating_add(self.count.saturating_sub(1));
        match self.host_ip {
            Some(ip @ IpAddr::V6(_)) => write!(f, "[{ip}]:")?,
            Some(ip) => write!(f, "{ip}:")?,
            None => {}
        }
        if let Some(first) = self.host_port {
            write_span(f, first, self.host_port_end.unwrap_or(last(first)))?;
        }
        if self.host_ip.is_some() || self.host_port.is_some() {
            f.write_str(":")?;
        }
        write_span(f, self.port, last(self.port))?;
        write!(f, "/{}", self.proto)
    }
}

fn write_span(f: &mut fmt::Formatter<'_>, first: u16, last: u16) -> fmt::Result {
    match first == last {
        true => write!(f, "{first}"),
        false => write!(f, "{first}-{last}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_meant() {
        for (text, host_ip, host, end, port, count, proto) in [
            ("80", "", None, None, 80, 1, "tcp"),
            ("80:5000", "", Some(80), None, 5000, 1, "tcp"),
            ("8080:80/udp", "", Some(8080), None, 80, 1, "udp"),
            ("8080:80/TCP", "", Some(8080), None, 80, 1, "tcp"),
            ("80/sctp", "", None, None, 80, 1, "sctp"),
            ("127.0.0.1:5432:5432", "127.0.0.1", Some(5432), None, 5432, 1, "tcp"),
            ("127.0.0.1::80", "127.0.0.1", None, None, 80, 1, "tcp"),
            ("127.0.0.1:0:80", "127.0.0.1", None, None, 80, 1, "tcp"),
            ("0.0.0.0:80:80", "0.0.0.0", Some(80), None, 80, 1, "tcp"),
            ("[::1]:80:80", "::1", Some(80), None, 80, 1, "tcp"),
            ("[::]::80", "::", None, None, 80, 1, "tcp"),
            ("0:80", "", None, None, 80, 1, "tcp"),
            (":80", "", None, None, 80, 1, "tcp"),
            ("8000-8010:9000-9010", "", Some(8000), None, 9000, 11, "tcp"),
            ("8000-8010:80", "", Some(8000), Some(8010), 80, 1, "tcp"),
            ("8000-8000:80", "", Some(8000), None, 80, 1, "tcp"),
            ("3000-3005", "", None, None, 3000, 6, "tcp"),
            ("1-65535:1-65535", "", Some(1), None, 1, 65535, "tcp"),
            ("target=80,published=8080,protocol=tcp,mode=host", "", Some(8080), None, 80, 1, "tcp"),
            ("published=8080,target=80,host_ip=127.0.0.1", "127.0.0.1", Some(8080), None, 80, 1, "tcp"),
            ("target=80,host_ip=[::1],protocol=UDP", "::1", None, None, 80, 1, "udp"),
            ("target=80-82,published=90-92,mode=ingress", "", Some(90), None, 80, 3, "tcp"),
        ] {
            let spec: PortSpec = text.parse().unwrap();
            let wanted = PortSpec {
                host_ip: (!host_ip.is_empty()).then(|| host_ip.parse().unwrap()),
                host_port: host,
                host_port_end: end,
                port,
                count,
                proto: proto_of(proto).unwrap(),
            };
            assert_eq!(spec, wanted, "{text}");
        }
    }

    #[test]
    fn what_is_refused() {
        for (text, why) in [
            ("", "\"\" is not a port from 1 to 65535"),
            ("0", "not a port"),
            ("65536", "not a port"),
            ("+80", "not a port"),
            ("80 ", "not a port"),
            ("80:", "not a port"),
            ("http", "not a port"),
            ("80-", "not a port"),
            ("80-90-95", "not a port"),
            ("0-10:80", "\"0\" is not a port"),
            ("8080:80x", "not a port"),
            ("8080:80/tcp/udp", "protocol \"tcp/udp\""),
            ("8080:80/icmp", "protocol \"icmp\" is none of"),
            ("8080:80/", "protocol \"\""),
            ("90-80", "range 90-80 is reversed, write 80-90"),
            ("90-80:70-80", "reversed"),
            ("8000-8010:80-81", "11 host ports cannot lead to 2 ports"),
            ("8000:80-81", "1 host ports cannot lead to 2 ports"),
            ("::1:80:80", "in brackets"),
            ("::80", "in brackets"),
            ("::1", "in brackets"),
            ("[::1]:80", "behind [IP] comes"),
            ("[::1]80:80", "behind [IP] comes"),
            ("[::1", "']' is missing"),
            ("[127.0.0.1]:80:80", "only an IPv6 address"),
            ("localhost:80:80", "\"localhost\" is not an IP address"),
            ("224.0.0.1:80:80", "one of the host's own"),
            ("1.2.3.4:5:6:7", "in brackets"),
            ("published=80", "target=PORT is missing"),
            ("target=80,mode=x", "mode \"x\""),
            ("target=80,target=81", "target is given twice"),
            ("target=80,colour=red", "unknown key \"colour\""),
            ("target=80,published", "KEY=VALUE"),
        ] {
            let error = text.parse::<PortSpec>().unwrap_err();
            assert!(error.message.contains(why), "{text}: {error}");
        }
    }

    #[test]
    fn lists() {
        let list = PortSpec::parse_list("8080:80,53:53/udp").unwrap();
        assert_eq!(
            list.iter().map(|spec| spec.to_string()).collect::<Vec<_>>(),
            ["8080:80/tcp", "53:53/udp"]
        );
        assert_eq!(PortSpec::parse_list("target=80,published=81").unwrap().len(), 1);
        assert!(PortSpec::parse_list("80,").is_err());
    }

    fn specs() -> impl Strategy<Value = PortSpec> {
        let ip = prop::option::of(prop_oneof![
            any::<[u8; 4]>().prop_map(IpAddr::from),
            any::<[u8; 16]>().prop_map(IpAddr::from),
        ]);
        let proto = prop::sample::select(vec![Proto::Tcp, Proto::Udp, Proto::Sctp]);
        let host = prop::option::of((1u16..60_000, prop::option::of(1u16..5_000)));
        (ip, host, 1u16..60_000, 1u16..5_000, proto).prop_map(|(host_ip, host, port, count, proto)| {
            let end = host.and_then(|(first, more)| more.map(|more| first + more));
            let count = if end.is_some() { 1 } else { count };
            PortSpec {
                host_ip,
                host_port: host.map(|(first, _)| first),
                host_port_end: end,
                port,
                count,
                proto,
            }
        })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(spec in specs().prop_filter("usable address", |spec| spec.check().is_ok())) {
            prop_assert_eq!(spec.to_string().parse::<PortSpec>().unwrap(), spec);
        }

        #[test]
        fn no_text_breaks_it(text in "[0-9:\\[\\]/,=a-z.-]{0,24}") {
            if let Ok(spec) = text.parse::<PortSpec>() {
                prop_assert_eq!(spec.to_string().parse::<PortSpec>().unwrap(), spec);
            }
        }
    }
}
