//! Running a bundle with an OCI runtime, which makes the container: we make its files, fill its empty volumes, start the
//! runtime and pass signals on to it. It never touches the bundle itself.
use super::{Failure, Launch, mounts::Prepared, scratch, signals::Signals};
use crate::{
    error::{Error, Result},
    host::linux::files::{Watch, resolve},
};
use nix::sys::signal::{Signal, kill};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{PidfdFlags, pidfd_open};
use std::{
    ffi::OsString,
    fs::File,
    os::unix::process::ExitStatusExt,
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
};

/// Makes the scratch directory with its generated files, and fills empty volumes from `rootfs`.
pub fn prepare(launch: &Launch, rootfs: &Path) -> Result<()> {
    scratch::prepare(launch)?;
    let root = resolve::open_root(rootfs)?;
    for mount in &launch.mounts {
        Prepared::open(mount)?.copy_up(std::os::fd::AsFd::as_fd(&root), Watch::none())?;
    }
    Ok(())
}

/// Starts `program`, tells its process number to `started`, and waits for its end: its exit code, 128 and the number of a
/// signal that ended it. What it writes goes to `log`, if that is given, else where ours goes.
///
/// # Errors
/// 127 if there is no such program; what `started` says ends the program.
pub fn run(
    program: &Path,
    args: &[OsString],
    log: Option<&Path>,
    started: impl FnOnce(u32) -> Result<()>,
) -> Result<i32, Failure> {
    let signals = Signals::take()?;
    let mut child = start(program, args, log)?;
    if let Err(error) = started(child.id()) {
        let _ = child.kill();
        let _ = child.wait();
        return Err(error.into());
    }
    let status = watch(&mut child, &signals).map_err(|error| Error::os("wait for the runtime", &error))?;
    Ok(status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0)))
}

fn start(program: &Path, args: &[OsString], log: Option<&Path>) -> Result<Child, Failure> {
    let mut command = Command::new(program);
    command.args(args);
    if let Some(log) = log {
        let open = || File::options().create(true).append(true).open(log);
        let file = || open().map_err(|error| Error::os(format!("open {}", log.display()), &error));
        command.stdin(Stdio::null()).stdout(file()?).stderr(file()?);
    }
    command.spawn().map_err(|error| {
        let failed = Error::os(format!("start the runtime {}", program.display()), &error);
        Failure { code: if error.kind() == std::io::ErrorKind::NotFound { 127 } else { 126 }, error: failed }
    })
}

fn watch(child: &mut Child, signals: &Signals) -> std::io::Result<ExitStatus> {
    let pid = i32::try_from(child.id()).unwrap_or(0);
    let ended = match rustix::process::Pid::from_raw(pid) {
        Some(pid) => pidfd_open(pid, PidfdFlags::empty())?,
        None => return child.wait(),
    };
    loop {
        let mut fds = [PollFd::new(signals, PollFlags::IN), PollFd::new(&ended, PollFlags::IN)];
        match poll(&mut fds, None) {
            Err(rustix::io::Errno::INTR) => continue,
            other => other?,
        };
        while let Some(number) = signals.next() {
            if let Ok(signal) = Signal::try_from(number) {
                let _ = kill(nix::unistd::Pid::from_raw(pid), signal);
            }
        }
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
    }
}
