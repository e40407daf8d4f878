//! Starts the process that keeps descriptors at work between two daemons, and makes the calling process fit to be it.
use crate::error::{Error, Result};
use std::{
    io,
    os::{
        fd::{AsRawFd, OwnedFd},
        unix::{net::UnixStream, process::CommandExt},
    },
    path::Path,
    process::{Command, Stdio},
};

/// The name by which the program knows that it is the keeper.
pub const NAME: &str = "pontoon-keeper";

/// Starts this very program once more with `arguments`; its standard input is our side's other end. It outlives us, and
/// keeps nobody waiting for an output or for a process group.
pub fn start(arguments: &[&std::ffi::OsStr]) -> Result<UnixStream> {
    let failed = |error: io::Error| Error::os("start the process that keeps names answered", &error);
    let (ours, theirs) = UnixStream::pair().map_err(failed)?;
    // Not by name: the file may have been replaced already.
    let mut keeper = Command::new(Path::new("/proc/self/exe"));
    keeper.arg0(NAME).args(arguments).current_dir("/").process_group(0);
    keeper.stdin(Stdio::from(OwnedFd::from(theirs))).stdout(Stdio::null()).stderr(Stdio::null());
    keeper.spawn().map_err(failed)?;
    Ok(ours)
}

/// In the keeper, first of all: our end of the pair. Whatever else was inherited (a shell's lock, a pipe) is let go.
pub fn inherited() -> Result<UnixStream> {
    let failed = |error: io::Error| Error::os("take the end of the pair at descriptor 0", &error);
    let own = nix::unistd::dup(std::io::stdin()).map_err(|error| failed(error.into()))?;
    let stream = UnixStream::from(own);
    stream.peer_addr().map_err(failed)?;
    let kept = stream.as_raw_fd().unsigned_abs();
    for (first, last) in [(3, kept.saturating_sub(1)), (kept + 1, u32::MAX)] {
        if first <= last {
            // SAFETY: nothing else in this young process owns a descriptor above the standard ones.
            unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) };
        }
    }
    let null = std::fs::File::open("/dev/null").map_err(failed)?;
    nix::unistd::dup2_stdin(&null).map_err(|error| failed(error.into()))?;
    Ok(stream)
}
