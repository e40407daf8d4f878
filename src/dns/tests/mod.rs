//! What the tests share: a small world of names, queries made and answers judged by hickory-proto, servers that can be told
//! how to behave. Traffic never leaves loopback.
mod believed;
mod front;
mod fuzz;
mod hostile;
mod rules;
mod upstream;
mod watch;

use super::forward::OpenSocket;
use super::{Config, Dns};
use crate::model::Id;
use crate::model::names::{Asker, Names, Seat, Upstreams};
use arc_swap::ArcSwap;
use hickory_proto::{
    op::{Edns, Message, OpCode, Query, ResponseCode},
    rr::{Name, RData, Record, RecordType},
};
use std::{
    io::{self, Read, Write},
    net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    os::fd::OwnedFd,
    str::FromStr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU16, AtomicUsize, Ordering::SeqCst},
    },
    thread,
    time::{Duration, Instant},
};

pub(super) fn id(n: u8) -> Id {
    Id::from_bytes([n; 32])
}

pub(super) fn seat(sandbox: u8, names: &[&str], addresses: &[&str]) -> Seat {
    Seat {
        sandbox: id(sandbox),
        names: names.iter().map(|name| (*name).to_owned()).collect(),
        addresses: addresses.iter().map(|address| address.parse().unwrap()).collect(),
    }
}

/// Networks 1 `Front` (web 10, two workers 11 and 12 that share `app`), 2 `back.end` (db 20, web 10 again). Asker 10 is on
/// both, asker 11 on 1 only, with the link `store` to worker-b.
pub(super) fn world() -> Names {
    let mut names = Names::default();
    names.set_network(id(1), "Front");
    names.set_network(id(2), "back.end");
    names.set_seat(id(1), seat(10, &["Web", "www", "0123456789ab"], &["10.1.0.10", "fd01::10"]));
    names.set_seat(id(1), seat(11, &["worker-a", "app"], &["10.1.0.11"]));
    names.set_seat(id(1), seat(12, &["worker-b", "app"], &["10.1.0.12"]));
    names.set_seat(id(2), seat(10, &["web"], &["10.2.0.10"]));
    names.set_seat(id(2), seat(20, &["db", "db.sql"], &["10.2.0.20"]));
    names.set_asker(id(10), asker(&[1, 2]));
    let link = [("STORE".to_owned(), "Worker-B".to_owned())].into();
    names.set_asker(id(11), Asker { links: [(id(1), link)].into(), ..asker(&[1]) });
    names
}

pub(super) fn asker(networks: &[u8]) -> Asker {
    let upstream = Upstreams { outside: true, ..Upstreams::default() };
    Asker { networks: networks.iter().copied().map(id).collect(), upstream, ..Asker::default() }
}

pub(super) fn query(name: &str, kind: RecordType) -> Message {
    let mut message = Message::query();
    message.metadata.id = 4711;
    message.metadata.recursion_desired = true;
    message.add_query(Query::query(Name::from_ascii(name).unwrap(), kind));
    message
}

pub(super) fn with_edns(mut message: Message, size: u16) -> Message {
    let mut edns = Edns::new();
    edns.set_max_payload(size);
    message.set_edns(edns);
    message
}

/// Code and records' data of an answer, as text.
pub(super) fn digest(bytes: &[u8]) -> String {
    let message = Message::from_vec(bytes).expect("hickory reads our answers");
    let records: Vec<_> = message.answers.iter().map(|record| record.data.to_string()).collect();
    let cut = if message.metadata.truncation { " TC" } else { "" };
    format!("{:?}{cut} {}", message.metadata.response_code, records.join(" ")).trim_end().to_owned()
}

/// A resolver with two sandboxes' worth of world behind loopback sockets, and fake upstreams of its own.
pub(super) struct Lab {
    pub dns: Dns,
    pub names: Arc<ArcSwap<Names>>,
    pub net: [u8; 2],
    pub folder: tempfile::TempDir,
    pub sockets: Arc<Plain>,
}

/// Plain sockets; remembers how many were opened for sandboxes, may be told to dawdle.
#[derive(Default)]
pub(super) struct Plain {
    pub for_sandboxes: AtomicUsize,
    pub dead: AtomicBool,
}

pub(super) const PORT: u16 = 5353;

impl OpenSocket for Plain {
    fn udp(&self, sandbox: Option<Id>, to: SocketAddr) -> io::Result<OwnedFd> {
        self.for_sandboxes.fetch_add(usize::from(sandbox.is_some()), SeqCst);
        if self.dead.load(SeqCst) {
            return Err(io::Error::from_raw_os_error(libc::ENOENT));
        }
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        socket.connect(to)?;
        Ok(socket.into())
    }
    fn tcp(&self, _: Option<Id>, to: SocketAddr) -> io::Result<OwnedFd> {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        match socket.connect(&to.into()) {
            Err(error) if error.raw_os_error() != Some(libc::EINPROGRESS) => Err(error),
            _ => Ok(socket.into()),
        }
    }
}

static NEXT: AtomicU16 = AtomicU16::new(1);

impl Lab {
    /// `servers`: last bytes of the addresses in the lab's resolv.conf.
    pub fn new(servers: &[u8]) -> Self {
        Self::with(servers, |_| ())
    }

    pub fn with(servers: &[u8], change: impl FnOnce(&mut Config)) -> Self {
        // loopback addresses of this lab alone, for tests run side by side
        let net = [100 + (std::process::id() % 100) as u8, NEXT.fetch_add(1, SeqCst) as u8];
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("resolv.conf");
        let line = |n: &u8| format!("nameserver 127.{}.{}.{n}\n", net[0], net[1]);
        std::fs::write(&path, servers.iter().map(line).collect::<String>() + "# end\n").unwrap();
        let mut config = Config { resolv_conf: path, port: PORT, ..Config::default() };
        change(&mut config);
        let names = Arc::new(ArcSwap::from_pointee(world()));
        let sockets = Arc::new(Plain::default());
        let dns = Dns::start(config, names.clone(), sockets.clone()).unwrap();
        Lab { dns, names, net, folder, sockets }
    }

