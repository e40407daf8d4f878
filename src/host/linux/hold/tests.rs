//! Holds on real sockets, in a private namespace.
use super::*;
use crate::{
    error::Kind,
    host::linux::namespace::testbed::{ip, private},
};
use std::{
    io::{ErrorKind, Read, Write},
    net::{Shutdown, TcpListener, TcpStream, UdpSocket},
    thread,
    time::{Duration, Instant},
};

fn wish(proto: Proto, host: Option<&str>, port: u16, targets: &[SocketAddr]) -> Hold {
    Hold { proto, host: host.map(|h| h.parse().expect("ip")), port, targets: targets.to_vec() }
}

fn key(hold: &Hold) -> Key {
    Key::Hold(hold.proto, hold.host, hold.port)
}

/// At once, but for programs that other tests of this process start: between fork and exec they have our sockets too.
#[track_caller]
fn free<E: std::fmt::Display>(what: &str, mut take: impl FnMut() -> Result<(), E>) {
    let start = Instant::now();
    while let Err(error) = take() {
        assert!(start.elapsed() < Duration::from_secs(5), "{what}: {error}");
        thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn a_held_port_is_taken_and_a_taken_one_is_refused() {
    private(|_| {
        let holds = Holds::start().expect("start");
        for proto in [Proto::Tcp, Proto::Udp] {
            for (n, host) in [None, Some("127.0.0.1"), Some("::1")].into_iter().enumerate() {
                let hold = wish(proto, host, 8000 + n as u16, &[]);
                holds.hold(&hold).expect("hold");
                holds.hold(&hold).expect("twice is a change of targets");
                let there = SocketAddr::new(hold.host.unwrap_or([127, 0, 0, 1].into()), hold.port);
                let taken = match proto {
                    Proto::Tcp => TcpListener::bind(there).map(|_| ()),
                    _ => UdpSocket::bind(there).map(|_| ()),
                };
                assert_eq!(taken.expect_err("held").raw_os_error(), Some(libc::EADDRINUSE), "{hold:?}");
                holds.release(&key(&hold));
                holds.release(&key(&hold));
                free("given back", || match proto {
                    Proto::Tcp => TcpListener::bind(there).map(drop),
                    _ => UdpSocket::bind(there).map(drop),
                });
            }
        }
        assert!(holds.held().is_empty());
        let other = TcpListener::bind("127.0.0.1:9000").expect("bind");
        let error = holds.hold(&wish(Proto::Tcp, None, 9000, &[])).expect_err("in use");
        assert_eq!(error.kind, Kind::Conflict);
        let me = format!("(pid {})", std::process::id());
        assert!(
            error.message.starts_with("port 9000/tcp is in use on the host by ")
                && error.message.ends_with(&me),
            "{error}"
        );
        drop(other);
        free("free again", || holds.hold(&wish(Proto::Tcp, None, 9000, &[])));
        let error = holds.hold(&wish(Proto::Udp, Some("192.0.2.1"), 53, &[])).expect_err("no such address");
        assert_eq!(error.kind, Kind::Invalid, "{error}");
        // Without SCTP in the kernel there is nothing to hold and nobody to take it.
        holds.hold(&wish(Proto::Sctp, None, 9000, &[])).expect("sctp");
    });
}

#[test]
fn a_thousand_ports_are_held_in_milliseconds() {
    private(|_| {
        let holds = Holds::start().expect("start");
        let begin = Instant::now();
        for port in 10_000..11_000 {
            holds.hold(&wish(Proto::Tcp, None, port, &[])).expect("hold");
        }
        let took = begin.elapsed();
        let begin = Instant::now();
        for port in 10_000..11_000 {
            holds.release(&Key::Hold(Proto::Tcp, None, port));
        }
        println!("1,000 holds {took:?}, given back in {:?}", begin.elapsed());
        assert!(took < Duration::from_millis(200), "{took:?}");
    });
}

/// An echo server that answers after the client has closed its half.
fn tcp_echo() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
    let address = listener.local_addr().expect("address");
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            thread::spawn(move || {
                let (mut client, mut all) = (client, Vec::new());
                client.read_to_end(&mut all).expect("read");
                client.write_all(&all).expect("write");
            });
        }
    });
    address
}

