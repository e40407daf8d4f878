//! Somebody flushes the whole ruleset of the host, as a reload of nftables.service does. Our tables are made anew; who
//! talks meanwhile must not notice.
use crate::world::{Echo, Place, World, echo, need, tool::soon, world, world_with_neighbours};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::json;
use std::{
    io::{Read, Write},
    net::{TcpStream, UdpSocket},
    sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    thread,
    time::Duration,
};

/// Connections of each kind, and how often the ruleset is flushed while they talk.
const EACH: usize = 12;
const FLUSHES: usize = 3;

/// Also when an assertion fails, or the talkers would go on for ever.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

fn greeted(to: &str) -> TcpStream {
    let mut stream = TcpStream::connect(to).expect("a first connection");
    stream.set_read_timeout(Some(Duration::from_secs(5))).expect("timeout");
    assert!(stream.read(&mut [0; 64]).expect("a greeting") > 0);
    stream
}

/// Talks over all of them, one after another, until it is over; what went wrong with each that was lost.
fn talk(from: &Place, to: &str, over: &AtomicBool, said: &AtomicUsize) -> Vec<String> {
    from.enter(|| {
        let mut streams: Vec<TcpStream> = (0..EACH).map(|_| greeted(to)).collect();
        let mut lost = Vec::new();
        while !over.load(Relaxed) {
            streams.retain_mut(|stream| {
                let done = stream.write_all(b"still there?").and_then(|()| stream.read_exact(&mut [0; 12]));
                said.fetch_add(1, Relaxed);
                done.inspect_err(|error| lost.push(format!("{to}: {error}"))).is_ok()
            });
            thread::sleep(Duration::from_millis(1));
        }
        lost
    })
}

fn flush(w: &World) {
    w.host.run("nft", &["flush", "ruleset"]);
    soon(3000, "the tables are there again", || {
        w.host.run("nft", &["list", "tables"]).contains("bridge pontoon")
    });
}

#[test]
fn a_flush_of_the_ruleset_resets_no_connection() {
    need(&["ip", "nft"]);
    world_with_neighbours(|w, lan, _| {
        w.dual("n", json!({}));
        let ports = json!([{"host_port": 8080, "port": 80}]);
        let a = w.sandbox_with("a", json!({"networks": [{"network": "n"}], "ports": ports}));
        let b = w.sandbox("b", &["n"]);
        let (_a, _lan) = (Echo::serve(&a.place, "a", 80), Echo::serve(lan, "lan", 80));
        let (over, said) = (AtomicBool::new(false), AtomicUsize::new(0));
        let lost: Vec<String> = thread::scope(|scope| {
            let _end = End(&over);
            let talkers = [
                (lan, "192.0.2.1:8080"),
                (lan, "[2001:db8:1::1]:8080"),
                (&w.host, "127.0.0.1:8080"),
                (&b.place, "192.0.2.1:8080"),
                (&b.place, "192.0.2.2:80"),
                (&b.place, "[2001:db8:1::2]:80"),
            ];
            let (over, said) = (&over, &said);
            let talkers: Vec<_> = talkers
                .into_iter()
                .map(|(from, to)| scope.spawn(move || talk(from, to, over, said)))
                .collect();
            soon(9000, "all talk", || said.load(Relaxed) > 6 * 5 * EACH);
            for _ in 0..FLUSHES {
                flush(w);
                thread::sleep(Duration::from_millis(60));
            }
            over.store(true, Relaxed);
            talkers.into_iter().flat_map(|talker| talker.join().expect("a talker")).collect()
        });
        println!("{} exchanges during {FLUSHES} flushes", said.load(Relaxed));
        assert!(lost.is_empty(), "{} of {} connections were lost: {lost:#?}", lost.len(), 6 * EACH);
    });
}

/// A connection of both kinds from one fixed port each, to be used before and after.
struct Line {
    tcp: Option<TcpStream>,
    udp: UdpSocket,
}

impl Line {
    /// TCP is left out if nobody greets.
    fn open(from: &Place, to: &str) -> Line {
        from.enter(|| {
            let udp =
                UdpSocket::bind(if to.starts_with('[') { "[::]:0" } else { "0.0.0.0:0" }).expect("bind");
            udp.connect(to).expect("connect");
            udp.set_read_timeout(Some(PATIENCE)).expect("timeout");
            let tcp = TcpStream::connect_timeout(&to.parse().expect("address"), PATIENCE).ok();
            let greeted = |mut tcp: &TcpStream| {
                tcp.set_read_timeout(Some(PATIENCE)).expect("timeout");
                tcp.read(&mut [0; 64]).is_ok_and(|length| length > 0)
            };
            Line { tcp: tcp.filter(|tcp| greeted(tcp)), udp }
        })
    }
    fn tcp_works(&mut self) -> bool {
        let Some(tcp) = &mut self.tcp else { return false };
        tcp.write_all(b"still there?").and_then(|()| tcp.read_exact(&mut [0; 12])).is_ok()
    }
    /// Whom the server sees, if it answers.
    fn seen(&self) -> Option<String> {
        let mut bytes = [0; 64];
        self.udp.send(b"who?").ok()?;
        let length = self.udp.recv(&mut bytes).ok()?;
        Some(String::from_utf8_lossy(&bytes[..length]).split_whitespace().last()?.to_owned())
    }
}

