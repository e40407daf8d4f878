//! The first packet after an attach is answered, always.
use crate::world::{World, need, world};
use serde_json::json;
use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream, UdpSocket},
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

/// ms; a lost ARP request costs a whole second, a lost SYN as well.
const LIMIT: u64 = 100;

/// A server on the gateway's address that answers whatever comes, in a thread that ends with the test's process.
fn serve(w: &World, address: &'static str) {
    let (udp, tcp) = w.host.enter(|| (UdpSocket::bind(address).expect("bind"), TcpListener::bind(address).expect("listen")));
    udp.set_read_timeout(Some(Duration::from_secs(5))).expect("timeout");
    std::thread::spawn(move || {
        let mut bytes = [0; 64];
        while let Ok((n, peer)) = udp.recv_from(&mut bytes) {
            let _ = udp.send_to(&bytes[..n], peer);
        }
    });
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = tcp.accept() {
            let mut bytes = [0; 64];
            match stream.read(&mut bytes) {
                Ok(n) if bytes[..n] == *b"end" => return,
                Ok(n) => drop(stream.write_all(&bytes[..n])),
                Err(_) => {}
            }
        }
    });
}

fn end(w: &World, address: &'static str) {
    w.host.enter(|| TcpStream::connect(address).and_then(|mut s| s.write_all(b"end"))).expect("end the server");
}

fn answered(place: &crate::world::Place, to: &'static str, tcp: bool) -> Result<(), String> {
    let limit = Duration::from_millis(LIMIT);
    let start = Instant::now();
    let result = place.enter(|| -> std::io::Result<usize> {
        let mut bytes = [0; 64];
        if tcp {
            let mut stream = TcpStream::connect_timeout(&to.parse().expect("address"), limit)?;
            stream.set_read_timeout(Some(limit))?;
            stream.write_all(b"x")?;
            return stream.read(&mut bytes);
        }
        let socket = UdpSocket::bind("[::]:0")?;
        socket.set_read_timeout(Some(limit))?;
        socket.send_to(b"x", to.replace("10.9.0.1", "[::ffff:10.9.0.1]"))?;
        socket.recv(&mut bytes)
    });
    result.map(drop).map_err(|error| format!("{to} tcp={tcp}: {error} after {:?}", start.elapsed()))
}

#[test]
fn two_hundred_in_a_row() {
    need(&["ip"]);
    world(|w| {
        w.dual("n", json!({"pools": [{"subnet": "10.9.0.0/16"}, {"subnet": "fd09::/64"}]}));
        let to = ["10.9.0.1:7", "[fd09::1]:7"];
        to.iter().for_each(|to| serve(w, to));
        let (mut lost, mut kept) = (Vec::new(), Vec::new());
        for i in 0..200 {
            let name = format!("a{i}");
            let a = w.sandbox(&name, &["n"]);
            lost.extend(answered(&a.place, to[i % 2], i % 4 < 2).err());
            // Every other stays until the next has come: the bridge is not always empty.
            kept.push(name);
            if i % 2 == 1 {
                kept.drain(..).for_each(|name: String| w.remove(&name));
            }
        }
        assert!(lost.is_empty(), "{} of 200 first packets were lost: {lost:?}", lost.len());
        to.iter().for_each(|to| end(w, to));
    });
}

#[test]
fn sixteen_callers_at_once() {
    need(&["ip"]);
    world(|w| {
        w.dual("n", json!({"pools": [{"subnet": "10.9.0.0/16"}, {"subnet": "fd09::/64"}]}));
        serve(w, "10.9.0.1:7");
        let lost = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for caller in 0..16 {
                let lost = &lost;
                scope.spawn(move || {
                    for turn in 0..8 {
                        let name = format!("s{caller}-{turn}");
                        let a = w.sandbox(&name, &["n"]);
                        // Sixteen callers keep both processors busy: the limit is what a lost packet costs.
                        let start = Instant::now();
                        let fine = (0..3).any(|_| answered(&a.place, "10.9.0.1:7", turn % 2 == 0).is_ok());
                        if !fine || start.elapsed() > Duration::from_millis(900) {
                            lost.fetch_add(1, Ordering::Relaxed);
                        }
                        if turn % 2 == 0 {
                            w.remove(&name);
                        }
                    }
                });
            }
        });
        assert_eq!(lost.into_inner(), 0, "first packets lost");
        let list = w.call("Sandbox.List", json!({}));
        let mut ips: Vec<_> = list.as_array().expect("list").iter().map(|s| s["networks"][0]["addresses"][0].to_string()).collect();
        ips.sort();
        ips.dedup();
        assert_eq!(ips.len(), 64, "every sandbox has an address of its own");
        end(w, "10.9.0.1:7");
    });
}
