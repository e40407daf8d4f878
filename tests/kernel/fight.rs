//! Another program takes our tables away in a loop. Once that is noticed nobody gets where they may not be, not for one
//! packet, and whoever may goes on.
use crate::world::{Box, Echo, Place, World, echo, need, tool::soon, world_with_neighbours};
use serde_json::json;
use std::{
    io::{Read, Write},
    net::{TcpStream, UdpSocket},
    sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    thread,
    time::{Duration, Instant},
};

/// Also when an assertion fails, or the others would go on for ever.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

/// A published sandbox, `a` in `n`, and one of another network.
fn two_networks(w: &World) -> (Box, Box) {
    w.dual("n", json!({}));
    w.dual("m", json!({}));
    let ports = json!([{"host_port": 8080, "port": 80}, {"host_port": 8080, "port": 80, "proto": "udp"}]);
    (w.sandbox_with("a", json!({"networks": [{"network": "n"}], "ports": ports})), w.sandbox("spy", &["m"]))
}

fn flushes(w: &World, over: &AtomicBool) {
    while !over.load(Relaxed) {
        w.host.try_run("nft", &["flush", "ruleset"]);
    }
}

/// Sends to `to`, once a millisecond, in both families.
fn intrude(from: &Place, to: &[String], over: &AtomicBool) {
    let sockets = ["0.0.0.0:0", "[::]:0"].map(|any| from.enter(|| UdpSocket::bind(any).expect("bind")));
    while !over.load(Relaxed) {
        for (socket, to) in sockets.iter().zip(to) {
            let _ = socket.send_to(b"let me in", to);
        }
        thread::sleep(Duration::from_millis(1));
    }
}

/// Counts what comes to the port, and answers it, so that a flow that slipped in is one that is known.
fn count(at: &Place, port: u16, over: &AtomicBool, came: &AtomicUsize) {
    let socket = at.enter(|| UdpSocket::bind(format!("[::]:{port}")).expect("bind"));
    socket.set_read_timeout(Some(Duration::from_millis(50))).expect("timeout");
    while !over.load(Relaxed) {
        if let Ok((_, from)) = socket.recv_from(&mut [0; 64]) {
            came.fetch_add(1, Relaxed);
            let _ = socket.send_to(b"you are in", from);
        }
    }
}

/// NFT_TABLE_F_PERSIST, kernel 6.9.
fn tables_outlive_their_owner() -> bool {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").expect("a version");
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map_while(|n| n.parse::<u32>().ok());
    (numbers.next(), numbers.next()) >= (Some(6), Some(9))
}

#[test]
fn in_a_fight_over_our_tables_nobody_gets_in_and_nobody_is_cut_off() {
    need(&["ip", "nft"]);
    world_with_neighbours(|w, lan, _| {
        let (a, spy) = two_networks(w);
        let _echo = Echo::serve(&a.place, "a", 80);
        let (over, came) = (AtomicBool::new(false), AtomicUsize::new(0));
        let targets = [format!("{}:99", a.ip), format!("[{}]:99", a.ip6)];
        thread::scope(|scope| {
            let _end = End(&over);
            scope.spawn(|| count(&a.place, 99, &over, &came));
            for from in [&spy.place, lan] {
                scope.spawn(|| intrude(from, &targets, &over));
            }
            let mut client = lan.enter(|| TcpStream::connect("192.0.2.1:8080")).expect("a client");
            client.set_read_timeout(Some(Duration::from_secs(5))).expect("timeout");
            assert!(client.read(&mut [0; 64]).is_ok_and(|length| length > 0), "a greeting");
            scope.spawn(|| flushes(w, &over));
            soon(20_000, "the fight is noticed", || !w.events("fight").is_empty());
            // Flows that slipped in before are forgotten by then.
            thread::sleep(Duration::from_millis(300));
            let (before, start) = (came.load(Relaxed), Instant::now());
            let mut said = 0;
            while start.elapsed() < Duration::from_secs(3) {
                let answered =
                    client.write_all(b"still there?").and_then(|()| client.read_exact(&mut [0; 12]));
                answered.unwrap_or_else(|error| panic!("an open connection after {said} exchanges: {error}"));
                said += 1;
                thread::sleep(Duration::from_millis(1));
            }
            echo::open(lan, "192.0.2.1:8080", "a");
            let now = came.load(Relaxed);
            println!(
                "{before} packets came before the fight was noticed, {} after, {said} exchanges",
                now - before
            );
            assert_eq!(now, before, "{} packets came to where they may not be", now - before);
        });
        let said = w.events("fight").join("; ");
        assert!(said.contains("nobody else can change them for 60 min"), "{said}");
        assert_eq!(w.events("repair").iter().filter(|cause| cause.contains("lock")).count(), 0);
    });
}

/// Whoever comes after the daemon, the next one included, can change the tables, and until then they filter.
#[test]
fn a_lock_on_our_tables_ends_with_the_daemon() {
    need(&["ip", "nft"]);
    world_with_neighbours(|w, _, _| {
        let (a, spy) = two_networks(w);
        let _echo = Echo::serve(&a.place, "a", 80);
        let inner = format!("{}:80", a.ip);
        let delete = || w.host.try_run("nft", &["flush", "chain", "bridge", "pontoon", "odd"]).0;
        let fight = || {
            let (over, before) = (AtomicBool::new(false), w.events("fight").len());
            thread::scope(|scope| {
                let _end = End(&over);
                scope.spawn(|| flushes(w, &over));
                soon(20_000, "the fight is noticed", || w.events("fight").len() > before);
            });
            assert!(!delete(), "nobody else can change them");
            echo::closed(&spy.place, &inner);
        };
        fight();
        w.sandbox("late", &["n"]);
        w.daemon.kill();
        if tables_outlive_their_owner() {
            echo::closed(&spy.place, &inner);
        }
        w.daemon.again();
        assert!(delete(), "after a kill");
        soon(3000, "it is put right", || !w.events("repair").is_empty());
        fight();
        w.daemon.stop();
        echo::closed(&spy.place, &inner);
        assert!(delete(), "after a stop");
        w.daemon.again();
        echo::closed(&spy.place, &inner);
        w.remove("late");
    });
}