const PUBLISHED: [&str; 6] = ["get", "element", "inet", "pontoon", "any4", "{ tcp . 8080 }"];
const PATIENCE: Duration = Duration::from_millis(300);

/// While our tables are gone nobody is kept out, and nothing is translated. What begins then must not last.
#[test]
fn what_began_without_rules_is_judged_again() {
    slips_in(&["flush ruleset"]);
}

#[test]
fn what_began_without_elements_is_judged_again() {
    slips_in(&["flush map inet pontoon into", "flush map inet pontoon any4", "flush set inet pontoon net"]);
}

fn slips_in(damage: &[&str]) {
    need(&["ip", "nft"]);
    world_with_neighbours(|w, lan, _| {
        w.dual("n", json!({}));
        let ports = json!([{"host_port": 8080, "port": 80}, {"host_port": 8080, "port": 80, "proto": "udp"}]);
        let a = w.sandbox_with("a", json!({"networks": [{"network": "n"}], "ports": ports}));
        let b = w.sandbox("b", &["n"]);
        let _servers = [(&a.place, "a", 80), (&a.place, "a", 81), (lan, "lan", 80)]
            .map(|(place, name, port)| Echo::serve(place, name, port));
        let inner = [format!("{}:81", a.ip), format!("[{}]:81", a.ip6)];
        let mut before = Line::open(lan, "192.0.2.1:8080");
        assert!(before.tcp_works() && before.seen().is_some(), "a client of a published port");
        let pid = w.call("System.Info", json!({}))["pid"].as_i64().expect("pid") as i32;
        let signal = |signal| kill(Pid::from_raw(pid), signal).expect("a signal");
        // The daemon sleeps, so that the gap is long enough for a test.
        signal(Signal::SIGSTOP);
        for line in damage {
            w.host.run("nft", &line.split(' ').collect::<Vec<_>>());
        }
        let mut intruders = inner.clone().map(|to| Line::open(lan, &to));
        let outward = Line::open(&b.place, "192.0.2.2:80");
        let client = Line::open(lan, "192.0.2.1:8080");
        let open = intruders.each_mut().map(|line| (line.tcp_works(), line.seen().is_some()));
        let seen = (outward.seen(), client.seen());
        signal(Signal::SIGCONT);
        assert_eq!(open, [(true, true); 2], "the gap is there: nothing else keeps the LAN out");
        if damage.len() == 1 {
            assert_eq!(seen, (Some(b.ip.clone()), None), "nothing is translated");
        }
        soon(3000, "the rules are there again", || w.host.try_run("nft", &PUBLISHED).0);
        soon(3000, "a sandbox's packets are translated again", || {
            outward.seen().as_deref() == Some("192.0.2.1")
        });
        soon(3000, "whoever spoke to a published port too soon is heard", || client.seen().is_some());
        assert!(before.tcp_works() && before.seen().is_some(), "an older connection goes on");
        for (line, to) in intruders.iter_mut().zip(&inner) {
            soon(3000, &format!("who slipped in to {to} is out again"), || {
                !line.tcp_works() && line.seen().is_none()
            });
        }
        inner.iter().for_each(|to| echo::closed(lan, to));
    });
}

/// What keeps NAT at work is no rule, cannot be taken away, and ends with the daemon, however that ends.
#[test]
fn the_lasting_table_ends_with_the_daemon() {
    need(&["ip", "nft"]);
    world(|w| {
        let lasting =
            || w.host.run("nft", &["list", "tables"]).lines().any(|line| line == "table inet pontoon.nat");
        assert!(lasting());
        let text = w.host.run("nft", &["list", "table", "inet", "pontoon.nat"]);
        assert!(text.contains("open connections survive a flush") && text.contains("flags owner"), "{text}");
        w.host.run("nft", &["flush", "ruleset"]);
        assert!(!w.host.try_run("nft", &["delete", "table", "inet", "pontoon.nat"]).0, "it is ours alone");
        assert!(lasting(), "a flush passes over it");
        w.daemon.kill();
        assert!(!lasting(), "it has gone with its socket");
        w.daemon.again();
        assert!(lasting());
        // With a sandbox, somebody stands in for the daemon.
        w.sandbox("a", &["bridge"]);
        w.daemon.stop();
        assert!(!lasting());
        w.daemon.again();
        assert!(lasting());
    });
}
