//! The kernel has no memory for one thing after another.
use super::{Running, picture};
use crate::world::{World, need, tool::soon, world};
use serde_json::json;
use std::process::{Child, Command, Stdio};

/// Waits until a tracer holds every thread of the daemon.
pub fn until_traced(w: &World, tracer: u32) {
    let held = |task: std::io::Result<std::fs::DirEntry>| {
        let status = std::fs::read_to_string(task.expect("a thread").path().join("status"));
        status.unwrap_or_default().contains(&format!("TracerPid:\t{tracer}\n"))
    };
    let tasks = format!("/proc/{}/task", w.daemon.pid());
    soon(5000, "strace holds the daemon", || std::fs::read_dir(&tasks).expect("threads").all(held));
}

/// Lets go of the daemon.
pub fn end(strace: &mut Child) {
    let pid = nix::unistd::Pid::from_raw(i32::try_from(strace.id()).expect("pid"));
    let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM);
    let _ = strace.wait();
}

/// The n-th call of this kind, of any thread, is refused so.
fn without_memory(w: &World, (call, error): (&str, &str), nth: u32, work: impl FnOnce()) {
    let mut strace = Command::new("strace");
    strace.args(["-f", "-q", "-o", "/dev/null", "-e", &format!("trace={call}"), "-e"]);
    strace.arg(format!("inject={call}:error={error}:when={nth}")).args(["-p", &w.daemon.pid().to_string()]);
    let mut strace = strace.stdin(Stdio::null()).stderr(Stdio::null()).spawn().expect("strace");
    until_traced(w, strace.id());
    work();
    end(&mut strace);
}

#[test]
fn memory_of_the_kernel() {
    need(&["ip", "nft", "ss", "dig", "strace"]);
    world(|w| {
        let running = Running::new(w);
        let body =
            json!({"name": "b", "networks": [{"network": "n"}], "ports": [{"host_port": 9000, "port": 80}]});
        let before = picture(w);
        // Messages to it (netlink, nftables), and what makes a namespace.
        for (what, least) in
            [(("sendto", "ENOMEM"), 3), (("sendto", "ENOBUFS"), 3), (("unshare", "ENOMEM"), 1)]
        {
            let (mut refusals, mut nth) = (0, 1);
            loop {
                let mut outcome = None;
                without_memory(w, what, nth, || outcome = Some(w.daemon.try_call("Sandbox.Create", &body)));
                match outcome.expect("an outcome") {
                    Err(error) => {
                        refusals += 1;
                        assert_eq!(error["kind"], "exhausted", "{what:?} {nth}: {error}");
                        soon(3000, &format!("{what:?} {nth}: nothing is half-made"), || picture(w) == before);
                    }
                    // So many make a sandbox; what comes later is no part of it.
                    Ok(_) => break,
                }
                assert!(nth < 60, "refused again and again");
                nth += 1;
            }
            assert!(refusals >= least, "{refusals} of {what:?} were refused");
            running.goes_on(w);
            assert!(w.look("b").place.ping(&running.a.ip, "2"));
            w.remove("b");
            soon(3000, "b is gone", || picture(w) == before);
        }
    });
}
