//! What an attach and a detach ask of the kernel, counted by strace: it does not grow with what is already there.
use crate::world::{World, need, tool::soon, world};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    fs,
    process::{Child, Command, Stdio},
};

/// What the thread that does the work was seen doing.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Cost {
    calls: BTreeMap<String, usize>,
    /// Netlink messages sent.
    sent: usize,
    /// Bytes of all answers.
    received: usize,
}

impl Cost {
    fn total(&self) -> usize {
        self.calls.values().sum()
    }
}

/// Waking, sleeping and memory are as the moment wants them; the ledger's tree is as deep as it is; and a /proc of our
/// own is mounted anew now and then.
const UNSTEADY: [&str; 16] = [
    "futex",
    "sched_yield",
    "mmap",
    "munmap",
    "brk",
    "madvise",
    "mprotect",
    "mremap",
    "pread64",
    "pwrite64",
    "fdatasync",
    "ftruncate",
    "fallocate",
    "fsopen",
    "fsconfig",
    "fsmount",
];

/// Follows one thread until it is dropped.
struct Strace {
    child: Child,
    log: String,
}

impl Strace {
    fn of(thread: &str) -> Self {
        let log = format!("/run/strace-{thread}");
        let mut strace = Command::new("strace");
        strace.args(["-q", "-v", "-s", "0", "-o", &log, "-p", thread]);
        let child = strace.stdin(Stdio::null()).stderr(Stdio::null()).spawn().expect("strace");
        let status = format!("/proc/{thread}/status");
        soon(5000, "strace holds the thread", || {
            fs::read_to_string(&status).expect("status").contains(&format!("TracerPid:\t{}\n", child.id()))
        });
        Strace { child, log }
    }

    fn end(mut self) -> Cost {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.child.id()).expect("pid"));
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT).expect("kill");
        self.child.wait().expect("wait");
        let mut cost = Cost::default();
        for line in fs::read_to_string(&self.log).expect("strace's log").lines() {
            let Some((call, _)) = line.split_once('(') else { continue };
            if UNSTEADY.contains(&call) || !call.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
                continue;
            }
            *cost.calls.entry(call.to_owned()).or_default() += 1;
            match call {
                "sendto" | "sendmsg" => cost.sent += line.matches("nlmsg_len=").count(),
                "recvfrom" | "recvmsg" => {
                    let length = line.rsplit_once(" = ").and_then(|(_, n)| n.parse::<usize>().ok());
                    cost.received += length.unwrap_or(0);
                }
                _ => {}
            }
        }
        cost
    }
}

/// The thread of the daemon that changes the kernel.
fn engine(w: &World) -> String {
    let tasks = fs::read_dir(format!("/proc/{}/task", w.daemon.pid())).expect("threads");
    let mut tasks = tasks.map(|task| task.expect("a thread").path());
    let engine =
        tasks.find(|task| fs::read_to_string(task.join("comm")).is_ok_and(|name| name == "engine\n"));
    engine.expect("the engine's thread").file_name().expect("a number").to_string_lossy().into_owned()
}

/// An attach and a detach with one network, one port and a name.
fn cost(w: &World) -> [Cost; 2] {
    let body = json!({"name": "probe", "netns": "/run/netns/theirs", "networks": [{"network": "n"}], "ports": [{"host_port": 80, "port": 80}]});
    // The first one finds everything cold.
    w.call("Sandbox.Create", body.clone());
    w.remove("probe");
    let engine = engine(w);
    let strace = Strace::of(&engine);
    w.call("Sandbox.Create", body);
    let attach = strace.end();
    let strace = Strace::of(&engine);
    w.remove("probe");
    [attach, strace.end()]
}

#[test]
fn an_attach_costs_the_same_beside_300_sandboxes_and_1000_ports() {
    need(&["ip", "nft", "strace"]);
    world(|w| {
        w.host.run("ip", &["netns", "add", "theirs"]);
        w.network("n", json!({"pools": [{"subnet": "10.9.0.0/16"}]}));
        w.network("m", json!({"pools": [{"subnet": "10.10.0.0/16"}]}));
        let alone = cost(w);
        w.sandbox_with(
            "many",
            json!({"networks": [{"network": "m"}], "ports": [{"host_port": 10_000, "port": 10_000, "count": 1_000}]}),
        );
        for i in 0..300 {
            let networks: Value = json!([{"network": if i % 2 == 0 { "n" } else { "m" }}]);
            w.call("Sandbox.Create", json!({"name": format!("s{i}"), "networks": networks}));
        }
        let beside = cost(w);
        for (what, alone, beside) in [("attach", &alone[0], &beside[0]), ("detach", &alone[1], &beside[1])] {
            println!("{what}: {} calls, {} messages, {} bytes", alone.total(), alone.sent, alone.received);
            assert!(alone.total() > 10 && alone.sent > 1, "strace saw the work: {alone:?}");
            assert_eq!(beside.sent, alone.sent, "netlink messages of one {what}: {alone:#?}\n{beside:#?}");
            assert!(beside.total() <= alone.total() + 4, "calls of one {what}: {alone:#?}\n{beside:#?}");
            let most = alone.received + alone.received / 4;
            assert!(beside.received <= most, "bytes read by one {what}: {alone:#?}\n{beside:#?}");
        }
        w.host.run("ip", &["netns", "del", "theirs"]);
    });
}

/// Making and removing one network.
fn network_cost(w: &World, name: &str) -> [Cost; 2] {
    let body = json!({"name": name, "pools": [{"subnet": "10.250.0.0/24"}]});
    w.call("Network.Create", body.clone());
    w.call("Network.Remove", json!({ "name": name }));
    let engine = engine(w);
    let strace = Strace::of(&engine);
    w.call("Network.Create", body);
    let create = strace.end();
    let strace = Strace::of(&engine);
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
