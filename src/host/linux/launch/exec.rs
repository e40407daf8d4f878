//! The last steps of the command's process: its own session, its streams, its user, then execve(2). It only returns,
//! with the reason, if it could not.
use super::Failure;
use super::command::Command;
use crate::error::Error;
use nix::sys::signal::{SigHandler, SigSet, SigmaskHow, Signal, signal, sigprocmask};
use nix::unistd::{Gid, Uid, chdir, execve, setgid, setgroups, setsid, setuid};
use rustix::fs::FileType;
use std::os::fd::{AsRawFd, OwnedFd};

/// Becomes the command.
pub(super) fn exec(command: &Command, streams: &[OwnedFd; 3]) -> Failure {
    match prepare(command, streams) {
        Ok(()) => run(command),
        Err(e) => Failure::from(e.while_doing(format!("start {:?}", command.name()))),
    }
}

fn prepare(command: &Command, streams: &[OwnedFd; 3]) -> Result<(), Error> {
    let failed = |step: &str, e: nix::Error| Error::os(step, &e.into());
    setsid().map_err(|e| failed("make a session", e))?;
    for (stream, number) in streams.iter().zip(0..) {
        own(stream, command.user.uid);
        // SAFETY: both numbers are descriptors of this process, which executes another program next.
        if unsafe { libc::dup2(stream.as_raw_fd(), number) } < 0 {
            return Err(failed("connect the standard streams", nix::Error::last()));
        }
    }
    // SAFETY: TIOCSCTTY takes a number; close_range(2) with CLOEXEC closes nothing before execve(2).
    unsafe {
        if command.tty && libc::ioctl(0, libc::TIOCSCTTY, 0) != 0 {
            return Err(failed("take the terminal", nix::Error::last()));
        }
        libc::close_range(3, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC as libc::c_int);
    }
    let user = &command.user;
    let groups: Vec<Gid> = user.groups.iter().map(|gid| Gid::from_raw(*gid)).collect();
    setgroups(&groups).map_err(|e| failed("set the groups", e))?;
    setgid(Gid::from_raw(user.gid)).map_err(|e| failed("set the group", e))?;
    setuid(Uid::from_raw(user.uid)).map_err(|e| failed("set the user", e))?;
    chdir(command.workdir.as_c_str())
        .map_err(|e| failed(&format!("enter {}", command.workdir.to_string_lossy()), e))?;
    for number in 1..=libc::SIGSYS {
        if let Ok(number) = Signal::try_from(number) {
            // SAFETY: the default action installs no handler.
            let _ = unsafe { signal(number, SigHandler::SigDfl) };
        }
    }
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None)
        .map_err(|e| failed("unblock signals", e))
}

/// A terminal or an anonymous pipe becomes the user's, so that it can open /dev/stdout; a file of the host never does.
fn own(stream: &OwnedFd, uid: u32) {
    const PIPEFS_MAGIC: i64 = 0x5049_5045; // linux/magic.h
    const DEVPTS_MAGIC: i64 = 0x1cd1;
    let Ok(stat) = rustix::fs::fstat(stream) else { return };
    let Ok(fs) = rustix::fs::fstatfs(stream) else { return };
    let ours = matches!(
        (FileType::from_raw_mode(stat.st_mode), fs.f_type),
        (FileType::Fifo, PIPEFS_MAGIC) | (FileType::CharacterDevice, DEVPTS_MAGIC)
    );
    if ours && stat.st_uid != uid {
        let _ = rustix::fs::fchown(stream, Some(rustix::fs::Uid::from_raw(uid)), None);
    }
}

fn run(command: &Command) -> Failure {
    let name = command.name();
    let mut denied = None;
    for program in &command.programs {
        match execve(program, &command.arguments, &command.environment) {
            Err(nix::Error::ENOENT | nix::Error::ENOTDIR) => {}
            Err(e) => denied = denied.or(Some(e)),
            Ok(never) => match never {},
        }
    }
    match denied {
        Some(e) => Failure { code: 126, error: Error::os(format!("{name:?} cannot be executed"), &e.into()) },
        None => Failure {
            code: 127,
            error: Error::not_found(format!("{name:?} was not found: check the command, and PATH inside")),
        },
    }
}