    pub fn address(&self, n: u8) -> IpAddr {
        IpAddr::from([127, self.net[0], self.net[1], n])
    }

    pub fn publish(&self, change: impl FnOnce(&mut Names)) {
        let mut names = Names::clone(&self.names.load());
        change(&mut names);
        self.names.store(Arc::new(names));
    }

    /// CPU time that the DNS thread has used.
    pub fn cpu(&self) -> Duration {
        use std::os::unix::thread::JoinHandleExt;
        let thread = self.dns.thread.as_ref().unwrap().as_pthread_t();
        let mut clock = 0;
        let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: the thread runs as long as the lab lives; both calls write only to the variables above.
        let failed = unsafe {
            libc::pthread_getcpuclockid(thread, &mut clock) + libc::clock_gettime(clock, &mut time)
        };
        assert_eq!(failed, 0);
        Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
    }

    /// The sandbox's end.
    pub fn serve(&self, sandbox: u8) -> Client {
        let udp = UdpSocket::bind((self.address(250), 0)).unwrap();
        let at = udp.local_addr().unwrap();
        let tcp = TcpListener::bind(at).unwrap();
        self.dns.serve(id(sandbox), udp, tcp);
        Client { at }
    }

    /// A server at the lab's address `n` that answers as `behave` says (true: by TCP); None is silence.
    pub fn upstream(
        &self,
        n: u8,
        behave: impl Fn(Message, bool) -> Option<Message> + Send + Sync + 'static,
    ) -> Upstream {
        let at = SocketAddr::new(self.address(n), PORT);
        let (udp, tcp) = (UdpSocket::bind(at).unwrap(), TcpListener::bind(at).unwrap());
        let behave = Arc::new(behave);
        let (asked, also_asked, also) =
            (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)), behave.clone());
        let (count, count_tcp) = (asked.clone(), also_asked.clone());
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok((length, from)) = udp.recv_from(&mut buffer) {
                count.fetch_add(1, SeqCst);
                let Ok(query) = Message::from_vec(&buffer[..length]) else { continue };
                if let Some(answer) = behave(query, false) {
                    let _ = udp.send_to(&answer.to_vec().unwrap(), from);
                }
            }
        });
        thread::spawn(move || {
            for stream in tcp.incoming() {
                let mut stream = stream.unwrap();
                count_tcp.fetch_add(1, SeqCst);
                let Some(frame) = read_frame(&mut stream) else { continue };
                if let Some(answer) = also(Message::from_vec(&frame).unwrap(), true) {
                    write_frame(&mut stream, &answer.to_vec().unwrap());
                }
            }
        });
        Upstream { udp: asked, tcp: also_asked }
    }
}

/// How often a fake server was asked.
pub(super) struct Upstream {
    pub udp: Arc<AtomicUsize>,
    pub tcp: Arc<AtomicUsize>,
}

pub(super) struct Client {
    pub at: SocketAddr,
}

impl Client {
    pub fn udp(&self, query: &Message) -> Vec<u8> {
        let socket = self.socket();
        socket.send(&query.to_vec().unwrap()).unwrap();
        receive(&socket)
    }
    pub fn socket(&self) -> UdpSocket {
        let socket = UdpSocket::bind((self.at.ip(), 0)).unwrap();
        socket.connect(self.at).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(8))).unwrap();
        socket
    }
    pub fn stream(&self) -> TcpStream {
        let stream = TcpStream::connect(self.at).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(8))).unwrap();
        stream
    }
    pub fn tcp(&self, query: &Message) -> Vec<u8> {
        let mut stream = self.stream();
        write_frame(&mut stream, &query.to_vec().unwrap());
        read_frame(&mut stream).expect("an answer by TCP")
    }
    /// Digest by UDP and what it took.
    pub fn timed(&self, name: &str) -> (String, Duration) {
        let start = Instant::now();
        let answer = digest(&self.udp(&query(name, RecordType::A)));
        (answer, start.elapsed())
    }
}

pub(super) fn receive(socket: &UdpSocket) -> Vec<u8> {
    let mut buffer = vec![0; 65536];
    let length = socket.recv(&mut buffer).expect("an answer by UDP");
    buffer.truncate(length);
    buffer
}

pub(super) fn write_frame(stream: &mut TcpStream, message: &[u8]) {
    let frame = [&(message.len() as u16).to_be_bytes(), message].concat();
    stream.write_all(&frame).unwrap();
}

pub(super) fn read_frame(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut length = [0; 2];
    stream.read_exact(&mut length).ok()?;
    let mut frame = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut frame).ok()?;
    Some(frame)
}

/// An answer to `query` with these addresses.
pub(super) fn reply(query: &Message, addresses: &[&str], ttl: u32) -> Message {
    let mut answer = blank(query, ResponseCode::NoError);
    let name = query.queries[0].name().clone();
    for address in addresses {
        let data = match address.parse().unwrap() {
            IpAddr::V4(v4) => RData::A(v4.into()),
            IpAddr::V6(v6) => RData::AAAA(v6.into()),
        };
        answer.add_answer(Record::from_rdata(name.clone(), ttl, data));
    }
    answer
}

pub(super) fn blank(query: &Message, code: ResponseCode) -> Message {
    let mut answer = Message::response(query.metadata.id, OpCode::Query);
    answer.metadata.response_code = code;
    answer.add_query(query.queries[0].clone());
    answer
}
