//! Work that may take all memory, never end or kill its process: done first in a child with bounds, which has nothing to
//! lose. Never changes anything here.
use crate::error::{Error, Kind, Result};
use nix::{
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::{
        resource::{Resource, getrlimit, setrlimit},
        signal::{Signal, kill},
        wait::{WaitStatus, waitpid},
    },
    unistd::{ForkResult, Pid, SysconfVar, getpid, getppid, sysconf},
};
use std::{
    ffi::{OsStr, OsString},
    fs::File,
    io::{Read, Write, pipe},
    os::{
        fd::{AsFd, OwnedFd},
        unix::process::{CommandExt, ExitStatusExt},
    },
    process::{Command, Stdio},
    time::{Duration, Instant},
};

/// What the work may take at the most.
pub struct Bounds {
    /// Bytes of address space, beside what this process has already.
    pub memory: u64,
    /// Of processor time, in whole seconds: a slow disk or a busy machine is nobody's fault.
    pub work: Duration,
    /// Until nobody waits any longer.
    pub wait: Duration,
}

/// Runs `work` in a child, which this must be the only thread for (fork(2) leaves other threads' locks behind).
///
/// # Errors
/// What `work` returns, in words, or `Invalid` if it did not keep to its bounds, or died: it would have taken us along.
/// `Unavailable`: nothing was found out; it was ended by somebody else, or took too long without working.
pub fn trial(what: &str, bounds: &Bounds, work: impl FnOnce() -> Result<()>) -> Result<()> {
    let failed = |error: std::io::Error| Error::os(format!("start a child to {what}"), &error);
    let (mut told, mut tell) = pipe().map_err(failed)?;
    let parent = getpid();
    // SAFETY: the caller is the only thread, so the child may allocate and lock.
    match unsafe { nix::unistd::fork() }.map_err(|error| failed(error.into()))? {
        ForkResult::Child => {
            let outcome = confine(parent, bounds).and_then(|()| work());
            let text = serde_json::to_vec(&outcome.err()).unwrap_or_default();
            let code = i32::from(tell.write_all(&text).is_err());
            // SAFETY: it only ends this process; nothing of the parent's (buffers, exit handlers) runs twice.
            unsafe { libc::_exit(code) }
        }
        ForkResult::Parent { child } => {
            drop(tell);
            let text = answer(&mut told, bounds.wait);
            if text.is_none() {
                let _ = kill(child, Signal::SIGKILL);
            }
            judge(what, text, ended(child).map_err(|error| failed(error.into()))?)
        }
    }
}

/// The name by which the program knows that it is such a child.
pub const NAME: &str = "pontoon-trial";

/// Like [`trial`] for a process with many threads: this very program once more, whose work `arguments` name.
///
/// # Errors
/// As those of [`trial`].
pub fn trial_apart(what: &str, bounds: &Bounds, arguments: &[&OsStr]) -> Result<()> {
    let failed = |error: std::io::Error| Error::os(format!("start a child to {what}"), &error);
    // Not by name: the file may have been replaced already.
    let mut command = Command::new("/proc/self/exe");
    command.arg0(NAME).args([
        getpid().to_string(),
        bounds.memory.to_string(),
        bounds.work.as_secs().to_string(),
    ]);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().map_err(failed)?;
    let told = child.stdout.take().ok_or_else(|| Error::internal("a child without a voice"))?;
    let text = answer(&mut File::from(OwnedFd::from(told)), bounds.wait);
    if text.is_none() {
        let _ = child.kill();
    }
    let status = child.wait().map_err(failed)?;
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap_or_default());
    judge(what, text, WaitStatus::from_raw(pid, status.into_raw()).map_err(|error| failed(error.into()))?)
}

/// The child of [`trial_apart`]: does the work that `of` finds for the rest of its arguments, and says what came of it.
pub fn be_tried(arguments: &[OsString], of: impl FnOnce(&[OsString]) -> Result<()>) -> Result<()> {
    let number = |at: usize| arguments.get(at).and_then(|text| text.to_str()?.parse::<u64>().ok());
    let (Some(parent), Some(memory), Some(work)) = (number(0), number(1), number(2)) else {
        return Err(Error::invalid("this is for the daemon alone"));
    };
    let bounds = Bounds { memory, work: Duration::from_secs(work), wait: Duration::MAX };
    let parent = Pid::from_raw(i32::try_from(parent).unwrap_or_default());
    let outcome = confine(parent, &bounds).and_then(|()| of(&arguments[3..]));
    let text = serde_json::to_vec(&outcome.err()).unwrap_or_default();
    std::io::stdout().write_all(&text).map_err(|error| Error::os("say what was found", &error))
}

