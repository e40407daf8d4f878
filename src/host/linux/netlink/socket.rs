//! One blocking NETLINK_ROUTE socket; it never waits longer than its limit and never loses an error.
use super::{
    batch::{Batch, Manner},
    reply::{answers, u32_at},
    seen::LinkSeen,
};
use crate::{
    error::{Error, Result},
    model::IfName,
};
use netlink_packet_core::{NLM_F_DUMP, NLM_F_REQUEST, NetlinkMessage};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_sys::{Socket, protocols::NETLINK_ROUTE};
use nix::sys::{
    socket::{setsockopt, sockopt::ReceiveTimeout},
    time::{TimeVal, TimeValLike},
};
use std::{
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd},
};

/// Longest wait for one answer. The RTNL may be held for tens of milliseconds by others; seconds mean trouble.
const LIMIT_SECONDS: i64 = 10;
/// A kernel datagram is at most this long (netlink_dump allocates up to 32 KiB).
const DATAGRAM: usize = 32 << 10;
/// An answer to a change is far shorter; zeroing less keeps a visit to a namespace cheap.
const SHORT: usize = 8 << 10;
const NLM_F_DUMP_INTR: u16 = 0x10;

/// A socket to the kernel's routing of one network namespace.
pub struct Route {
    socket: Socket,
    sequence: u32,
    buffer: Vec<u8>,
}

/// One request of a batch that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Place in the batch, from 0.
    pub place: usize,
    pub errno: i32,
    /// The kernel's own words (NLMSGERR_ATTR_MSG).
    pub text: Option<String>,
}

/// What came back: data messages as (type, body) and failures, both in order.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub data: Vec<(u16, Vec<u8>)>,
    pub failures: Vec<Failure>,
}

impl AsFd for Route {
    fn as_fd(&self) -> BorrowedFd<'_> {
        // SAFETY: the descriptor is open as long as `self.socket`, which the borrow keeps alive.
        unsafe { BorrowedFd::borrow_raw(self.socket.as_raw_fd()) }
    }
}

impl Route {
    /// Opens a socket in the network namespace the calling thread is in. 5 µs.
    pub fn open() -> Result<Self> {
        let opened = || -> io::Result<Socket> {
            let socket = Socket::new(NETLINK_ROUTE)?;
            socket.set_ext_ack(true)?;
            socket.set_cap_ack(true)?;
            socket.set_netlink_get_strict_chk(true)?;
            Ok(socket)
        };
        let socket = opened().map_err(|e| Error::os("open a netlink socket", &e))?;
        let route = Route { socket, sequence: 1, buffer: vec![0; SHORT] };
        setsockopt(&route, ReceiveTimeout, &TimeVal::seconds(LIMIT_SECONDS))
            .map_err(|e| Error::os("limit the wait of a netlink socket", &e.into()))?;
        Ok(route)
    }

    /// Sends everything in one go; the first failure becomes the error, named by its step.
    pub fn run(&mut self, batch: Batch) -> Result<()> {
        self.ask(batch).map(|_| ())
    }

    /// Like `run`, and hands back the data messages (echoes, answers to GET).
    pub(super) fn ask(&mut self, mut batch: Batch) -> Result<Vec<(u16, Vec<u8>)>> {
        let outcome = self.exchange(&mut batch)?;
        match outcome.failures.first() {
            None => Ok(outcome.data),
            Some(failure) => Err(explain(&batch, failure)),
        }
    }

    /// Sends everything in one go and reads until the last request is answered. Err only if the talk itself broke.
    pub(super) fn exchange(&mut self, batch: &mut Batch) -> Result<Outcome> {
        let count = batch.parts.len() as u32;
        let mut outcome = Outcome::default();
        if count == 0 {
            return Ok(outcome);
        }
        let first = self.sequence;
        self.sequence = first.wrapping_add(count);
        batch.seal(first);
        self.send(&batch.bytes).map_err(|e| broken(batch, &e))?;
        loop {
            let length = self.receive().map_err(|e| broken(batch, &e))?;
            for answer in answers(&self.buffer[..length]) {
                let place = answer.sequence.wrapping_sub(first);
                if place >= count {
                    continue; // left over from a request that was given up
                }
                match answer.verdict() {
                    None => outcome.data.push((answer.kind, answer.body.to_vec())),
                    Some(verdict) => {
                        if verdict.errno != 0 {
                            outcome.failures.push(Failure {
                                place: place as usize,
                                errno: verdict.errno,
                                text: verdict.text,
                            });
                        }
                        if place + 1 == count {
                            return Ok(outcome);
                        }
                    }
                }
            }
        }
    }

    /// Everything a dump request answers, as bodies. Asked again when a change ran across it.
    pub(super) fn dump(&mut self, request: RouteNetlinkMessage, what: &str) -> Result<Vec<Vec<u8>>> {
        let mut message = NetlinkMessage::from(request);
        message.header.flags = NLM_F_REQUEST | NLM_F_DUMP;
        message.finalize();
        let mut bytes = vec![0; message.buffer_len()];
        message.serialize(&mut bytes);
        for _ in 0..10 {
            if let Some(bodies) = self.dump_once(&mut bytes, what)? {
                return Ok(bodies);
            }
        }
        Err(Error::unavailable(format!("{what}: the kernel's table changed under every one of 10 readings")))
    }

