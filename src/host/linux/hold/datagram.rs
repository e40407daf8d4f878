//! Relayed UDP: one connected socket a client, answers from the address the client asked; it never keeps an idle session.
use super::{Held, relay};
use nix::sys::{
    epoll::{Epoll, EpollEvent, EpollFlags},
    socket::{ControlMessage, ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, sendmsg},
};
use socket2::{Domain, Protocol, Socket, Type};
use std::{
    collections::HashMap,
    io::{self, IoSlice, IoSliceMut, Read},
    net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6},
    os::fd::AsRawFd,
    sync::Arc,
    time::{Duration, Instant},
};

/// Most sessions, one descriptor each.
const MOST: usize = 1024;
const IDLE: Duration = Duration::from_secs(75);
/// Datagrams of one socket before others get their turn.
const TURN: usize = 64;
const LARGEST: usize = 65_536;

/// Our address that a client spoke to.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Local {
    V4([u8; 4]),
    V6([u8; 16], u32),
    Unknown,
}

pub(super) type Asker = (u64, SocketAddr, Local);

impl Local {
    /// Address, and the interface of a link-local one.
    pub(super) fn parts(self) -> (Option<IpAddr>, u32) {
        match self {
            Local::V4(bytes) => (Some(bytes.into()), 0),
            Local::V6(bytes, scope) => (Some(bytes.into()), scope),
            Local::Unknown => (None, 0),
        }
    }

    pub(super) fn of(address: Option<IpAddr>, scope: u32) -> Self {
        match address {
            Some(IpAddr::V4(v4)) => Local::V4(v4.octets()),
            Some(IpAddr::V6(v6)) => Local::V6(v6.octets(), scope),
            None => Local::Unknown,
        }
    }
}

struct Session {
    asker: Asker,
    held: Arc<Held>,
    to: SocketAddr,
    target: Socket,
    last: Instant,
}

#[derive(Default)]
pub(super) struct Sessions {
    by_asker: HashMap<Asker, u64>,
    sessions: HashMap<u64, Session>,
    buffer: Vec<u8>,
}

impl Sessions {
    pub(super) fn is_empty(&self) -> bool {
        self.sessions.is_empty()
    }

    /// Takes datagrams from a held socket to its target.
    pub(super) fn carry(&mut self, hold: u64, held: &Arc<Held>, epoll: &Epoll, next: &mut u64) {
        let Some(socket) = &held.socket else { return };
        self.buffer.resize(LARGEST, 0);
        for _ in 0..TURN {
            let Ok((length, client, local)) = receive(socket.as_raw_fd(), &mut self.buffer) else { return };
            let asker = (hold, client, local);
            let token = match self.by_asker.get(&asker) {
                Some(token) => *token,
                None => match self.open(asker, held, epoll, next) {
                    Some(token) => token,
                    None => continue,
                },
            };
            if let Some(session) = self.sessions.get_mut(&token) {
                session.last = Instant::now();
                // A lost datagram is UDP's way of saying no.
                let _ = session.target.send(&self.buffer[..length]);
            }
        }
    }

    fn open(&mut self, asker: Asker, held: &Arc<Held>, epoll: &Epoll, next: &mut u64) -> Option<u64> {
        if self.sessions.len() >= MOST {
            return None;
        }
        let to = held.target(asker.1.ip().to_canonical().is_ipv4())?;
        let kind = Type::DGRAM.nonblocking().cloexec();
        let target = Socket::new(Domain::for_address(to), kind, Some(Protocol::UDP)).ok()?;
        target.connect(&to.into()).ok()?;
        self.insert(asker, held, (to, target), epoll, next)
    }

    pub(super) fn insert(
        &mut self,
        asker: Asker,
        held: &Arc<Held>,
        (to, target): (SocketAddr, Socket),
        epoll: &Epoll,
        next: &mut u64,
    ) -> Option<u64> {
        let token = *next << relay::KIND_BITS | relay::SESSION;
        *next += 1;
        epoll.add(&target, EpollEvent::new(EpollFlags::EPOLLIN, token)).ok()?;
        self.sessions.insert(token, Session { asker, held: held.clone(), to, target, last: Instant::now() });
        self.by_asker.insert(asker, token);
        Some(token)
    }

