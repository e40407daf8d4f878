//! One query to one upstream server over one socket, with an id and a source port of its own. It reads and writes; what an
//! answer is worth is decided elsewhere.
use super::health::Place;
use super::message::{self, Mismatch, Reply};
use crate::dns::slots::Key;
use std::{
    io::{self, Read, Write},
    net::{TcpStream, UdpSocket},
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    time::Instant,
};

/// Packets that do not fit before the attempt is given up: somebody is guessing ids.
const MOST_STRAYS: u8 = 16;

#[derive(Debug)]
pub struct Attempt {
    pub flight: Key,
    /// Place of the server in the flight's list.
    pub rank: usize,
    pub place: Place,
    pub id: u16,
    /// Sent with an OPT record.
    pub edns: bool,
    pub tcp: bool,
    pub started: Instant,
    /// Its patience is over.
    pub missed: bool,
    /// It has been silent for long.
    pub doubted: bool,
    strays: u8,
    socket: Socket,
}

#[derive(Debug)]
enum Socket {
    Opening,
    Udp(UdpSocket),
    Tcp(Stream),
}

#[derive(Debug)]
struct Stream {
    stream: TcpStream,
    output: Vec<u8>,
    input: Vec<u8>,
}

/// What a ready socket held.
#[derive(Debug)]
pub enum Heard {
    /// Nothing yet.
    Nothing,
    Reply(Reply),
    /// Nothing will come any more.
    Lost,
}

impl Attempt {
    pub fn new(
        flight: Key,
        rank: usize,
        place: Place,
        id: u16,
        edns: bool,
        tcp: bool,
        started: Instant,
    ) -> Self {
        let (missed, doubted, strays, socket) = (false, false, 0, Socket::Opening);
        Attempt { flight, rank, place, id, edns, tcp, started, missed, doubted, strays, socket }
    }

    /// Takes the socket and sends the query (UDP) or keeps it until the connection stands (TCP).
    pub fn start(&mut self, fd: OwnedFd, query: &[u8]) -> io::Result<()> {
        self.socket = if self.tcp {
            let stream = TcpStream::from(fd);
            stream.set_nonblocking(true)?;
            let length = u16::try_from(query.len()).map_err(io::Error::other)?;
            let output = [&length.to_be_bytes(), query].concat();
            Socket::Tcp(Stream { stream, output, input: Vec::new() })
        } else {
            let socket = UdpSocket::from(fd);
            socket.set_nonblocking(true)?;
            socket.send(query)?;
            Socket::Udp(socket)
        };
        Ok(())
    }

    pub fn fd(&self) -> Option<BorrowedFd<'_>> {
        match &self.socket {
            Socket::Opening => None,
            Socket::Udp(socket) => Some(socket.as_fd()),
            Socket::Tcp(tcp) => Some(tcp.stream.as_fd()),
        }
    }

    /// Still has something to write.
    pub fn wants_write(&self) -> bool {
        matches!(&self.socket, Socket::Tcp(tcp) if !tcp.output.is_empty())
    }

    /// Reads what came for `question` (lower case); `buffer` holds the longest message.
    pub fn receive(&mut self, question: &[u8], buffer: &mut [u8]) -> Heard {
        let id = self.id;
        match &mut self.socket {
            Socket::Opening => Heard::Nothing,
            Socket::Udp(socket) => receive_udp(socket, id, question, &mut self.strays, buffer),
            Socket::Tcp(tcp) => match tcp.turn(buffer) {
                Ok(None) => Heard::Nothing,
                Ok(Some(message)) => message::read(message, id, question).map_or(Heard::Lost, Heard::Reply),
                Err(_) => Heard::Lost,
            },
        }
    }
}

fn receive_udp(socket: &UdpSocket, id: u16, question: &[u8], strays: &mut u8, buffer: &mut [u8]) -> Heard {
    while *strays < MOST_STRAYS {
        let length = match socket.recv(buffer) {
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Heard::Nothing,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(_) => return Heard::Lost,
        };
        match message::read(&buffer[..length], id, question) {
            Ok(reply) => return Heard::Reply(reply),
            Err(Mismatch::Malformed) => return Heard::Lost,
            Err(Mismatch::Stray) => *strays += 1,
        }
    }
    Heard::Lost
}

impl Stream {
    /// Writes what is left of the query, else reads; the whole message once it is there.
    fn turn(&mut self, buffer: &mut [u8]) -> io::Result<Option<&[u8]>> {
        if !self.output.is_empty() {
            return self.write().map(|()| None);
        }
        let length = match self.stream.read(buffer) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(length) => length,
            Err(error) if is_later(&error) => return Ok(None),
            Err(error) => return Err(error),
        };
        self.input.extend_from_slice(&buffer[..length]);
        let Some((head, rest)) = self.input.split_first_chunk::<2>() else { return Ok(None) };
        Ok(rest.get(..usize::from(u16::from_be_bytes(*head))))
    }

    fn write(&mut self) -> io::Result<()> {
        match self.stream.write(&self.output) {
            Ok(length) => drop(self.output.drain(..length)),
            Err(error) if is_later(&error) => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

fn is_later(error: &io::Error) -> bool {
    // ENOTCONN: the connection is still being made
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted | io::ErrorKind::NotConnected
    )
}
