//! What a container tries against its neighbours and against us, with every right that it has in its own namespace.
use crate::world::{Box, Place, need, tool::soon, world, world_with_neighbours};
use serde_json::json;
use std::{
    collections::VecDeque,
    io::{BufRead, BufReader, Write},
    net::{TcpStream, UdpSocket},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    thread,
    time::{Duration, Instant},
};

/// Answers what nobody asked before and beside what was asked, and in the name of others: from another port, and from an
/// address of its own that is not the server's.
const POISONER: &str = r#"
import socket,struct
s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM); s.bind(('192.0.2.2',53))
other=[socket.socket(socket.AF_INET,socket.SOCK_DGRAM) for _ in (1,2)]
other[0].bind(('192.0.2.2',5353)); other[1].bind(('192.0.2.3',53)); print('up',flush=True)
def name(n): return b''.join(bytes([len(l)])+l.encode() for l in n.split('.'))+b'\0'
def rr(n,ip): return name(n)+struct.pack('!HHIH',1,1,3600,4)+socket.inet_aton(ip)
while 1:
    q,p=s.recvfrom(2048); i=12
    while q[i]: i+=1+q[i]
    question=q[12:i+5]; head=lambda ident,n,ar: ident+struct.pack('!HHHHH',0x8180,1,n,0,ar)
    evil=b'\x04evil' in question.lower()
    if evil:
        for o in other: o.sendto(head(q[:2],1,0)+question+b'\xc0\x0c'+struct.pack('!HHIH',1,1,60,4)+socket.inet_aton('6.6.6.5'),p)
        s.sendto(head(bytes([q[0]^1,q[1]]),1,0)+question+rr('x.evil.example','6.6.6.1'),p)
        s.sendto(head(q[:2],1,0)+name('bank.example')+b'\0\1\0\1'+rr('bank.example','6.6.6.2'),p)
        s.sendto(head(q[:2],2,1)+question+b'\xc0\x0c'+struct.pack('!HHIH',1,1,60,4)+socket.inet_aton('203.0.113.6')+rr('bank.example','6.6.6.3')+rr('bank.example','6.6.6.4'),p)
    else:
        s.sendto(head(q[:2],1,0)+question+b'\xc0\x0c'+struct.pack('!HHIH',1,1,60,4)+socket.inet_aton('203.0.113.7'),p)
"#;

/// Ends with the test, however that ends.
struct Ends(Child);

