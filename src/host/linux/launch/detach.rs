//! Where the supervisor is: in the caller, or with `detach` a process of its own session that outlives it. The caller
//! talks to both alike.
use super::channel::{Channel, Word};
use super::supervise::Supervisor;
use super::{Failure, Launch, fork};
use crate::error::{Error, Result};
use nix::sys::wait::waitpid;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

/// A sandbox that is ready to run, or runs. Dropped before [`Running::go`], it is gone.
pub struct Running(Where);

enum Where {
    Here(Box<Supervisor>),
    Away { pid: i32, channel: Channel },
}

impl Launch {
    /// Makes namespaces, root and mounts; the command does not run yet. Call it from a single-threaded process, as root.
    /// `born` is told the host's process id of the sandbox's PID 1 before all that, which may take long (a large volume is
    /// filled): whoever watches over that process learns of our end at any moment.
    ///
    /// # Errors
    /// A [`Failure`] with the exit code to end with; everything made is gone again.
    pub fn start(&self, born: &mut dyn FnMut(i32) -> Result<()>) -> Result<Running, Failure> {
        if self.command.is_empty() {
            return Err(Error::invalid("no command to run").into());
        }
        match self.detach {
            false => Ok(Running(Where::Here(Box::new(Supervisor::start(self, None, born)?)))),
            true => self.start_away(born),
        }
    }

    fn start_away(&self, born: &mut dyn FnMut(i32) -> Result<()>) -> Result<Running, Failure> {
        let (channel, theirs) = Channel::pair()?;
        let mut theirs = Some(theirs);
        let ours = channel.0.as_raw_fd();
        let supervisor = fork::fork(|| {
            // SAFETY: the child has no use for the caller's end, and never returns to what owns it.
            unsafe { libc::close(ours) };
            theirs.take().map_or(125, |channel| away(self, channel))
        })?;
        drop(theirs);
        let failure = loop {
            match channel.receive()? {
                Some((Word::Born(pid), _)) => born(pid)?,
                Some((Word::Ready(pid), _)) => return Ok(Running(Where::Away { pid, channel })),
                Some((Word::Failed(failure), _)) => break failure,
                _ => break Error::internal("the supervisor died before the sandbox was ready").into(),
            }
        };
        let _ = waitpid(supervisor, None);
        Err(failure)
    }
}

impl Running {
    /// The host's process id of the sandbox's PID 1.
    pub fn pid(&self) -> i32 {
        match &self.0 {
            Where::Here(supervisor) => supervisor.pid(),
            Where::Away { pid, .. } => *pid,
        }
    }

    /// Lets the command's first instruction happen.
    ///
    /// # Errors
    /// 126 or 127 if there is no such command; the sandbox is then gone as soon as this is dropped.
    pub fn go(&mut self) -> Result<(), Failure> {
        match &mut self.0 {
            Where::Here(supervisor) => supervisor.go(),
            Where::Away { channel, .. } => {
                channel.send(&Word::Go, None)?;
                match channel.receive()? {
                    Some((Word::Started, _)) => Ok(()),
                    Some((Word::Failed(failure), _)) => Err(failure),
                    _ => Err(Error::internal("the supervisor died before the command ran").into()),
                }
            }
        }
    }

    /// Passes on streams and signals until the command ends; gives its exit code. Detached: 0, at once.
    ///
    /// # Errors
    /// Only if waiting itself fails.
    pub fn wait(self) -> Result<i32, Failure> {
        match self.0 {
            Where::Here(supervisor) => Ok(supervisor.wait()?),
            Where::Away { .. } => Ok(0),
        }
    }
}

/// The detached supervisor's life.
fn away(launch: &Launch, channel: Channel) -> i32 {
    let _ = nix::unistd::setsid();
    let _ = nix::unistd::chdir("/");
    close_others(&channel.0);
    silence(&[0, 1]);
    let mut born = |pid| channel.send(&Word::Born(pid), None);
    let mut supervisor = match Supervisor::start(launch, Some(channel.as_fd()), &mut born) {
        Ok(supervisor) => supervisor,
        Err(failure) => {
            let _ = channel.send(&Word::Failed(failure.clone()), None);
            return failure.code;
        }
    };
    let released = channel
        .send(&Word::Ready(supervisor.pid()), None)
        .and_then(|()| channel.receive())
        .is_ok_and(|word| matches!(word, Some((Word::Go, _))));
    if !released {
        return 125;
    }
    if let Err(failure) = supervisor.go() {
        drop(supervisor);
        let _ = channel.send(&Word::Failed(failure.clone()), None);
        return failure.code;
    }
    let _ = channel.send(&Word::Started, None);
    drop(channel);
    silence(&[2]);
    supervisor.wait().unwrap_or(125)
}

/// The caller's connections and files are not ours to hold open.
fn close_others(keep: &OwnedFd) {
    let keep = keep.as_raw_fd() as libc::c_uint;
    // SAFETY: this process was just forked and only uses `keep` and the standard streams; it never runs the
    // destructors of what owned the others.
    unsafe {
        if keep > 3 {
            libc::close_range(3, keep - 1, 0);
        }
        libc::close_range(keep + 1, libc::c_uint::MAX, 0);
    }
}

fn silence(streams: &[i32]) {
    let Ok(null) = std::fs::OpenOptions::new().read(true).write(true).open("/dev/null") else { return };
    for stream in streams {
        // SAFETY: both are descriptors of this process.
        unsafe { libc::dup2(null.as_raw_fd(), *stream) };
    }
}
