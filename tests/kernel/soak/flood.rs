//! Those who want us to have no time for others: a sandbox that asks for names without pause, and callers of the API who say
//! nothing, or nonsense.
use super::tally::{Tally, one_more};
use crate::world::{Place, World};
use std::{
    io::{Read, Write},
    net::{TcpStream, UdpSocket},
    os::unix::net::UnixStream,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    thread::{Scope, sleep},
    time::Duration,
};

/// A lookup of `one.`, IPv4.
const QUERY: &[u8] = b"\0\x07\x01\0\0\x01\0\0\0\0\0\0\x03one\0\0\x01\0\x01";
const AT_ONCE: usize = 32;

pub fn begin<'s, 'e>(
    scope: &'s Scope<'s, 'e>,
    w: &'e World,
    place: &'e Place,
    over: &'e AtomicBool,
    tally: &'e Tally,
) {
    scope.spawn(move || place.enter(|| names(over, tally)));
    scope.spawn(move || callers(w, over, tally));
}

/// Some thousand a second.
fn names(over: &AtomicBool, tally: &Tally) {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("bind");
    while !over.load(Relaxed) {
        for _ in 0..AT_ONCE {
            if socket.send_to(QUERY, "127.0.0.11:53").is_ok() {
                one_more(&tally.queries);
            }
        }
        if TcpStream::connect("127.0.0.11:53").is_ok() {
            one_more(&tally.connections);
        }
        // The build that is tested is slow, and other tests run beside this one.
        sleep(Duration::from_millis(10));
    }
}

/// Connections that stay open and say nothing, half of a request, or nonsense.
fn callers(w: &World, over: &AtomicBool, tally: &Tally) {
    const WORDS: [&[u8]; 4] = [
        b"",
        b"POST /Sandbox.Create HTTP/1.1\r\nhost: x\r\ncontent-length: 99\r\n\r\n{",
        b"\0\xff\r\n\r\n",
        b"GET / HTTP/1.1\r\n",
    ];
    while !over.load(Relaxed) {
        let connect = |n: usize| {
            let mut stream = UnixStream::connect(w.daemon.socket()).ok()?;
            stream.write_all(WORDS[n % WORDS.len()]).ok()?;
            one_more(&tally.connections);
            Some(stream)
        };
        let mut all: Vec<UnixStream> = (0..AT_ONCE).filter_map(connect).collect();
        sleep(Duration::from_millis(200));
        for stream in &mut all {
            let _ = stream.set_nonblocking(true);
            let _ = stream.read(&mut [0; 64]);
        }
    }
}
