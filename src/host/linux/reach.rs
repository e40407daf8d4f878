//! What a connection meets in a network namespace: interfaces, sockets that listen, and one try. It changes nothing, and what
//! it opens it closes.
use super::{inside, netlink::Route};
use crate::{
    error::{Error, Result},
    model::{
        Proto,
        why::{Attempt, Listener, Place},
    },
};
use std::{
    fs,
    io::ErrorKind,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream},
    path::Path,
    time::{Duration, Instant},
};

/// Longer than any neighbour needs, and short enough for a person who waits.
const PATIENCE: Duration = Duration::from_secs(1);

/// In the namespace at `netns`, or in the caller's own.
///
/// # Errors
/// Those of [`inside::look`].
pub fn look(netns: Option<&Path>) -> Result<Place> {
    within(netns, || {
        Ok(Place { interfaces: inside::interfaces(&mut Route::open()?)?, listeners: listeners()? })
    })
}

/// Opens a TCP connection from there and closes it at once.
pub fn attempt(netns: Option<&Path>, to: SocketAddr) -> Result<Attempt> {
    within(netns, || {
        let start = Instant::now();
        Ok(match TcpStream::connect_timeout(&to, PATIENCE) {
            Ok(_) => Attempt::Connected(start.elapsed()),
            Err(error) => match error.kind() {
                ErrorKind::ConnectionRefused => Attempt::Refused,
                ErrorKind::TimedOut => Attempt::Silence(PATIENCE),
                _ => Attempt::Failed(Error::os("connect", &error).to_string()),
            },
        })
    })
}

fn within<T>(netns: Option<&Path>, work: impl FnOnce() -> Result<T>) -> Result<T> {
    match netns {
        Some(path) => inside::visit(path, work),
        None => work(),
    }
}

/// Tables of sockets (proc_pid_net(5)), and the state in which one waits: TCP_LISTEN, or TCP_CLOSE for UDP, which knows no
/// other before it is connected.
const TABLES: [(&str, Proto, &str); 4] = [
    ("tcp", Proto::Tcp, "0A"),
    ("tcp6", Proto::Tcp, "0A"),
    ("udp", Proto::Udp, "07"),
    ("udp6", Proto::Udp, "07"),
];

/// In order, each once; the sockets of our own resolver left out.
fn listeners() -> Result<Vec<Listener>> {
    let mut all = Vec::new();
    for (table, proto, waits) in TABLES {
        let path = format!("/proc/thread-self/net/{table}");
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            // a host without IPv6
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) => return Err(Error::os(format!("read {path}"), &error)),
        };
        all.extend(text.lines().filter_map(|line| waiting(line, waits)).map(|at| Listener { proto, at }));
    }
    all.retain(|listener| listener.at.ip() != IpAddr::from([127, 0, 0, 11]));
    all.sort_unstable();
    all.dedup();
    Ok(all)
}

/// The local address of a socket in the state `wanted`; None for others and the table's head.
fn waiting(line: &str, wanted: &str) -> Option<SocketAddr> {
    let mut words = line.split_whitespace().skip(1);
    let (local, _peer, state) = (words.next()?, words.next()?, words.next()?);
    let (address, port) = local.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    (state == wanted).then_some(SocketAddr::new(parse(address)?, port))
}

/// 32-bit words as this machine has them in memory, in hexadecimal.
fn parse(text: &str) -> Option<IpAddr> {
    let word = |at: usize| u32::from_str_radix(text.get(at..at + 8)?, 16).ok().map(u32::to_ne_bytes);
    match text.len() {
        8 => Some(Ipv4Addr::from(word(0)?).into()),
        32 => {
            let mut bytes = [0; 16];
            for (number, place) in bytes.chunks_exact_mut(4).enumerate() {
                place.copy_from_slice(&word(number * 8)?);
            }
            Some(Ipv6Addr::from(bytes).into())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, UdpSocket};

    #[test]
    fn who_waits_is_seen_and_who_is_asked_answers() {
        let tcp = ["127.0.0.1:0", "[::1]:0"].map(|at| TcpListener::bind(at).unwrap());
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        let seen = look(None).unwrap();
        for listener in &tcp {
            let at = listener.local_addr().unwrap();
            assert!(seen.listeners.contains(&Listener { proto: Proto::Tcp, at }), "{at}");
            assert!(matches!(attempt(None, at).unwrap(), Attempt::Connected(_)));
        }
        let at = udp.local_addr().unwrap();
        assert!(seen.listeners.contains(&Listener { proto: Proto::Udp, at }));
        assert_eq!(attempt(None, at).unwrap(), Attempt::Refused, "nobody has that TCP port");
        assert!(seen.has(IpAddr::from([127, 0, 0, 1])));
    }
}
