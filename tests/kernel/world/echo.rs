//! Servers that tell who they are and whom they see, and clients that ask them.
use super::Place;
use std::{
    io::{Read, Write},
    net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proto {
    Tcp,
    Udp,
}

pub const BOTH: [Proto; 2] = [Proto::Tcp, Proto::Udp];

/// Answers `NAME PEER` on a port, TCP and UDP, IPv4 and IPv6, until it is dropped.
pub struct Echo {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Echo {
    pub fn serve(place: &Place, name: &str, port: u16) -> Self {
        Self::at(place, name, &format!("[::]:{port}"))
    }
    /// On one address only.
    pub fn at(place: &Place, name: &str, address: &str) -> Self {
        let address: SocketAddr = address.parse().expect("address");
        let (tcp, udp) = place.enter(|| {
            let tcp =
                TcpListener::bind(address).unwrap_or_else(|error| panic!("listen on {address}: {error}"));
            (tcp, UdpSocket::bind(address).expect("bind"))
        });
        let stop = Arc::new(AtomicBool::new(false));
        let (one, two) = ((stop.clone(), name.to_owned()), (stop.clone(), name.to_owned()));
        let threads = vec![
            std::thread::spawn(move || streams(&tcp, &one.0, &one.1)),
            std::thread::spawn(move || datagrams(&udp, &two.0, &two.1)),
        ];
        Echo { stop, threads }
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.threads.drain(..).for_each(|thread| drop(thread.join()));
    }
}

/// Greets every client; then echoes until it hangs up.
fn streams(listener: &TcpListener, stop: &Arc<AtomicBool>, name: &str) {
    listener.set_nonblocking(true).expect("nonblocking");
    while !stop.load(Ordering::Relaxed) {
        let Ok((mut stream, peer)) = listener.accept() else {
            std::thread::sleep(Duration::from_millis(2));
            continue;
        };
        let greeting = format!("{name} {}\n", plain(peer.ip()));
        let stop = stop.clone();
        std::thread::spawn(move || {
            let _ = stream.set_nonblocking(false);
            let _ = stream.set_read_timeout(Some(Duration::from_millis(20)));
            let _ = stream.write_all(greeting.as_bytes());
            let mut bytes = [0; 512];
            while !stop.load(Ordering::Relaxed) {
                match stream.read(&mut bytes) {
                    Ok(0) => return,
                    Ok(n) => drop(stream.write_all(&bytes[..n])),
                    Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                    Err(_) => return,
                }
            }
        });
    }
}

fn datagrams(socket: &UdpSocket, stop: &AtomicBool, name: &str) {
    socket.set_read_timeout(Some(Duration::from_millis(20))).expect("timeout");
    let mut bytes = [0; 512];
    while !stop.load(Ordering::Relaxed) {
        if let Ok((_, peer)) = socket.recv_from(&mut bytes) {
            let _ = socket.send_to(format!("{name} {}\n", plain(peer.ip())).as_bytes(), peer);
        }
    }
}

/// IPv4 as IPv4, also on a socket of both families.
fn plain(ip: IpAddr) -> IpAddr {
    ip.to_canonical()
}

/// What the server at `to` answers to somebody in `from`: `Some("NAME PEER")`, or none within the patience (ms).
pub fn ask_for(from: &Place, proto: Proto, to: &str, patience: u64) -> Option<String> {
    let to: SocketAddr = to.parse().unwrap_or_else(|_| panic!("address {to}"));
    let patience = Duration::from_millis(patience);
    let text = from.enter(|| match proto {
        Proto::Tcp => tcp(to, patience),
        Proto::Udp => udp(to, patience),
    });
    text.ok().filter(|text| !text.is_empty())
}

/// The same with the patience of somebody who expects an answer.
pub fn ask(from: &Place, proto: Proto, to: &str) -> Option<String> {
    ask_for(from, proto, to, 3000)
}

/// Must stay without an answer, both protocols.
#[track_caller]
pub fn closed(from: &Place, to: &str) {
    let tries = std::thread::scope(|scope| {
        let asking = BOTH.map(|proto| scope.spawn(move || ask_for(from, proto, to, 250)));
        asking.map(|thread| thread.join().expect("ask"))
    });
    assert!(tries.iter().all(Option::is_none), "{from:?} reaches {to}: {tries:?}");
}

/// Must answer `name`, both protocols; returns whom the server saw.
#[track_caller]
pub fn open(from: &Place, to: &str, name: &str) -> String {
    let mut seen = Vec::new();
    for proto in BOTH {
        let Some(text) = ask(from, proto, to) else {
            panic!("{from:?} gets no answer from {to} by {proto:?}")
        };
        let Some((who, peer)) = text.trim().split_once(' ') else { panic!("{to} answers {text:?}") };
        assert_eq!(who, name, "{from:?} asks {to} by {proto:?}");
        seen.push(peer.to_owned());
    }
    assert_eq!(seen[0], seen[1], "tcp and udp differ in the source address");
    seen.remove(0)
}

fn tcp(to: SocketAddr, patience: Duration) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&to, patience)?;
    stream.set_read_timeout(Some(patience))?;
    let mut bytes = [0; 512];
    let n = stream.read(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes[..n]).into_owned())
}

fn udp(to: SocketAddr, patience: Duration) -> std::io::Result<String> {
    let socket = UdpSocket::bind(if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" })?;
    socket.connect(to)?;
    socket.set_read_timeout(Some(patience))?;
    socket.send(b"who?")?;
    let mut bytes = [0; 512];
    let n = socket.recv(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes[..n]).into_owned())
}
