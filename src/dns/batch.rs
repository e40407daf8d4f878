//! Many datagrams by one system call: recvmmsg(2) and sendmmsg(2) on a client socket. It never blocks and never looks
//! into a datagram.
use std::{
    io,
    mem::{size_of, zeroed},
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6},
    ops::Range,
    os::fd::{AsRawFd, BorrowedFd},
    ptr::null_mut,
};

/// Datagrams of one turn of one socket: enough to share the cost of a call, few enough that neighbours wait well below a
/// millisecond.
pub const TURN: usize = 32;
/// Longest query that is read by UDP; a longer one is malformed or belongs on TCP.
const LONGEST: usize = 2048;

/// The address of a client, as the kernel gave it: only ever given back.
#[derive(Clone, Copy)]
pub struct Peer {
    address: libc::sockaddr_in6,
    length: libc::socklen_t,
}

impl Peer {
    /// None: not of the Internet.
    pub fn to(self) -> Option<SocketAddr> {
        let ports = |port: u16| u16::from_be(port);
        match i32::from(self.address.sin6_family) {
            libc::AF_INET6 => {
                let ip = Ipv6Addr::from(self.address.sin6_addr.s6_addr);
                let (flow, scope) = (self.address.sin6_flowinfo, self.address.sin6_scope_id);
                Some(SocketAddrV6::new(ip, ports(self.address.sin6_port), flow, scope).into())
            }
            libc::AF_INET => {
                // sockaddr_in (ip(7)): the address stands where the flow is
                let ip = Ipv4Addr::from(self.address.sin6_flowinfo.to_ne_bytes());
                Some(SocketAddrV4::new(ip, ports(self.address.sin6_port)).into())
            }
            _ => None,
        }
    }
}

impl From<SocketAddr> for Peer {
    fn from(address: SocketAddr) -> Self {
        let mut peer = Batch::nobody();
        peer.address.sin6_port = address.port().to_be();
        match address {
            SocketAddr::V4(v4) => {
                peer.address.sin6_family = libc::AF_INET as _;
                peer.address.sin6_flowinfo = u32::from_ne_bytes(v4.ip().octets());
                peer.length = size_of::<libc::sockaddr_in>() as _;
            }
            SocketAddr::V6(v6) => {
                peer.address.sin6_family = libc::AF_INET6 as _;
                peer.address.sin6_addr.s6_addr = v6.ip().octets();
                peer.address.sin6_flowinfo = v6.flowinfo();
                peer.address.sin6_scope_id = v6.scope_id();
                peer.length = size_of::<libc::sockaddr_in6>() as _;
            }
        }
        peer
    }
}

/// Buffers for one turn, used for all sockets.
pub struct Batch {
    input: Vec<[u8; LONGEST]>,
    lengths: [usize; TURN],
    peers: [Peer; TURN],
    /// The answers, one behind the other; callers append here and then call [`Batch::queue`].
    pub output: Vec<u8>,
    replies: Vec<(Peer, Range<usize>)>,
}

impl Batch {
    pub fn new() -> Self {
        Batch {
            input: vec![[0; LONGEST]; TURN],
            lengths: [0; TURN],
            peers: [Self::nobody(); TURN],
            output: Vec::with_capacity(TURN * 512),
            replies: Vec::with_capacity(TURN),
        }
    }

    fn nobody() -> Peer {
        // SAFETY: sockaddr_in6 is plain numbers, for which zero is a value.
        Peer { address: unsafe { zeroed() }, length: 0 }
    }

    /// Takes `packet` as if it had come from `peer`, alone.
    pub fn pretend(&mut self, peer: Peer, packet: &[u8]) {
        let length = packet.len().min(LONGEST);
        self.input[0][..length].copy_from_slice(&packet[..length]);
        (self.lengths[0], self.peers[0]) = (length, peer);
    }

