//! Clients that are slow, silent, many, or talk nonsense: each takes a bounded part, and everybody else is served.
use crate::world::{World, http, need, tool::soon, world};
use serde_json::{Value, json};
use std::{
    io::{Read, Write},
    os::unix::net::UnixStream,
    time::{Duration, Instant},
};

/// More than the daemon takes at once.
const MANY: usize = 1_100;

fn may_open_many() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("limit");
    setrlimit(Resource::RLIMIT_NOFILE, soft.max(8_192).min(hard), hard).expect("limit");
}

fn connect(w: &World) -> UnixStream {
    let stream = UnixStream::connect(w.daemon.socket()).expect("connect");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("timeout");
    stream.set_write_timeout(Some(Duration::from_secs(20))).expect("timeout");
    stream
}

/// Both dialects answer soon, and a whole life of a sandbox goes through.
fn others_are_served(w: &World) {
    let start = Instant::now();
    assert_eq!(w.daemon.raw("GET", "/_ping", b"").0, 200);
    w.sandbox("guest", &["bridge"]);
    w.remove("guest");
    let took = start.elapsed();
    assert!(took < Duration::from_secs(5), "served after {took:?}");
}

/// How many may listen to events.
const LISTENERS: usize = 512;

#[test]
fn more_listeners_than_are_told_of_events() {
    need(&["ip"]);
    may_open_many();
    world(|w| {
        let listen = || {
            let mut reader = http::open(&w.daemon.socket(), "POST", "/Events.Watch", b"{}").expect("watch");
            (http::head(&mut reader).expect("head").0, reader)
        };
        let mut all: Vec<_> = (0..LISTENERS).map(|_| listen()).collect();
        assert!(all.iter().all(|(status, _)| *status == 200));
        assert_eq!(listen().0, 503, "one too many");
        assert_eq!(w.daemon.raw("GET", "/events", b"").0, 503, "by Docker's name too");
        others_are_served(w);
        all.pop();
        soon(5_000, "the place is free again", || listen().0 == 200);
    });
}

fn resident(w: &World) -> u64 {
    w.call("System.Info", json!({}))["resident_memory"].as_u64().expect("bytes") >> 20
}

#[test]
fn more_connections_than_there_are_places() {
    need(&["ip"]);
    may_open_many();
    world(|w| {
        let before = resident(w);
        let mut silent: Vec<UnixStream> = (0..MANY).map(|_| connect(w)).collect();
        others_are_served(w);
        // Half a head each.
        for stream in &mut silent {
            let _ = stream.write_all(b"POST /Network.List HTTP/1.1\r\nhost: x\r\nx-half: ");
        }
        others_are_served(w);
        let more = resident(w).saturating_sub(before);
        assert!(more < 48, "{more} MiB for {MANY} silent connections");
        // Who had been idle longest had to go; the last one is still heard.
        let mut last = silent.pop().expect("one");
        last.write_all(b"1\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}").expect("the rest");
        let mut answer = String::new();
        last.read_to_string(&mut answer).expect("an answer");
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    });
}

#[test]
fn bodies_that_never_end() {
    need(&["ip"]);
    may_open_many();
    world(|w| {
        let before = resident(w);
        let head = b"POST /Network.Create HTTP/1.1\r\nhost: x\r\ncontent-length: 4000000\r\n\r\n";
        let part = vec![b' '; 256 << 10];
        let mut slow = Vec::new();
        for _ in 0..200 {
            let mut stream = connect(w);
            stream.write_all(head).expect("head");
            stream.set_nonblocking(true).expect("nonblocking");
            // As much of it as is taken.
            for _ in 0..14 {
                let _ = stream.write(&part);
            }
            slow.push(stream);
        }
        others_are_served(w);
        let more = resident(w).saturating_sub(before);
        assert!(more < 96, "{more} MiB for 200 bodies of 3.5 MB");
    });
}

#[test]
fn answers_that_nobody_reads() {
    need(&["ip"]);
    world(|w| {
        let before = resident(w);
        let requests = b"GET /schema HTTP/1.1\r\nhost: x\r\n\r\n".repeat(2_000);
        let deaf: Vec<UnixStream> = (0..100)
            .map(|_| {
                let mut stream = connect(w);
                stream.set_nonblocking(true).expect("nonblocking");
                let _ = stream.write(&requests);
                stream
            })
            .collect();
        others_are_served(w);
        let more = resident(w).saturating_sub(before);
        assert!(more < 64, "{more} MiB for {} deaf clients", deaf.len());
    });
}

#[test]
fn garbage() {
    need(&["ip"]);
    world(|w| {
        let ask = b"POST /Network.List HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{}".to_vec();
        let long = [b"GET /".to_vec(), vec![b'a'; 1 << 20], b" HTTP/1.1\r\n\r\n".to_vec()].concat();
        let heads =
            [b"GET /_ping HTTP/1.1\r\n".to_vec(), b"a: b\r\n".repeat(10_000), b"\r\n".to_vec()].concat();
        let both =
            b"POST /Network.List HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\ncontent-length: 7\r\n\r\n{}"
                .to_vec();
        // (what is sent, statuses of the answers in order)
        for (sent, wanted) in [
            (b"\x00\xff\x16\x03\x01garbage\r\n\r\n".to_vec(), vec!["400"]),
            (b"GET / HTTP/9.9\r\n\r\n".to_vec(), vec!["400"]),
            (b"\r\n\r\n\r\nnonsense\r\n\r\n".to_vec(), vec!["400"]),
            (long, vec!["431"]),
            (heads, vec!["431"]),
            (both, vec!["400"]),
            (ask.repeat(50), vec!["200"; 50]),
            ([ask.clone(), b"nonsense\r\n\r\n".to_vec(), ask.clone()].concat(), vec!["200", "400"]),
            ([ask.clone(), b"\r\n".to_vec()].concat(), vec!["200"]),
        ] {
            let mut stream = connect(w);
            // It may have hung up before all of it is sent.
            let _ = stream.write_all(&sent);
            let _ = stream.shutdown(std::net::Shutdown::Write);
            let mut answer = Vec::new();
            let _ = stream.read_to_end(&mut answer);
            let text = String::from_utf8_lossy(&answer);
            let found: Vec<&str> =
                text.split("HTTP/1.1 ").skip(1).filter_map(|rest| rest.split(' ').next()).collect();
            let shown = String::from_utf8_lossy(&sent[..sent.len().min(80)]).into_owned();
            assert_eq!(found, wanted, "{shown:?}");
        }
        others_are_served(w);
        let (status, body) =
            http::request(&w.daemon.socket(), "POST", "/Network.List", b"{}").expect("a list");
        assert!(status == 200 && serde_json::from_slice::<Value>(&body).is_ok());
    });
}
