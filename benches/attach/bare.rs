//! The floor: the netlink calls of one attach, straight from this process; no daemon, no ledger, no HTTP.
use pontoon::{
    host::linux::{
        hold::Holds,
        namespace::{self, Home},
        netlink::{
            Route, bridge,
            inside::{Visit, furnish},
            reaper::Reaper,
            veth,
        },
        nft::{Nft, install_resolver},
    },
    model::{
        Id, IfName, Mac, Proto, Subnet,
        kernel::{Bridge, Element, Hold, Key, Link, LinkKind, Route as Way, Routes},
    },
};
use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket},
    os::fd::{AsFd, OwnedFd},
    path::Path,
    sync::mpsc,
};

const INSTANCE: &str = "bare";

pub struct Bare {
    home: Home,
    route: Route,
    nft: Nft,
    holds: Holds,
    reaper: Reaper,
    bridge: IfName,
    spaces: Vec<OwnedFd>,
    kept: Vec<(veth::HostEnd, Link, UdpSocket, TcpListener)>,
    folder: std::path::PathBuf,
}

fn subnet() -> Subnet {
    "10.99.0.0/16".parse().expect("a subnet")
}

impl Bare {
    pub fn start(folder: &Path) -> Self {
        let mut route = Route::open().expect("a socket");
        let bridge = IfName::parse("br-bare").expect("a name");
        let gateway: IpAddr = [10, 99, 0, 1].into();
        let wanted = Bridge {
            network: Id::from_bytes([1; 32]),
            name: bridge.clone(),
            mac: Mac([2, 0x42, 10, 99, 0, 1]),
            mtu: None,
            addresses: vec![subnet().with(gateway)],
            ipv6: false,
            route_localnet: true,
        };
        bridge::create(&mut route, INSTANCE, &wanted).expect("a bridge");
        let mut nft = Nft::open(INSTANCE).expect("nft");
        nft.rebuild(&[]).expect("tables");
        let folder = folder.join("bare");
        namespace::prepare_folder(&folder).expect("a folder");
        Bare {
            home: Home::here().expect("home"),
            route,
            nft,
            holds: Holds::start().expect("holds"),
            reaper: Reaper::start(INSTANCE).expect("a reaper"),
            bridge,
            spaces: Vec::new(),
            kept: Vec::new(),
            folder,
        }
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
        }
    }

    fn elements(link: &Link, round: usize) -> Vec<Element> {
        let (end, mac) = (link.host_name(), link.mac);
        let address = link.addresses[0].address;
        let IpAddr::V4(v4) = address else { unreachable!("IPv4 only") };
        vec![
            Element::Port {
                host: None,
                proto: Proto::Tcp,
                port: 20_000 + round as u16,
                to: SocketAddr::new(address, 80),
            },
            Element::GuardedPort(end.clone()),
            Element::Mac(end.clone(), mac),
            Element::Src4(end, mac, v4),
        ]
    }

    fn hold(link: &Link, round: usize) -> Hold {
        let to = SocketAddr::new(link.addresses[0].address, 80);
        Hold { proto: Proto::Tcp, host: None, port: 20_000 + round as u16, targets: vec![to] }
    }

    /// The namespace: the runtime's part, not timed.
    pub fn prepare(&mut self, round: usize) {
        let path = self.folder.join(format!("n{round}"));
        self.spaces.push(namespace::make(&path, &self.home).expect("a namespace"));
    }

    /// Holds the port, makes and settles the link, opens the DNS sockets.
    pub fn attach(&mut self, round: usize) {
        let link = self.link(round);
        self.holds.hold(&Self::hold(&link, round)).expect("a port");
        self.nft.exchange(&[], &Self::elements(&link, round)).expect("elements");
        let space = self.spaces[round].as_fd();
        let port = veth::Port { bridge: &self.bridge, isolated: false, hairpin: true };
        let end = veth::attach(&mut self.route, INSTANCE, &link, port, Some(space)).expect("a link");
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
            };
            furnish(&visit).expect("the inside");
            let tcp = TcpListener::bind("127.0.0.11:40053").expect("a DNS socket");
            let udp = UdpSocket::bind("127.0.0.11:40053").expect("a DNS socket");
            install_resolver(40_053).expect("the redirect");
            (udp, tcp)
        };
        let (udp, tcp) = self.home.enter(space, inside).expect("inside");
        veth::settle(&mut self.route, &[end]).expect("settled");
        self.kept.push((end, link, udp, tcp));
    }

    pub fn detach(&mut self, round: usize) {
        let (end, link, udp, tcp) = self.kept.remove(0);
        drop((udp, tcp));
        self.nft.exchange(&Self::elements(&link, round), &[]).expect("elements");
        veth::forget_neighbours(&mut self.route, &link, &self.bridge).expect("neighbours");
        self.holds.release(&Key::Hold(Proto::Tcp, None, 20_000 + round as u16));
        let (tell, told) = mpsc::channel();
        self.reaper.bury(end.index, link.host_name(), Box::new(move |gone| drop(tell.send(gone))));
        told.recv().expect("an answer").expect("gone");
    }
}
