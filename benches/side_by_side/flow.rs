//! Bytes and packets of our own between two places, with every thread on a CPU of its own choice: where the scheduler puts
//! a sender and a receiver makes a tenth of a stream, more than what is compared here.
use crate::place::Place;
use nix::{
    sched::{CpuSet, sched_getaffinity, sched_setaffinity},
    unistd::Pid,
};
use socket2::{Domain, Socket, Type};
use std::{
    io::{self, ErrorKind, Read, Write},
    net::{Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket},
    thread,
    time::{Duration, Instant},
};

/// What one `write` gives and one `read` takes: iperf3's 128 KiB.
const CHUNK: usize = 128 << 10;
/// Bytes of a UDP packet, and how many are under way before they are fetched, on one CPU.
const PACKET: usize = 64;
const BURST: usize = 64;
/// So long a stream runs before it counts.
const WARM: Duration = Duration::from_millis(8);
/// So long after the last packet of a flood no more comes.
const SILENCE: Duration = Duration::from_millis(10);
/// Nobody waits longer for a connection, bytes or packets.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where a place takes bytes and packets, at one port, both families.
pub struct Sink {
    stream: TcpListener,
    packets: UdpSocket,
}

impl Sink {
    pub fn open(place: &Place, port: u16) -> Self {
        let open = |kind| {
            let socket = Socket::new(Domain::IPV6, kind, None)?;
            socket.set_reuse_address(true)?;
            socket.set_read_timeout(Some(PATIENCE))?;
            socket.bind(&SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)).into())?;
            io::Result::Ok(socket)
        };
        let both = || {
            let (stream, packets) = (open(Type::STREAM)?, open(Type::DGRAM)?);
            packets.set_recv_buffer_size(4 << 20)?;
            stream.listen(16)?;
            io::Result::Ok(Sink { stream: stream.into(), packets: packets.into() })
        };
        place.enter(both).unwrap_or_else(|error| panic!("listen at {port}: {error}"))
    }

    /// Bits a second of one TCP stream, the sender on the first CPU, the receiver on the last. Its windows open first.
    pub fn stream(&self, from: &Place, to: SocketAddr, length: Duration) -> io::Result<f64> {
        let (mut client, mut server) = self.connection(from, to)?;
        let cpus = cpus();
        thread::scope(|scope| {
            let reader = scope.spawn(move || {
                pin(cpus.1)?;
                let (mut chunk, mut bytes, begin) = (vec![0; CHUNK], 0, Instant::now());
                let mut start = None;
                loop {
                    match (server.read(&mut chunk)?, start) {
                        (0, start) => return io::Result::Ok((bytes, start.unwrap_or(begin).elapsed())),
                        (_, None) if begin.elapsed() > WARM => start = Some(Instant::now()),
                        (_, None) => {}
                        (count, Some(_)) => bytes += count,
                    }
                }
            });
            let writer = scope.spawn(move || {
                pin(cpus.0)?;
                let (chunk, start) = (vec![0; CHUNK], Instant::now());
                while start.elapsed() < WARM + length {
                    client.write_all(&chunk)?;
                }
                client.shutdown(Shutdown::Write)
            });
            writer.join().expect("a writer")?;
            let (bytes, took) = reader.join().expect("a reader")?;
            Ok(bytes as f64 * 8.0 / took.as_secs_f64())
        })
    }

    /// The same by one thread, on one CPU, that sends and receives in turn: seconds of CPU time for each 128 KiB. Nobody is
    /// woken, nothing happens beside it and what is copied stays in the cache, so this is the price of the path before all.
    pub fn stream_on_one(&self, from: &Place, to: SocketAddr, length: Duration) -> io::Result<f64> {
        let (mut client, mut server) = self.connection(from, to)?;
        client.set_nonblocking(true)?;
        server.set_nonblocking(true)?;
        alone(move || {
            let (give, mut take, mut bytes) = (vec![0; CHUNK], vec![0; CHUNK], 0);
            let start = Instant::now();
            while start.elapsed() < length {
                let sent = now(client.write(&give))?;
                let mut got = 0;
                while let Some(count) = now(server.read(&mut take))? {
                    got += count;
                }
                bytes += got;
                if sent.is_none() && got == 0 {
                    thread::yield_now();
                }
            }
            Ok(start.elapsed().as_secs_f64() * CHUNK as f64 / bytes as f64)
        })
    }

    /// UDP packets that arrive in a second, the sender on the first CPU, the receiver on the last.
    pub fn packets(&self, from: &Place, to: SocketAddr, length: Duration) -> io::Result<f64> {
        let (client, packets, cpus) = (self.acquainted(from, to)?, &self.packets, cpus());
        packets.set_nonblocking(true)?;
        thread::scope(|scope| {
            let reader = scope.spawn(move || {
                pin(cpus.1)?;
                // It never sleeps: how long a CPU takes to be woken is not the path's.
                let (mut packet, mut count, mut last) = ([0; PACKET], 0u32, Instant::now());
                loop {
                    let patience = if count == 0 { PATIENCE } else { SILENCE };
                    match now(packets.recv(&mut packet))? {
                        Some(_) => (count, last) = (count + 1, Instant::now()),
                        None if last.elapsed() > patience => return io::Result::Ok((count, last)),
                        None => {}
                    }
                }
            });
            let writer = scope.spawn(move || {
                pin(cpus.0)?;
                let start = Instant::now();
                while start.elapsed() < length {
                    (0..BURST).try_for_each(|_| client.send(&[0; PACKET]).map(drop))?;
                }
                io::Result::Ok(start)
            });
            let start = writer.join().expect("a writer")?;
            let (count, end) = reader.join().expect("a reader")?;
            Ok(f64::from(count) / (end - start).as_secs_f64())
        })
    }

    /// The same by one thread, on one CPU: seconds of CPU time of one packet, from `send` until `recv` returns.
    pub fn packet_on_one(&self, from: &Place, to: SocketAddr, length: Duration) -> io::Result<f64> {
        let (client, server) = (self.acquainted(from, to)?, &self.packets);
        server.set_nonblocking(false)?;
        alone(move || {
            let (mut packet, mut count) = ([0; PACKET], 0u32);
            let start = Instant::now();
            while start.elapsed() < length {
                (0..BURST).try_for_each(|_| client.send(&[0; PACKET]).map(drop))?;
                (0..BURST).try_for_each(|_| server.recv(&mut packet).map(drop))?;
                count += BURST as u32;
            }
            Ok(start.elapsed().as_secs_f64() / f64::from(count))
        })
    }

    /// Both ends.
    fn connection(&self, from: &Place, to: SocketAddr) -> io::Result<(TcpStream, TcpStream)> {
        let client = from.enter(|| TcpStream::connect_timeout(&to, PATIENCE))?;
        let (server, _) = self.stream.accept()?;
        for end in [&client, &server] {
            end.set_read_timeout(Some(PATIENCE))?;
            end.set_write_timeout(Some(PATIENCE))?;
        }
        Ok((client, server))
    }

    /// A socket whose first packet was answered, as nearly everybody's is: what nobody ever answers stays new to conntrack,
    /// and meets every rule with every packet.
    fn acquainted(&self, from: &Place, to: SocketAddr) -> io::Result<UdpSocket> {
        let client = from.enter(|| {
            let socket = Socket::new(Domain::for_address(to), Type::DGRAM, None)?;
            socket.set_read_timeout(Some(PATIENCE))?;
            socket.connect(&to.into())?;
            io::Result::Ok(UdpSocket::from(socket))
        })?;
        // What a flood left.
        self.packets.set_nonblocking(true)?;
        while now(self.packets.recv(&mut [0]))?.is_some() {}
        self.packets.set_nonblocking(false)?;
        client.send(b"?")?;
        let (_, back) = self.packets.recv_from(&mut [0])?;
        self.packets.send_to(b"!", back)?;
        client.recv(&mut [0])?;
        Ok(client)
    }
}

/// A thread of its own on the first CPU.
fn alone<T: Send>(work: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
    let pinned = || pin(cpus().0).and_then(|()| work());
    thread::scope(|scope| scope.spawn(pinned).join().expect("a thread"))
}

/// The first and the last that we may use; one and the same where there is no other.
pub fn cpus() -> (usize, usize) {
    let ours = sched_getaffinity(Pid::from_raw(0)).expect("our CPUs");
    let mut all = (0..CpuSet::count()).filter(|cpu| ours.is_set(*cpu).unwrap_or(false));
    let first = all.next().expect("a CPU");
    (first, all.next_back().unwrap_or(first))
}

/// The calling thread runs there from now on.
pub fn pin(cpu: usize) -> io::Result<()> {
    let mut set = CpuSet::new();
    set.set(cpu)?;
    Ok(sched_setaffinity(Pid::from_raw(0), &set)?)
}

/// None: not now.
fn now(done: io::Result<usize>) -> io::Result<Option<usize>> {
    match done {
        Ok(count) => Ok(Some(count)),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error),
    }
}
