//! A client's TCP connection: frames of two length bytes and a message (RFC 7766), many in a row, split as the network
//! likes. It never holds more than one frame of input and a bounded output, and never spins: a side that is closed is not
//! waited for again (CVE-2026-35406).
use super::carry::Talk;
use super::poll::Interest;
use super::slots::Key;
use std::{
    io::{self, ErrorKind, Read, Write},
    net::TcpStream,
    time::Instant,
};

/// Output that waits for a slow reader; above it no more queries are read.
const MOST_OUTPUT: usize = 128 * 1024;
/// Queries of one connection that wait for upstreams; above it no more are read.
const MOST_PENDING: usize = 64;
/// Bytes read in one turn.
const TURN: usize = 4 * 1024;

#[derive(Debug)]
pub struct Stream {
    pub seat: Key,
    pub stream: TcpStream,
    input: Vec<u8>,
    /// Bytes of the input that were taken.
    taken: usize,
    output: Vec<u8>,
    /// Answers that are still to come from upstream.
    pub pending: usize,
    /// The client will send no more.
    closed: bool,
    /// Last time that a whole query came or output went.
    pub active: Instant,
    /// What epoll was told.
    pub interest: Interest,
}

impl Stream {
    pub fn new(seat: Key, stream: TcpStream, now: Instant) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        let (input, taken, output, pending, closed) = (Vec::new(), 0, Vec::new(), 0, false);
        Ok(Stream {
            seat,
            stream,
            input,
            taken,
            output,
            pending,
            closed,
            active: now,
            interest: Interest::READ,
        })
    }

    /// A connection that another resolver has served so far.
    pub fn carried(seat: Key, talk: Talk, now: Instant) -> io::Result<Self> {
        let mut stream = Self::new(seat, talk.stream, now)?;
        (stream.input, stream.output, stream.closed) = (talk.input, talk.output, talk.closed);
        Ok(stream)
    }

    /// What somebody else needs to go on with it. `again`: queries that were taken and not answered.
    pub fn into_talk(self, again: &[Vec<u8>]) -> Talk {
        let mut input = Vec::new();
        for query in again {
            input.extend_from_slice(&(query.len() as u16).to_be_bytes());
            input.extend_from_slice(query);
        }
        input.extend_from_slice(&self.input[self.taken..]);
        Talk { stream: self.stream, input, output: self.output, closed: self.closed }
    }

    /// Reads what came, one turn's worth. An error ends the connection.
    pub fn read(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        self.input.drain(..self.taken);
        self.taken = 0;
        let most = buffer.len().min(TURN);
        match self.stream.read(&mut buffer[..most]) {
            Ok(0) => self.closed = true,
            Ok(length) => self.input.extend_from_slice(&buffer[..length]),
            Err(error) if is_later(&error) => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// The next whole message, if one is there and there is room for its answer.
    pub fn take_frame(&mut self, now: Instant) -> Option<Vec<u8>> {
        if self.is_full() {
            return None;
        }
        let (head, rest) = self.input[self.taken..].split_first_chunk::<2>()?;
        let length = usize::from(u16::from_be_bytes(*head));
        let frame = rest.get(..length)?.to_vec();
        self.taken += 2 + length;
        self.active = now;
        Some(frame)
    }

    /// Appends the frame that `write` makes; nothing if it makes nothing.
    pub fn put_frame<T>(&mut self, write: impl FnOnce(&mut Vec<u8>) -> T) -> T {
        let start = self.output.len();
        self.output.extend_from_slice(&[0, 0]);
        let made = write(&mut self.output);
        match u16::try_from(self.output.len() - start - 2) {
            Ok(length @ 1..) => self.output[start..start + 2].copy_from_slice(&length.to_be_bytes()),
            _ => self.output.truncate(start),
        }
        made
    }

    /// Writes what the client takes. An error ends the connection.
    pub fn write(&mut self, now: Instant) -> io::Result<()> {
        if !self.output.is_empty() {
            self.flush(now)?;
        }
        if self.output.is_empty() {
            // an idle connection holds no memory
            self.output = Vec::new();
        }
        if self.input.len() == self.taken {
            (self.input, self.taken) = (Vec::new(), 0);
        }
        Ok(())
    }

    fn flush(&mut self, now: Instant) -> io::Result<()> {
        match self.stream.write(&self.output) {
            Ok(length) if length > 0 => {
                self.output.drain(..length);
                self.active = now;
            }
            Ok(_) => {}
            Err(error) if is_later(&error) => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// What to wait for now.
    pub fn wanted(&self) -> Interest {
        Interest { read: !self.closed && !self.is_full(), write: !self.output.is_empty() }
    }

    /// The client has said and heard everything.
    pub fn is_over(&self) -> bool {
        self.closed && self.pending == 0 && self.output.is_empty()
    }

    fn is_full(&self) -> bool {
        self.output.len() >= MOST_OUTPUT || self.pending >= MOST_PENDING
    }
}

fn is_later(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}
