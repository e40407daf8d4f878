//! The supervisor's side: starts init, releases it, relays streams and signals, and clears up. Dropped early, it kills
//! the sandbox; killed itself, init dies with it (PR_SET_PDEATHSIG), and [`super::clean`] removes the rest.
use super::channel::{Channel, Word};
use super::inside::Inside;
use super::mounts::Prepared;
use super::signals::Signals;
use super::stdio::Stdio;
use super::terminal::{Raw, copy_size};
use super::{Failure, Launch, fork, scratch, stdio};
use crate::error::{Error, Result};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{PidfdFlags, pidfd_open};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::PathBuf;

/// How long an interrupted start may take to clear up.
const GRACE: Timespec = Timespec { tv_sec: 5, tv_nsec: 0 };

pub(super) struct Supervisor {
    pid: Pid,
    pidfd: OwnedFd,
    reaped: bool,
    channel: Channel,
    stdio: Stdio,
    master: Option<OwnedFd>,
    tty: bool,
    detached: bool,
    keep_log: bool,
    signals: Signals,
    scratch: Scratch,
}

/// Deletes the scratch directory when it goes.
struct Scratch {
    path: PathBuf,
    keep_log: bool,
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = match self.keep_log {
            true => scratch::clean_but_log(&self.path),
            false => scratch::clean(&self.path),
        };
    }
}

impl Supervisor {
    /// Everything up to the command's first instruction. `abort` becoming readable ends it, as a signal does. `born` is told
    /// init's pid at once.
    pub(super) fn start(
        launch: &Launch,
        abort: Option<BorrowedFd<'_>>,
        born: &mut dyn FnMut(i32) -> Result<()>,
    ) -> Result<Self, Failure> {
        let signals = Signals::take()?;
        let keep = Scratch { path: launch.scratch.clone(), keep_log: false };
        let dir = scratch::prepare(launch)?;
        let mut stdio = stdio::plan(launch, &dir)?;
        let netns = launch.netns.as_deref().map(open_netns).transpose()?;
        let mounts = launch.mounts.iter().map(Prepared::open).collect::<Result<Vec<_>>>()?;
        let (channel, theirs) = Channel::pair()?;
        let streams = stdio.inside.take();
        let inside = Inside { launch, scratch: dir, netns, mounts, streams, channel: theirs };
        let mut inside = Some(inside);
        let pid = fork::fork_first(|| inside.take().map_or(125, Inside::run))?;
        drop(inside);
        let pidfd = pidfd_of(pid)?;
        let mut started = Supervisor {
            pid,
            pidfd,
            reaped: false,
            channel,
            stdio,
            master: None,
            tty: launch.tty,
            detached: launch.detach,
            keep_log: launch.detach && !launch.forget_log,
            signals,
            scratch: keep,
        };
        born(started.pid())?;
        started.channel.send(&Word::Known, None)?;
        match started.answer(abort, false)? {
            (Word::Ready(_), master) => started.ready(master)?,
            _ => return Err(Error::internal("init said something else than that it is ready").into()),
        }
        Ok(started)
    }

    fn ready(&mut self, master: Option<OwnedFd>) -> Result<()> {
        if let Some(master) = &master {
            self.stdio.connect(master, self.detached)?;
        }
        self.master = master;
        Ok(())
    }

    pub(super) fn pid(&self) -> i32 {
        self.pid.as_raw()
    }

    /// Lets the command begin; returns when it runs, or cannot.
    pub(super) fn go(&mut self) -> Result<(), Failure> {
        self.copy_size();
        self.channel.send(&Word::Go, None)?;
        self.answer(None, true)?;
        self.scratch.keep_log = self.keep_log;
        Ok(())
    }

    /// Init's next word. Until the command is `let_go` a signal that means "end" ends the start; all others, and from then
    /// on every one, are the command's: init keeps them for it.
    fn answer(
        &self,
        abort: Option<BorrowedFd<'_>>,
        let_go: bool,
    ) -> Result<(Word, Option<OwnedFd>), Failure> {
        let mut ended = None;
        loop {
            let mut fds = vec![PollFd::new(&self.channel, PollFlags::IN)];
            if ended.is_none() {
                fds.push(PollFd::new(&self.signals, PollFlags::IN));
                fds.extend(abort.iter().map(|fd| PollFd::new(fd, PollFlags::IN)));
            }
            let ready = match poll(&mut fds, ended.map(|_| &GRACE)) {
                Err(rustix::io::Errno::INTR) => continue,
                other => other.map_err(|e| Error::os("wait for init", &e.into()))?,
            };
            let ours = !fds[0].revents().is_empty();
            let aborted = fds.get(2).is_some_and(|fd| !fd.revents().is_empty());
            if ready == 0 {
                return Err(interrupted(ended));
            }
            if ours {
                return match self.channel.receive()? {
                    Some((Word::Failed(_), _)) if ended.is_some() => Err(interrupted(ended)),
                    Some((Word::Failed(failure), _)) => Err(failure),
                    Some(word) if ended.is_none() => Ok(word),
                    _ if ended.is_some() => Err(interrupted(ended)),
                    _ => Err(Error::internal("init died before the command ran").into()),
                };
            }
            let signal = if aborted { Some(libc::SIGTERM) } else { self.signals.next() };
            let Some(signal) = signal else { continue };
            self.pass_on(signal);
            if !let_go && matches!(signal, libc::SIGINT | libc::SIGTERM | libc::SIGHUP | libc::SIGQUIT) {
                ended = Some(signal);
            }
        }
    }

