//! The host's resolv.conf (resolv.conf(5)) as far as it matters here. It never fails: what makes no sense is skipped.
use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};

/// Servers that are used at most (MAXNS of glibc is 3; musl too).
const MOST: usize = 3;

/// What the file says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostConf {
    /// In the order of the file, at most three.
    pub servers: Vec<SocketAddr>,
    pub search: Vec<String>,
    pub options: Vec<String>,
}

impl HostConf {
    /// Reads the text; servers are asked at `port`. A later `search` or `domain` replaces an earlier one.
    pub fn parse(text: &str, port: u16) -> Self {
        let mut conf = HostConf::default();
        for line in text.lines() {
            let line = line.split(['#', ';']).next().unwrap_or_default();
            let mut words = line.split_ascii_whitespace();
            match words.next() {
                Some("nameserver") => {
                    let server = words.next().and_then(|word| parse_server(word, port));
                    conf.servers.extend(server.filter(|_| conf.servers.len() < MOST));
                }
                Some("search" | "domain") => conf.search = words.map(str::to_owned).collect(),
                Some("options") => conf.options.extend(words.map(str::to_owned)),
                _ => {}
            }
        }
        conf
    }
}

/// An address; `fe80::1%eth0` and `fe80::1%2` keep their scope. Our own 127.0.0.11 would be a loop.
fn parse_server(word: &str, port: u16) -> Option<SocketAddr> {
    let Some((address, scope)) = word.split_once('%') else {
        let address: IpAddr = word.parse().ok()?;
        let usable = address != IpAddr::from([127, 0, 0, 11]) && !address.is_multicast();
        return usable.then(|| SocketAddr::new(address, port));
    };
    let address: Ipv6Addr = address.parse().ok()?;
    let index = scope.parse().ok().or_else(|| nix::net::if_::if_nametoindex(scope).ok()).unwrap_or(0);
    Some(SocketAddr::V6(SocketAddrV6::new(address, port, 0, index)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parse() {
        let cases: [(&str, &[&str]); 8] = [
            ("nameserver 127.0.0.53\n", &["127.0.0.53:53"]),
            (" nameserver\t10.0.0.1 # office", &["10.0.0.1:53"]),
            ("nameserver 127.0.0.11\nnameserver ::1", &["[::1]:53"]),
            ("nameserver fe80::1%7", &["[fe80::1%7]:53"]),
            ("nameserver fe80::1%no-such-link", &["[fe80::1]:53"]),
            (
                "nameserver 1.0.0.1\nnameserver 1.0.0.2\nnameserver 1.0.0.3\nnameserver 1.0.0.4",
                &["1.0.0.1:53", "1.0.0.2:53", "1.0.0.3:53"],
            ),
            ("nameserver\nnameserver nonsense\n\u{0}\nfoo bar\nNAMESERVER 1.1.1.1", &[]),
            ("; nameserver 10.0.0.1", &[]),
        ];
        for (text, servers) in cases {
            let found: Vec<_> = HostConf::parse(text, 53).servers.iter().map(ToString::to_string).collect();
            assert_eq!(found, servers, "{text:?}");
        }
        let conf = HostConf::parse("domain a\nsearch b c\noptions ndots:2 edns0\noptions rotate", 53);
        assert_eq!(
            (conf.search, conf.options),
            (vec!["b".into(), "c".into()], vec!["ndots:2".into(), "edns0".into(), "rotate".into()])
        );
    }
}
