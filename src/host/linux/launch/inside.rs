//! From a fresh fork to a finished sandbox: namespaces, root, mounts, then PID 1's work. What fails is told to the
//! supervisor; nothing made here outlives the mount namespace.
use super::channel::{Channel, Word};
use super::command::Command;
use super::mounts::Prepared;
use super::view::Root;
use super::{Failure, Launch, init, masks, privileges, system, view};
use crate::error::{Error, Result};
use crate::host::linux::files::target::{Make, open_target};
use crate::host::linux::files::{Tally, Watch, mount, resolve};
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::signal::Signal;
use std::cell::Cell;
use std::io::{IsTerminal, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

/// What the supervisor opened for it.
pub(super) struct Inside<'a> {
    pub(super) launch: &'a Launch,
    pub(super) scratch: OwnedFd,
    pub(super) netns: Option<OwnedFd>,
    pub(super) mounts: Vec<Prepared>,
    /// None: a terminal is made.
    pub(super) streams: Option<[OwnedFd; 3]>,
    pub(super) channel: Channel,
}

impl Inside<'_> {
    /// PID 1's whole life; gives its exit code.
    pub(super) fn run(mut self) -> i32 {
        match self.prepare() {
            Err(failure) => {
                let _ = self.channel.send(&Word::Failed(failure.clone()), None);
                failure.code
            }
            Ok((command, streams, master)) => {
                let told = self.channel.send(&Word::Ready(0), master.as_ref().map(|fd| fd.as_fd()));
                drop((master, self.scratch, self.mounts, self.netns));
                match told.and_then(|()| self.channel.receive()) {
                    Ok(Some((Word::Go, _))) => init::run(&command, streams, self.channel),
                    _ => 125,
                }
            }
        }
    }

    fn prepare(&mut self) -> Result<(Command, [OwnedFd; 3], Option<OwnedFd>), Failure> {
        self.enter_namespaces()?;
        let root = view::build(self.launch, &self.scratch)?;
        system::mount(root.fd())?;
        if self.netns.is_some() {
            system::network_sysctls(root.fd())?;
        }
        let (streams, master) = self.streams(&root)?;
        self.mount_all(&root)?;
        masks::apply(root.fd())?;
        if self.launch.read_only_root {
            root.lock()?;
        }
        pivot(&root)?;
        drop(root);
        let command = Command::new(self.launch)?;
        privileges::own_keyring();
        privileges::drop_to_default()?;
        nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o022));
        Ok((command, streams, master))
    }

    fn enter_namespaces(&mut self) -> Result<()> {
        let failed = |step: &str, e: nix::Error| Error::os(step, &e.into());
        nix::sys::prctl::set_pdeathsig(Signal::SIGKILL).map_err(|e| failed("die with the supervisor", e))?;
        nix::unistd::setsid().map_err(|e| failed("make a session", e))?;
        nix::sys::stat::umask(nix::sys::stat::Mode::empty());
        if let Some(netns) = &self.netns {
            setns(netns, CloneFlags::CLONE_NEWNET).map_err(|e| failed("join the network namespace", e))?;
        }
        unshare(CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWUTS | CloneFlags::CLONE_NEWIPC)
            .map_err(|e| failed("make namespaces", e))?;
        nix::unistd::sethostname(&self.launch.hostname)
            .map_err(|e| failed(&format!("set the hostname {:?}", self.launch.hostname), e))?;
        mount::make_all_private()?;
        // A descriptor from before belongs to the old mount namespace: nothing could be attached there.
        self.scratch = resolve::open_root(&self.launch.scratch)?;
        Ok(())
    }

    fn streams(&mut self, root: &Root) -> Result<([OwnedFd; 3], Option<OwnedFd>)> {
        if let Some(streams) = self.streams.take() {
            return Ok((streams, None));
        }
        let (master, slave) = system::terminal(root.fd())?;
        let copy = || slave.try_clone().map_err(|e| Error::os("copy a descriptor", &e));
        Ok(([copy()?, copy()?, copy()?], Some(master)))
    }

    /// All copy-ups see the root as it was; then outer mounts come before inner ones.
    fn mount_all(&mut self, root: &Root) -> Result<()> {
        for name in ["resolv.conf", "hosts", "hostname"] {
            let file = Prepared::file(&self.scratch, name)?;
            if !self.mounts.iter().any(|mount| mount.target() == file.target()) {
                self.mounts.push(file);
            }
        }
        self.mounts.sort_by_key(|mount| mount.target().components().count());
        // Copies may take long.
        match self.channel.receive()? {
            Some((Word::Known, _)) => {}
            _ => return Err(Error::unavailable("the supervisor has gone")),
        }
        let progress = Progress::default();
        let (stop, seen) = (interrupted, |tally| progress.show(tally));
        let watch = Watch { stop: &stop, seen: &seen };
        let copied = self.mounts.iter().try_for_each(|mount| mount.copy_up(root.fd(), watch));
        progress.end();
        copied?;
        self.mounts.iter().try_for_each(|mount| mount.attach(root))?;
        match &self.launch.workdir {
            Some(dir) if dir.components().count() > 1 => open_target(root.fd(), dir, Make::Dir).map(drop),
            _ => Ok(()),
        }
    }
}

/// The sandbox's root becomes ours, and the host's is gone (pivot_root(2), "." twice).
fn pivot(root: &Root) -> Result<()> {
    let failed = |e: nix::Error| Error::os("enter the root", &e.into());
    nix::unistd::fchdir(root.fd()).map_err(failed)?;
    nix::unistd::pivot_root(".", ".").map_err(failed)?;
    nix::mount::umount2(".", nix::mount::MntFlags::MNT_DETACH).map_err(failed)?;
    nix::unistd::chdir("/").map_err(failed)
}

/// Whether one of the blocked signals that mean an end has come.
fn interrupted() -> bool {
    // SAFETY: sigpending(2) fills the set, which is then only read.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigpending(&raw mut set);
        [libc::SIGINT, libc::SIGTERM, libc::SIGHUP, libc::SIGQUIT]
            .iter()
            .any(|signal| libc::sigismember(&raw const set, *signal) == 1)
    }
}

/// A line on a terminal, once copying takes longer than a second.
struct Progress {
    next: Cell<Instant>,
    shown: Cell<bool>,
}

impl Default for Progress {
    fn default() -> Self {
        Progress { next: Cell::new(Instant::now() + Duration::from_secs(1)), shown: Cell::new(false) }
    }
}

impl Progress {
    fn show(&self, tally: Tally) {
        if Instant::now() < self.next.get() {
            return;
        }
        self.next.set(Instant::now() + Duration::from_millis(200));
        let mut out = std::io::stderr();
        if out.is_terminal() {
            self.shown.set(true);
            let _ = write!(out, "\rfilling the volume: {} files, {} MiB", tally.entries, tally.bytes >> 20);
        }
    }

    fn end(&self) {
        if self.shown.get() {
            let _ = std::io::stderr().write_all(b"\r\x1b[K");
        }
    }
}