fn ask(address: &str, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).expect(address);
    stream.set_read_timeout(Some(Duration::from_secs(5))).expect("timeout");
    let mut writer = stream.try_clone().expect("clone");
    let sent = bytes.to_vec();
    let write = thread::spawn(move || {
        let _ = writer.write_all(&sent);
        let _ = writer.shutdown(Shutdown::Write);
    });
    let mut all = Vec::new();
    let _ = stream.read_to_end(&mut all);
    write.join().expect("writer");
    all
}

#[test]
fn connections_to_the_socket_itself_are_carried_with_their_half_closes() {
    private(|_| {
        let holds = Holds::start().expect("start");
        let mut hold = wish(Proto::Tcp, None, 8080, &[tcp_echo()]);
        holds.hold(&hold).expect("hold");
        let large: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 251) as u8).collect();
        for bytes in [&b""[..], b"hello", &large] {
            assert_eq!(ask("[::1]:8080", bytes), bytes);
            assert_eq!(ask("127.0.0.1:8080", bytes), bytes);
        }
        let many: Vec<_> = (0..100_u8)
            .map(|n| thread::spawn(move || assert_eq!(ask("[::1]:8080", &[n; 50_000]), [n; 50_000])))
            .collect();
        many.into_iter().for_each(|t| t.join().expect("carried"));
        // Nobody there: closed, not left hanging.
        hold.targets = vec!["127.0.0.1:1".parse().expect("address")];
        holds.hold(&hold).expect("retarget");
        assert!(ask("[::1]:8080", b"x").is_empty());
        hold.targets.clear();
        holds.hold(&hold).expect("retarget");
        assert!(ask("[::1]:8080", b"x").is_empty());
        hold.targets = vec![tcp_echo()];
        holds.hold(&hold).expect("retarget");
        assert_eq!(ask("[::1]:8080", b"again"), b"again");
        // A port that is given back lets go of its connections.
        let mut open = TcpStream::connect("[::1]:8080").expect("connect");
        open.write_all(b"x").expect("write");
        open.set_read_timeout(Some(Duration::from_secs(2))).expect("timeout");
        thread::sleep(Duration::from_millis(50));
        holds.release(&key(&hold));
        let end = open.read(&mut [0]).map_err(|e| e.kind());
        assert!(matches!(end, Ok(0) | Err(ErrorKind::ConnectionReset)), "{end:?}");
        TcpListener::bind("[::]:8080").expect("given back");
    });
}

/// The kernel makes a new IPv6 address's local route a little later: sends until something comes back.
fn awake(client: &UdpSocket) {
    client.set_read_timeout(Some(Duration::from_millis(100))).expect("timeout");
    let answered = |_: &i32| {
        client.send(&[0; 3]).expect("send");
        client.recv(&mut [0; 2000]).is_ok()
    };
    (0..50).find(answered).expect("an answer within 5 s");
}

/// The next answer that is none to `awake`: on a busy machine those come late.
fn answer(client: &UdpSocket, buffer: &mut [u8]) -> std::io::Result<usize> {
    loop {
        match client.recv(buffer)? {
            3 => continue,
            length => return Ok(length),
        }
    }
}

#[test]
fn datagrams_are_carried_and_answered_from_the_address_that_was_asked() {
    private(|_| {
        ip("addr add fd00::5/128 dev lo nodad");
        ip("addr add 192.0.2.7/32 dev lo");
        let holds = Holds::start().expect("start");
        let echo = UdpSocket::bind("127.0.0.1:0").expect("bind");
        let target = echo.local_addr().expect("address");
        thread::spawn(move || {
            let mut buffer = [0; 2000];
            while let Ok((length, from)) = echo.recv_from(&mut buffer) {
                echo.send_to(&buffer[..length], from).expect("echo");
            }
        });
        let both = wish(Proto::Udp, None, 5353, &[target]);
        holds.hold(&both).expect("hold");
        holds.hold(&wish(Proto::Udp, Some("0.0.0.0"), 5354, &[target])).expect("hold");
        let asked = ["[fd00::5]:5353", "[::1]:5353", "192.0.2.7:5353", "127.0.0.1:5353", "192.0.2.7:5354"];
        for address in asked {
            let local = if address.starts_with('[') { "[::1]:0" } else { "127.0.0.1:0" };
            let client = UdpSocket::bind(local).expect("bind");
            client.connect(address).expect("connect"); // hears that address only
            awake(&client);
            client.set_read_timeout(Some(Duration::from_secs(2))).expect("timeout");
            for n in 0..20_u8 {
                client.send(&[n; 1200]).expect("send");
                let mut buffer = [0; 2000];
                assert_eq!(answer(&client, &mut buffer).expect(address), 1200);
                assert_eq!(buffer[0], n);
            }
        }
        holds.release(&key(&both));
        for _ in 0..1000 {
            if UdpSocket::bind("[::]:5353").is_ok() {
                return;
            }
            thread::sleep(Duration::from_millis(5)); // its sessions hold the socket until the relay is told
        }
        panic!("the port was not given back");
    });
}

