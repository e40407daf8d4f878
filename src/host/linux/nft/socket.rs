//! One blocking NETLINK_NETFILTER socket: sends, waits for the answers, gives up after five seconds. It never
//! looks at what a message means.
//!
//! A netlink request is done when `send` returns, so the answers are there at once. The socket belongs to the
//! network namespace of the thread that opened it, for ever.
use super::{
    abi,
    wire::{Message, messages, u32_ne},
};
use crate::error::{Error, Result};
use nix::{
    errno::Errno,
    sys::{
        socket::{
            AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, getsockname, recv,
            send, setsockopt, socket, sockopt,
        },
        time::TimeVal,
    },
};
use std::{
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
};

/// NLMSG_ERROR and NLMSG_DONE.
const ERROR: u16 = 2;
const DONE: u16 = 3;
/// net.core.wmem_default of every kernel of the last decades.
const SEND_BUFFER: usize = 212_992;
const PATIENCE_SECONDS: i64 = 5;

#[derive(Debug)]
pub struct Socket {
    fd: OwnedFd,
    seq: u32,
    port: u32,
    send_buffer: usize,
    answers: Vec<u8>,
}

/// The kernel's no to one message: errno, its own words, and where in the message the fault is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub errno: i32,
    pub seq: u32,
    pub text: Option<String>,
    pub offset: Option<u32>,
}

impl Socket {
    /// Opens a socket in the calling thread's network namespace.
    pub fn open() -> Result<Self> {
        Self::with_room(65_536)
    }

    /// One for a table of a few rules: 64 KiB that are zeroed, and given back for good, take 8 us.
    pub fn small() -> Result<Self> {
        Self::with_room(16_384)
    }

    /// The kernel fills the room it is offered, up to 32 KiB (netlink_recvmsg, netlink_dump).
    fn with_room(bytes: usize) -> Result<Self> {
        Self::try_open(bytes).map_err(|e| Error::os("open a netfilter netlink socket", &e.into()))
    }

    fn try_open(room: usize) -> nix::Result<Self> {
        let fd = socket(
            AddressFamily::Netlink,
            SockType::Raw,
            SockFlag::SOCK_CLOEXEC,
            SockProtocol::NetlinkNetFilter,
        )?;
        switch_on(fd.as_fd(), libc::NETLINK_EXT_ACK)?;
        switch_on(fd.as_fd(), libc::NETLINK_CAP_ACK)?;
        setsockopt(&fd, sockopt::ReceiveTimeout, &TimeVal::new(PATIENCE_SECONDS, 0))?;
        bind(fd.as_raw_fd(), &NetlinkAddr::new(0, 0))?;
        let port = getsockname::<NetlinkAddr>(fd.as_raw_fd())?.pid();
        Ok(Socket { fd, seq: 1, port, send_buffer: SEND_BUFFER, answers: vec![0; room] })
    }

    /// Port number: the sender that others see in the events of our changes.
    pub fn port(&self) -> u32 {
        self.port
    }

    pub fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// The number the next message should bear. Numbers go on for the life of the socket, so that a leftover answer
    /// is never taken for the next one's.
    pub fn next_number(&self) -> u32 {
        self.seq
    }

    /// `count` numbers have been used.
    pub fn advance(&mut self, count: u32) {
        self.seq = self.seq.wrapping_add(count);
    }

    /// Sends `bytes`, numbered `first..=last`, and waits until `last` is answered. The outer error: the socket
    /// failed and nobody knows what was done; the inner: the kernel refused and (in a batch) did nothing.
    pub fn request(&mut self, bytes: &[u8], first: u32, last: u32) -> Result<Result<(), Refusal>> {
        self.send(bytes)?;
        let mut refusal = None;
        loop {
            // Without the last answer a refusal may stand alone (EPERM): take what is there, do not wait.
            let flags = if refusal.is_some() { MsgFlags::MSG_DONTWAIT } else { MsgFlags::empty() };
            let length = match self.receive(flags) {
                Ok(length) => length,
                Err(Errno::EAGAIN) if refusal.is_some() => break,
                Err(e) => return Err(Error::os("read the answer of nf_tables", &e.into())),
            };
            let mut answered = false;
            for message in messages(&self.answers[..length]) {
                if message.kind != ERROR || message.seq.wrapping_sub(first) > last.wrapping_sub(first) {
                    continue;
                }
                answered |= message.seq == last;
                refusal = refusal.or_else(|| Refusal::parse(&message));
            }
            if answered {
                break;
            }
        }
        Ok(refusal.map_or(Ok(()), Err))
    }

