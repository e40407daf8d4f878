//! The DNS thread's TCP side: accepts, reads queries, writes answers. It never lets one sandbox hold all connections, and
//! closes what is idle.
use super::answer::{Action, answer};
use super::forward::{Now, Route};
use super::pace::REST;
use super::poll::{Interest, Ready, Token};
use super::query::Over;
use super::server::{Due, Server};
use super::slots::Key;
use super::stats::add;
use super::stream::Stream;
use std::{
    io::ErrorKind,
    net::TcpStream,
    time::{Duration, Instant},
};

/// Connections accepted in one turn of one listener.
const TURN: usize = 16;
/// How long a listener is muted when descriptors have run out.
const MUTE: Duration = Duration::from_millis(100);

impl Server {
    /// One turn of a seat's listener.
    pub(super) fn accept(&mut self, key: Key, at: Instant) {
        for _ in 0..TURN {
            let Some(seat) = self.seats.get(key) else { return };
            match seat.tcp.accept() {
                Ok((stream, _)) => self.admit(key, stream, at),
                Err(error)
                    if matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::ConnectionAborted) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                // no descriptors: it would be ready again at once, and again
                Err(_) => return self.mute(key, at + MUTE),
            }
        }
        if self.pace.is_shared(key, at) {
            self.mute(key, at + REST);
        }
    }

    /// No connection is accepted until then.
    fn mute(&mut self, key: Key, until: Instant) {
        let Some(seat) = self.seats.get(key) else { return };
        if self.poll.change(&seat.tcp, Token::Listener(key), Interest::NONE).is_ok() {
            self.timers.set(until, Due::Listen(key));
        }
    }

    pub(super) fn unmute(&mut self, key: Key) {
        let Some(seat) = self.seats.get(key) else { return };
        if let Err(error) = self.poll.change(&seat.tcp, Token::Listener(key), Interest::READ) {
            tracing::warn!("dns: no TCP queries of sandbox {:?} any more: {error}", seat.sandbox);
        }
    }

    /// A new connection takes the place of the seat's idlest one if there is no room.
    fn admit(&mut self, key: Key, stream: TcpStream, at: Instant) {
        let Some(seat) = self.seats.get(key) else { return };
        if !self.stream_share.allows(seat.connections.len(), self.streams.len()) {
            let own = seat.connections.iter().filter_map(|key| Some((*key, self.streams.get(*key)?)));
            let idle = own.filter(|(_, stream)| stream.pending == 0).min_by_key(|(_, stream)| stream.active);
            let Some((idlest, _)) = idle else { return };
            self.close(idlest);
        }
        let Ok(stream) = Stream::new(key, stream, at) else { return };
        self.add_stream(key, stream, at);
    }

    /// Its key, if it could be taken up.
    pub(super) fn add_stream(&mut self, key: Key, stream: Stream, at: Instant) -> Option<Key> {
        let connection = self.streams.insert(stream);
        let stream = self.streams.get(connection)?;
        let added = self.poll.add(&stream.stream, Token::Connection(connection), Interest::READ);
        match (added, self.seats.get_mut(key)) {
            (Ok(()), Some(seat)) => {
                seat.connections.push(connection);
                self.timers.set(at + self.idle, Due::Idle(connection));
                add(&self.counters.connections, 1);
                Some(connection)
            }
            _ => {
                self.streams.remove(connection);
                None
            }
        }
    }

    /// Something happened on a connection.
    pub(super) fn connection(&mut self, key: Key, event: Ready, at: Instant) {
        let Some(stream) = self.streams.get_mut(key) else { return };
        let failed = event.broken || (event.read && stream.read(&mut self.buffer).is_err());
        match failed {
            true => self.close(key),
            false => self.converse(key, at),
        }
    }

    /// An answer from upstream; empty if there is nothing to be said.
    pub(super) fn hand_back(&mut self, key: Key, message: &[u8], at: Instant) {
        let Some(stream) = self.streams.get_mut(key) else { return };
        stream.pending -= 1;
        stream.put_frame(|out| out.extend_from_slice(message));
        self.converse(key, at);
    }

    /// Answers the queries that are there, as far as there is room for answers, and waits for what is to come.
    pub(super) fn converse(&mut self, key: Key, at: Instant) {
        loop {
            let Some((asked, fine)) = self.answer_frames(key, at) else { return };
            let Some(stream) = self.streams.get_mut(key) else { return };
            if !fine || stream.write(at).is_err() || stream.is_over() {
                return self.close(key);
            }
            // with room again there may be more whole frames in the input, of which epoll knows nothing
            if asked == 0 || stream.wanted().write {
                break;
            }
        }
        let Some(stream) = self.streams.get_mut(key) else { return };
        let wanted = stream.wanted();
        if wanted == stream.interest {
            return;
        }
        stream.interest = wanted;
        if self.poll.change(&stream.stream, Token::Connection(key), wanted).is_err() {
            self.close(key);
        }
    }

    /// How many queries were taken, and whether all were queries.
    fn answer_frames(&mut self, key: Key, at: Instant) -> Option<(usize, bool)> {
        let Server { streams, seats, names, misses, poll, counters, turn, .. } = self;
        let stream = streams.get_mut(key)?;
        let seat_key = stream.seat;
        let seat = seats.get_mut(seat_key)?;
        let names = names.load();
        let asker = names.asker(&seat.sandbox);
        let mut asked = 0;
        while let Some(frame) = stream.take_frame(at) {
            asked += 1;
            add(&counters.queries, 1);
            match stream.put_frame(|out| answer(&frame, Over::Tcp, asker, &names, turn.next(), out)) {
                Action::Reply => add(&counters.hits, 1),
                Action::Drop => {
                    add(&counters.dropped, 1);
                    return Some((asked, false));
                }
                Action::Forward(query) => {
                    let (now, route) = (Now { poll, at }, Route::Tcp(key));
                    let pending = stream
                        .put_frame(|out| misses.take(now, (&mut *seat, seat_key), asker, &query, route, out));
                    stream.pending += usize::from(pending);
                }
            }
        }
        Some((asked, true))
    }

    pub(super) fn check_idle(&mut self, key: Key, at: Instant) {
        let Some(stream) = self.streams.get(key) else { return };
        let until = stream.active + self.idle;
        match (stream.pending, until <= at) {
            (0, true) => self.close(key),
            (0, false) => self.timers.set(until, Due::Idle(key)),
            _ => self.timers.set(at + self.idle, Due::Idle(key)),
        }
    }

    fn close(&mut self, key: Key) {
        let Some(stream) = self.streams.remove(key) else { return };
        if let Some(seat) = self.seats.get_mut(stream.seat) {
            seat.connections.retain(|other| *other != key);
        }
    }
}
