//! Hears what of links, addresses, routes and forwarding becomes worse, on the host and inside every namespace that has
//! a number here (netlink(7), NETLINK_LISTEN_ALL_NSID; a veth end gives the namespace of its peer one). It never asks.
use super::{
    filter::{self, BODY, DROP, FLAGS, KIND, PASS},
    reply::{Answer, answers, attributes, i32_at},
    seen::{AddressSeen, LinkSeen, RouteSeen},
};
use crate::{
    error::{Error, Result},
    model::Family,
};
use netlink_sys::{Socket, protocols::NETLINK_ROUTE};
use nix::sys::socket::{setsockopt, sockopt::RcvBuf, sockopt::RcvBufForce};
use std::{
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd},
};

// include/uapi/linux/rtnetlink.h and netconf.h
const NEWLINK: u16 = 16;
const DELLINK: u16 = 17;
const DELADDR: u16 = 21;
const NEWROUTE: u16 = 24;
const DELROUTE: u16 = 25;
const NEWQDISC: u16 = 36;
const DELQDISC: u16 = 37;
const DELTFILTER: u16 = 45;
const NEWNETCONF: u16 = 80;
const NLM_F_REPLACE: u16 = 0x100;
/// RTNLGRP_LINK, TC, IPV4_IFADDR, IPV4_ROUTE, IPV6_IFADDR, IPV6_ROUTE, IPV4_NETCONF, IPV6_NETCONF
const GROUPS: [u32; 8] = [1, 4, 5, 7, 9, 11, 24, 25];
const NETCONF_HEAD: usize = 4;
const NETCONFA_IFINDEX: u16 = 1;
const NETCONFA_FORWARDING: u16 = 2;
/// A bridge with 1,000 ports that goes tells of it in some 2 MB.
const RECEIVE_BUFFER: usize = 8 << 20;

/// The ear, in the namespace where it was opened.
pub struct Ear {
    socket: Socket,
    buffer: Vec<u8>,
}

/// One message. `at`: the number of the namespace that it is from; none: our own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// Something about a link; `changed`: the flags that are new, all of them for a new link.
    Link {
        at: Option<i32>,
        link: Box<LinkSeen>,
        changed: u32,
    },
    LinkGone {
        at: Option<i32>,
        index: u32,
    },
    AddressGone {
        at: Option<i32>,
        address: AddressSeen,
    },
    /// Gone, or another one stands in its place (`replaced`: that one).
    Route {
        at: Option<i32>,
        route: RouteSeen,
        replaced: bool,
    },
    /// Forwarding of the host or (index) of one interface was switched.
    Forwarding {
        family: Family,
        index: Option<u32>,
        on: bool,
    },
    /// Queues or filters of an interface were changed.
    Shaping {
        at: Option<i32>,
        index: u32,
    },
    /// Messages were lost: only looking can tell.
    Lost,
}

impl Ear {
    pub fn open() -> Result<Self> {
        let opened = || -> io::Result<Socket> {
            let mut socket = Socket::new(NETLINK_ROUTE)?;
            socket.bind_auto()?;
            socket.set_non_blocking(true)?;
            socket.set_listen_all_namespaces(true)?;
            filter::attach(&socket, &mut interesting())?;
            GROUPS.iter().try_for_each(|group| socket.add_membership(*group))?;
            Ok(socket)
        };
        let socket = opened().map_err(|e| Error::os("listen to changes of links and routes", &e))?;
        let ear = Ear { socket, buffer: vec![0; 32 << 10] };
        // Root of a user namespace gets what net.core.rmem_max allows, and loses more often.
        setsockopt(&ear, RcvBufForce, &RECEIVE_BUFFER)
            .or_else(|_| setsockopt(&ear, RcvBuf, &RECEIVE_BUFFER))
            .map_err(|e| Error::os("widen the ear for links and routes", &e.into()))?;
        Ok(ear)
    }

    /// Everything heard since the last time, without waiting.
    pub fn heard(&mut self) -> Result<Vec<Heard>> {
        let mut all = Vec::new();
        loop {
            match receive(self.socket.as_raw_fd(), &mut self.buffer) {
                Ok((length, at)) => {
                    all.extend(answers(&self.buffer[..length]).filter_map(|answer| hear(&answer, at)));
                }
                Err(e) if e.raw_os_error() == Some(libc::ENOBUFS) => all.push(Heard::Lost),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(all),
                Err(e) => return Err(Error::os("read changes of links and routes", &e)),
            }
        }
    }
}

