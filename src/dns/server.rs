//! The DNS thread: waits for all sockets, takes a bounded turn with each that is ready, and sends what came back from
//! upstream. It never blocks but in epoll.
use super::answer::{Action, answer};
use super::batch::{Batch, TURN};
use super::carry::Talks;
use super::forward::{Forward, Health, Now, OpenSocket, Opened, Route};
use super::miss::Misses;
use super::pace::{Pace, REST};
use super::poll::{Interest, Poll, Ready, Token};
use super::query::Over;
use super::seat::Seat;
use super::share::Share;
use super::slots::{Key, Slots};
use super::stats::{Counters, add};
use super::stream::Stream;
use super::timers::Timers;
use super::watch::Watch;
use super::{Config, Mailbox};
use crate::model::{Id, names::Names};
use arc_swap::ArcSwap;
use nix::sys::eventfd::EventFd;
use parking_lot::Mutex;
use std::{
    collections::HashMap,
    io,
    net::{TcpListener, UdpSocket},
    os::fd::{AsFd, OwnedFd},
    sync::{Arc, mpsc},
    time::{Duration, Instant},
};

/// What others ask of the thread.
pub enum Command {
    Serve(Id, UdpSocket, TcpListener),
    Stop(Id),
    Sockets(mpsc::Sender<Vec<(Id, UdpSocket, TcpListener)>>),
    Freeze(mpsc::Sender<Vec<(Id, Talks)>>),
    Carry(Id, Talks),
    /// The opening thread is done with an attempt.
    Opened(Key, io::Result<OwnedFd>),
    Quit,
}

/// What waits for its time.
#[derive(Debug, Clone, Copy)]
pub(super) enum Due {
    /// A connection may have been idle for too long.
    Idle(Key),
    /// A listener that was muted for want of descriptors, or to let others have their turn.
    Listen(Key),
    /// A sandbox whose datagrams waited to let others have their turn.
    Rested(Key),
}

pub struct Server {
    pub(super) poll: Poll,
    wake: Arc<EventFd>,
    inbox: mpsc::Receiver<Command>,
    watch: Watch,
    pub(super) names: Arc<ArcSwap<Names>>,
    pub(super) seats: Slots<Seat>,
    pub(super) by_sandbox: HashMap<Id, Key>,
    pub(super) streams: Slots<Stream>,
    pub(super) stream_share: Share,
    pub(super) idle: Duration,
    pub(super) misses: Misses,
    pub(super) timers: Timers<Due>,
    pub(super) batch: Batch,
    pub(super) buffer: Box<[u8]>,
    pub(super) counters: Arc<Counters>,
    health: Arc<Mutex<Health>>,
    pub(super) turn: Turn,
    pub(super) pace: Pace,
}

impl Server {
    pub(super) fn new(
        config: Config,
        names: Arc<ArcSwap<Names>>,
        sockets: Arc<dyn OpenSocket>,
        (mailbox, inbox): (Mailbox, mpsc::Receiver<Command>),
        counters: Arc<Counters>,
        health: Arc<Mutex<Health>>,
    ) -> io::Result<Self> {
        let poll = Poll::new()?;
        let wake = mailbox.wake.clone();
        poll.add(&*wake, Token::Wake, Interest::READ)?;
        let watch = Watch::new(&config.resolv_conf, config.port)?;
        poll.add(&watch, Token::Watch, Interest::READ)?;
        let opened: Opened = Arc::new(move |attempt, socket| mailbox.send(Command::Opened(attempt, socket)));
        let forward = Forward::new(sockets, opened, counters.clone(), health.clone());
        let share = |(each, all)| Share { each, all };
        let misses = Misses::new(forward, counters.clone(), share(config.in_flight), config.port);
        let mut server = Server {
            poll,
            wake,
            inbox,
            watch,
            names,
            seats: Slots::default(),
            by_sandbox: HashMap::new(),
            streams: Slots::default(),
            stream_share: share(config.connections),
            idle: Duration::from_secs(config.idle_seconds),
            misses,
            timers: Timers::default(),
            batch: Batch::new(),
            buffer: vec![0; 16 * 1024].into(),
            counters,
            health,
            turn: Turn(0x9e37_79b9_7f4a_7c15),
            pace: Pace::default(),
        };
        server.read_host();
        Ok(server)
    }

    /// Works until it is told to quit.
    pub fn run(mut self) {
        let mut ready: Vec<Ready> = Vec::new();
        loop {
            let until = [self.timers.next(), self.misses.forward.next()].into_iter().flatten().min();
            if let Err(error) = self.poll.wait(until, &mut ready) {
                return tracing::error!(
                    "dns: waiting for sockets failed, no more names are answered: {error}"
                );
            }
            let at = Instant::now();
            // A datagram is one question; a connection may bring hundreds.
            ready.sort_by_key(|event| !matches!(event.token, Token::Wake | Token::Udp(_)));
            for event in ready.drain(..) {
                match event.token {
                    Token::Wake if !self.commands(at) => return,
                    _ => self.event(event, at),
                }
            }
            self.due(at);
            self.deliver(at);
        }
    }

    fn event(&mut self, event: Ready, at: Instant) {
        match event.token {
            Token::Wake => {}
            Token::Watch if self.watch.changed() => self.read_host(),
            Token::Watch => {}
            Token::Udp(key) => self.datagrams(key, at),
            Token::Listener(key) => self.accept(key, at),
            Token::Connection(key) => self.connection(key, event, at),
            Token::Attempt(key) => self.misses.forward.ready(Now { poll: &self.poll, at }, key),
        }
    }

