//! One relayed TCP connection: copies both ways, passes on half-closes, never blocks.
use super::carry::Relayed;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::{
    io::{self, ErrorKind, Read, Write},
    net::{Shutdown, SocketAddr},
    os::fd::{FromRawFd, OwnedFd, RawFd},
    time::Instant,
};

/// Bytes in flight in one direction.
const ROOM: usize = 16 << 10;
/// Rounds before other connections get their turn.
const TURN: usize = 16;

pub(super) enum State {
    /// Nothing to do until an end becomes ready.
    Waiting,
    /// There is more; the turn is over.
    Busy,
    Ended,
}

pub(super) struct Pair {
    /// Token of the hold it came through, and where it goes.
    pub hold: u64,
    pub to: SocketAddr,
    /// When anything last happened.
    pub last: Instant,
    client: Socket,
    target: Socket,
    up: Flow,
    down: Flow,
}

#[derive(Default)]
struct Flow {
    bytes: Vec<u8>,
    sent: usize,
    ended: bool,
    passed_on: bool,
}

/// Takes a waiting client: its connection, and whether it came over IPv4.
pub(super) fn accept(listener: RawFd) -> io::Result<(OwnedFd, bool)> {
    let accept = |storage: *mut _, length: *mut _| {
        // SAFETY: storage and length are given by `try_init` and are valid for the address of any family.
        let fd = unsafe {
            libc::accept4(
                listener,
                (storage as *mut libc::sockaddr_storage).cast(),
                length,
                libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC,
            )
        };
        if fd < 0 { Err(io::Error::last_os_error()) } else { Ok(fd) }
    };
    // SAFETY: accept4 fills in the address and its length.
    let (fd, address) = unsafe { SockAddr::try_init(accept)? };
    // SAFETY: accept4 just returned this descriptor and nobody else knows it.
    let client = unsafe { OwnedFd::from_raw_fd(fd) };
    let v4 = address.as_socket().is_some_and(|a| a.ip().to_canonical().is_ipv4());
    Ok((client, v4))
}

impl Pair {
    /// Begins to connect to `target`.
    pub(super) fn begin(hold: u64, client: OwnedFd, target: SocketAddr) -> io::Result<Self> {
        let kind = Type::STREAM.nonblocking().cloexec();
        let socket = Socket::new(Domain::for_address(target), kind, Some(Protocol::TCP))?;
        let client = Socket::from(client);
        for end in [&socket, &client] {
            end.set_tcp_nodelay(true)?;
            end.set_keepalive(true)?;
        }
        match socket.connect(&target.into()) {
            Err(e) if e.raw_os_error() != Some(libc::EINPROGRESS) => Err(e),
            _ => Ok(Pair {
                hold,
                to: target,
                last: Instant::now(),
                client,
                target: socket,
                up: Flow::default(),
                down: Flow::default(),
            }),
        }
    }

    /// A connection that another holder has relayed so far.
    pub(super) fn carried(
        hold: u64,
        to: SocketAddr,
        (client, up): (OwnedFd, Relayed),
        (target, down): (OwnedFd, Relayed),
    ) -> Self {
        let flow = |Relayed { bytes, ended, passed_on }| Flow { bytes, sent: 0, ended, passed_on };
        let (client, target) = (Socket::from(client), Socket::from(target));
        Pair { hold, to, last: Instant::now(), client, target, up: flow(up), down: flow(down) }
    }

    /// Client and target, each with what comes from it.
    pub(super) fn into_parts(self) -> ((OwnedFd, Relayed), (OwnedFd, Relayed)) {
        let left = |mut flow: Flow| Relayed {
            bytes: flow.bytes.split_off(flow.sent),
            ended: flow.ended,
            passed_on: flow.passed_on,
        };
        ((self.client.into(), left(self.up)), (self.target.into(), left(self.down)))
    }

    pub(super) fn ends(&self) -> [&Socket; 2] {
        [&self.client, &self.target]
    }

    /// Moves what can be moved. Err: one end broke, and so shall the other.
    pub(super) fn pump(&mut self) -> io::Result<State> {
        self.last = Instant::now();
        for _ in 0..TURN {
            let up = self.up.step(&self.client, &self.target)?;
            let down = self.down.step(&self.target, &self.client)?;
            if self.up.passed_on && self.down.passed_on {
                return Ok(State::Ended);
            }
            if !up && !down {
                return Ok(State::Waiting);
            }
        }
        Ok(State::Busy)
    }
}

impl Flow {
    /// Reads if there is room and writes if there is something; whether anything moved.
    fn step(&mut self, mut from: &Socket, mut to: &Socket) -> io::Result<bool> {
        let mut moved = false;
        if self.bytes.is_empty() && !self.ended {
            self.bytes.resize(ROOM, 0);
            let got = from.read(&mut self.bytes);
            self.bytes.truncate(*got.as_ref().unwrap_or(&0));
            self.sent = 0;
            match later(got)? {
                Some(0) => (self.ended, moved) = (true, true),
                Some(_) => moved = true,
                None => {}
            }
        }
        if self.sent < self.bytes.len()
            && let Some(count) = later(to.write(&self.bytes[self.sent..]))?
        {
            self.sent += count;
            moved = true;
        }
        if self.sent == self.bytes.len() {
            self.bytes = Vec::new(); // an idle connection holds no buffer
            self.sent = 0;
            // Half a connection must be whole before it can be half closed.
            if self.ended && !self.passed_on && to.peer_addr().is_ok() {
                to.shutdown(Shutdown::Write).or_else(|e| match e.kind() {
                    ErrorKind::NotConnected => Ok(()),
                    _ => Err(e),
                })?;
                (self.passed_on, moved) = (true, true);
            }
        }
        Ok(moved)
    }
}

/// None instead of "not now".
fn later(result: io::Result<usize>) -> io::Result<Option<usize>> {
    match result {
        Ok(count) => Ok(Some(count)),
        Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => Ok(None),
        Err(e) => Err(e),
    }
}
