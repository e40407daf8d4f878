//! What networks, a start and an idle daemon cost, counted: neither time nor luck is judged.
use crate::{
    cost::{Cost, Strace, thread},
    world::{World, need, tool::soon, world},
};
use serde_json::json;
use std::{fs, process::Command};

/// Making and removing one network.
fn network_cost(w: &World, name: &str) -> [Cost; 2] {
    let body = json!({"name": name, "pools": [{"subnet": "10.250.0.0/24"}]});
    w.call("Network.Create", body.clone());
    w.call("Network.Remove", json!({ "name": name }));
    let engine = thread(w, "engine");
    let strace = Strace::of(&engine, &[]);
    w.call("Network.Create", body);
    let create = strace.end();
    let strace = Strace::of(&engine, &[]);
    w.call("Network.Remove", json!({ "name": name }));
    [create, strace.end()]
}

#[test]
fn a_network_costs_the_same_beside_150_others() {
    const OTHERS: usize = 150;
    /// Of an address and of a route, as the kernel tells them: those of the host are read, because a network must not
    /// collide with one that somebody has added a moment ago.
    const READ: usize = 300;
    need(&["ip", "nft", "strace"]);
    world(|w| {
        let alone = network_cost(w, "probe");
        for i in 0..OTHERS {
            w.network(
                &format!("n{i}"),
                json!({"pools": [{"subnet": format!("10.{}.{i}.0/24", 100 + i / 250)}]}),
            );
        }
        let beside = network_cost(w, "probe");
        for (what, alone, beside) in [("create", &alone[0], &beside[0]), ("remove", &alone[1], &beside[1])] {
            println!("{what}: {} calls, {} messages, {} bytes", alone.total(), alone.sent, alone.received);
            println!("beside: {} calls, {} messages, {} bytes", beside.total(), beside.sent, beside.received);
            assert!(alone.total() > 10 && alone.sent > 1, "strace saw the work: {alone:?}");
            assert_eq!(beside.sent, alone.sent, "netlink messages of one {what}: {alone:#?}\n{beside:#?}");
            assert!(beside.total() <= alone.total() + 12, "calls of one {what}: {alone:#?}\n{beside:#?}");
        }
        let [more, removing] = [0, 1].map(|i| beside[i].received.saturating_sub(alone[i].received));
        assert!(more <= OTHERS * READ, "a create read {more} bytes of others: {beside:#?}");
        assert!(removing <= 1_000, "a removal read {removing} bytes of others: {beside:#?}");
    });
}

/// What the caller of a volume waits for: one write of the ledger, and nothing else of the disk.
#[test]
fn a_volume_waits_for_the_disk_once() {
    need(&["strace"]);
    world(|w| {
        for i in 0..3 {
            w.call("Volume.Create", json!({"name": format!("v{i}")}));
        }
        let strace = Strace::of(&thread(w, "engine"), &["-e", "trace=fsync,fdatasync,renameat2,mkdirat"]);
        for i in 0..3 {
            w.call("Volume.Remove", json!({"name": format!("v{i}")}));
            w.call("Volume.Create", json!({"name": format!("w{i}")}));
        }
        let log = strace.log();
        let count = |call: &str| log.lines().filter(|line| line.starts_with(call)).count();
        assert_eq!((count("renameat2("), count("mkdirat(")), (3, 6), "strace saw the work: {log}");
        assert!(count("fdatasync(") <= 6 && count("fsync(") == 0, "{log}");
    });
}

/// Messages to netlink that a start sends.
fn start_cost(w: &World) -> usize {
    let log = "/run/strace-start";
    w.daemon.kill();
    let daemon = w.daemon.command();
    let mut strace = Command::new("strace");
    // -D: the daemon is our child, not strace's.
    strace.args(["-D", "-f", "-q", "-e", "trace=sendto", "-s", "0", "-o", log]);
    strace.arg(daemon.get_program()).args(daemon.get_args()).env("PONTOON_LOG", "info");
    w.daemon.again_by(&mut strace);
    w.daemon.kill();
    let text = || fs::read_to_string(log).expect("strace's log");
    soon(5000, "strace is done", || text().contains("killed by SIGKILL"));
    w.daemon.again();
    text().lines().filter(|line| line.contains("sendto(")).count()
}

#[test]
fn a_start_asks_each_sandbox_little() {
    const FEW: usize = 5;
    const MANY: usize = 45;
    /// Links, addresses and routes; the redirect's table and its rules.
    const QUESTIONS: usize = 5;
    need(&["ip", "nft", "strace"]);
    world(|w| {
        w.network("n", json!({"pools": [{"subnet": "10.9.0.0/16"}]}));
        let more = |from: usize, to: usize| {
            (from..to).for_each(|i| drop(w.sandbox(&format!("s{i}"), &["n"])));
            start_cost(w)
        };
        let (few, many) = (more(0, FEW), more(FEW, MANY));
        println!("a start sends {few} messages with {FEW} sandboxes, {many} with {MANY}");
        assert!(few > FEW * QUESTIONS, "strace saw the work: {few}");
        let most = few + (MANY - FEW) * QUESTIONS + 4;
        assert!(many <= most, "{few} messages with {FEW} sandboxes, {many} with {MANY}");
        w.remove("s7");
        assert_eq!(w.events("repair"), [""; 0], "everything stood as it was promised");
    });
}

#[test]
fn an_idle_daemon_is_small() {
    need(&["ip", "nft"]);
    world(|w| {
        let status = fs::read_to_string(format!("/proc/{}/status", w.daemon.pid())).expect("status");
        let number = |key: &str| -> usize {
            let line = status.lines().find_map(|line| line.strip_prefix(key)).expect("a line");
            line.split_whitespace().next().expect("a value").parse().expect("a number")
        };
        let (now, most) = (number("VmRSS:"), number("VmHWM:"));
        println!("{} threads, {now} kB, {most} kB when it started", number("Threads:"));
        assert!(number("Threads:") <= 12, "{status}");
        assert!(now < most / 8 * 7, "what only the start needed was not given back: {status}");
        assert!(number("RssAnon:") < 4_000, "{status}");
    });
}