    /// Reads what waits, at most [`TURN`] datagrams; returns their number, 0 if none waits.
    pub fn receive(&mut self, socket: BorrowedFd<'_>) -> io::Result<usize> {
        let mut parts = [libc::iovec { iov_base: null_mut(), iov_len: 0 }; TURN];
        // SAFETY: mmsghdr is numbers and pointers, for which zero (null) is a value.
        let mut heads: [libc::mmsghdr; TURN] = unsafe { zeroed() };
        for n in 0..TURN {
            parts[n] = libc::iovec { iov_base: self.input[n].as_mut_ptr().cast(), iov_len: LONGEST };
            heads[n].msg_hdr.msg_name = (&raw mut self.peers[n].address).cast();
            heads[n].msg_hdr.msg_namelen = size_of::<libc::sockaddr_in6>() as libc::socklen_t;
            heads[n].msg_hdr.msg_iov = &raw mut parts[n];
            heads[n].msg_hdr.msg_iovlen = 1;
        }
        // SAFETY: every head points to one part and one address of ours, which live and stay in place during the call,
        // with their true lengths.
        let count = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                heads.as_mut_ptr(),
                TURN as _,
                libc::MSG_DONTWAIT as _,
                null_mut(),
            )
        };
        let Ok(count) = usize::try_from(count) else { return none_waiting() };
        for (n, head) in heads.iter().enumerate().take(count) {
            let cut = head.msg_hdr.msg_flags & libc::MSG_TRUNC != 0;
            self.lengths[n] = if cut { 0 } else { head.msg_len as usize };
            self.peers[n].length = head.msg_hdr.msg_namelen;
        }
        Ok(count)
    }

    /// Datagram `n` of the last [`Batch::receive`], its sender, and the place for answers.
    pub fn split(&mut self, n: usize) -> (&[u8], Peer, &mut Vec<u8>) {
        (&self.input[n][..self.lengths[n]], self.peers[n], &mut self.output)
    }

    /// What was appended to `output` since `start` is an answer for `peer`.
    pub fn queue(&mut self, peer: Peer, start: usize) {
        if start < self.output.len() {
            self.replies.push((peer, start..self.output.len()));
        }
    }

    /// Sends the queued answers. What the socket does not take is dropped, as UDP may; the client asks again.
    pub fn send(&mut self, socket: BorrowedFd<'_>) {
        for chunk in self.replies.chunks(TURN) {
            send_chunk(socket, chunk, &self.output);
        }
        self.replies.clear();
        self.output.clear();
        // a flood of long answers must not be remembered for ever
        self.output.shrink_to(TURN * 4096);
    }
}

fn none_waiting() -> io::Result<usize> {
    let error = io::Error::last_os_error();
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => Ok(0),
        _ => Err(error),
    }
}

fn send_chunk(socket: BorrowedFd<'_>, chunk: &[(Peer, Range<usize>)], output: &[u8]) {
    let mut parts = [libc::iovec { iov_base: null_mut(), iov_len: 0 }; TURN];
    // SAFETY: mmsghdr is numbers and pointers, for which zero (null) is a value.
    let mut heads: [libc::mmsghdr; TURN] = unsafe { zeroed() };
    for (n, (peer, range)) in chunk.iter().enumerate().take(TURN) {
        let bytes = &output[range.clone()];
        parts[n] = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
        heads[n].msg_hdr.msg_name = (&raw const peer.address).cast_mut().cast();
        heads[n].msg_hdr.msg_namelen = peer.length;
        heads[n].msg_hdr.msg_iov = &raw mut parts[n];
        heads[n].msg_hdr.msg_iovlen = 1;
    }
    let mut first = 0;
    while first < chunk.len().min(TURN) {
        let left = chunk.len().min(TURN) - first;
        // SAFETY: heads[first..first + left] were filled above and point to parts, peers and bytes that outlive the call;
        // sendmmsg writes none of them but msg_len.
        let sent = unsafe {
            let flags = (libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL) as _;
            libc::sendmmsg(socket.as_raw_fd(), heads.as_mut_ptr().add(first), left as _, flags)
        };
        // an error concerns the first one only: the others may have other destinations
        first += usize::try_from(sent).unwrap_or(1).max(1);
    }
}
