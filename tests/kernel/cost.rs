//! What an attach and a detach ask of the kernel, counted by strace: it does not grow with what is already there.
use crate::world::{World, need, tool::soon, world};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    fs,
    process::{Child, Command, Stdio},
    time::Duration,
};

/// What the thread that does the work was seen doing.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Cost {
    pub calls: BTreeMap<String, usize>,
    /// Netlink messages sent.
    pub sent: usize,
    /// Bytes of all answers.
    pub received: usize,
}

impl Cost {
    pub fn total(&self) -> usize {
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

/// Calls and netlink messages of the engine's thread, as they are today, and three calls more: an attach of 0.9 ms is made of
/// them, and what one of them asks twice nobody sees in a time. Calls of a debug build: it checks each descriptor it closes.
const ATTACH: (usize, usize) = (90, 28);
const DETACH: (usize, usize) = (33, 12);

/// Longer than the kernel's grace period after a link is gone, on a busy machine too.
const BURIAL: Duration = Duration::from_millis(300);

/// Follows one thread until `log`.
pub struct Strace {
    child: Child,
    log: String,
}

impl Strace {
    /// `more`: further flags for strace(1).
    pub fn of(thread: &str, more: &[&str]) -> Self {
        let log = format!("/run/strace-{thread}");
        let mut strace = Command::new("strace");
        strace.args(["-q", "-v", "-s", "0", "-o", &log, "-p", thread]).args(more);
        let child = strace.stdin(Stdio::null()).stderr(Stdio::null()).spawn().expect("strace");
        let status = format!("/proc/{thread}/status");
        soon(5000, "strace holds the thread", || {
            fs::read_to_string(&status).expect("status").contains(&format!("TracerPid:\t{}\n", child.id()))
        });
        Strace { child, log }
    }

    /// What it wrote.
    pub fn log(mut self) -> String {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.child.id()).expect("pid"));
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT).expect("kill");
        self.child.wait().expect("wait");
        fs::read_to_string(&self.log).expect("strace's log")
    }

    pub fn end(self) -> Cost {
        let mut cost = Cost::default();
        for line in self.log().lines() {
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

/// The daemon's thread of this name; `engine` is the one that changes the kernel.
pub fn thread(w: &World, name: &str) -> String {
    let tasks = fs::read_dir(format!("/proc/{}/task", w.daemon.pid())).expect("threads");
    let mut tasks = tasks.map(|task| task.expect("a thread").path());
    let found =
        tasks.find(|task| fs::read_to_string(task.join("comm")).is_ok_and(|comm| comm.trim_end() == name));
    found.expect("the thread").file_name().expect("a number").to_string_lossy().into_owned()
}

/// An attach and a detach with one network, one port and a name.
fn cost(w: &World) -> [Cost; 2] {
    let body = json!({"name": "probe", "netns": "/run/netns/theirs", "networks": [{"network": "n"}], "ports": [{"host_port": 80, "port": 80}]});
    // The first one finds everything cold.
    w.call("Sandbox.Create", body.clone());
    w.remove("probe");
    let engine = thread(w, "engine");
    let strace = Strace::of(&engine, &[]);
    w.call("Sandbox.Create", body);
    let attach = strace.end();
    // Who buried the link before waits for the kernel; a burial that comes meanwhile gets a thread of its own, and calls for it.
    std::thread::sleep(BURIAL);
    let strace = Strace::of(&engine, &[]);
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
            let (calls, messages) = if what == "attach" { ATTACH } else { DETACH };
            assert!(alone.total() <= calls && alone.sent <= messages, "one {what} costs more: {alone:#?}");
            assert_eq!(beside.sent, alone.sent, "netlink messages of one {what}: {alone:#?}\n{beside:#?}");
            assert!(beside.total() <= alone.total() + 4, "calls of one {what}: {alone:#?}\n{beside:#?}");
            let most = alone.received + alone.received / 4;
            assert!(beside.received <= most, "bytes read by one {what}: {alone:#?}\n{beside:#?}");
        }
        w.host.run("ip", &["netns", "del", "theirs"]);
    });
}
