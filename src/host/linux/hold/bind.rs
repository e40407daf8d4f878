//! Binds one socket to one host port; it never shares a port and never waits.
use super::holder;
use crate::{
    error::{Error, Kind, Result},
    model::{Proto, kernel::Hold},
};
use socket2::{Domain, Protocol, Socket, Type};
use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    os::fd::{AsFd, AsRawFd, OwnedFd},
};

/// Clients that may wait to be accepted.
const BACKLOG: i32 = 128;

/// The bound (TCP: listening) socket. None for SCTP on a kernel without it. `Conflict` if the port is in use, `Invalid` if
/// the host does not have the address.
pub(super) fn bind(hold: &Hold) -> Result<Option<OwnedFd>> {
    let attempt = match hold.host {
        Some(address) => open(hold, address),
        // One socket for both families; without IPv6 on this host, IPv4 alone.
        None => match open(hold, IpAddr::V6(Ipv6Addr::UNSPECIFIED)) {
            Err(e) if no_ipv6(&e) => open(hold, IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
            other => other,
        },
    };
    match attempt {
        Ok(socket) => Ok(Some(socket.into())),
        Err(e) if hold.proto == Proto::Sctp && no_sctp(&e) => Ok(None),
        Err(e) => Err(explain(hold, &e)),
    }
}

fn open(hold: &Hold, address: IpAddr) -> io::Result<Socket> {
    let to = SocketAddr::new(address, hold.port);
    let (kind, protocol) = match hold.proto {
        Proto::Tcp => (Type::STREAM, Protocol::TCP),
        Proto::Udp => (Type::DGRAM, Protocol::UDP),
        Proto::Sctp => (Type::STREAM, Protocol::from(libc::IPPROTO_SCTP)),
    };
    let socket = Socket::new(Domain::for_address(to), kind.nonblocking().cloexec(), Some(protocol))?;
    if address.is_ipv6() {
        socket.set_only_v6(hold.host.is_some())?;
    }
    match hold.proto {
        // Old connections in TIME_WAIT do not keep the port; a listener does all the same.
        Proto::Tcp => socket.set_reuse_address(true)?,
        Proto::Udp => tell_local_address(&socket, address)?,
        Proto::Sctp => {}
    }
    socket.bind(&to.into())?;
    if hold.proto != Proto::Udp {
        socket.listen(BACKLOG)?;
    }
    Ok(socket)
}

/// Every datagram says which of our addresses it came to, so that the answer leaves from there (ip(7), ipv6(7)).
fn tell_local_address(socket: &Socket, address: IpAddr) -> io::Result<()> {
    use nix::sys::socket::{setsockopt, sockopt};
    match address {
        IpAddr::V4(_) => setsockopt(socket, sockopt::Ipv4PacketInfo, &true)?,
        IpAddr::V6(_) => setsockopt(socket, sockopt::Ipv6RecvPacketInfo, &true)?,
    }
    Ok(())
}

/// Frees the port although the relay may still have the socket in hand for a moment.
pub(super) fn close_now(socket: &OwnedFd, proto: Proto) {
    if proto != Proto::Udp {
        // SAFETY: shutdown takes a valid descriptor and an integer. On a listener it ends listening (tcp_disconnect).
        unsafe { libc::shutdown(socket.as_fd().as_raw_fd(), libc::SHUT_RDWR) };
    }
}

fn explain(hold: &Hold, error: &io::Error) -> Error {
    let port = format!("{}/{}", hold.port, hold.proto);
    let place = match hold.host {
        None => "on the host".to_owned(),
        Some(address) => format!("on {address}"),
    };
    match error.raw_os_error() {
        Some(libc::EADDRINUSE) => Error::conflict(match holder::find(hold) {
            Some(who) => format!("port {port} is in use {place} by {who}"),
            None => format!("port {port} is in use {place}"),
        }),
        Some(libc::EADDRNOTAVAIL) => Error::new(
            Kind::Invalid,
            format!("cannot publish port {port} {place}: the host does not have that address"),
        ),
        _ => Error::os(format!("reserve port {port} {place}"), error),
    }
}

fn no_ipv6(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EAFNOSUPPORT | libc::EADDRNOTAVAIL))
}

fn no_sctp(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ESOCKTNOSUPPORT | libc::EPROTONOSUPPORT | libc::EAFNOSUPPORT))
}
