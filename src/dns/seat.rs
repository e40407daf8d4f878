//! A sandbox's place at the resolver: its two sockets and what it uses of the shared bounds. It never answers by itself.
use super::slots::Key;
use crate::model::Id;
use std::net::{TcpListener, UdpSocket};

#[derive(Debug)]
pub struct Seat {
    pub sandbox: Id,
    pub udp: UdpSocket,
    pub tcp: TcpListener,
    /// Misses on their way.
    pub in_flight: usize,
    /// Its open connections, oldest first.
    pub connections: Vec<Key>,
}

impl Seat {
    /// Makes the sockets non-blocking.
    pub fn new(sandbox: Id, udp: UdpSocket, tcp: TcpListener) -> std::io::Result<Self> {
        udp.set_nonblocking(true)?;
        tcp.set_nonblocking(true)?;
        Ok(Seat { sandbox, udp, tcp, in_flight: 0, connections: Vec::new() })
    }
}
