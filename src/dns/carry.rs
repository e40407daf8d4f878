//! What a resolver that ends leaves to the one that follows: its sockets, the connections of its clients, and what they
//! asked and it has not answered. It is asked again there, so nobody has to ask a second time.
use super::forward::Route;
use super::server::Server;
use super::slots::Key;
use super::stream::Stream;
use crate::model::Id;
use std::{
    collections::HashMap,
    net::{SocketAddr, TcpListener, TcpStream, UdpSocket},
    time::Instant,
};

/// A query by UDP, and who waits for its answer.
pub type Asked = (SocketAddr, Vec<u8>);

/// What is going on with the clients of one sandbox.
#[derive(Debug, Default)]
pub struct Talks {
    pub asked: Vec<Asked>,
    pub streams: Vec<Talk>,
}

/// A client's TCP connection.
#[derive(Debug)]
pub struct Talk {
    pub stream: TcpStream,
    /// Came and is not answered.
    pub input: Vec<u8>,
    /// Answers that are not sent.
    pub output: Vec<u8>,
    /// The client will send no more.
    pub closed: bool,
}

impl Server {
    /// Both sockets of every sandbox, once more.
    pub(super) fn sockets(&self) -> Vec<(Id, UdpSocket, TcpListener)> {
        let copy = |seat: &super::seat::Seat| -> std::io::Result<_> {
            Ok((seat.sandbox, seat.udp.try_clone()?, seat.tcp.try_clone()?))
        };
        let copies = self.seats.iter().filter_map(|(_, seat)| match copy(seat) {
            Ok(sockets) => Some(sockets),
            Err(error) => {
                tracing::warn!(
                    "dns: the sockets of sandbox {:?} cannot be handed over: {error}",
                    seat.sandbox
                );
                None
            }
        });
        copies.collect()
    }

    /// Everything that is not finished. The server is of no use after this.
    pub(super) fn freeze(&mut self) -> Vec<(Id, Talks)> {
        self.deliver(Instant::now());
        let mut talks: HashMap<Key, Talks> = HashMap::new();
        let mut again: HashMap<Key, Vec<Vec<u8>>> = HashMap::new();
        for waiter in self.misses.forward.waiting() {
            let query = waiter.ask.again(&waiter.question);
            match waiter.route {
                Route::Tcp(stream) => again.entry(stream).or_default().push(query),
                Route::Udp(peer) => {
                    let asked = peer.to().map(|peer| (peer, query));
                    talks.entry(waiter.seat).or_default().asked.extend(asked);
                }
            }
        }
        let streams: Vec<Key> = self.streams.iter().map(|(key, _)| key).collect();
        for key in streams {
            let Some(stream) = self.streams.remove(key) else { continue };
            let seat = stream.seat;
            let talk = stream.into_talk(&again.remove(&key).unwrap_or_default());
            talks.entry(seat).or_default().streams.push(talk);
        }
        let of_sandbox =
            talks.into_iter().filter_map(|(key, talks)| Some((self.seats.get(key)?.sandbox, talks)));
        of_sandbox.collect()
    }

    /// Goes on where another resolver stopped.
    pub(super) fn carry(&mut self, sandbox: Id, talks: Talks, at: Instant) {
        let Some(seat) = self.by_sandbox.get(&sandbox).copied() else { return };
        for (peer, query) in talks.asked {
            self.batch.pretend(peer.into(), &query);
            self.answer_datagrams(seat, 1, at);
        }
        for talk in talks.streams {
            let Ok(stream) = Stream::carried(seat, talk, at) else { continue };
            if let Some(key) = self.add_stream(seat, stream, at) {
                self.converse(key, at);
            }
        }
    }
}
