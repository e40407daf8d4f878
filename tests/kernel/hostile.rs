//! What a container tries against its neighbours and against us, with every right that it has in its own namespace.
use crate::{
    handover::by_udp,
    world::{Place, need, tool::soon, world, world_with_neighbours},
};
use serde_json::json;
use std::{
    io::{BufRead, BufReader},
    net::{TcpStream, UdpSocket},
    process::{Command, Stdio},
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    thread,
    time::{Duration, Instant},
};

/// Answers what nobody asked before and beside what was asked.
const POISONER: &str = r#"
import socket,struct
s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM); s.bind(('192.0.2.2',53)); print('up',flush=True)
def name(n): return b''.join(bytes([len(l)])+l.encode() for l in n.split('.'))+b'\0'
def rr(n,ip): return name(n)+struct.pack('!HHIH',1,1,3600,4)+socket.inet_aton(ip)
while 1:
    q,p=s.recvfrom(2048); i=12
    while q[i]: i+=1+q[i]
    question=q[12:i+5]; head=lambda ident,n,ar: ident+struct.pack('!HHHHH',0x8180,1,n,0,ar)
    evil=b'\x04evil' in question.lower()
    if evil:
        s.sendto(head(bytes([q[0]^1,q[1]]),1,0)+question+rr('x.evil.example','6.6.6.1'),p)
        s.sendto(head(q[:2],1,0)+name('bank.example')+b'\0\1\0\1'+rr('bank.example','6.6.6.2'),p)
        s.sendto(head(q[:2],2,1)+question+b'\xc0\x0c'+struct.pack('!HHIH',1,1,60,4)+socket.inet_aton('203.0.113.6')+rr('bank.example','6.6.6.3')+rr('bank.example','6.6.6.4'),p)
    else:
        s.sendto(head(q[:2],1,0)+question+b'\xc0\x0c'+struct.pack('!HHIH',1,1,60,4)+socket.inet_aton('203.0.113.7'),p)
"#;

#[test]
fn a_poisoned_answer_changes_no_other_name() {
    need(&["ip", "nft", "dig", "python3"]);
    world_with_neighbours(|w, lan, _| {
        let mut upstream = lan
            .enter(|| Command::new("python3").args(["-c", POISONER]).stdout(Stdio::piped()).spawn())
            .expect("python3");
        let mut up = String::new();
        BufReader::new(upstream.stdout.as_mut().expect("pipe")).read_line(&mut up).expect("read");
        std::fs::write("/run/resolv.conf", "nameserver 192.0.2.2\n").expect("resolv.conf");
        w.network("n", json!({}));
        let (a, b) = (w.sandbox("a", &["n"]), w.sandbox("bank", &["n"]));
        soon(3000, "the upstream is known", || a.place.dig(&["warm.example"]) == "203.0.113.7");
        let said = a.place.dig(&["x.evil.example"]);
        assert!(said.starts_with("203.0.113.6") && !said.contains("6.6.6.1"), "{said}");
        for place in [&a.place, &b.place] {
            assert_eq!(place.dig(&["bank.example"]), "203.0.113.7", "asked for itself, not believed");
            assert_eq!(place.dig(&["bank."]), b.ip, "our own names are never asked upstream");
        }
        let _ = upstream.kill();
        let _ = upstream.wait();
    });
}

fn flood(place: &Place, over: &AtomicBool) {
    place.enter(|| {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("bind");
        let known = b"\0\x07\x01\0\0\x01\0\0\0\0\0\0\x01f\0\0\x01\0\x01";
        let mut held = Vec::new();
        while !over.load(Relaxed) {
            (0..256).for_each(|_| drop(socket.send_to(known, "127.0.0.11:53")));
            if held.len() < 2000 {
                held.extend(TcpStream::connect("127.0.0.11:53"));
            }
        }
        assert!(held.len() > 100, "it did open connections: {}", held.len());
    });
}

/// A sandbox floods its resolver and opens connections to it by the thousand; a neighbour's lookups stay quick. 5 ms is
/// what a machine has to show that does nothing else (`FLOOD_P99_MS=5`); tests run beside others.
#[test]
fn a_flood_does_not_slow_a_neighbour() {
    need(&["ip", "nft"]);
    let limit = std::env::var("FLOOD_P99_MS").ok().and_then(|text| text.parse().ok()).unwrap_or(500);
    world(|w| {
        w.network("n", json!({}));
        let (f, b) = (w.sandbox("f", &["n"]), w.sandbox("b", &["n"]));
        let over = AtomicBool::new(false);
        let mut took: Vec<Duration> = thread::scope(|scope| {
            scope.spawn(|| flood(&f.place, &over));
            thread::sleep(Duration::from_millis(500));
            let asking = b.place.enter(|| {
                let once = |n: u16| {
                    let start = Instant::now();
                    thread::sleep(Duration::from_millis(2));
                    let asked = Instant::now();
                    let answer = by_udp(n, "f");
                    (answer, asked.elapsed().min(start.elapsed()))
                };
                (0..400).map(once).collect::<Vec<_>>()
            });
            over.store(true, Relaxed);
            asking.into_iter().map(|(answer, took)| answer.map(|()| took).expect("an answer")).collect()
        });
        took.sort();
        let (p50, p99) = (took[took.len() / 2], took[took.len() * 99 / 100]);
        eprintln!("a neighbour of a flood: p50 {p50:?}, p99 {p99:?}");
        assert!(p99 < Duration::from_millis(limit), "p99 {p99:?}");
    });
}
