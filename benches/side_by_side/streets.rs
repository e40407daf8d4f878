//! Two sandboxes, their host and somebody outside: ours, dockerd's, and the plain bridge and route that are the limits.
use crate::{
    flow::Sink,
    ours::Ours,
    peers::dockerd::Dockerd,
    place::{Place, cable},
    wire,
};
use serde_json::json;
use std::{any::Any, io, net::SocketAddr, time::Duration};

/// TCP port of `wire::accept` inside, of `wire::tell`, and of a `Sink`; outside 8000 more.
pub const ACCEPT: u16 = 80;
pub const TELL: u16 = 81;
const FLOW: u16 = 5_201;
/// A range of 10,000, and one of it.
const MANY: (u16, u16) = (20_000, 10_000);
pub const ONE: u16 = 25_000;
const HOST4: &str = "192.0.2.1";
const HOST6: &str = "2001:db8:1::1";
/// Of a stream or a flood: short, so that there can be many rounds in turn.
const ROUND: Duration = Duration::from_millis(32);

type Flow = fn(&Sink, &Place, SocketAddr, Duration) -> io::Result<f64>;

/// Somebody who serves from a sandbox: a host, an outsider on its LAN, the serving sandbox and its neighbour.
pub struct Street {
    host: Place,
    pub lan: Place,
    web: Place,
    near: Place,
    /// The serving sandbox's own addresses.
    v4: String,
    v6: Option<String>,
    /// Does a published port lead there, or a plain route?
    published: bool,
    sink: Option<Sink>,
    _hold: Vec<Box<dyn Any>>,
}

#[derive(Clone, Copy)]
pub enum Client {
    Lan,
    Web,
    Near,
    Host,
}

/// Where a stream goes: the host's address, or the sandbox's own.
#[derive(Clone, Copy)]
pub enum To {
    Published4,
    Published6,
    Local4,
    Local6,
    Own4,
    Own6,
}

impl Street {
    /// Programs that serve, in `web`.
    fn open(mut self) -> Self {
        wire::accept(&self.web, ACCEPT);
        wire::tell(&self.web, TELL);
        self.sink = Some(Sink::open(&self.web, FLOW));
        self
    }

    fn place(&self, from: Client) -> &Place {
        match from {
            Client::Lan => &self.lan,
            Client::Web => &self.web,
            Client::Near => &self.near,
            Client::Host => &self.host,
        }
    }

    pub fn address(&self, to: To, port: u16) -> Result<SocketAddr, String> {
        let own6 = || self.v6.clone().ok_or_else(|| "no IPv6 here".to_owned());
        let (host, outside) = match to {
            To::Published4 if self.published => (HOST4.to_owned(), true),
            To::Published6 if self.published => (HOST6.to_owned(), true),
            To::Local4 => ("127.0.0.1".to_owned(), true),
            To::Local6 => ("::1".to_owned(), true),
            To::Own4 | To::Published4 => (self.v4.clone(), false),
            To::Own6 | To::Published6 => (own6()?, false),
        };
        let port = if outside && port < MANY.0 { port + 8_000 } else { port };
        Ok(SocketAddr::new(host.parse().map_err(|_| format!("no address: {host}"))?, port))
    }

    /// Bits a second of one TCP stream.
    pub fn stream(&self, from: Client, to: To) -> Result<f64, String> {
        self.flow(Sink::stream, from, to)
    }

    /// Seconds of CPU time for 128 KiB of it.
    pub fn stream_on_one(&self, from: Client, to: To) -> Result<f64, String> {
        self.flow(Sink::stream_on_one, from, to)
    }

    /// UDP packets of 64 bytes that arrive in a second.
    pub fn packets(&self, from: Client, to: To) -> Result<f64, String> {
        self.flow(Sink::packets, from, to)
    }

    /// Seconds of CPU time of one of them.
    pub fn packet_on_one(&self, from: Client, to: To) -> Result<f64, String> {
        self.flow(Sink::packet_on_one, from, to)
    }

    fn flow(&self, flow: Flow, from: Client, to: To) -> Result<f64, String> {
        let sink = self.sink.as_ref().ok_or("it is not open")?;
        let address = self.address(to, FLOW)?;
        flow(sink, self.place(from), address, ROUND).map_err(|error| format!("{address}: {error}"))
    }

    pub fn connects(&self, from: Client, to: To, port: u16, count: usize) -> Result<Vec<f64>, String> {
        wire::connects(self.place(from), self.address(to, port)?, count)
    }
}

