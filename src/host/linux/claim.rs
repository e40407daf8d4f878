//! One daemon for one instance in one network namespace. The instance's name is in the marks of links and tables, so
//! two daemons that shared it would take away each other's work.
use crate::error::{Error, Result};
use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
use std::io::ErrorKind;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::{
    fs::MetadataExt,
    net::{SocketAddr, UnixListener, UnixStream},
};
use std::path::Path;

/// Held while the daemon lives; the kernel lets go of it when the process ends, however it ends.
#[derive(Debug)]
pub struct Claim {
    _socket: Option<UnixListener>,
}

/// Claims `instance` by an abstract socket (unix(7)), which belongs to the network namespace, as links and tables do.
///
/// # Errors
/// `Conflict`: another daemon has it, and its process is named. A socket of that name by another user is no daemon, and is
/// passed over with a warning: nobody else may keep us from starting.
pub fn claim(instance: &str) -> Result<Claim> {
    let failed = |error: std::io::Error| Error::os(format!("claim the instance {instance}"), &error);
    let address = SocketAddr::from_abstract_name(format!("pontoon/instance/{instance}")).map_err(failed)?;
    match UnixListener::bind_addr(&address) {
        Ok(socket) => Ok(Claim { _socket: Some(socket) }),
        Err(error) if error.kind() != ErrorKind::AddrInUse => Err(failed(error)),
        Err(_) => {
            let stream = UnixStream::connect_addr(&address);
            let holder = stream.ok().and_then(|stream| getsockopt(&stream, PeerCredentials).ok());
            if holder.is_some_and(|holder| holder.uid() != nix::unistd::geteuid().as_raw()) {
                tracing::warn!(instance, "a socket of another user has the name of this instance");
                return Ok(Claim { _socket: None });
            }
            let pid = holder.map_or(String::new(), |holder| format!(" (pid {})", holder.pid()));
            Err(Error::conflict(format!(
                "instance {instance} is served by another daemon on this host{pid}: stop it first, or give this one an \
                 --instance, --root and --run of its own"
            )))
        }
    }
}

/// The process that holds a lock on the file at `path`, as /proc/locks tells (proc(5)); none: nobody, or it cannot be seen.
pub fn lock_holder(path: &Path) -> Option<u32> {
    let meta = std::fs::metadata(path).ok()?;
    let (device, inode) = (meta.dev(), meta.ino());
    let file = format!("{:02x}:{:02x}:{inode}", libc::major(device), libc::minor(device));
    let locks = std::fs::read_to_string("/proc/locks").ok()?;
    let ours = |line: &&str| line.split_whitespace().any(|word| word == file);
    // Locks of an open file description have no process: -1. Whoever waits for one stands behind it.
    locks.lines().filter(ours).find_map(|line| line.split_whitespace().nth(4)?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    #[test]
    fn an_instance_has_one_daemon() -> Result<()> {
        let name = format!("test-{}", std::process::id());
        let first = claim(&name)?;
        let second = claim(&name).map(drop);
        assert_eq!(second.as_ref().map_err(|error| error.kind), Err(Kind::Conflict));
        let me = format!("(pid {})", std::process::id());
        assert!(second.is_err_and(|error| error.message.contains(&me)));
        claim(&format!("{name}-other"))?;
        drop(first);
        claim(&name).map(drop)
    }

    #[test]
    fn who_holds_a_lock_is_known() -> std::io::Result<()> {
        let file = tempfile::NamedTempFile::new()?;
        assert_eq!(lock_holder(file.path()), None);
        file.as_file().lock()?;
        assert_eq!(lock_holder(file.path()), Some(std::process::id()));
        Ok(())
    }
}
