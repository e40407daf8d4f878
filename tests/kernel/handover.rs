//! The daemon is replaced while sandboxes work: nobody sees a gap.
use crate::world::{Echo, Place, Systemd, World, echo, need, tool::soon, world_with_neighbours};
use serde_json::json;
use std::{
    io::{Read, Write},
    net::{TcpStream, UdpSocket},
    path::Path,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

/// Patience of a resolver with its first try (resolv.conf(5), timeout:5).
const TRY: Duration = Duration::from_secs(5);

/// A question for the A record of `name`, RFC 1035 section 4.
fn question(id: u16, name: &str) -> Vec<u8> {
    let mut packet = [&id.to_be_bytes()[..], &[1, 0, 0, 1, 0, 0, 0, 0, 0, 0]].concat();
    for label in name.split('.') {
        packet.push(label.len() as u8);
        packet.extend_from_slice(label.as_bytes());
    }
    packet.extend_from_slice(&[0, 0, 1, 0, 1]);
    packet
}

/// An answer with one address or more.
fn judge(id: u16, answer: &[u8]) -> Result<(), String> {
    match answer {
        [a, b, _, code, _, _, more, count, ..] if [*a, *b] == id.to_be_bytes() => match code & 15 {
            0 if *more > 0 || *count > 0 => Ok(()),
            code => Err(format!("code {code}, {count} records")),
        },
        _ => Err(format!("{answer:?} is no answer to {id}")),
    }
}

pub fn by_udp(id: u16, name: &str) -> Result<(), String> {
    let told = |error: std::io::Error| error.to_string();
    let socket = UdpSocket::bind("127.0.0.1:0").map_err(told)?;
    socket.connect("127.0.0.11:53").map_err(told)?;
    socket.set_read_timeout(Some(TRY)).map_err(told)?;
    socket.send(&question(id, name)).map_err(told)?;
    let mut bytes = [0; 512];
    let length = socket.recv(&mut bytes).map_err(told)?;
    judge(id, &bytes[..length])
}

fn by_tcp(stream: &mut TcpStream, id: u16, name: &str) -> Result<(), String> {
    let told = |error: std::io::Error| error.to_string();
    let query = question(id, name);
    stream.write_all(&[&(query.len() as u16).to_be_bytes()[..], &query].concat()).map_err(told)?;
    let mut length = [0; 2];
    stream.read_exact(&mut length).map_err(told)?;
    let mut bytes = vec![0; u16::from_be_bytes(length).into()];
    stream.read_exact(&mut bytes).map_err(told)?;
    judge(id, &bytes)
}

fn resolver() -> TcpStream {
    let stream = TcpStream::connect("127.0.0.11:53").expect("connect to the resolver");
    stream.set_read_timeout(Some(TRY)).expect("timeout");
    stream
}

fn greeted(to: &str) -> Result<(), String> {
    let told = |error: std::io::Error| error.to_string();
    let mut stream = TcpStream::connect(to).map_err(told)?;
    stream.set_read_timeout(Some(TRY)).map_err(told)?;
    let mut bytes = [0; 64];
    match stream.read(&mut bytes).map_err(told)? {
        0 => Err("closed at once".to_owned()),
        _ => Ok(()),
    }
}

/// One who says something and hears it again, all the time on the same connection.
struct Talker(TcpStream);

impl Talker {
    fn to(address: &str) -> Self {
        let mut stream = TcpStream::connect(address).expect("connect");
        stream.set_read_timeout(Some(TRY)).expect("timeout");
        assert!(stream.read(&mut [0; 64]).expect("greeting") > 0);
        Talker(stream)
    }
    fn talk(&mut self) -> Result<(), String> {
        let told = |error: std::io::Error| error.to_string();
        self.0.write_all(b"still there?").map_err(told)?;
        let mut bytes = [0; 12];
        self.0.read_exact(&mut bytes).map_err(told)?;
        if &bytes == b"still there?" { Ok(()) } else { Err(format!("heard {bytes:?}")) }
    }
}

/// An upstream that takes its time: there is always a question on its way.
fn slow_upstream(socket: &UdpSocket, over: &AtomicBool) {
    socket.set_read_timeout(Some(Duration::from_millis(20))).expect("timeout");
    let mut bytes = [0; 512];
    while !over.load(Relaxed) {
        let Ok((length, peer)) = socket.recv_from(&mut bytes) else { continue };
        let mut answer = bytes[..length].to_vec();
        (answer[2], answer[3], answer[7], answer[11]) = (0x81, 0x80, 1, 0);
        let name = 12 + answer[12..].iter().position(|byte| *byte == 0).expect("a name") + 5;
        answer.truncate(name);
        answer.extend_from_slice(&[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 30, 0, 4, 203, 0, 113, 1]);
        let socket = socket.try_clone().expect("clone");
        thread::spawn(move || {
            thread::sleep(Duration::from_millis(60));
            let _ = socket.send_to(&answer, peer);
        });
    }
}

/// What went wrong and how often it went well.
#[derive(Default)]
struct Tally {
    failures: Mutex<Vec<String>>,
    done: AtomicU64,
    /// Milliseconds, and what it was.
    slowest: Mutex<(u128, String)>,
}

impl Tally {
    /// Again and again until `over`.
    fn repeat(&self, what: &str, over: &AtomicBool, mut once: impl FnMut(u16) -> Result<(), String>) {
        for n in 0u16.. {
            if over.load(Relaxed) {
                return;
            }
            let start = Instant::now();
            if let Err(error) = once(n) {
                self.failures.lock().expect("lock").push(format!("{what} {n}: {error}"));
            }
            self.done.fetch_add(1, Relaxed);
            let mut slowest = self.slowest.lock().expect("lock");
            if start.elapsed().as_millis() > slowest.0 {
                *slowest = (start.elapsed().as_millis(), what.to_owned());
            }
            drop(slowest);
            thread::sleep(Duration::from_millis(2));
        }
    }
}

/// Also when an assertion fails, or the threads would go on for ever.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

/// Everything that a user's programs do, while `replace` does something with the daemon.
fn under_load(w: &World, lan: &Place, wan: &Place, replace: impl FnOnce()) {
    std::fs::write("/run/resolv.conf", "nameserver 198.51.100.2\n").expect("resolv.conf");
    w.dual("n", json!({}));
    let ports = json!([{"host_port": 8080, "port": 80}, {"host_port": 8080, "port": 80, "proto": "udp"}]);
    let a = w.sandbox_with("a", json!({"networks": [{"network": "n"}], "ports": ports}));
    let b = w.sandbox("b", &["n"]);
    let _echo = Echo::serve(&a.place, "a", 80);
    let (tally, over) = (Tally::default(), AtomicBool::new(false));
    let upstream = wan.enter(|| UdpSocket::bind("198.51.100.2:53").expect("bind"));
    let (tally, over, host) = (&tally, &over, &w.host);
    let (a, b) = (&a.place, &b.place);
    thread::scope(|scope| {
        let _end = End(over);
        scope.spawn(move || slow_upstream(&upstream, over));
        soon(3000, "the upstream answers", || b.dig(&["+tries=3", "warm.example"]) == "203.0.113.1");
        let each = |place, what, act: Box<dyn FnMut(u16) -> Result<(), String> + Send>| {
            scope.spawn(move || Place::enter(place, || tally.repeat(what, over, act)));
        };
        each(a, "name by UDP", Box::new(|n| by_udp(n, "b")));
        each(b, "name by TCP", Box::new(|n| by_tcp(&mut resolver(), n, "a")));
        each(b, "unknown name by UDP", Box::new(|n| by_udp(n, &format!("n{n}.example"))));
        let mut kept = b.enter(resolver);
        each(b, "names on one connection", Box::new(move |n| by_tcp(&mut kept, n, "a")));
        let mut kept = a.enter(resolver);
        let unknown = move |n| by_tcp(&mut kept, n, &format!("t{n}.example"));
        each(a, "unknown names on one connection", Box::new(unknown));
        for (place, to) in [(lan, "192.0.2.1:8080"), (host, "127.0.0.1:8080"), (host, "[::1]:8080")] {
            each(place, "a new connection", Box::new(|_| greeted(to)));
            let mut talker = place.enter(|| Talker::to(to));
            each(place, "an old connection", Box::new(move |_| talker.talk()));
        }
        // Half a question, whose other half comes much later.
        let query = question(7, "b");
        let mut half = a.enter(resolver);
        let framed = [&(query.len() as u16).to_be_bytes()[..], &query].concat();
        half.write_all(&framed[..9]).expect("write");
        replace();
        half.write_all(&framed[9..]).expect("write");
        let mut answer = [0; 14];
        half.read_exact(&mut answer).expect("an answer to a question asked in two halves");
        assert_eq!(judge(7, &answer[2..]), Ok(()));
    });
    let failures = tally.failures.lock().expect("lock");
    let (done, slowest) = (tally.done.load(Relaxed), tally.slowest.lock().expect("lock"));
    eprintln!(
        "{done} lookups, connections and exchanges, the slowest {slowest:?} (ms), {} failed",
        failures.len()
    );
    assert!(
        failures.is_empty(),
        "{} of {done} failed: {:#?}",
        failures.len(),
        &failures[..failures.len().min(12)]
    );
}

/// Keepers that this world's daemons left: every world has a mount table of its own.
pub fn keepers() -> Vec<u64> {
    let here = std::fs::read_link("/proc/thread-self/ns/mnt").expect("own namespace");
    let all = std::fs::read_dir("/proc").expect("/proc").flatten().map(|process| process.path());
    let ours = all.filter(|process| {
        let line = std::fs::read(process.join("cmdline")).unwrap_or_default();
        let there = std::fs::read_link(process.join("ns/mnt"));
        line.starts_with(b"pontoon-keeper\0") && there.is_ok_and(|there| there == here)
    });
    let numbers = ours.filter_map(|process| process.file_name()?.to_str()?.parse().ok());
    numbers.collect()
}

#[test]
fn stopped_and_started_again_without_a_gap() {
    need(&["ip", "nft", "dig"]);
    world_with_neighbours(|w, lan, wan| {
        under_load(w, lan, wan, || {
            for round in 0..5 {
                w.daemon.stop();
                assert_eq!(keepers().len(), 1, "round {round}");
                // Somebody replaces the program.
                thread::sleep(Duration::from_millis(100));
                w.daemon.again();
                soon(2000, "the keeper goes", || keepers().is_empty());
            }
        });
    });
}

/// By `[::1]` the daemon carries what a client says: the server must go on to see one client, not another one each time.
#[test]
fn a_client_by_udp_stays_the_same_to_the_server() {
    need(&["ip", "nft"]);
    world_with_neighbours(|w, _, _| {
        let ports = json!([{"host_port": 8080, "port": 80, "proto": "udp"}]);
        let a = w.sandbox_with("a", json!({"ports": ports}));
        let server = a.place.enter(|| UdpSocket::bind("[::]:80")).expect("bind");
        server.set_read_timeout(Some(TRY)).expect("timeout");
        let client = w.host.enter(|| UdpSocket::bind("[::1]:0")).expect("bind");
        let seen = || {
            client.send_to(b"who?", "[::1]:8080").expect("send");
            server.recv_from(&mut [0; 8]).expect("what the client said").1
        };
        let first = seen();
        w.daemon.stop();
        assert_eq!(seen(), first, "the keeper carries on");
        w.daemon.again();
        assert_eq!(seen(), first, "and so does the next daemon");
    });
}

#[test]
fn a_successor_that_fails_changes_nothing() {
    need(&["ip", "nft", "dig"]);
    world_with_neighbours(|w, lan, wan| {
        under_load(w, lan, wan, || {
            w.call("Volume.Create", json!({"name": "vol"}));
            w.daemon.stop();
            // Found only when the sockets are in its hands already.
            let (volume, away) = (w.daemon.root().join("volumes/vol"), Path::new("/run/away"));
            std::fs::rename(&volume, away).expect("rename");
            std::fs::write(&volume, "").expect("a file in the way");
            let said = w.daemon.fails();
            assert!(said.contains("volume vol"), "{said}");
            std::fs::remove_file(&volume).expect("unlink");
            std::fs::rename(away, &volume).expect("rename");
            w.daemon.again();
            soon(2000, "the keeper goes", || keepers().is_empty());
        });
    });
}

#[test]
fn nobody_is_left_behind_without_sandboxes_or_when_told_so() {
    need(&["ip", "nft", "dig"]);
    world_with_neighbours(|w, lan, _| {
        w.daemon.stop();
        assert!(keepers().is_empty(), "without sandboxes");
        let config = "/run/default/pontoon.toml";
        let text = std::fs::read_to_string(config).expect("configuration");
        std::fs::write(config, format!("{text}keep_seconds = 1\n")).expect("configuration");
        w.daemon.again();
        w.network("n", json!({}));
        let ports = json!([{"host_port": 8080, "port": 80}]);
        let a = w.sandbox_with("a", json!({"networks": [{"network": "n"}], "ports": ports}));
        let _echo = Echo::serve(&a.place, "a", 80);
        w.daemon.stop();
        assert_eq!(a.place.dig(&["a."]), a.ip, "for a second");
        soon(4000, "its time is up", || keepers().is_empty());
        assert_eq!(a.place.dig(&["a."]), "TIMEOUT");
        assert!(echo::ask(lan, echo::Proto::Tcp, "192.0.2.1:8080").is_some(), "the kernel goes on");
        w.daemon.again();
        assert_eq!(a.place.dig(&["a."]), a.ip);
    });
}

#[test]
fn the_service_managers_store_bridges_a_restart() {
    need(&["ip", "nft", "dig"]);
    world_with_neighbours(|w, lan, wan| {
        w.daemon.stop();
        let systemd = Systemd::start();
        w.daemon.again_by(&mut systemd.command(&w.daemon));
        under_load(w, lan, wan, || {
            for round in 0..5 {
                w.daemon.stop();
                assert!(systemd.stored() > 6, "round {round}: {} descriptors", systemd.stored());
                assert!(keepers().is_empty(), "there is no need");
                thread::sleep(Duration::from_millis(100));
                w.daemon.again_by(&mut systemd.command(&w.daemon));
                soon(2000, "the store is empty again", || systemd.stored() == 0);
            }
            let known = systemd.said.lock().expect("lock").join("\n");
            assert!(known.contains("READY=1") && known.contains("STOPPING=1"), "{known}");
        });
    });
}
