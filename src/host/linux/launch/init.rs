//! PID 1 of a sandbox: starts the command, reaps every orphan, passes every signal on to the command, and ends when it
//! ends, with its exit code (128+number after a signal). It runs nothing else.
use super::channel::{Channel, Word};
use super::command::Command;
use super::{Failure, exec, fork};
use crate::error::{Error, Result};
use nix::sys::signal::{SigSet, SigmaskHow, Signal, sigprocmask};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};

/// Runs the command; gives the exit code. What kept it from starting is told over `channel`.
pub(super) fn run(command: &Command, streams: [OwnedFd; 3], channel: Channel) -> i32 {
    let set = wanted();
    let started = sigprocmask(SigmaskHow::SIG_SETMASK, Some(&set), None)
        .map_err(|e| Failure::from(Error::os("block signals", &e.into())))
        .and_then(|()| start(command, &streams));
    drop(streams);
    let (word, result) = match started {
        Ok(pid) => (Word::Started, Ok(pid)),
        Err(failure) => (Word::Failed(failure.clone()), Err(failure.code)),
    };
    let told = channel.send(&word, None);
    drop(channel);
    match result {
        Err(code) => code,
        Ok(_) if told.is_err() => 125, // the supervisor is dead, and so are we any moment
        Ok(pid) => {
            let _ = let_go_of_streams();
            serve(pid, &set)
        }
    }
}

/// Every signal but those that a fault of our own raises.
fn wanted() -> SigSet {
    let mut set = SigSet::all();
    for fault in [Signal::SIGSEGV, Signal::SIGBUS, Signal::SIGILL, Signal::SIGFPE, Signal::SIGTRAP] {
        set.remove(fault);
    }
    set
}

/// Forks the command; a pipe that closes itself at execve(2) tells whether that worked.
fn start(command: &Command, streams: &[OwnedFd; 3]) -> Result<Pid, Failure> {
    let (read, write) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)
        .map_err(|e| Error::os("make a pipe", &e.into()))?;
    let pid = fork::fork(|| {
        let failure = exec::exec(command, streams);
        let text = serde_json::to_vec(&failure).unwrap_or_default();
        let _ = std::fs::File::from(write).write_all(&text);
        failure.code
    })?;
    let mut text = Vec::new();
    std::fs::File::from(read).read_to_end(&mut text).map_err(|e| Error::os("wait for the command", &e))?;
    match text.is_empty() {
        true => Ok(pid),
        false => {
            let _ = waitpid(pid, None);
            Err(serde_json::from_slice(&text)
                .unwrap_or_else(|e| Error::internal("start the command").because(e).into()))
        }
    }
}

/// Whoever waits for the end of our caller's output must not wait for us.
fn let_go_of_streams() -> Result<(), nix::Error> {
    let null = std::fs::File::open("/dev/null").map_err(|_| nix::Error::ENOENT)?;
    for number in 0..3 {
        // SAFETY: all four are descriptors of this process; nothing else in it uses 0 to 2.
        unsafe { libc::dup2(null.as_raw_fd(), number) };
    }
    Ok(())
}

fn serve(command: Pid, set: &SigSet) -> i32 {
    loop {
        // SAFETY: the set is initialised; a null info is allowed (sigwaitinfo(2)).
        let number = unsafe { libc::sigwaitinfo(set.as_ref(), std::ptr::null_mut()) };
        if number == libc::SIGCHLD {
            if let Some(code) = reap(command) {
                return code;
            }
        } else if number > 0 {
            // SAFETY: kill(2) touches no memory; the command is our child and not reaped yet.
            unsafe { libc::kill(command.as_raw(), number) };
        }
    }
}

/// Takes in all children that ended; the command's exit code if it is among them.
fn reap(command: Pid) -> Option<i32> {
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(pid, code)) if pid == command => return Some(code),
            Ok(WaitStatus::Signaled(pid, signal, _)) if pid == command => return Some(128 + signal as i32),
            Ok(WaitStatus::Exited(..) | WaitStatus::Signaled(..)) => {}
            _ => return None,
        }
    }
}
