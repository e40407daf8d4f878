//! What both engines are given: two networks and an internal one, a sandbox in each, published ports, services of the
//! host, and neighbours who send everything to the host, 127.0.0.0/8 included.
use crate::world::{Echo, Place, World, tool::soon};
use serde_json::{Value, json};

pub struct Seat {
    pub place: Place,
    pub ip: String,
    pub ip6: String,
}

pub struct Ground {
    pub host: Place,
    pub lan: Place,
    pub wan: Place,
    pub a: Seat,
    pub other: Seat,
    pub sealed: Seat,
    /// Of the network that `a` is in: IPv4, IPv6.
    pub gateway: [String; 2],
    pub other_gateway: [String; 2],
    pub sealed_gateway: [String; 2],
}

/// Host address ("" is any), host port, the sandbox's port.
pub const PUBLISHED: [(&str, u16, u16); 5] = [
    ("", 8080, 80),
    ("127.0.0.1", 5432, 82),
    ("::1", 5432, 82),
    ("192.0.2.1", 8083, 83),
    ("2001:db8:1::1", 8083, 83),
];

impl Ground {
    /// Everybody serves, and whoever can send 127.0.0.1 and ::1 at the host does.
    pub fn furnish(&self) -> Vec<Echo> {
        let mut servers: Vec<Echo> =
            [80, 81, 82, 83].map(|port| Echo::serve(&self.a.place, "a", port)).into();
        for (place, name, port) in [
            (&self.other.place, "other", 80),
            (&self.sealed.place, "sealed", 80),
            (&self.lan, "lan", 80),
            (&self.wan, "wan", 80),
            (&self.host, "host", 7000),
        ] {
            servers.push(Echo::serve(place, name, port));
        }
        let [four, six] = &self.gateway;
        soon(
            10_000,
            "the gateway's address is nobody else's (RFC 4862), so that one can listen there",
            || self.host.run("ip", &["-6", "addr", "show", "to", six, "tentative"]).trim().is_empty(),
        );
        for (name, address) in [
            ("gateway", format!("{four}:7001")),
            ("gateway", format!("[{six}]:7001")),
            ("private", "127.0.0.1:7777".to_owned()),
            ("private", "[::1]:7777".to_owned()),
        ] {
            servers.push(Echo::at(&self.host, name, &address));
        }
        let lan = ["192.0.2.1".to_owned(), "2001:db8:1::1".to_owned()];
        for (from, [four, six]) in [(&self.lan, &lan), (&self.other.place, &self.other_gateway)] {
            from.run("ip", &["addr", "del", "127.0.0.1/8", "dev", "lo"]);
            from.try_run("ip", &["route", "flush", "table", "local", "127.0.0.0/8"]);
            from.run("ip", &["route", "add", "127.0.0.0/8", "via", four]);
            from.try_run("ip", &["-6", "addr", "del", "::1/128", "dev", "lo"]);
            from.run("ip", &["-6", "route", "add", "::1/128", "via", six]);
            from.enter(|| {
                std::fs::write("/proc/sys/net/ipv4/conf/eth0/route_localnet", "1").expect("sysctl")
            });
        }
        // A way that somebody inside the internal network adds.
        for (family, via) in ["-4", "-6"].iter().zip(&self.sealed_gateway) {
            self.sealed.place.run("ip", &[family, "route", "replace", "default", "via", via]);
        }
        servers
    }
}

/// Ours.
pub fn pontoon(w: &World, lan: &Place, wan: &Place) -> Ground {
    let gateway = |network: &str, more: Value| {
        let made = w.dual(network, more);
        let of = |n: usize| made["subnets"][n]["gateway"].as_str().unwrap_or_default().to_owned();
        [of(0), of(1)]
    };
    let (n, other) = (gateway("n", json!({})), gateway("other", json!({})));
    let inner = gateway("inner", json!({"internal": true}));
    let both = |(ip, host_port, port): &(&str, u16, u16)| {
        ["tcp", "udp"].map(|proto| match *ip {
            "" => json!({"host_port": host_port, "port": port, "proto": proto}),
            ip => json!({"host_ip": ip, "host_port": host_port, "port": port, "proto": proto}),
        })
    };
    let ports: Vec<Value> = PUBLISHED.iter().flat_map(both).collect();
    let seat = |name: &str, network: &str, more: Value| {
        let mut body = json!({"networks": [{"network": network}]});
        body.as_object_mut().expect("object").extend(more.as_object().expect("object").clone());
        let sandbox = w.sandbox_with(name, body);
        Seat { place: sandbox.place, ip: sandbox.ip, ip6: sandbox.ip6 }
    };
    Ground {
        host: w.host.clone(),
        lan: lan.clone(),
        wan: wan.clone(),
        a: seat("a", "n", json!({ "ports": ports })),
        other: seat("other", "other", json!({})),
        sealed: seat("sealed", "inner", json!({})),
        gateway: n,
        other_gateway: other,
        sealed_gateway: inner,
    }
}
