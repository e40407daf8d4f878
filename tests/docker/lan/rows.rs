//! The rows: who asks for what, and whether we let it. A row that we close says nothing of what Docker does.
use super::ground::{Ground, Seat};
use crate::world::{
    Place,
    echo::{self, Proto},
};
use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream, UdpSocket},
    time::Duration,
};

/// Milliseconds in which a busy machine answers. All rows wait at the same time.
const PATIENCE: u64 = 2000;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Who {
    Lan,
    /// A sandbox of another network.
    Other,
    /// A sandbox of an internal network.
    Sealed,
}

pub struct Row {
    who: Who,
    pub what: &'static str,
    /// IPv4, IPv6.
    to: [String; 2],
    /// Who answers where the door is open; "" is a name server.
    server: &'static str,
    pub wanted: bool,
}

/// TCP, UDP.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Seen([bool; 2]);

impl Seen {
    pub fn is(self, open: bool) -> bool {
        self.0 == [open; 2]
    }
    pub fn word(self) -> &'static str {
        match self.0 {
            [true, true] => "open",
            [false, false] => "closed",
            [true, false] => "open (tcp)",
            [false, true] => "open (udp)",
        }
    }
}

impl Row {
    pub fn who(&self) -> &'static str {
        match self.who {
            Who::Lan => "LAN",
            Who::Other => "another network",
            Who::Sealed => "internal network",
        }
    }
    fn place<'a>(&self, ground: &'a Ground) -> &'a Place {
        match self.who {
            Who::Lan => &ground.lan,
            Who::Other => &ground.other.place,
            Who::Sealed => &ground.sealed.place,
        }
    }
    /// What both families see, both protocols at once.
    pub fn look(&self, ground: &Ground) -> [Seen; 2] {
        let from = self.place(ground);
        let probe = |to: &String, proto| match self.server {
            "" => resolves(from, proto, to),
            name => {
                let told = echo::ask_for(from, proto, to, PATIENCE);
                let told = told.as_deref().and_then(|told| told.split(' ').next());
                assert!(told.is_none_or(|told| told == name), "{}: {to} answers {told:?}", self.what);
                told.is_some()
            }
        };
        std::thread::scope(|scope| {
            let probe = &probe;
            let asking = self.to.each_ref().map(|to| echo::BOTH.map(|p| scope.spawn(move || probe(to, p))));
            asking.map(|pair| Seen(pair.map(|thread| thread.join().expect("probe"))))
        })
    }
}

pub fn rows(ground: &Ground) -> Vec<Row> {
    use Who::{Lan, Other, Sealed};
    let both = |four: &str, six: &str, port: u16| [format!("{four}:{port}"), format!("[{six}]:{port}")];
    let at = |seat: &Seat, port| both(&seat.ip, &seat.ip6, port);
    let host = |port| both("192.0.2.1", "2001:db8:1::1", port);
    let second = |port| both("198.51.100.1", "2001:db8:2::1", port);
    let loopback = |port| both("127.0.0.1", "::1", port);
    let [four, six] = &ground.gateway;
    let gateway = |port| both(four, six, port);
    let [own4, own6] = &ground.sealed_gateway;
    let row = |who, what, to, server, wanted| Row { who, what, to, server, wanted };
    vec![
        row(Lan, "a published port, at the host's address", host(8080), "a", true),
        row(Lan, "... at another address of the host", second(8080), "a", true),
        row(Lan, "a published port, at the sandbox's address", at(&ground.a, 80), "a", false),
        row(Lan, "an unpublished port, at the sandbox's address", at(&ground.a, 81), "a", false),
        row(Lan, "a port published on one address, there", host(8083), "a", true),
        row(Lan, "... at another address of the host", second(8083), "a", false),
        row(Lan, "a port published on loopback, at the host's address", host(5432), "a", false),
        row(Lan, "... at 127.0.0.1 or ::1, routed to the host", loopback(5432), "a", false),
        row(Lan, "a host's service on loopback, routed to the host", loopback(7777), "private", false),
        row(Lan, "a host's service on every address, at the host's", host(7000), "host", true),
        row(Lan, "... at a network's gateway address", gateway(7000), "host", false),
        row(Lan, "a host's service on the gateway address only", gateway(7001), "gateway", false),
        row(Lan, "names, at the gateway address", gateway(53), "", false),
        row(Lan, "names, at 127.0.0.11, routed to the host", both("127.0.0.11", "::1", 53), "", false),
        row(Lan, "a sandbox of an internal network", at(&ground.sealed, 80), "sealed", false),
        row(
            Lan,
            "somebody behind the host's other interface",
            both("198.51.100.2", "2001:db8:2::2", 80),
            "wan",
            false,
        ),
        row(Other, "a published port, at the host's address", host(8080), "a", true),
        row(Other, "a published port, at the sandbox's address", at(&ground.a, 80), "a", false),
        row(Other, "an unpublished port, at the sandbox's address", at(&ground.a, 81), "a", false),
        row(Other, "a port published on loopback, at the host's address", host(5432), "a", false),
        row(Other, "... at 127.0.0.1 or ::1, routed to the host", loopback(5432), "a", false),
        row(Other, "a host's service on loopback, routed to the host", loopback(7777), "private", false),
        row(Other, "somebody on the LAN", both("192.0.2.2", "2001:db8:1::2", 80), "lan", true),
        row(Sealed, "somebody on the LAN", both("192.0.2.2", "2001:db8:1::2", 80), "lan", false),
        row(Sealed, "a published port, at the host's address", host(8080), "a", false),
        row(Sealed, "a sandbox of another network, at its address", at(&ground.a, 80), "a", false),
        row(Sealed, "a host's service, at the host's address", host(7000), "host", false),
        row(Sealed, "... at its own gateway address", both(own4, own6, 7000), "host", true),
    ]
}

/// Does anybody answer a question there?
fn resolves(from: &Place, proto: Proto, to: &str) -> bool {
    const QUESTION: &[u8] = b"\0\x07\x01\0\0\x01\0\0\0\0\0\0\x01a\0\0\x01\0\x01";
    let (to, patience): (SocketAddr, _) = (to.parse().expect("address"), Duration::from_millis(PATIENCE));
    from.enter(|| -> std::io::Result<usize> {
        let mut bytes = [0; 512];
        match proto {
            Proto::Udp => {
                let socket = UdpSocket::bind(if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" })?;
                socket.connect(to)?;
                socket.set_read_timeout(Some(patience))?;
                socket.send(QUESTION)?;
                socket.recv(&mut bytes)
            }
            Proto::Tcp => {
                let mut stream = TcpStream::connect_timeout(&to, patience)?;
                stream.set_read_timeout(Some(patience))?;
                stream.write_all(&[&[0, QUESTION.len() as u8], QUESTION].concat())?;
                stream.read(&mut bytes)
            }
        }
    })
    .is_ok_and(|length| length > 0)
}
