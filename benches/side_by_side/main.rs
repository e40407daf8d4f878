//! Pontoon and its peers on the same work, in turn, in one run: `make bench`, or `make bench ROW=dns` for one group.
//!
//! Everything happens in namespaces of its own (network, mounts, processes), each system on a "host" of its own, and ends
//! with the run. What is compared directly is interleaved, so that the machine's mood hits both alike. Nothing is tuned:
//! every daemon as its package or `pontoon daemon` starts it, state on disk for all, the same client on both sides.
mod bare;
mod chart;
mod clock;
mod dns;
mod flow;
mod http;
mod ours;
mod peers;
mod place;
mod report;
mod rows;
mod streets;
mod table;
mod unit;
mod wire;

use nix::{
    mount::{MsFlags, mount},
    sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction},
};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    process::{Command, ExitCode},
    time::Instant,
};
use table::Row;

/// Set once the namespaces are made; holds the work folder.
const INSIDE: &str = "PONTOON_BENCH_FOLDER";

fn main() -> ExitCode {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let known: Vec<&str> = rows::GROUPS.iter().map(|(name, _)| *name).collect();
    if let Some(word) = wanted.iter().find(|word| !known.contains(&word.as_str())) {
        eprintln!("bench: there is no group {word:?}; there are: {}", known.join(", "));
        return ExitCode::from(2);
    }
    if !nix::unistd::geteuid().is_root() {
        eprintln!("bench: needs root, for namespaces");
        return ExitCode::FAILURE;
    }
    if std::env::var_os(INSIDE).is_none() {
        return apart();
    }
    on_interrupt(end);
    private();
    measure(&wanted)
}

/// Runs this program once more in namespaces of its own. When it ends, however it ends, whatever it started ends too.
fn apart() -> ExitCode {
    // Not /tmp, which may be memory: state has to be on a disk for everybody.
    let folder = tempfile::Builder::new().prefix("pontoon-bench-").tempdir_in("/var/tmp").expect("a folder");
    let mut command = Command::new("unshare");
    command.args(["--net", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child"]);
    command.arg(std::env::current_exe().expect("this program")).args(std::env::args().skip(1));
    on_interrupt(stay);
    match command.env(INSIDE, folder.path()).status() {
        Ok(status) if status.success() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("bench: unshare (apt install util-linux): {error}");
            ExitCode::FAILURE
        }
    }
}

/// Ctrl-C reaches everybody in the terminal: the outer one stays to take the folder away, ...
extern "C" fn stay(_: i32) {}

/// ... the inner one, first process of its namespace and deaf by default, ends, and all that it started with it.
extern "C" fn end(_: i32) {
    // SAFETY: _exit(2) may be called in a signal handler.
    unsafe { libc::_exit(130) }
}

fn on_interrupt(handler: extern "C" fn(i32)) {
    let action = SigAction::new(SigHandler::Handler(handler), SaFlags::SA_RESTART, SigSet::empty());
    // SAFETY: both handlers do only what is safe in one.
    unsafe { sigaction(Signal::SIGINT, &action) }.expect("a signal handler");
}

/// A /run of our own, lo up, and no way for mounts to get out.
fn private() {
    let none = None::<&str>;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).expect("private mounts");
    mount(Some("run"), "/run", Some("tmpfs"), MsFlags::empty(), none).expect("a /run");
    std::fs::create_dir_all("/run/netns").expect("a folder");
    // For those who ask the host's nameservers: each host has one of ours on its loopback.
    let nameservers = folder().join("resolv.conf");
    std::fs::write(&nameservers, "nameserver 127.0.0.1\n").expect("a file");
    mount(Some(&nameservers), "/etc/resolv.conf", none, MsFlags::MS_BIND, none).expect("a resolv.conf");
    place::run("ip link set lo up");
}

/// On disk, for everybody's state.
fn folder() -> PathBuf {
    PathBuf::from(std::env::var_os(INSIDE).expect("we are inside"))
}

fn measure(wanted: &[String]) -> ExitCode {
    let start = Instant::now();
    let mut rows: Vec<Row> = Vec::new();
    let mut broken = Vec::new();
    for (name, group) in rows::GROUPS {
        if !wanted.is_empty() && !wanted.iter().any(|word| word == name) {
            continue;
        }
        let begin = Instant::now();
        eprintln!("bench: {name} ...");
        let mut add = |row: Row| {
            report::print(&row);
            rows.push(row);
        };
        if catch_unwind(AssertUnwindSafe(|| group(&mut add))).is_err() {
            broken.push(*name);
        }
        eprintln!("bench: {name} took {:.0} s", begin.elapsed().as_secs_f64());
    }
    report::write(&rows, wanted.is_empty() && broken.is_empty(), start.elapsed());
    match broken.is_empty() {
        true => ExitCode::SUCCESS,
        false => {
            eprintln!("bench: these groups did not come to an end: {}", broken.join(", "));
            ExitCode::FAILURE
        }
    }
}
