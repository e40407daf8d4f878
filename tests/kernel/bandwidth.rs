//! Limits of a seat: what is really let through, in both directions, and who may take them away.
use crate::world::{
    Box, Place, World, need, run,
    tool::{soon, try_run},
    world,
};
use serde_json::{Value, json};
use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    time::{Duration, Instant},
};

const MEGABIT: f64 = 1e6;

/// Bits a second of one TCP stream, after the first 300 ms, in which a burst goes by.
fn speed(from: &Place, to: &Place, address: &str) -> f64 {
    let listener = to.enter(|| TcpListener::bind(format!("{address}:5001")).expect("listen"));
    let mut stream = from.enter(|| TcpStream::connect(format!("{address}:5001")).expect("connect"));
    let sending = std::thread::spawn(move || {
        let (begin, piece) = (Instant::now(), vec![0; 64 << 10]);
        stream.set_write_timeout(Some(Duration::from_millis(100))).expect("timeout");
        while begin.elapsed() < Duration::from_millis(1_300) {
            let _ = stream.write(&piece);
        }
    });
    let (mut stream, _) = listener.accept().expect("accept");
    stream.set_read_timeout(Some(Duration::from_millis(500))).expect("timeout");
    let (begin, mut from, mut bytes, mut piece) = (Instant::now(), None, 0, vec![0; 64 << 10]);
    while begin.elapsed() < Duration::from_millis(1_200) {
        let Ok(length) = stream.read(&mut piece) else { break };
        match from {
            Some(_) => bytes += length,
            None if begin.elapsed() > Duration::from_millis(300) => from = Some(Instant::now()),
            None => {}
        }
    }
    let seconds = from.expect("it runs longer than its burst").elapsed().as_secs_f64();
    drop(stream);
    sending.join().expect("sender");
    bytes as f64 * 8.0 / seconds
}

/// Never more, and on a machine that others use as well nearly as much at least once in three times.
#[track_caller]
fn about(megabits: f64, speed: impl Fn() -> f64) {
    let mut all = Vec::new();
    while all.iter().all(|share| *share < 0.7) && all.len() < 3 {
        all.push(speed() / (megabits * MEGABIT));
    }
    assert!(all.iter().all(|share| *share < 1.15), "{all:?} of {megabits} Mbit/s");
    assert!(all.iter().any(|share| *share > 0.7), "{all:?} of {megabits} Mbit/s");
}

fn rate(megabits: u64) -> Value {
    json!({ "rate": megabits * 1_000_000, "burst": 512_000 })
}

/// 24 Mbit/s towards it, 8 from it; a neighbour without limits.
fn pair(w: &World) -> (Box, Box) {
    w.dual("n", json!({}));
    let limits = json!({ "ingress": rate(24), "egress": rate(8) });
    let a = w.sandbox_with("a", json!({ "networks": [{ "network": "n", "bandwidth": limits }] }));
    (a, w.sandbox("b", &["n"]))
}

fn both_ways(a: &Box, b: &Box) {
    about(24.0, || speed(&b.place, &a.place, &a.ip));
    about(8.0, || speed(&a.place, &b.place, &b.ip));
}

/// What stands on the host: queues and filters of a's host end and of its device.
fn queues(w: &World) -> Vec<String> {
    let end = w.inspect("a")["networks"][0]["host_ifname"].as_str().expect("a host end").to_owned();
    let device = end.replacen("pt", "pq", 1);
    let show = |dev: &str| {
        let tc = |args: &[&str]| w.host.enter(|| try_run("tc", args)).1;
        let text = tc(&["qdisc", "show", "dev", dev]);
        let filters = tc(&["filter", "show", "dev", dev, "parent", "ffff:"]);
        // Numbers that every filter made anew has others of.
        let plain = filters.lines().filter(|line| !line.contains("index"));
        text.lines().chain(plain).map(|line| line.trim().to_owned()).collect::<Vec<_>>()
    };
    let links = w.host.run("ip", &["-br", "link"]);
    // Name and state: one made anew has another MAC.
    let first = |line: &str| line.split_whitespace().take(2).collect::<Vec<_>>().join(" ");
    let up = links.lines().filter(|line| line.starts_with("pq")).map(first);
    show(&end).into_iter().chain(show(&device)).chain(up).collect()
}

#[test]
fn both_directions_are_held_back() {
    need(&["ip", "nft", "tc"]);
    world(|w| {
        let (a, b) = pair(w);
        both_ways(&a, &b);
        about(24.0, || speed(&b.place, &a.place, &format!("[{}]", a.ip6)));
        about(8.0, || speed(&a.place, &b.place, &format!("[{}]", b.ip6)));
        // Neighbours are as fast as ever, and towards the host as well as among sandboxes.
        let c = w.sandbox("c", &["n"]);
        let free = speed(&c.place, &b.place, &b.ip);
        assert!(free > 200.0 * MEGABIT, "{:.0} Mbit/s without a limit", free / MEGABIT);
        let gateway = w.inspect("a")["networks"][0]["gateways"][0].as_str().expect("gateway").to_owned();
        about(8.0, || speed(&a.place, &w.host, &gateway));
        let told = w.inspect("a")["networks"][0]["bandwidth"].clone();
        assert_eq!(
            (&told["ingress"]["rate"], &told["egress"]["rate"]),
            (&json!(24_000_000), &json!(8_000_000))
        );
    });
}