/// What a receiver has not taken yet is part of what one holder leaves to the next.
#[test]
fn bytes_on_their_way_are_handed_over() {
    private(|_| {
        let (first, second) = (Holds::start().expect("start"), Holds::start().expect("start"));
        let target = TcpListener::bind("127.0.0.1:0").expect("bind");
        let hold = wish(Proto::Tcp, None, 8080, &[target.local_addr().expect("address")]);
        first.hold(&hold).expect("hold");
        let mut client = TcpStream::connect("[::1]:8080").expect("connect");
        let (mut server, _) = target.accept().expect("accept");
        // Nobody reads: it comes to stand in every buffer on the way.
        let block: Vec<u8> = (0..251).collect();
        let large = block.repeat(64_000_000 / block.len());
        client.set_nonblocking(true).expect("nonblocking");
        let (mut sent, mut still) = (0, 0);
        while still < 20 {
            match client.write(&large[sent..]) {
                Ok(count) => (sent, still) = (sent + count, 0),
                Err(_) => {
                    thread::sleep(Duration::from_millis(10));
                    still += 1;
                }
            }
        }
        let begun = first.freeze();
        let waiting = |begun: &Begun| match &begun.client {
            Client::Stream { up, .. } => up.bytes.len(),
            Client::Datagrams { .. } => 0,
        };
        assert!(begun.iter().map(waiting).sum::<usize>() > 0, "something was on its way");
        let port = |hold: &Hold| (hold.proto, hold.host, hold.port);
        second.adopt(first.sockets().into_iter().filter_map(|(h, s)| Some((port(&h), s?))).collect());
        second.hold(&hold).expect("hold");
        second.carry(begun);
        client.shutdown(Shutdown::Write).expect("shutdown");
        let mut all = Vec::new();
        server.read_to_end(&mut all).expect("read");
        assert!(all == large[..sent], "{} of {sent} bytes came, in order", all.len());
    });
}

/// More receivers that do not read than there are pipes: the others are carried all the same.
#[test]
fn receivers_that_do_not_read_hold_nobody_up() {
    private(|_| {
        let holds = Holds::start().expect("start");
        let lazy = TcpListener::bind("127.0.0.1:0").expect("bind");
        holds.hold(&wish(Proto::Tcp, None, 8081, &[lazy.local_addr().expect("address")])).expect("hold");
        holds.hold(&wish(Proto::Tcp, None, 8080, &[tcp_echo()])).expect("hold");
        let stuck: Vec<_> = (0..40)
            .map(|_| {
                let mut client = TcpStream::connect("[::1]:8081").expect("connect");
                client.set_write_timeout(Some(Duration::from_millis(20))).expect("timeout");
                while client.write(&[7; 100_000]).is_ok() {}
                (client, lazy.accept().expect("accept").0)
            })
            .collect();
        let large: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 251) as u8).collect();
        assert!(ask("[::1]:8080", &large) == large, "carried");
        // And those go on where they stood.
        for (client, mut server) in stuck {
            client.shutdown(Shutdown::Write).expect("shutdown");
            server.set_read_timeout(Some(Duration::from_secs(5))).expect("timeout");
            let mut all = Vec::new();
            server.read_to_end(&mut all).expect("read");
            assert!(!all.is_empty() && all == vec![7; all.len()]);
        }
    });
}

#[test]
fn a_session_that_is_idle_ends() {
    let mut sessions = datagram::Sessions::default();
    let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).expect("epoll");
    let held = Held { socket: None, proto: Proto::Udp, host: None, port: 1, targets: Mutex::default() };
    let to: SocketAddr = "127.0.0.1:9".parse().expect("an address");
    let target = UdpSocket::bind("127.0.0.1:0").expect("a socket").into();
    sessions.insert((0, to, datagram::Local::Unknown), &Arc::new(held), (to, target), &epoll, &mut 0);
    let then = Instant::now();
    sessions.sweep(then + Duration::from_secs(70));
    assert!(!sessions.is_empty());
    sessions.sweep(then + Duration::from_secs(80));
    assert!(sessions.is_empty());
}
