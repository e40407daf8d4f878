//! A sandbox's scratch directory: made before, deleted after. Deleting never follows a symlink and never enters a mount.
use super::Launch;
use crate::error::{Error, Result};
use crate::host::linux::files::{Watch, remove_tree, resolve};
use rustix::fs::{self, Mode, OFlags};
use std::ffi::OsStr;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::path::Path;

/// What a detached command wrote, in the scratch directory.
pub const LOG: &str = "log";

/// Deletes a scratch directory and all in it; a missing one is fine. Also for what a killed supervisor left behind.
///
/// # Errors
/// As [`remove_tree`].
pub fn clean(scratch: &Path) -> Result<()> {
    let (Some(parent), Some(name)) = (scratch.parent(), scratch.file_name()) else {
        return Err(Error::invalid(format!("invalid scratch directory {}", scratch.display())));
    };
    match resolve::open_root(parent) {
        Ok(parent) => remove_tree(&parent, name, Watch::none()).map(drop),
        Err(e) if e.kind == crate::error::Kind::NotFound => Ok(()),
        Err(e) => Err(e),
    }
}

/// Deletes all but the log.
pub(super) fn clean_but_log(scratch: &Path) -> Result<()> {
    let dir = resolve::open_root(scratch)?;
    for name in ["layers", "root", "resolv.conf", "hosts", "hostname"] {
        remove_tree(&dir, OsStr::new(name), Watch::none())?;
    }
    Ok(())
}

/// Makes it afresh (an old log stays), with the generated files.
pub(super) fn prepare(launch: &Launch) -> Result<OwnedFd> {
    let path = &launch.scratch;
    let failed = |e: Error| e.while_doing(format!("make the scratch directory {}", path.display()));
    let dir = resolve::make_host_dirs(path).map_err(failed)?;
    fs::fchmod(&dir, Mode::RWXU).map_err(|e| failed(Error::os("chmod", &e.into())))?;
    clean_but_log(path).map_err(failed)?;
    for name in ["layers", "root"] {
        resolve::make_dir(&dir, OsStr::new(name), 0o755, (0, 0)).map_err(failed)?;
    }
    let hostname = format!("{}\n", launch.hostname);
    for (name, text) in
        [("resolv.conf", &launch.resolv_conf), ("hosts", &launch.hosts), ("hostname", &hostname)]
    {
        write(&dir, name, text.as_bytes()).map_err(failed)?;
    }
    Ok(dir)
}

fn write(dir: &OwnedFd, name: &str, text: &[u8]) -> Result<()> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = fs::openat(dir, name, flags, Mode::from_raw_mode(0o644))
        .map_err(|e| Error::os(format!("make {name}"), &e.into()))?;
    fs::fchmod(&file, Mode::from_raw_mode(0o644))
        .map_err(|e| Error::os(format!("chmod {name}"), &e.into()))?;
    std::fs::File::from(file).write_all(text).map_err(|e| Error::os(format!("write {name}"), &e))
}

/// The log, to append to.
pub(super) fn open_log(dir: &OwnedFd) -> Result<OwnedFd> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::APPEND | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    fs::openat(dir, LOG, flags, Mode::from_raw_mode(0o600)).map_err(|e| Error::os("open the log", &e.into()))
}