/// The outsider: one cable to the host.
fn lan(host: &Place, name: &str) -> Place {
    let lan = Place::new(name);
    let (h4, h6) = (format!("{HOST4}/24"), format!("{HOST6}/64"));
    cable(host, ("lan0", &[&h4, &h6]), &lan, ("eth0", &["192.0.2.2/24", "2001:db8:1::2/64"]));
    lan.run(&format!("ip route add default via {HOST4}"));
    lan.run(&format!("ip -6 route add default via {HOST6}"));
    lan
}

pub fn ours(name: &str, many: bool) -> Street {
    let ours = Ours::alone(name);
    let lan = lan(&ours.place, &format!("{name}-lan"));
    ours.call(
        "Network.Create",
        json!({ "name": "dual", "ipv6": true, "pools": [{ "subnet": "10.98.0.0/16" }] }),
    );
    let tcp = |port: u16| json!({ "host_port": port + 8_000, "port": port });
    let mut ports = vec![tcp(ACCEPT)];
    if many {
        ports = vec![json!({ "host_port": MANY.0, "port": MANY.0, "count": MANY.1 })];
    } else {
        ports.extend([
            tcp(TELL),
            tcp(FLOW),
            json!({ "host_port": FLOW + 8_000, "port": FLOW, "proto": "udp" }),
        ]);
    }
    let networks = json!([{ "network": "dual" }]);
    ours.call("Sandbox.Create", json!({ "name": "web", "networks": networks, "ports": ports }));
    ours.call("Sandbox.Create", json!({ "name": "near", "networks": networks }));
    let (web, addresses) = ours.look("web");
    let find = |v6: bool| addresses.iter().find(|address| address.is_ipv6() == v6).map(ToString::to_string);
    let (v4, v6) = (find(false).expect("an address"), find(true));
    if many {
        wire::accept(&web, ONE);
    }
    let (host, near) = (Place::at(&ours.place.path), ours.look("near").0);
    Street { host, lan, web, near, v4, v6, published: true, sink: None, _hold: vec![Box::new(ours)] }.open()
}

/// Two places on a bridge and nothing else.
pub fn bridge() -> Street {
    let host = Place::new("plain");
    host.run("ip link add br0 type bridge");
    host.run("ip link set br0 up");
    let place = |number: u8, name: &str| {
        let place = Place::new(name);
        let addresses = [format!("10.90.0.{number}/16"), format!("fd00:90::{number}/64")];
        let addresses: Vec<&str> = addresses.iter().map(String::as_str).collect();
        cable(&host, (&format!("v{number}"), &[]), &place, ("eth0", &addresses));
        host.run(&format!("ip link set v{number} master br0"));
        place
    };
    let (web, near) = (place(2, "plain-web"), place(3, "plain-near"));
    let lan = Place::new("plain-lan");
    let (v4, v6) = ("10.90.0.2".to_owned(), Some("fd00:90::2".to_owned()));
    Street { host, lan, web, near, v4, v6, published: false, sink: None, _hold: vec![] }.open()
}

/// An outsider, a router, a place behind it; no firewall.
pub fn routed() -> Street {
    let host = Place::new("routed");
    let lan = lan(&host, "routed-lan");
    let web = Place::new("routed-web");
    let near = Place::new("routed-near");
    cable(
        &host,
        ("web0", &["10.91.0.1/24", "fd00:91::1/64"]),
        &web,
        ("eth0", &["10.91.0.2/24", "fd00:91::2/64"]),
    );
    web.run("ip route add default via 10.91.0.1");
    web.run("ip -6 route add default via fd00:91::1");
    host.sysctl("ipv4/ip_forward", "1");
    host.sysctl("ipv6/conf/all/forwarding", "1");
    let (v4, v6) = ("10.91.0.2".to_owned(), Some("fd00:91::2".to_owned()));
    Street { host, lan, web, near, v4, v6, published: false, sink: None, _hold: vec![] }.open()
}

pub fn dockerd() -> Result<Street, String> {
    let docker = Dockerd::start("dockerd-traffic")?;
    let lan = lan(&docker.place, "docker-lan");
    let tcp = |port: u16| (port + 8_000, port, "tcp");
    docker.container("web", "bench", &[tcp(ACCEPT), tcp(TELL), tcp(FLOW), (FLOW + 8_000, FLOW, "udp")])?;
    docker.container("near", "bench", &[])?;
    let (web, v4) = docker.look("web", "bench")?;
    let (host, near) = (Place::at(&docker.place.path), docker.look("near", "bench")?.0);
    Ok(Street {
        host,
        lan,
        web,
        near,
        v4,
        v6: None,
        published: true,
        sink: None,
        _hold: vec![Box::new(docker)],
    }
    .open())
}
