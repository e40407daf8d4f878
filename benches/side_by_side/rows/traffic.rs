//! Traffic: throughput, packets and new connections, between sandboxes and through published ports, beside a plain bridge
//! and a plain routed veth. `iperf3` moves the bytes; connections are counted by `wire`.
use super::Add;
use crate::{
    ours::Ours,
    peers::dockerd::{self, Dockerd},
    place::{Place, Server, cable},
    table::{Row, Target},
    unit::Unit,
    wire,
};
use serde_json::{Value, json};
use std::{
    any::Any,
    net::SocketAddr,
    process::{Command, Stdio},
};

const BRIDGE: &str = "plain bridge";
const ROUTED: &str = "plain routed veth";
/// TCP port of `wire::accept` inside, of `wire::tell`, of iperf3; outside 8000 more.
const ACCEPT: u16 = 80;
const TELL: u16 = 81;
const IPERF: u16 = 5_201;
/// A range of 10,000, and one of it.
const MANY: (u16, u16) = (20_000, 10_000);
const ONE: u16 = 25_000;
const HOST4: &str = "192.0.2.1";
const HOST6: &str = "2001:db8:1::1";

/// Somebody who serves from a sandbox: a host, an outsider on its LAN, the serving sandbox and its neighbour.
struct Street {
    host: Place,
    lan: Place,
    web: Place,
    near: Place,
    /// The serving sandbox's own addresses.
    v4: String,
    v6: Option<String>,
    /// Does a published port lead there, or a plain route?
    published: bool,
    hold: Vec<Box<dyn Any>>,
}

#[derive(Clone, Copy)]
enum Client {
    Lan,
    Web,
    Near,
    Host,
}

/// Where a stream goes: the host's address, or the sandbox's own.
#[derive(Clone, Copy)]
enum To {
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
        let mut command = Command::new("iperf3");
        command.args(["-s", "-p", &IPERF.to_string()]).stdin(Stdio::null()).stdout(Stdio::null());
        let server = self.web.enter(|| Server::spawn(&mut command)).expect("iperf3 (apt install iperf3)");
        self.hold.push(Box::new(server));
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

    fn address(&self, to: To, port: u16) -> Result<SocketAddr, String> {
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
    fn stream(&self, from: Client, to: To) -> Result<f64, String> {
        let sum = self.iperf(from, to, &["-t", "1", "-O", "0.2"])?;
        sum["end"]["sum_received"]["bits_per_second"]
            .as_f64()
            .ok_or_else(|| format!("iperf3: {}", sum["error"]))
    }

    /// UDP packets of 64 bytes that arrive in a second.
    fn packets(&self, from: Client, to: To) -> Result<f64, String> {
        let sum = self.iperf(from, to, &["-t", "1", "-u", "-b", "0", "-l", "64"])?;
        let number =
            |key: &str| sum["end"]["sum"][key].as_f64().ok_or_else(|| format!("iperf3: {}", sum["error"]));
        Ok((number("packets")? - number("lost_packets")?) / number("seconds")?)
    }

    fn iperf(&self, from: Client, to: To, more: &[&str]) -> Result<Value, String> {
        let address = self.address(to, IPERF)?;
        let mut command = Command::new("iperf3");
        command.args(["-J", "-c", &address.ip().to_string(), "-p", &address.port().to_string()]).args(more);
        let output = self.place(from).enter(|| command.output()).map_err(|error| error.to_string())?;
        serde_json::from_slice(&output.stdout).map_err(|error| format!("iperf3: {error}"))
    }

    fn connects(&self, from: Client, to: To, port: u16) -> Result<Vec<f64>, String> {
        wire::connects(self.place(from), self.address(to, port)?, 2_000)
    }
}

pub fn rows(add: Add<'_>) {
    let (one, many) = (ours("ours-one", false), ours("ours-many", true));
    let (bridge, routed, docker) = (bridge(), routed(), dockerd());
    let bridge = Some((BRIDGE, &bridge));
    let routed = Some((ROUTED, &routed));
    let sides = |limit| Side { ours: &one, limit, docker: &docker };
    let stream = |from, to| move |street: &Street| street.stream(from, to);
    let packets = |from, to| move |street: &Street| street.packets(from, to);
    use {Client as F, To as T};
    for (what, limit, from, to, bound) in [
        ("TCP, sandbox to sandbox", bridge, F::Near, T::Own4, Some(0.97)),
        ("TCP, sandbox to sandbox, IPv6", bridge, F::Near, T::Own6, Some(0.97)),
        ("TCP, outside to published port", routed, F::Lan, T::Published4, Some(0.95)),
        ("TCP, outside to published port, IPv6", routed, F::Lan, T::Published6, Some(0.95)),
        ("TCP, host to its port by 127.0.0.1", None, F::Host, T::Local4, None),
        ("TCP, host to its port by [::1]", None, F::Host, T::Local6, None),
        ("TCP, sandbox to its own published port (hairpin)", None, F::Web, T::Published4, None),
    ] {
        // A stream of one second swings by a tenth here: what has a number to hold is asked more often.
        let runs = if bound.is_some() { 9 } else { 3 };
        let row = sides(limit).measure(Row::new("traffic", what, Unit::Bits), runs, stream(from, to));
        add(bound.into_iter().fold(row, |row, bound| row.hold(Target::Limit(bound))));
    }
    for (what, limit, from, to) in [
        ("UDP packets, sandbox to sandbox", bridge, F::Near, T::Own4),
        ("UDP packets, outside to published port", routed, F::Lan, T::Published4),
    ] {
        add(sides(limit).measure(Row::new("traffic", what, Unit::Rate), 3, packets(from, to)));
    }
    connections(add, &sides, (bridge, routed));
    ten_thousand(add, &one, &many);
    for (what, to) in
        [("source address kept, IPv4", T::Published4), ("source address kept, IPv6", T::Published6)]
    {
        let kept = |street: &Street| {
            let said = wire::told(&street.lan, street.address(to, TELL)?)?;
            Ok(f64::from(u8::from(said.starts_with("192.0.2.") || said.starts_with("2001:db8:1:"))))
        };
        add(sides(None).measure(Row::new("traffic", what, Unit::Share), 1, kept).hold(Target::Value(1.0)));
    }
}

type Limit<'a> = Option<(&'static str, &'a Street)>;

fn connections<'a>(
    add: Add<'_>,
    sides: &dyn Fn(Limit<'a>) -> Side<'a>,
    (bridge, routed): (Limit<'a>, Limit<'a>),
) {
    use {Client as F, To as T};
    for (what, limit, from, to) in [
        ("sandbox to sandbox", bridge, F::Near, T::Own4),
        ("outside to published port", routed, F::Lan, T::Published4),
        ("outside to published port, IPv6", routed, F::Lan, T::Published6),
        ("sandbox to its own published port (hairpin)", None, F::Web, T::Published4),
        ("sandbox to a neighbour's published port", None, F::Near, T::Published4),
        ("host to its port by its address", None, F::Host, T::Published4),
        ("host to its port by 127.0.0.1", None, F::Host, T::Local4),
        ("host to its port by [::1]", None, F::Host, T::Local6),
    ] {
        let connect = |street: &Street| street.connects(from, to, ACCEPT);
        let row = Row::new("traffic", format!("connect to first byte, {what}"), Unit::Time);
        add(sides(limit).measure_all(row, 2, connect));
    }
}

/// The same daemon with one published port and with 10,000. A connection takes 30 or 100 us, as the scheduler has it, so
/// there are many short rounds, and each side begins every other one.
fn ten_thousand(add: Add<'_>, one: &Street, many: &Street) {
    let (mut few, mut full, mut few_rates, mut full_rates) = (vec![], vec![], vec![], vec![]);
    for round in 0..40 {
        for turn in [round % 2, 1 - round % 2] {
            let (street, port, all, rates) = match turn {
                0 => (one, ACCEPT, &mut few, &mut few_rates),
                _ => (many, ONE, &mut full, &mut full_rates),
            };
            let times = street.connects(Client::Lan, To::Published4, port).expect("connections");
            rates.push(times.len() as f64 / times.iter().sum::<f64>());
            all.extend(times);
        }
    }
    let what = "through one of 10,000 published ports";
    add(Row::new("traffic", format!("new connections {what}: rate, one client"), Unit::Rate)
        .ours(&full_rates)
        .limit("through the only one", &few_rates)
        .hold(Target::Limit(0.95)));
    add(Row::new("traffic", format!("connect to first byte, {what}"), Unit::Time)
        .ours(&full)
        .limit("through the only one", &few));
}

/// Who is measured for one row, in turn.
struct Side<'a> {
    ours: &'a Street,
    limit: Limit<'a>,
    docker: &'a Result<Street, String>,
}

