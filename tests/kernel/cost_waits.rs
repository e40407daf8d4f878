//! Attaches and detaches in a row: none waits for what another one left to do. Judged by what threads ask, not by time.
use crate::{
    cost::{Strace, thread},
    world::{World, need, world},
};
use serde_json::json;
use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

const MANY: usize = 30;

/// `MANY` sandboxes in namespaces of a runtime's, attached one straight after the other.
fn attach_many(w: &World) {
    for i in 0..MANY {
        w.host.run("ip", &["netns", "add", &format!("theirs{i}")]);
    }
    for i in 0..MANY {
        let body = json!({"name": format!("s{i}"), "netns": format!("/run/netns/theirs{i}"), "networks": [{"network": "n"}]});
        w.call("Sandbox.Create", body);
    }
}

fn detach_many(w: &World) {
    (0..MANY).for_each(|i| w.remove(&format!("s{i}")));
    (0..MANY).for_each(|i| drop(w.host.run("ip", &["netns", "del", &format!("theirs{i}")])));
}

/// What is being built was taken for drift: every third attach waited until tables that grow with the house were read.
#[test]
fn an_attach_does_not_look_at_the_one_before() {
    need(&["ip", "strace"]);
    world(|w| {
        w.network("n", json!({"pools": [{"subnet": "10.9.0.0/16"}]}));
        let strace = Strace::of(&thread(w, "engine"), &["-e", "trace=sendto"]);
        attach_many(w);
        std::thread::sleep(std::time::Duration::from_millis(100));
        let log = strace.log();
        let made = log.matches("RTM_NEWLINK").count();
        assert!(made >= MANY, "strace saw the work: {made} links");
        let dumps: Vec<&str> = log.lines().filter(|line| line.contains("NLM_F_DUMP")).collect();
        assert!(dumps.is_empty(), "whole tables were read: {dumps:#?}");
        detach_many(w);
    });
}

/// A socket that has deleted something in a sandbox holds its tables while it closes, and who deletes the link waits for
/// them with the RTNL in hand: it is closed when the kernel has nothing left to do (`Chore::Close`).
#[test]
fn a_detach_does_not_wait_for_the_redirect_of_its_sandbox() {
    need(&["ip", "strace"]);
    world(|w| {
        w.network("n", json!({"pools": [{"subnet": "10.9.0.0/16"}]}));
        attach_many(w);
        let strace = Strace::of(&thread(w, "sweeper"), &["-ttt", "-e", "trace=close,sendto"]);
        w.remove("s0");
        std::thread::sleep(std::time::Duration::from_millis(500));
        let log = strace.log();
        let when = |call: &str| {
            let line =
                log.lines().find(|line| line.contains(call)).unwrap_or_else(|| panic!("{call}: {log}"));
            line.split(' ').next().and_then(|time| time.parse::<f64>().ok()).expect("a time")
        };
        // It forgets the sandbox's connections as soon as it is told.
        let (told, closed) = (when("sendto("), when("close("));
        assert!(closed - told > 0.04, "closed {:.3} s after it was told: {log}", closed - told);
        w.sandbox_with("s0", json!({"netns": "/run/netns/theirs0", "networks": [{"network": "n"}]}));
        detach_many(w);
    });
}

/// A netfilter socket that closes where a redirect was just deleted waits for the kernel to be done with that: an attach to a
/// namespace that had just been left took 8 ms instead of 1.3, and the socket is closed by the sweeper now.
#[test]
fn an_attach_does_not_wait_for_the_redirect_before_it() {
    need(&["ip", "strace"]);
    world(|w| {
        w.network("n", json!({"pools": [{"subnet": "10.9.0.0/16"}]}));
        attach_many(w);
        // Closings of netfilter sockets by the engine, while s0 leaves its namespace and comes back so much later; and how long
        // all of it took, because strace slows it down.
        let closed = |pause: Duration| {
            let trace = || Strace::of(&thread(w, "engine"), &["-e", "trace=close,socket"]);
            let early = pause.is_zero().then(trace);
            let start = Instant::now();
            w.remove("s0");
            std::thread::sleep(pause);
            let strace = early.unwrap_or_else(trace);
            let body = json!({"name": "s0", "netns": "/run/netns/theirs0", "networks": [{"network": "n"}]});
            w.call("Sandbox.Create", body);
            (closings(&strace.log()), start.elapsed())
        };
        let at_once = (0..10).map(|_| closed(Duration::ZERO)).find(|(_, took)| took.as_millis() < 60);
        assert_eq!(at_once.expect("one in time").0, 0, "at once: another thread closes it");
        let (later, _) = closed(Duration::from_millis(300));
        assert_eq!(later, 1, "when the kernel is done: here, which is cheaper");
        detach_many(w);
    });
}

/// How many netfilter sockets that it opened the thread closed.
fn closings(log: &str) -> usize {
    let (mut open, mut count) = (HashSet::new(), 0);
    for line in log.lines() {
        if let Some((_, number)) = line.split_once("NETLINK_NETFILTER) = ") {
            open.insert(number);
        } else if let Some((number, _)) = line.strip_prefix("close(").and_then(|rest| rest.split_once(')')) {
            count += usize::from(open.remove(number));
        }
    }
    assert!(log.contains("NETLINK_NETFILTER"), "strace saw the work: {log}");
    count
}

/// Each time the table of descriptors grew it waited for a grace period, and an attach with it: 16 ms for the 50th, the
/// 100th and the 200th.
#[test]
fn an_attach_does_not_wait_for_a_larger_table_of_descriptors() {
    world(|w| {
        let status = format!("/proc/{}/status", w.daemon.pid());
        let text = std::fs::read_to_string(status).expect("the daemon's status");
        let size = text.lines().find_map(|line| line.strip_prefix("FDSize:")).map(str::trim);
        assert!(size.and_then(|size| size.parse().ok()).is_some_and(|size: u32| size >= 8_192), "{text}");
    });
}