    /// Sends one numbered question and shows every message of the answer, up to its end, to `each`. True: the
    /// kernel says that what it dumped changed meanwhile.
    pub fn ask(
        &mut self,
        bytes: &[u8],
        seq: u32,
        mut each: impl FnMut(&Message<'_>),
    ) -> Result<Result<bool, Refusal>> {
        self.send(bytes)?;
        let mut interrupted = false;
        loop {
            let length = self
                .receive(MsgFlags::empty())
                .map_err(|e| Error::os("read a dump of nf_tables", &e.into()))?;
            for message in messages(&self.answers[..length]).filter(|m| m.seq == seq) {
                interrupted |= message.flags & abi::DUMP_INTERRUPTED != 0;
                match message.kind {
                    // A dump that fails midway says so in its end.
                    DONE | ERROR => return Ok(Refusal::parse(&message).map_or(Ok(interrupted), Err)),
                    _ => each(&message),
                }
            }
        }
    }

    /// Reads what has come in, waiting at most for the receive timeout.
    pub fn receive(&mut self, flags: MsgFlags) -> nix::Result<usize> {
        loop {
            match recv(self.fd.as_raw_fd(), &mut self.answers, flags) {
                Err(Errno::EINTR) => continue,
                other => return other,
            }
        }
    }

    /// The bytes of the last `receive`.
    pub fn received(&self, length: usize) -> &[u8] {
        &self.answers[..length]
    }

    fn send(&mut self, bytes: &[u8]) -> Result<()> {
        let failed = |e: Errno| Error::os(format!("send {} bytes to nf_tables", bytes.len()), &e.into());
        // The kernel takes one message of at most the send buffer, and doubles what it is told.
        if bytes.len() + 1024 > self.send_buffer {
            // Root of a user namespace gets what net.core.wmem_max allows.
            setsockopt(&self.fd, sockopt::SndBufForce, &bytes.len())
                .or_else(|_| setsockopt(&self.fd, sockopt::SndBuf, &bytes.len()))
                .map_err(failed)?;
            self.send_buffer = 2 * bytes.len();
        }
        loop {
            match send(self.fd.as_raw_fd(), bytes, MsgFlags::empty()) {
                Err(Errno::EINTR) => continue,
                Err(e) => return Err(failed(e)),
                Ok(_) => return Ok(()),
            }
        }
    }
}

impl Refusal {
    /// None: the answer is an acknowledgement. Layout: struct nlmsgerr, then NLMSGERR_ATTR_* (linux/netlink.h).
    fn parse(message: &Message<'_>) -> Option<Refusal> {
        const CAPPED: u16 = 0x100;
        const TLVS: u16 = 0x200;
        let code = u32_ne(message.body, 0)? as i32;
        if code == 0 {
            return None;
        }
        let original = match message.flags & CAPPED {
            0 => u32_ne(message.body, 4).unwrap_or(0) as usize,
            _ => super::wire::HEADER,
        };
        let mut refusal = Refusal { errno: -code, seq: message.seq, text: None, offset: None };
        if message.flags & TLVS != 0 {
            let attrs = super::wire::Attrs(message.body.get(4 + original.next_multiple_of(4)..)?);
            refusal.text = attrs.text(1).map(str::to_owned);
            refusal.offset = attrs.get(2).and_then(|v| u32_ne(v, 0));
        }
        Some(refusal)
    }

    /// This refusal as an error of `step`, which names the object.
    pub fn into_error(self, step: String) -> Error {
        let error = Error::os(step, &io::Error::from_raw_os_error(self.errno));
        match self.text {
            Some(text) => error.because(text),
            None => error,
        }
    }
}

/// Sets a netlink socket option to 1.
fn switch_on(fd: BorrowedFd<'_>, option: libc::c_int) -> nix::Result<()> {
    set_option(fd, option, 1)
}

/// Sets a number of level SOL_NETLINK.
pub fn set_option(fd: BorrowedFd<'_>, option: libc::c_int, value: libc::c_int) -> nix::Result<()> {
    // SAFETY: the pointer and length describe `value`, which lives through the call; `fd` is open.
    let result = unsafe {
        libc::setsockopt(
            fd.as_raw_fd(),
            libc::SOL_NETLINK,
            option,
            (&raw const value).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
    Errno::result(result).map(drop)
}