    /// False: quit.
    fn commands(&mut self, at: Instant) -> bool {
        // empties the counter; nothing else can go wrong with it
        let _ = self.wake.read();
        while let Ok(command) = self.inbox.try_recv() {
            match command {
                Command::Serve(sandbox, udp, tcp) => self.serve(sandbox, udp, tcp),
                Command::Stop(sandbox) => self.stop(sandbox),
                Command::Sockets(tell) => drop(tell.send(self.sockets())),
                Command::Freeze(tell) => {
                    let _ = tell.send(self.freeze());
                    return false;
                }
                Command::Carry(sandbox, talks) => self.carry(sandbox, talks, at),
                Command::Opened(attempt, socket) => {
                    self.misses.forward.opened(Now { poll: &self.poll, at }, attempt, socket);
                }
                Command::Quit => return false,
            }
        }
        true
    }

    fn serve(&mut self, sandbox: Id, udp: UdpSocket, tcp: TcpListener) {
        self.stop(sandbox);
        let added = Seat::new(sandbox, udp, tcp).and_then(|seat| {
            let key = self.seats.insert(seat);
            self.by_sandbox.insert(sandbox, key);
            let Some(seat) = self.seats.get(key) else { return Ok(()) };
            self.poll.add(&seat.udp, Token::Udp(key), Interest::READ)?;
            self.poll.add(&seat.tcp, Token::Listener(key), Interest::READ)
        });
        if let Err(error) = added {
            tracing::error!("dns: cannot serve sandbox {sandbox:?}: {error}");
            self.stop(sandbox);
        }
    }

    fn stop(&mut self, sandbox: Id) {
        let seat = self.by_sandbox.remove(&sandbox).and_then(|key| self.seats.remove(key));
        // While another process has them too, closing does not take them out of the epoll set.
        for socket in seat.iter().flat_map(|seat| [seat.udp.as_fd(), seat.tcp.as_fd()]) {
            self.poll.remove(socket);
        }
        for connection in seat.map(|seat| seat.connections).unwrap_or_default() {
            self.streams.remove(connection);
        }
        self.misses.forward.forget(sandbox);
    }

    fn read_host(&mut self) {
        let Some(conf) = self.watch.read() else { return };
        self.health.lock().keep_host(&conf.servers);
        self.misses.set_host(conf.servers);
    }

    /// One turn of a seat's UDP socket.
    fn datagrams(&mut self, key: Key, at: Instant) {
        let Some(seat) = self.seats.get(key) else { return };
        // an error (an earlier answer bounced) is cleared by being read
        let count = self.batch.receive(seat.udp.as_fd()).unwrap_or(0);
        self.answer_datagrams(key, count, at);
        if self.pace.is_shared(key, at) && count == TURN {
            self.listen_to(key, Interest::NONE);
            self.timers.set(at + REST, Due::Rested(key));
        }
    }

    fn listen_to(&mut self, key: Key, interest: Interest) {
        let Some(seat) = self.seats.get(key) else { return };
        if let Err(error) = self.poll.change(&seat.udp, Token::Udp(key), interest) {
            tracing::warn!("dns: cannot pace sandbox {:?}: {error}", seat.sandbox);
        }
    }

    /// Answers the `count` datagrams that the batch holds.
    pub(super) fn answer_datagrams(&mut self, key: Key, count: usize, at: Instant) {
        let Server { seats, names, misses, batch, poll, counters, turn, .. } = self;
        let Some(seat) = seats.get_mut(key) else { return };
        let names = names.load();
        let asker = names.asker(&seat.sandbox);
        let (mut hits, mut dropped) = (0, 0);
        for n in 0..count {
            let (packet, peer, out) = batch.split(n);
            let start = out.len();
            match answer(packet, Over::Udp, asker, &names, turn.next(), out) {
                Action::Reply => hits += 1,
                Action::Drop => dropped += 1,
                Action::Forward(query) => {
                    let now = Now { poll, at };
                    misses.take(now, (&mut *seat, key), asker, &query, Route::Udp(peer), out);
                }
            }
            batch.queue(peer, start);
        }
        // before the answers leave: who has one finds it counted
        add(&counters.queries, count as u64);
        add(&counters.hits, hits);
        add(&counters.dropped, dropped);
        batch.send(seat.udp.as_fd());
    }

    fn due(&mut self, at: Instant) {
        self.misses.forward.due(Now { poll: &self.poll, at });
        while let Some(due) = self.timers.due(at) {
            match due {
                Due::Idle(key) => self.check_idle(key, at),
                Due::Listen(key) => self.unmute(key),
                Due::Rested(key) => self.listen_to(key, Interest::READ),
            }
        }
    }

    /// Sends what came back from upstream. What that lets in may be answered at once, and so on.
    pub(super) fn deliver(&mut self, at: Instant) {
        loop {
            let finished = self.misses.finished();
            if finished.is_empty() {
                return;
            }
            for reply in finished {
                let seat = self.seats.get_mut(reply.seat);
                match reply.route {
                    Route::Udp(peer) => {
                        let Some(seat) = seat else { continue };
                        seat.in_flight -= 1;
                        let start = self.batch.output.len();
                        self.batch.output.extend_from_slice(&reply.message);
                        self.batch.queue(peer, start);
                        self.batch.send(seat.udp.as_fd());
                    }
                    Route::Tcp(key) => {
                        seat.into_iter().for_each(|seat| seat.in_flight -= 1);
                        self.hand_back(key, &reply.message, at);
                    }
                }
            }
        }
    }
}

/// Numbers that spread answers over those who share a name (xorshift64, Marsaglia 2003); not for secrets.
pub(super) struct Turn(u64);

impl Turn {
    pub(super) fn next(&mut self) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 20) as usize
    }
}