    /// Takes answers of a target back to the client.
    pub(super) fn answer(&mut self, token: u64) {
        self.buffer.resize(LARGEST, 0);
        let Some(session) = self.sessions.get_mut(&token) else { return };
        for _ in 0..TURN {
            match (&session.target).read(&mut self.buffer) {
                Ok(length) => {
                    session.last = Instant::now();
                    let _ = send(session, &self.buffer[..length]);
                }
                // The target refused (ICMP); the session stays, the target may come up.
                Err(e) if e.kind() == io::ErrorKind::ConnectionRefused => {}
                Err(_) => return,
            }
        }
    }

    /// Who is served, where it leads and by which socket.
    pub(super) fn into_parts(self) -> impl Iterator<Item = (Asker, SocketAddr, Socket)> {
        self.sessions.into_values().map(|session| (session.asker, session.to, session.target))
    }

    /// Ends the sessions that are idle by then.
    pub(super) fn sweep(&mut self, now: Instant) {
        self.keep(|session| now.duration_since(session.last) < IDLE);
    }

    /// Ends the sessions whose hold no longer leads to where they go.
    pub(super) fn retain(&mut self, leads: impl Fn(u64, &SocketAddr) -> bool) {
        self.keep(|session| leads(session.asker.0, &session.to));
    }

    fn keep(&mut self, keep: impl Fn(&Session) -> bool) {
        self.sessions.retain(|_, session| {
            let stays = keep(session);
            if !stays {
                self.by_asker.remove(&session.asker);
            }
            stays
        });
        if self.sessions.is_empty() {
            self.buffer = Vec::new();
        }
    }
}

fn receive(socket: i32, buffer: &mut [u8]) -> nix::Result<(usize, SocketAddr, Local)> {
    let mut control = nix::cmsg_space!(libc::in6_pktinfo, libc::in_pktinfo);
    let mut into = [IoSliceMut::new(buffer)];
    let got = recvmsg::<SockaddrStorage>(socket, &mut into, Some(&mut control), MsgFlags::empty())?;
    let mut local = Local::Unknown;
    for message in got.cmsgs()? {
        match message {
            ControlMessageOwned::Ipv4PacketInfo(info) => {
                local = Local::V4(info.ipi_spec_dst.s_addr.to_ne_bytes())
            }
            ControlMessageOwned::Ipv6PacketInfo(info) => {
                let address = Ipv6Addr::from(info.ipi6_addr.s6_addr);
                // Only a link-local answer needs its interface named; routing finds the others.
                let scope = if address.is_unicast_link_local() { info.ipi6_ifindex } else { 0 };
                local = Local::V6(address.octets(), scope);
            }
            _ => {}
        }
    }
    let client = got.address.as_ref().and_then(client_of).ok_or(nix::Error::EINVAL)?;
    Ok((got.bytes, client, local))
}

fn client_of(address: &SockaddrStorage) -> Option<SocketAddr> {
    if let Some(v4) = address.as_sockaddr_in() {
        return Some(SocketAddr::new(IpAddr::V4(v4.ip()), v4.port()));
    }
    let v6 = address.as_sockaddr_in6()?;
    Some(SocketAddrV6::new(v6.ip(), v6.port(), v6.flowinfo(), v6.scope_id()).into())
}

fn send(session: &Session, bytes: &[u8]) -> nix::Result<()> {
    let (_, client, local) = session.asker;
    let Some(socket) = &session.held.socket else { return Ok(()) };
    let (v4, v6);
    let control = match local {
        Local::V4(address) => {
            let s_addr = u32::from_ne_bytes(address);
            v4 = libc::in_pktinfo {
                ipi_ifindex: 0,
                ipi_spec_dst: libc::in_addr { s_addr },
                ipi_addr: libc::in_addr { s_addr: 0 },
            };
            vec![ControlMessage::Ipv4PacketInfo(&v4)]
        }
        Local::V6(s6_addr, scope) => {
            v6 = libc::in6_pktinfo { ipi6_addr: libc::in6_addr { s6_addr }, ipi6_ifindex: scope as _ };
            vec![ControlMessage::Ipv6PacketInfo(&v6)]
        }
        Local::Unknown => Vec::new(),
    };
    let to = SockaddrStorage::from(client);
    sendmsg(socket.as_raw_fd(), &[IoSlice::new(bytes)], &control, MsgFlags::empty(), Some(&to)).map(|_| ())
}