    fn pass_on(&self, signal: i32) {
        // SAFETY: kill(2) touches no memory; the process is our child and not reaped.
        unsafe { libc::kill(self.pid.as_raw(), signal) };
    }

    fn copy_size(&self) {
        if let Some(master) = self.master.as_ref().filter(|_| !self.detached) {
            copy_size(master);
        }
    }

    /// Relays until the command ended and its output is written; gives the exit code.
    pub(super) fn wait(mut self) -> Result<i32> {
        let raw = (self.tty && !self.detached && self.stdio.relays.iter().any(|r| r.input)).then(Raw::enter);
        let mut exited = false;
        loop {
            let outputs = self.stdio.relays.iter().filter(|relay| !relay.input && !relay.is_done()).count();
            if exited && outputs == 0 {
                break;
            }
            match self.turn(exited)? {
                Turn::Exited => exited = true,
                Turn::Silent if exited => break,
                _ => {}
            }
        }
        drop(raw);
        self.reap()
    }

    /// Waits for one thing and does it. After the end, half a second of silence is the end of output too.
    fn turn(&mut self, exited: bool) -> Result<Turn> {
        let half = Timespec { tv_sec: 0, tv_nsec: 500_000_000 };
        let mut fds = vec![PollFd::new(&self.signals, PollFlags::IN)];
        let mut carried = Vec::new();
        for (at, relay) in self.stdio.relays.iter().enumerate() {
            if let Some(fd) = relay.poll().filter(|_| !exited || !relay.input) {
                carried.push((fds.len(), at));
                fds.push(fd);
            }
        }
        if !exited {
            fds.push(PollFd::new(&self.pidfd, PollFlags::IN));
        }
        match poll(&mut fds, exited.then_some(&half)) {
            Err(rustix::io::Errno::INTR) => return Ok(Turn::Went),
            Err(e) => return Err(Error::os("wait for the command", &e.into())),
            Ok(0) => return Ok(Turn::Silent),
            Ok(_) => {}
        }
        let hit = |at: usize| fds.get(at).is_some_and(|fd| !fd.revents().is_empty());
        let (signalled, died) = (hit(0), !exited && hit(fds.len() - 1));
        let ready: Vec<usize> = carried.iter().filter(|(fd, _)| hit(*fd)).map(|(_, at)| *at).collect();
        drop(fds);
        ready.into_iter().for_each(|at| self.stdio.relays[at].carry());
        if signalled && let Some(signal) = self.signals.next() {
            match signal == libc::SIGWINCH && self.tty {
                true => self.copy_size(),
                false if !exited => self.pass_on(signal),
                false => {}
            }
        }
        Ok(if died { Turn::Exited } else { Turn::Went })
    }

    fn reap(&mut self) -> Result<i32> {
        let status = loop {
            match waitpid(self.pid, None) {
                Err(nix::Error::EINTR) => {}
                other => break other.map_err(|e| Error::os("wait for init", &e.into()))?,
            }
        };
        self.reaped = true;
        Ok(match status {
            WaitStatus::Exited(_, code) => code,
            WaitStatus::Signaled(_, signal, _) => 128 + signal as i32,
            _ => 125,
        })
    }
}

enum Turn {
    Exited,
    Silent,
    Went,
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        if !self.reaped {
            self.pass_on(libc::SIGKILL);
            let _ = self.reap();
        }
    }
}

fn interrupted(signal: Option<i32>) -> Failure {
    Failure {
        code: 128 + signal.unwrap_or(0),
        error: Error::unavailable("interrupted before the command ran"),
    }
}

fn open_netns(path: &std::path::Path) -> Result<OwnedFd> {
    std::fs::File::open(path)
        .map(Into::into)
        .map_err(|e| Error::os(format!("open the network namespace {}", path.display()), &e))
}

fn pidfd_of(pid: Pid) -> Result<OwnedFd> {
    let pid = rustix::process::Pid::from_raw(pid.as_raw())
        .ok_or_else(|| Error::internal("fork gave no process id"))?;
    pidfd_open(pid, PidfdFlags::empty()).map_err(|e| Error::os("watch init", &e.into()))
}
