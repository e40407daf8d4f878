//! The floor: the netlink calls of one attach, straight from this process; no daemon, no ledger, no HTTP. They are the
//! calls that the daemon makes, in its order, so that what is left between the two is the daemon.
use crate::{clock::timed, place::Place};
use pontoon::{
    host::linux::{
        namespace::Home,
        netlink::{
            Route, bridge,
            inside::{Visit, furnish},
            reaper::Reaper,
            veth,
        },
        nft::{Nft, Redirect, install_resolver},
    },
    model::{
        Id, IfName, Mac, Proto, Subnet,
        kernel::{Bridge, Element, Link, LinkKind, Route as Way, Routes},
    },
};
use socket2::{Domain, Socket, Type};
use std::{
    collections::HashMap,
    fs::File,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket},
    os::fd::AsFd,
    path::Path,
    sync::mpsc,
};

pub const WHO: &str = "bare netlink calls";
const INSTANCE: &str = "bare";

/// The host of the bare calls: a bridge, the constant tables, and who hears that links are gone.
pub struct Bare {
    place: Place,
    reaper: Reaper,
    bridge: IfName,
}

/// One caller's sockets, and what it made.
pub struct Hand<'a> {
    bare: &'a Bare,
    home: Home,
    route: Route,
    nft: Nft,
    kept: HashMap<usize, Kept>,
}

struct Kept {
    end: veth::HostEnd,
    link: Link,
    _dns: (UdpSocket, TcpListener),
    _port: [Socket; 2],
}

fn wanted(name: &str, subnet: Subnet, gateway: [u8; 4]) -> Bridge {
    let [a, b, c, d] = gateway;
    Bridge {
        network: Id::from_bytes([1; 32]),
        name: IfName::parse(name).expect("a name"),
        mac: Mac([2, 0x42, a, b, c, d]),
        mtu: None,
        addresses: vec![subnet.with(gateway.into())],
        ipv6: false,
        route_localnet: true,
    }
}

fn subnet() -> Subnet {
    "10.99.0.0/16".parse().expect("a subnet")
}

impl Bare {
    pub fn start(name: &str) -> Self {
        let place = Place::new(name);
        let wanted = wanted("br-bare", subnet(), [10, 99, 0, 1]);
        let bridge = wanted.name.clone();
        let reaper = place.enter(|| {
            let mut route = Route::open().expect("a socket");
            bridge::create(&mut route, INSTANCE, &wanted).expect("a bridge");
            Nft::open(INSTANCE).expect("nft").rebuild(&[]).expect("tables");
            Reaper::start(INSTANCE).expect("a reaper")
        });
        Bare { place, reaper, bridge }
    }

    pub fn hand(&self) -> Hand<'_> {
        self.place.enter(|| Hand {
            bare: self,
            home: Home::here().expect("home"),
            route: Route::open().expect("a socket"),
            nft: Nft::open(INSTANCE).expect("nft"),
            kept: HashMap::new(),
        })
    }

    /// Seconds of making one more bridge with an address, up.
    pub fn bridge(&self, round: usize) -> f64 {
        let third = round as u8;
        let subnet = format!("10.100.{third}.0/24").parse().expect("a subnet");
        let wanted = wanted(&format!("br-bare{round}"), subnet, [10, 100, third, 1]);
        self.place.enter(|| {
            let mut route = Route::open().expect("a socket");
            timed(|| {
                bridge::create(&mut route, INSTANCE, &wanted).expect("a bridge");
            })
        })
    }

    fn link(&self, round: usize) -> Link {
        let mut id = [2; 32];
        id[..4].copy_from_slice(&(round as u32 + 1).to_be_bytes());
        let address = Ipv4Addr::new(10, 99, 1 + (round / 200) as u8, 2 + (round % 200) as u8);
        Link {
            endpoint: Id::from_bytes(id),
            sandbox: Id::from_bytes(id),
            kind: LinkKind::Veth { bridge: self.bridge.clone(), isolated: false },
            name: IfName::parse("eth0").expect("a name"),
            mac: Mac::of_ipv4(address),
            mtu: None,
            addresses: vec![subnet().with(address.into())],
            ipv6: false,
            neighbours: vec![([10, 99, 0, 1].into(), Mac([2, 0x42, 10, 99, 0, 1]))],
            sysctls: Box::default(),
            routes: Vec::new(),
        }
    }
}