    fn dump_once(&mut self, request: &mut [u8], what: &str) -> Result<Option<Vec<Vec<u8>>>> {
        self.buffer.resize(DATAGRAM, 0);
        let number = self.sequence;
        self.sequence = number.wrapping_add(1);
        request[8..12].copy_from_slice(&number.to_ne_bytes());
        self.send(request).map_err(|e| Error::os(what, &e))?;
        let (mut bodies, mut whole) = (Vec::new(), true);
        loop {
            let length = self.receive().map_err(|e| Error::os(what, &e))?;
            for answer in answers(&self.buffer[..length]).filter(|a| a.sequence == number) {
                whole &= answer.flags & NLM_F_DUMP_INTR == 0;
                match answer.verdict() {
                    None => bodies.push(answer.body.to_vec()),
                    Some(verdict) if verdict.errno == 0 => return Ok(whole.then_some(bodies)),
                    Some(verdict) => {
                        return Err(Error::os(what, &io::Error::from_raw_os_error(verdict.errno)));
                    }
                }
            }
        }
    }

    fn send(&self, bytes: &[u8]) -> io::Result<()> {
        match self.socket.send(bytes, 0)? {
            sent if sent == bytes.len() => Ok(()),
            sent => Err(io::Error::other(format!("{sent} of {} bytes were sent", bytes.len()))),
        }
    }

    fn receive(&mut self) -> io::Result<usize> {
        let length = receive(self.socket.as_raw_fd(), &mut self.buffer)?;
        match length <= self.buffer.len() {
            true => Ok(length),
            false => Err(io::Error::other(format!("an answer of {length} bytes was cut"))),
        }
    }

    /// The index of the interface of this name, or None. 1 µs (SIOCGIFINDEX, netdevice(7)).
    pub fn index(&self, name: &IfName) -> Result<Option<u32>> {
        // SAFETY: the call succeeded, so the kernel wrote this member of the union.
        let index = |said: libc::ifreq| unsafe { said.ifr_ifru.ifru_ifindex } as u32;
        Ok(self.look_up(name.as_str(), libc::SIOCGIFINDEX)?.map(index))
    }

    /// Is lo up? Unlike a message that brings it up, this needs no RTNL.
    pub fn loopback_is_up(&self) -> Result<bool> {
        self.has_flag("lo", libc::IFF_UP)
    }

    /// Is it up, with a carrier that the kernel has taken notice of (RFC 2863)? No RTNL either.
    pub fn is_running(&self, name: &IfName) -> Result<bool> {
        self.has_flag(name.as_str(), libc::IFF_RUNNING)
    }

    fn has_flag(&self, name: &str, flag: i32) -> Result<bool> {
        // SAFETY: the call succeeded, so the kernel wrote this member of the union.
        let flags = |said: libc::ifreq| i32::from(unsafe { said.ifr_ifru.ifru_flags });
        Ok(self.look_up(name, libc::SIOCGIFFLAGS)?.is_some_and(|said| flags(said) & flag != 0))
    }

    /// What the kernel says of an interface; `question` is one of netdevice(7) that fills in an ifreq by name.
    fn look_up(&self, name: &str, question: libc::Ioctl) -> Result<Option<libc::ifreq>> {
        // SAFETY: ifreq is plain old data; all zeroes is a valid value.
        let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
        for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
            *to = from as libc::c_char;
        }
        // SAFETY: these calls read the name (zero-terminated: names have at most 15 bytes) and write within the ifreq.
        match unsafe { libc::ioctl(self.socket.as_raw_fd(), question as _, &mut request) } {
            0 => Ok(Some(request)),
            _ => match io::Error::last_os_error() {
                e if e.raw_os_error() == Some(libc::ENODEV) => Ok(None),
                e => Err(Error::os(format!("look up interface {name}"), &e)),
            },
        }
    }

    /// The interface of this name, or None.
    pub fn link(&mut self, name: &IfName) -> Result<Option<LinkSeen>> {
        let mut batch = Batch::new();
        batch.push(Manner::Plain, super::message::get_link(name), "");
        let outcome = self.exchange(&mut batch)?;
        match outcome.failures.first() {
            Some(failure) if failure.errno == libc::ENODEV => Ok(None),
            Some(failure) => {
                let error = io::Error::from_raw_os_error(failure.errno);
                Err(Error::os(format!("look at interface {name}"), &error))
            }
            None => Ok(outcome.data.iter().find_map(|(_, body)| LinkSeen::parse(body))),
        }
    }
}

/// Receives one datagram and returns its full length, even if `buffer` is shorter.
pub(super) fn receive(fd: RawFd, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        // SAFETY: pointer and length describe the buffer, which is writable and outlives the call.
        let got = unsafe { libc::recv(fd, buffer.as_mut_ptr().cast(), buffer.len(), libc::MSG_TRUNC) };
        match usize::try_from(got) {
            Ok(length) => return Ok(length),
            Err(_) => match io::Error::last_os_error() {
                e if e.kind() == io::ErrorKind::Interrupted => continue,
                e => return Err(e),
            },
        }
    }
}

/// The error of one failed request: its step, the error number's kind, the kernel's words.
pub(super) fn explain(batch: &Batch, failure: &Failure) -> Error {
    let step = batch.parts.get(failure.place).map_or("netlink request", |(_, step)| step.as_str());
    let error = Error::os(step, &io::Error::from_raw_os_error(failure.errno));
    match &failure.text {
        Some(text) => error.because(text),
        None => error,
    }
}

fn broken(batch: &Batch, error: &io::Error) -> Error {
    let step = batch.parts.last().map_or("netlink request", |(_, step)| step.as_str());
    match error.kind() {
        io::ErrorKind::WouldBlock => {
            Error::unavailable(format!("{step}: the kernel did not answer within {LIMIT_SECONDS} s"))
        }
        _ => Error::os(step, error),
    }
}

/// The interface index in a link message's body.
pub(super) fn index_of(body: &[u8]) -> Option<u32> {
    u32_at(body, 4)
}
