//! DNS traffic of our own: questions, an upstream that knows everything, the bare echo, and who asks one at a time or for
//! a hundred places at once. `dnsperf` judges rates; this judges waits, and what needs many namespaces.
use crate::place::Place;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use std::{
    io, mem,
    net::{SocketAddr, UdpSocket},
    os::fd::AsRawFd,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

pub const A: u16 = 1;

pub fn question(id: u16, name: &str, kind: u16) -> Vec<u8> {
    let mut packet = id.to_be_bytes().to_vec();
    packet.extend([1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    for label in name.split('.') {
        packet.push(label.len() as u8);
        packet.extend(label.as_bytes());
    }
    packet.push(0);
    packet.extend(kind.to_be_bytes());
    packet.extend(1_u16.to_be_bytes());
    packet
}

/// Answers every question of address `at` in `place`: A with 192.0.2.7 for an hour; names that begin with `u` for no
/// time at all, so that nobody may keep them; those that begin with `miss` do not exist.
pub fn upstream(place: &Place, at: &str) {
    let socket =
        place.enter(|| UdpSocket::bind(at)).unwrap_or_else(|error| panic!("upstream at {at}: {error}"));
    thread::spawn(move || {
        let mut packet = [0; 1500];
        while let Ok((length, from)) = socket.recv_from(&mut packet) {
            let end =
                packet[12..length].iter().position(|byte| *byte == 0).map_or(length, |end| 12 + end + 5);
            let mut answer = packet[..end.min(length)].to_vec();
            let name = &packet[13..length];
            let (missing, fresh) = (name.starts_with(b"miss"), name.starts_with(b"u"));
            answer[2] = 0x85;
            answer[3] = if missing { 0x83 } else { 0x80 };
            answer[6..12].fill(0);
            let is_a = answer.get(end - 4..end - 2) == Some(&[0, 1]);
            if !missing && is_a {
                answer[7] = 1;
                let ttl = if fresh { 0_u32 } else { 3_600 };
                answer.extend([0xc0, 12, 0, 1, 0, 1]);
                answer.extend(ttl.to_be_bytes());
                answer.extend([0, 4, 192, 0, 2, 7]);
            }
            let _ = socket.send_to(&answer, from);
        }
    });
}

/// The limit: whatever comes goes back with the answer bit set, as many at once as there are.
pub fn echo(place: &Place, at: &str) {
    let socket = place.enter(|| UdpSocket::bind(at)).unwrap_or_else(|error| panic!("echo at {at}: {error}"));
    thread::spawn(move || while reflect(&socket).is_ok() {});
}

const BATCH: usize = 64;

fn reflect(socket: &UdpSocket) -> io::Result<()> {
    let mut packets = [[0_u8; 512]; BATCH];
    // SAFETY: both are plain C structures for which all zeros is a value.
    let (mut names, mut headers): ([libc::sockaddr_in; BATCH], [libc::mmsghdr; BATCH]) =
        unsafe { mem::zeroed() };
    // SAFETY: as above.
    let mut parts: [libc::iovec; BATCH] = unsafe { mem::zeroed() };
    loop {
        for i in 0..BATCH {
            parts[i] = libc::iovec { iov_base: packets[i].as_mut_ptr().cast(), iov_len: 512 };
            headers[i].msg_hdr.msg_iov = &raw mut parts[i];
            headers[i].msg_hdr.msg_iovlen = 1;
            headers[i].msg_hdr.msg_name = (&raw mut names[i]).cast();
            headers[i].msg_hdr.msg_namelen = size_of::<libc::sockaddr_in>() as u32;
        }
        // SAFETY: every header points to one buffer and one name of the sizes said, alive during both calls.
        let got = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                headers.as_mut_ptr(),
                BATCH as u32,
                libc::MSG_WAITFORONE,
                std::ptr::null_mut(),
            )
        };
        let got = usize::try_from(got).map_err(|_| io::Error::last_os_error())?;
        for i in 0..got {
            packets[i][2] |= 0x80;
            parts[i].iov_len = headers[i].msg_len as usize;
        }
        // SAFETY: as above; only the first `got` are sent.
        unsafe { libc::sendmmsg(socket.as_raw_fd(), headers.as_mut_ptr(), got as u32, 0) };
    }
}

/// Seconds from question to answer, one at a time, from `place`. Who gets no answer asks again after a second, and all of
/// that is its wait; ends early after 6 s.
pub fn waits(place: &Place, server: SocketAddr, name: &str, count: usize) -> Result<Vec<f64>, String> {
    let socket = asker(place, server)?;
    let (mut answer, begin) = ([0; 1500], Instant::now());
    let mut times = Vec::with_capacity(count);
    for number in 0..count {
        let packet = question(number as u16, name, A);
        let start = Instant::now();
        socket.send(&packet).map_err(|error| format!("ask {server}: {error}"))?;
        loop {
            match socket.recv(&mut answer) {
                Ok(got) if got >= 12 && answer[..2] == packet[..2] => break,
                Err(_) if begin.elapsed().as_secs() >= 6 && times.is_empty() => {
                    return Err("no answer within 6 s".to_owned());
                }
                Err(_) if begin.elapsed().as_secs() >= 6 => break,
                Err(_) => drop(socket.send(&packet)),
                Ok(_) => {}
            }
        }
        times.push(start.elapsed().as_secs_f64());
        if begin.elapsed().as_secs() >= 6 {
            break;
        }
    }
    Ok(times)
}

/// Asks as fast as it can without waiting for answers, until it is dropped.
pub struct Flood {
    stop: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Flood {
    pub fn start(place: &Place, server: SocketAddr, name: &str) -> Result<Self, String> {
        let socket = asker(place, server)?;
        socket.set_nonblocking(true).map_err(|error| error.to_string())?;
        let (stop, packet) = (Arc::new(AtomicBool::new(false)), question(9, name, A));
        let stopped = Arc::clone(&stop);
        let work = move || {
            let mut answer = [0; 1500];
            while !stopped.load(Ordering::Relaxed) {
                let _ = socket.send(&packet);
                let _ = socket.recv(&mut answer);
            }
        };
        Ok(Flood { stop, thread: Some(thread::spawn(work)) })
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = self.thread.take().map(thread::JoinHandle::join);
    }
}

fn asker(place: &Place, server: SocketAddr) -> Result<UdpSocket, String> {
    let failed = |error: io::Error| format!("ask {server}: {error}");
    let socket = place.enter(|| UdpSocket::bind("0.0.0.0:0")).map_err(failed)?;
    socket.connect(server).map_err(failed)?;
    socket.set_read_timeout(Some(Duration::from_secs(1))).map_err(failed)?;
    Ok(socket)
}

/// Every place asks as soon as it has its answer, for so long: answers a second over all, and the seconds of each.
pub fn crowd(
    askers: &[(Place, SocketAddr)],
    name: &str,
    length: Duration,
) -> Result<(f64, Vec<f64>), String> {
    let epoll = Epoll::new(EpollCreateFlags::empty()).map_err(|error| error.to_string())?;
    let mut sockets = Vec::new();
    for (place, server) in askers {
        let socket = asker(place, *server)?;
        socket.set_nonblocking(true).map_err(|error| error.to_string())?;
        let event = EpollEvent::new(EpollFlags::EPOLLIN, sockets.len() as u64);
        epoll.add(&socket, event).map_err(|error| error.to_string())?;
        sockets.push((socket, Instant::now()));
    }
    let packet = question(7, name, A);
    let start = Instant::now();
    for (socket, asked) in &mut sockets {
        *asked = Instant::now();
        socket.send(&packet).map_err(|error| error.to_string())?;
    }
    let (mut times, mut events, mut answer) =
        (Vec::new(), vec![EpollEvent::empty(); sockets.len()], [0; 1500]);
    while start.elapsed() < length {
        let ready =
            epoll.wait(&mut events, EpollTimeout::from(500_u16)).map_err(|error| error.to_string())?;
        if ready == 0 {
            return Err("questions were lost".to_owned());
        }
        for event in &events[..ready] {
            let (socket, asked) = &mut sockets[event.data() as usize];
            if socket.recv(&mut answer).is_ok() {
                times.push(asked.elapsed().as_secs_f64());
                *asked = Instant::now();
                socket.send(&packet).map_err(|error| error.to_string())?;
            }
        }
    }
    Ok((times.len() as f64 / start.elapsed().as_secs_f64(), times))
}
