//! fork(2) in the two shapes needed here. The child never returns into its caller's code.
use crate::error::{Error, Result};
use nix::sched::{CloneFlags, setns, unshare};
use nix::unistd::{ForkResult, Pid};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Forks; the child runs `work` and ends with the code it returns (125 if it panics). Gives the child's pid.
///
/// # Errors
/// As fork(2) says.
pub(super) fn fork(work: impl FnOnce() -> i32) -> Result<Pid> {
    // SAFETY: callers of this room are single-threaded (module docs), so the child may allocate and lock.
    match unsafe { nix::unistd::fork() } {
        Ok(ForkResult::Parent { child }) => Ok(child),
        Ok(ForkResult::Child) => {
            let code = catch_unwind(AssertUnwindSafe(work)).unwrap_or(125);
            // SAFETY: _exit only ends this process; nothing of the parent's (buffers, exit handlers) runs twice.
            unsafe { libc::_exit(code) }
        }
        Err(e) => Err(Error::os("fork", &e.into())),
    }
}

/// Forks a child that is PID 1 of a new PID namespace; ours is as before afterwards.
///
/// # Errors
/// As unshare(2) and fork(2) say.
pub(super) fn fork_first(work: impl FnOnce() -> i32) -> Result<Pid> {
    let own =
        std::fs::File::open("/proc/self/ns/pid").map_err(|e| Error::os("open /proc/self/ns/pid", &e))?;
    unshare(CloneFlags::CLONE_NEWPID).map_err(|e| Error::os("make a PID namespace", &e.into()))?;
    let child = fork(work);
    setns(&own, CloneFlags::CLONE_NEWPID).map_err(|e| Error::os("return to the PID namespace", &e.into()))?;
    child
}