/// In the child: it goes with its parent, leaves no core, says nothing and gets no more than it was given.
pub(crate) fn confine(parent: Pid, bounds: &Bounds) -> Result<()> {
    let failed = |error: std::io::Error| Error::os("keep a child in bounds", &error);
    let errno = |error: nix::Error| failed(error.into());
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL).map_err(errno)?;
    if getppid() != parent {
        return Err(Error::unavailable("its parent has gone"));
    }
    std::panic::set_hook(Box::new(|_| {}));
    let null = File::options().write(true).open("/dev/null").map_err(failed)?;
    nix::unistd::dup2_stderr(&null).map_err(errno)?;
    let seconds = bounds.work.as_secs().max(1);
    for (resource, soft, hard) in [
        (Resource::RLIMIT_CORE, 0, 0),
        (Resource::RLIMIT_AS, taken()? + bounds.memory, u64::MAX),
        (Resource::RLIMIT_CPU, seconds, seconds + 1),
    ] {
        let may = getrlimit(resource).map_err(errno)?.1;
        setrlimit(resource, soft.min(may), hard.min(may)).map_err(errno)?;
    }
    Ok(())
}

/// Bytes of address space that this process has (proc(5), statm).
fn taken() -> Result<u64> {
    let step = "read how much memory a child has";
    let statm = std::fs::read_to_string("/proc/self/statm").map_err(|error| Error::os(step, &error))?;
    let page = sysconf(SysconfVar::PAGE_SIZE).ok().flatten().and_then(|size| u64::try_from(size).ok());
    let pages = statm.split(' ').next().and_then(|pages| pages.parse::<u64>().ok());
    let bytes = pages.zip(page).map(|(pages, size)| pages * size);
    bytes.ok_or_else(|| Error::internal(step).because("the kernel says it in no known way"))
}

/// All that the child says until it ends; none if it does not end in time.
fn answer(told: &mut (impl Read + AsFd), wait: Duration) -> Option<Vec<u8>> {
    let (start, mut text) = (Instant::now(), Vec::new());
    loop {
        let left = PollTimeout::try_from(wait.checked_sub(start.elapsed())?).unwrap_or(PollTimeout::MAX);
        let mut piece = [0; 4096];
        match poll(&mut [PollFd::new(told.as_fd(), PollFlags::POLLIN)], left) {
            Ok(0) | Err(nix::Error::EINTR) => continue,
            Ok(_) => match told.read(&mut piece) {
                Ok(0) | Err(_) => return Some(text),
                Ok(n) => text.extend_from_slice(&piece[..n]),
            },
            Err(_) => return Some(text),
        }
    }
}

fn ended(child: Pid) -> nix::Result<WaitStatus> {
    loop {
        match waitpid(child, None) {
            Err(nix::Error::EINTR) => {}
            status => return status,
        }
    }
}

fn judge(what: &str, text: Option<Vec<u8>>, status: WaitStatus) -> Result<()> {
    let nothing = |why: &str| Err(Error::new(Kind::Unavailable, format!("cannot {what}")).because(why));
    match (text, status) {
        (None, _) => nothing("it took too long; is the machine or the disk that slow? Start once more"),
        (Some(text), WaitStatus::Exited(_, 0)) => match serde_json::from_slice(&text) {
            Ok(None) => Ok(()),
            Ok(Some(error)) => Err(error),
            Err(_) => nothing("its answer is not one"),
        },
        (_, WaitStatus::Signaled(_, Signal::SIGXCPU, _)) => {
            Err(Error::invalid(format!("{what}: it takes more processor time than it may")))
        }
        (_, WaitStatus::Signaled(_, Signal::SIGABRT, _)) => {
            Err(Error::invalid(format!("{what}: a child gave up, as it does without memory enough")))
        }
        (_, WaitStatus::Signaled(_, signal @ (Signal::SIGSEGV | Signal::SIGBUS | Signal::SIGILL), _)) => {
            Err(Error::invalid(format!("{what}: a child died of it ({signal})")))
        }
        (_, status) => nothing(&format!("a child that did it was ended ({status:?})")),
    }
}

#[cfg(test)]
#[path = "trial_tests.rs"]
mod tests;