impl Hand<'_> {
    /// Seconds of an attach of the namespace at `path`.
    pub fn attach(&mut self, round: usize, path: &Path) -> f64 {
        let bare = self.bare;
        bare.place.enter(|| timed(|| self.make(round, path)))
    }

    /// Seconds until eth0 is gone and its address, port and name are free.
    pub fn detach(&mut self, round: usize) -> f64 {
        let bare = self.bare;
        bare.place.enter(|| timed(|| self.take(round)))
    }

    fn make(&mut self, round: usize, path: &Path) {
        let space = File::open(path).expect("a namespace");
        let link = self.bare.link(round);
        let held = hold(20_000 + round as u16);
        self.nft.exchange(&[], &elements(&link, round)).expect("elements");
        let port = veth::Port { bridge: &self.bare.bridge, isolated: false, hairpin: true };
        let end = veth::attach(&mut self.route, INSTANCE, &link, port, Some(space.as_fd())).expect("a link");
        let routes = Routes {
            sandbox: link.sandbox,
            v4: Some(Way { gateway: Some([10, 99, 0, 1].into()), link: link.name.clone() }),
            v6: None,
        };
        let inside = || {
            let visit = Visit {
                loopback: true,
                links: vec![(&link, Some(end.inside))],
                routes: Some((None, &routes)),
                ..Visit::default()
            };
            furnish(&visit).expect("the inside");
            let tcp = TcpListener::bind("127.0.0.11:40053").expect("a DNS socket");
            let udp = UdpSocket::bind("127.0.0.11:40053").expect("a DNS socket");
            install_resolver(Redirect { port: 40_053, by_network: false }).expect("the redirect");
            (udp, tcp)
        };
        let dns = self.home.enter(space.as_fd(), inside).expect("inside");
        veth::settle(&mut self.route, &[end]).expect("settled");
        self.kept.insert(round, Kept { end, link, _dns: dns, _port: held });
    }

    fn take(&mut self, round: usize) {
        let Kept { end, link, .. } = self.kept.remove(&round).expect("an attach before");
        self.nft.exchange(&elements(&link, round), &[]).expect("elements");
        veth::forget_neighbours(&mut self.route, &link, &self.bare.bridge).expect("neighbours");
        let (tell, told) = mpsc::channel();
        self.bare.reaper.bury(end.index, link.host_name(), Box::new(move |gone| drop(tell.send(gone))));
        told.recv().expect("an answer").expect("gone");
    }
}

fn elements(link: &Link, round: usize) -> Vec<Element> {
    let (end, mac) = (link.host_name(), link.mac);
    let address = link.addresses[0].address;
    let IpAddr::V4(v4) = address else { unreachable!("IPv4 only") };
    let port = 20_000 + round as u16;
    vec![
        Element::Port { host: None, proto: Proto::Tcp, port, to: SocketAddr::new(address, 80) },
        Element::GuardedPort(end.clone()),
        Element::Mac(end.clone(), mac),
        Element::Src4(end, mac, v4),
    ]
}

/// The host port, held in both families.
fn hold(port: u16) -> [Socket; 2] {
    [(Domain::IPV4, IpAddr::from(Ipv4Addr::UNSPECIFIED)), (Domain::IPV6, Ipv6Addr::UNSPECIFIED.into())].map(
        |(domain, address)| {
            let socket = Socket::new(domain, Type::STREAM, None).expect("a socket");
            if address.is_ipv6() {
                socket.set_only_v6(true).expect("an IPv6 socket");
            }
            socket.bind(&SocketAddr::new(address, port).into()).expect("a port");
            socket.listen(1).expect("a port");
            socket
        },
    )
}