#[test]
fn one_direction_and_a_seat_that_comes_later() {
    need(&["ip", "nft", "tc"]);
    world(|w| {
        let b = {
            w.dual("n", json!({}));
            w.sandbox("b", &["n"])
        };
        let a = w.sandbox("a", &["bridge"]);
        let seat = json!({ "network": "n", "bandwidth": { "egress": rate(8) } });
        w.call("Network.Connect", json!({ "sandbox": "a", "endpoint": seat }));
        let address = w.inspect("a")["networks"]
            .as_array()
            .expect("seats")
            .iter()
            .find(|seat| seat["network"] == "n")
            .and_then(|seat| seat["addresses"][0].as_str())
            .and_then(|cidr| cidr.split('/').next())
            .expect("address")
            .to_owned();
        about(8.0, || speed(&a.place, &b.place, &b.ip));
        assert!(speed(&b.place, &a.place, &address) > 200.0 * MEGABIT, "the other direction is free");
        w.call("Network.Disconnect", json!({ "sandbox": "a", "network": "n" }));
        soon(2_000, "its device goes with the seat", || !w.host.run("ip", &["link"]).contains("pq"));
    });
}

#[test]
fn a_restart_leaves_them_alone() {
    need(&["ip", "nft", "tc"]);
    world(|w| {
        let (a, b) = pair(w);
        both_ways(&a, &b);
        let passed = || w.host.run("tc", &["-s", "qdisc"]).matches("Sent 0 bytes").count();
        let (before, idle) = (queues(w), passed());
        w.daemon.kill();
        w.daemon.again();
        assert_eq!((queues(w), passed()), (before, idle), "nothing was made anew");
        both_ways(&a, &b);
        // One whose namespace ends meanwhile leaves no device.
        w.call(
            "Sandbox.Create",
            json!({ "name": "c", "networks":
            [{ "network": "n", "bandwidth": { "egress": rate(1) } }] }),
        );
        let path = w.inspect("c")["netns_path"].as_str().expect("path").to_owned();
        w.daemon.kill();
        run("umount", &[&path]);
        std::fs::remove_file(&path).expect("remove");
        w.daemon.again();
        let devices =
            || w.host.run("ip", &["-br", "link"]).lines().filter(|line| line.starts_with("pq")).count();
        soon(2_000, "only a's device is left", || devices() == 1);
    });
}

#[test]
fn who_takes_them_away_is_undone() {
    need(&["ip", "nft", "tc"]);
    world(|w| {
        let (a, b) = pair(w);
        let end = w.inspect("a")["networks"][0]["host_ifname"].as_str().expect("a host end").to_owned();
        let device = end.replacen("pt", "pq", 1);
        let whole = queues(w);
        assert_eq!(whole.iter().filter(|line| line.contains("tbf")).count(), 2, "{whole:?}");
        for (what, program, args) in [
            ("a bucket is deleted", "tc", vec!["qdisc", "del", "dev", &end, "root"]),
            (
                "it lets more through",
                "tc",
                vec![
                    "qdisc", "change", "dev", &device, "handle", "1:", "root", "tbf", "rate", "1gbit",
                    "burst", "1mbit", "latency", "25ms",
                ],
            ),
            ("nothing is led to it", "tc", vec!["filter", "del", "dev", &end, "parent", "ffff:"]),
            ("the doorway is deleted", "tc", vec!["qdisc", "del", "dev", &end, "ingress"]),
            ("its device is deleted", "ip", vec!["link", "del", &device]),
            ("its device is down", "ip", vec!["link", "set", &device, "down"]),
            ("the host end is deleted", "ip", vec!["link", "del", &end]),
        ] {
            let told = w.events("repair").len();
            w.host.run(program, &args);
            soon(3_000, what, || w.events("repair").len() > told && queues(w) == whole);
        }
        both_ways(&a, &b);
    });
}

#[test]
fn what_cannot_be_limited_is_refused() {
    need(&["ip", "nft"]);
    world(|w| {
        let refused = |seat: Value| w.refused("Sandbox.Create", json!({ "name": "x", "networks": [seat] })).1;
        for (network, limits, wanted) in [
            ("host", json!({ "egress": rate(1) }), "the bandwidth of network host cannot be limited"),
            ("none", json!({ "egress": rate(1) }), "the bandwidth of network none cannot be limited"),
            (
                "bridge",
                json!({ "egress": { "rate": 0, "burst": 1 } }),
                "egress limit: invalid rate of 0 bit/s",
            ),
            ("bridge", json!({ "ingress": { "rate": 1_000_000, "burst": 0 } }), "needs a burst above 0"),
        ] {
            let words = refused(json!({ "network": network, "bandwidth": limits }));
            assert!(words.contains(wanted), "{network}: {words}");
        }
        assert_eq!(w.call("Sandbox.List", json!({})), json!([]));
    });
}