impl Side<'_> {
    fn measure(&self, row: Row, runs: usize, one: impl Fn(&Street) -> Result<f64, String>) -> Row {
        self.measure_all(row, runs, |street| one(street).map(|value| vec![value]))
    }

    fn measure_all(&self, row: Row, runs: usize, one: impl Fn(&Street) -> Result<Vec<f64>, String>) -> Row {
        let (mut own, mut limit, mut peer) = (Vec::new(), Vec::new(), Ok(Vec::new()));
        for _ in 0..runs {
            own.extend(one(self.ours).unwrap_or_else(|error| panic!("{}: {error}", row.what)));
            if let Some((who, street)) = self.limit {
                limit.extend(one(street).unwrap_or_else(|error| panic!("{}, {who}: {error}", row.what)));
            }
            if let Ok(all) = &mut peer {
                match self.docker.as_ref().map_err(Clone::clone).and_then(&one) {
                    Ok(more) => all.extend(more),
                    Err(error) => peer = Err(error),
                }
            }
        }
        let row = row.ours(&own).peer(dockerd::WHO, &peer);
        self.limit.iter().fold(row, |row, (who, _)| row.limit(who, &limit))
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

fn ours(name: &str, many: bool) -> Street {
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
            tcp(IPERF),
            json!({ "host_port": IPERF + 8_000, "port": IPERF, "proto": "udp" }),
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
    Street { host, lan, web, near, v4, v6, published: true, hold: vec![Box::new(ours)] }.open()
}

/// Two places on a bridge and nothing else.
fn bridge() -> Street {
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
    Street { host, lan, web, near, v4, v6, published: false, hold: vec![] }.open()
}

/// An outsider, a router, a place behind it; no firewall.
fn routed() -> Street {
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
    Street { host, lan, web, near, v4, v6, published: false, hold: vec![] }.open()
}

fn dockerd() -> Result<Street, String> {
    let docker = Dockerd::start("dockerd-traffic")?;
    let lan = lan(&docker.place, "docker-lan");
    let tcp = |port: u16| (port + 8_000, port, "tcp");
    docker.container("web", "bench", &[tcp(ACCEPT), tcp(TELL), tcp(IPERF), (IPERF + 8_000, IPERF, "udp")])?;
    docker.container("near", "bench", &[])?;
    let (web, v4) = docker.look("web", "bench")?;
    let (host, near) = (Place::at(&docker.place.path), docker.look("near", "bench")?.0);
    Ok(Street { host, lan, web, near, v4, v6: None, published: true, hold: vec![Box::new(docker)] }.open())
}
