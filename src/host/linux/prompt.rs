//! Has chosen threads of this process run soon after they are woken, also on a host whose processors are all busy. It
//! gives nobody more time than others get, and needs no right.
//!
//! The scheduler serves first whose turn ends first (EEVDF, Documentation/scheduler/sched-eevdf.rst), so a thread that
//! asks for short turns is let in at once when it wakes. The ledger's thread needs the processor six times for 20 µs in
//! a commit, between waits for the disk: beside two compilers it waited 4.5 ms for its turns and an attach for it.
use nix::{errno::Errno, unistd::Pid};
use std::{fs, mem::size_of};

/// Nanoseconds of a turn: the shortest the kernel grants. Its own choice is 3 ms.
const TURN: u64 = 100_000;

/// The calling process's main thread and those called `names`. Kernels before 6.12 have no such wish, and stay as they are.
pub fn threads(names: &[&str]) {
    let Ok(tasks) = fs::read_dir("/proc/self/task") else { return };
    for task in tasks.flatten() {
        let Some(id) = task.file_name().to_str().and_then(|id| id.parse().ok()) else { continue };
        let name = fs::read_to_string(task.path().join("comm")).unwrap_or_default();
        if (id == Pid::this().as_raw() || names.contains(&name.trim_end()))
            && let Err(error) = ask(id)
        {
            tracing::debug!(thread = name.trim_end(), %error, "it may have to wait for a busy processor");
        }
    }
}

fn ask(thread: i32) -> nix::Result<()> {
    let mut wish = scheduling(thread)?;
    if wish.sched_policy != libc::SCHED_OTHER as u32 {
        return Ok(());
    }
    wish.sched_runtime = TURN;
    // SAFETY: the kernel reads `size` bytes, the whole structure, which lives through the call.
    Errno::result(unsafe { libc::syscall(libc::SYS_sched_setattr, thread, &raw const wish, 0) }).map(drop)
}

/// How a thread is scheduled now: what is not to be changed has to be said again.
fn scheduling(thread: i32) -> nix::Result<libc::sched_attr> {
    let size = size_of::<libc::sched_attr>() as u32;
    // SAFETY: sched_attr is plain old data; all zeroes is a valid value.
    let mut now: libc::sched_attr = unsafe { std::mem::zeroed() };
    // SAFETY: the kernel writes at most `size` bytes into the structure, which lives through the call.
    Errno::result(unsafe { libc::syscall(libc::SYS_sched_getattr, thread, &raw mut now, size, 0) })?;
    Ok(now)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{sync::mpsc, thread::Builder};

    /// Scheduling of a thread before and after `threads(&["named"])`.
    fn around(name: &str) -> [libc::sched_attr; 2] {
        let (tell, told) = mpsc::channel();
        let (end, ended) = mpsc::channel::<()>();
        let work = move || {
            tell.send(nix::unistd::gettid().as_raw()).expect("told");
            let _ = ended.recv();
        };
        let thread = Builder::new().name(name.to_owned()).spawn(work).expect("a thread");
        let id = told.recv().expect("a number");
        let before = scheduling(id).expect("before");
        threads(&["named"]);
        let after = scheduling(id).expect("after");
        drop(end);
        thread.join().expect("an end");
        [before, after]
    }

    #[test]
    fn named_threads_get_short_turns_and_keep_the_rest() {
        let [before, after] = around("named");
        // A kernel that knows turns tells how long they are.
        let knows = before.sched_runtime != 0;
        assert_eq!(after.sched_runtime, if knows { TURN } else { 0 });
        assert_eq!((after.sched_policy, after.sched_nice), (before.sched_policy, before.sched_nice));
        let [before, after] = around("other");
        assert_eq!(after.sched_runtime, before.sched_runtime);
    }
}