impl AsFd for Ear {
    fn as_fd(&self) -> BorrowedFd<'_> {
        // SAFETY: the descriptor is open as long as the socket, which the borrow keeps alive.
        unsafe { BorrowedFd::borrow_raw(self.socket.as_raw_fd()) }
    }
}

/// What is added is no news, neither is a bridge's own account of its ports (AF_BRIDGE), nor a route of another table.
fn interesting() -> [libc::sock_filter; 18] {
    const MAIN: u32 = libc::RT_TABLE_MAIN as u32;
    const BRIDGE: u32 = libc::AF_BRIDGE as u32;
    [
        filter::load_short(KIND),
        filter::equal_short(DELADDR, 14, 0),
        filter::equal_short(NEWNETCONF, 13, 0),
        filter::equal_short(NEWQDISC, 12, 0),
        filter::equal_short(DELQDISC, 11, 0),
        filter::equal_short(DELTFILTER, 10, 0),
        filter::equal_short(NEWLINK, 7, 0),
        filter::equal_short(DELLINK, 6, 0),
        filter::equal_short(DELROUTE, 3, 0),
        filter::equal_short(NEWROUTE, 0, 7),
        filter::load_short(FLAGS),
        filter::any_bit_short(NLM_F_REPLACE, 0, 5),
        // 12: a route
        filter::load_byte(BODY + 4),
        filter::equal_byte(MAIN, 2, 3),
        // 14: a link
        filter::load_byte(BODY),
        filter::equal_byte(BRIDGE, 1, 0),
        PASS,
        DROP,
    ]
}

/// One datagram, and which namespace it is from.
fn receive(fd: i32, buffer: &mut [u8]) -> io::Result<(usize, Option<i32>)> {
    let mut control = [0_u64; 8];
    let mut piece = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    // SAFETY: msghdr is plain old data; all zeroes is a valid value.
    let mut head: libc::msghdr = unsafe { std::mem::zeroed() };
    head.msg_iov = &raw mut piece;
    head.msg_iovlen = 1;
    head.msg_control = control.as_mut_ptr().cast();
    head.msg_controllen = size_of_val(&control);
    // SAFETY: all pointers lead to live, writable memory of the lengths given.
    let got = unsafe { libc::recvmsg(fd, &raw mut head, libc::MSG_DONTWAIT) };
    let Ok(length) = usize::try_from(got) else { return Err(io::Error::last_os_error()) };
    let mut at = None;
    // SAFETY: the kernel filled the control buffer; the macros walk within its length.
    unsafe {
        let mut part = libc::CMSG_FIRSTHDR(&raw const head);
        while let Some(found) = part.as_ref() {
            if (found.cmsg_level, found.cmsg_type) == (libc::SOL_NETLINK, libc::NETLINK_LISTEN_ALL_NSID) {
                at = Some(libc::CMSG_DATA(part).cast::<i32>().read_unaligned());
            }
            part = libc::CMSG_NXTHDR(&raw const head, part);
        }
    }
    Ok((length.min(buffer.len()), at))
}

fn hear(answer: &Answer<'_>, at: Option<i32>) -> Option<Heard> {
    let body = answer.body;
    Some(match answer.kind {
        NEWLINK => {
            let changed = super::reply::u32_at(body, 12)?;
            Heard::Link { at, link: Box::new(LinkSeen::parse(body)?), changed }
        }
        DELLINK => Heard::LinkGone { at, index: super::reply::u32_at(body, 4)? },
        DELADDR => Heard::AddressGone { at, address: AddressSeen::parse(body)? },
        DELROUTE => Heard::Route { at, route: RouteSeen::parse(body)?, replaced: false },
        NEWROUTE => Heard::Route { at, route: RouteSeen::parse(body)?, replaced: true },
        NEWQDISC | DELQDISC | DELTFILTER => Heard::Shaping { at, index: super::reply::u32_at(body, 4)? },
        // Those of other namespaces are their own affair.
        NEWNETCONF if at.is_none() => forwarding(body)?,
        _ => return None,
    })
}

fn forwarding(body: &[u8]) -> Option<Heard> {
    let family = match i32::from(*body.first()?) {
        libc::AF_INET => Family::V4,
        libc::AF_INET6 => Family::V6,
        _ => return None,
    };
    let find =
        |wanted| attributes(body, NETCONF_HEAD).find(|(kind, _)| *kind == wanted).map(|(_, value)| value);
    let on = i32_at(find(NETCONFA_FORWARDING)?, 0)? != 0;
    let index = i32_at(find(NETCONFA_IFINDEX)?, 0)?;
    // NETCONFA_IFINDEX_ALL is -1, _DEFAULT -2.
    (index != -2).then(|| Heard::Forwarding { family, index: u32::try_from(index).ok(), on })
}
