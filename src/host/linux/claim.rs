//! One daemon for one instance in one network namespace. The instance's name is in the marks of links and tables, so
//! two daemons that shared it would take away each other's work.
use crate::error::{Error, Result};
use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
use std::io::ErrorKind;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};

/// Held while the daemon lives; the kernel lets go of it when the process ends, however it ends.
#[derive(Debug)]
pub struct Claim {
    _socket: Option<UnixListener>,
}

/// Claims `instance` by an abstract socket (unix(7)), which belongs to the network namespace, as links and tables do.
///
/// # Errors
/// `Conflict`: another daemon has it. A socket of that name by another user is no daemon, and is passed over with a
/// warning: nobody else may keep us from starting.
pub fn claim(instance: &str) -> Result<Claim> {
    let failed = |error: std::io::Error| Error::os(format!("claim the instance {instance}"), &error);
    let address = SocketAddr::from_abstract_name(format!("pontoon/instance/{instance}")).map_err(failed)?;
    match UnixListener::bind_addr(&address) {
        Ok(socket) => Ok(Claim { _socket: Some(socket) }),
        Err(error) if error.kind() != ErrorKind::AddrInUse => Err(failed(error)),
        Err(_) if foreign(&address) => {
            tracing::warn!(instance, "a socket of another user has the name of this instance");
            Ok(Claim { _socket: None })
        }
        Err(_) => Err(Error::conflict(format!(
            "instance {instance} is served by another daemon on this host: stop it, or give this one its own --instance"
        ))),
    }
}

fn foreign(address: &SocketAddr) -> bool {
    let peer = UnixStream::connect_addr(address).ok().and_then(|s| getsockopt(&s, PeerCredentials).ok());
    peer.is_some_and(|peer| peer.uid() != nix::unistd::geteuid().as_raw())
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
        claim(&format!("{name}-other"))?;
        drop(first);
        claim(&name).map(drop)
    }
}