impl Drop for Ends {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_poisoned_answer_changes_no_other_name() {
    need(&["ip", "nft", "dig", "python3"]);
    world_with_neighbours(|w, lan, _| {
        lan.run("ip", &["addr", "add", "192.0.2.3/24", "dev", "eth0"]);
        let upstream =
            lan.enter(|| Command::new("python3").args(["-c", POISONER]).stdout(Stdio::piped()).spawn());
        let mut upstream = Ends(upstream.expect("python3"));
        let mut up = String::new();
        BufReader::new(upstream.0.stdout.as_mut().expect("pipe")).read_line(&mut up).expect("read");
        std::fs::write("/run/resolv.conf", "nameserver 192.0.2.2\n").expect("resolv.conf");
        w.network("n", json!({}));
        let (a, b) = (w.sandbox("a", &["n"]), w.sandbox("bank", &["n"]));
        soon(3000, "the upstream is known", || a.place.dig(&["warm.example"]) == "203.0.113.7");
        let said = a.place.dig(&["x.evil.example"]);
        assert!(
            said.starts_with("203.0.113.6") && !said.contains("6.6.6.1") && !said.contains("6.6.6.5"),
            "{said}"
        );
        for place in [&a.place, &b.place] {
            assert_eq!(place.dig(&["bank.example"]), "203.0.113.7", "asked for itself, not believed");
            assert_eq!(place.dig(&["bank."]), b.ip, "our own names are never asked upstream");
        }
    });
}

/// The sockets are the identity of who asks: neither another's address nor a way to another's resolver helps.
#[test]
fn nobody_asks_as_another() {
    need(&["ip", "nft", "dig"]);
    world(|w| {
        w.network("one", json!({}));
        w.network("two", json!({}));
        let (a, b) = (w.sandbox("a", &["one"]), w.sandbox("b", &["one", "two"]));
        let secret = w.sandbox("secret", &["two"]);
        assert_eq!(b.place.dig(&["secret."]), secret.ip);
        // With the address of one who may know.
        a.place.run("ip", &["addr", "add", &format!("{}/32", b.ip), "dev", "lo"]);
        let unknown = a.place.dig(&["nobody."]);
        assert_eq!(a.place.dig(&["-b", &b.ip, "secret."]), unknown);
        a.place.run("ip", &["addr", "del", &format!("{}/32", b.ip), "dev", "lo"]);
        // At the resolver of one who may know, by every address that it could be reached at.
        a.place.run("ip", &["addr", "del", "127.0.0.1/8", "dev", "lo"]);
        a.place.try_run("ip", &["route", "flush", "table", "local", "127.0.0.0/8"]);
        a.place.run("ip", &["route", "add", "127.0.0.11/32", "via", &b.ip]);
        for place in [&a.place, &b.place] {
            place.enter(|| {
                std::fs::write("/proc/sys/net/ipv4/conf/eth0/route_localnet", "1").expect("sysctl")
            });
        }
        let own = ["-b", a.ip.as_str(), "+time=1", "secret."];
        assert_eq!(a.place.dig(&own), "TIMEOUT");
        assert_eq!(a.place.dig(&[&own[..], &["+tcp"]].concat()), "TIMEOUT");
        let (_, text) = a.place.try_run("dig", &[&format!("@{}", b.ip), "+time=1", "+tries=1", "secret."]);
        assert_eq!(crate::world::tool::dig_says(&text), "TIMEOUT");
    });
}

fn flood(place: &Place, over: &AtomicBool) {
    place.enter(|| {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("bind");
        let known = b"\0\x07\x01\0\0\x01\0\0\0\0\0\0\x01f\0\0\x01\0\x01";
        while !over.load(Relaxed) {
            (0..256).for_each(|_| drop(socket.send_to(known, "127.0.0.11:53")));
        }
    });
}

/// Opens connections without an end, silent ones and such that ask part of a question, and holds two thousand of them;
/// returns how many it tried to open.
fn crowd(place: &Place, over: &AtomicBool) -> usize {
    place.enter(|| {
        let (mut held, mut opened) = (VecDeque::new(), 0);
        let resolver = "127.0.0.11:53".parse().expect("address");
        while !over.load(Relaxed) {
            opened += 1;
            if let Ok(mut stream) = TcpStream::connect_timeout(&resolver, Duration::from_millis(1)) {
                let _ = stream.write_all(&b"\0\x13\0\x07"[..opened % 4]);
                held.push_back(stream);
            }
            if held.len() > 2000 {
                held.pop_front();
            }
        }
        opened
    })
}

/// How long somebody waits for an answer to one datagram.
fn asked(to: &str, what: &[u8]) -> Duration {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("bind");
    socket.connect(to).expect("connect");
    socket.set_read_timeout(Some(Duration::from_secs(5))).expect("timeout");
    let start = Instant::now();
    socket.send(what).expect("send");
    let length = socket.recv(&mut [0; 512]).unwrap_or_else(|error| panic!("no answer from {to}: {error}"));
    assert!(length >= what.len(), "an answer from {to}");
    start.elapsed()
}

/// Sends back what comes, at once: what a machine as busy as this one can do for a neighbour.
fn bare_echo(over: &AtomicBool) {
    let socket = UdpSocket::bind("127.0.0.1:7").expect("bind");
    socket.set_read_timeout(Some(Duration::from_millis(50))).expect("timeout");
    let mut bytes = [0; 512];
    while !over.load(Relaxed) {
        if let Ok((length, from)) = socket.recv_from(&mut bytes) {
            let _ = socket.send_to(&bytes[..length], from);
        }
    }
}

/// Also when an assertion fails, or the others would go on for ever.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

fn p50_and_p99(mut took: Vec<Duration>) -> (Duration, Duration) {
    took.sort();
    (took[took.len() / 2], took[took.len() * 99 / 100])
}

/// p99 of a neighbour's lookups, and of what a bare echo on the same machine takes at the same time.
fn asks(b: &Box, what: &str) -> (Duration, Duration) {
    let known = b"\0\x07\x01\0\0\x01\0\0\0\0\0\0\x01f\0\0\x01\0\x01";
    let once = |_| {
        thread::sleep(Duration::from_millis(2));
        (asked("127.0.0.11:53", known), asked("127.0.0.1:7", known))
    };
    let (ours, bare) = b.place.enter(|| (0..400).map(once).unzip());
    let ((p50, p99), (bare50, bare99)) = (p50_and_p99(ours), p50_and_p99(bare));
    eprintln!("a neighbour {what}: p50 {p50:?}, p99 {p99:?}; a bare echo: p50 {bare50:?}, p99 {bare99:?}");
    (p99, bare99)
}

/// One sandbox floods its resolver, another opens connections to it by the thousand, and both; a neighbour's lookups stay
/// quick: 99 of 100 within 5 ms. On a busy machine (`make soak` has a quiet one and says FLOOD_STRICT) a slow one is forgiven
/// where a server that has nothing else to do was slow too, or the neighbour was before the flood.
#[test]
fn a_flood_does_not_slow_a_neighbour() {
    const LIMIT: Duration = Duration::from_millis(5);
    need(&["ip", "nft"]);
    let strict = std::env::var_os("FLOOD_STRICT").is_some();
    world(|w| {
        w.network("n", json!({}));
        let (f, c, b) = (w.sandbox("f", &["n"]), w.sandbox("c", &["n"]), w.sandbox("b", &["n"]));
        let over = AtomicBool::new(false);
        thread::scope(|scope| {
            let _over = Over(&over);
            scope.spawn(|| b.place.enter(|| bare_echo(&over)));
            let (quiet, _) = asks(&b, "without a flood");
            for (what, by_udp, by_tcp) in
                [("of a flood", true, false), ("of a crowd", false, true), ("of both", true, true)]
            {
                let done = AtomicBool::new(false);
                let quick = thread::scope(|scope| {
                    let _done = Over(&done);
                    by_udp.then(|| scope.spawn(|| flood(&f.place, &done)));
                    let crowd = by_tcp.then(|| scope.spawn(|| crowd(&c.place, &done)));
                    thread::sleep(Duration::from_millis(500));
                    // The machine's own bad moments pass, the flood does not.
                    let quick = (0..3).map(|_| asks(&b, what)).any(|(p99, bare)| {
                        let forgiven = if strict { Duration::ZERO } else { 4 * bare.max(quiet) };
                        p99 < LIMIT.max(forgiven)
                    });
                    done.store(true, Relaxed);
                    let opened = crowd.map(|crowd| crowd.join().expect("crowd"));
                    assert!(opened.is_none_or(|opened| opened > 1000), "it did open connections: {opened:?}");
                    quick
                });
                assert!(quick, "three times in a row a neighbour {what} waited more than {LIMIT:?}");
            }
        });
    });
}
