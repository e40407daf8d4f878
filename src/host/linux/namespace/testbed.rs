//! A private world for one kernel test: its thread in fresh network and mount namespaces; nothing outside is touched.
use super::Home;
use nix::{
    mount::{MsFlags, mount},
    sched::{CloneFlags, unshare},
};
use std::{process::Command, thread};

/// Runs `test` in fresh network and mount namespaces with lo up, or counts it as skipped.
pub(crate) fn private(test: impl FnOnce(&Home) + Send + 'static) {
    if !nix::unistd::geteuid().is_root() {
        return skip("not root");
    }
    // A thread of its own: libtest's may be used again.
    let run = thread::spawn(move || {
        unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_FS).expect("unshare");
        mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>)
            .expect("private");
        let home = Home::here().expect("home");
        ip("link set lo up");
        test(&home);
    });
    if let Err(panic) = run.join() {
        std::panic::resume_unwind(panic);
    }
}

/// Counts a skipped test; an error where skips are not allowed.
pub(crate) fn skip(why: &str) {
    println!("skipped: {why}");
    assert!(
        std::env::var_os("PONTOON_TEST_REQUIRE").is_none(),
        "skipped although PONTOON_TEST_REQUIRE is set: {why}"
    );
}

/// Runs `ip ARGS` on this thread's namespaces; its output.
pub(crate) fn ip(args: &str) -> String {
    run(&format!("ip {args}"))
}

/// Runs a command, which must succeed; its output.
pub(crate) fn run(line: &str) -> String {
    let mut words = line.split_whitespace();
    let output = Command::new(words.next().expect("a program")).args(words).output().expect(line);
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

/// `ip -j ARGS`, parsed.
pub(crate) fn ip_json(args: &str) -> serde_json::Value {
    serde_json::from_str(&ip(&format!("-j -d {args}"))).expect("JSON")
}
