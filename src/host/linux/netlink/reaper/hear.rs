//! Hears which links are gone; it never asks the kernel anything.
use super::{
    super::{
        reply::answers,
        socket::{index_of, receive},
    },
    LIMIT, Shared,
};
use crate::error::{Error, Result};
use netlink_sys::{Socket, protocols::NETLINK_ROUTE};
use nix::{
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::eventfd::{EfdFlags, EventFd},
};
use std::{
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd},
    time::{Duration, Instant},
};

const RTM_DELLINK: u16 = 17;
/// RTNLGRP_LINK.
const LINK_EVENTS: u32 = 1;

/// Wakes the listener.
pub(super) struct Bell(EventFd);

impl Bell {
    pub(super) fn new() -> Result<Self> {
        EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)
            .map(Bell)
            .map_err(|e| Error::os("make the reaper's bell", &e.into()))
    }
    pub(super) fn ring(&self) {
        // Full (2^64 - 2 unread rings) is rung enough.
        let _ = self.0.write(1);
    }
}

/// A socket that hears RTM_DELLINK of its namespace, and nothing else: the kernel filters before it wakes us.
pub(super) struct Ear(Socket);

impl Ear {
    pub(super) fn open() -> Result<Self> {
        let opened = || -> io::Result<Socket> {
            let mut socket = Socket::new(NETLINK_ROUTE)?;
            socket.bind_auto()?;
            socket.set_non_blocking(true)?;
            socket.set_rx_buf_sz(1_i32 << 20)?;
            only_deletions(&socket)?;
            socket.add_membership(LINK_EVENTS)?;
            Ok(socket)
        };
        opened().map(Ear).map_err(|e| Error::os("listen for deleted links", &e))
    }
}

/// Accepts the datagram if its message type is RTM_DELLINK.
fn only_deletions(socket: &Socket) -> io::Result<()> {
    use super::super::filter::{DROP, KIND, PASS, attach, equal_short, load_short};
    attach(socket, &mut [load_short(KIND), equal_short(RTM_DELLINK, 0, 1), PASS, DROP])
}

/// Tells the waiting whose link is gone, until the reaper is dropped and nobody waits.
pub(super) fn listen(shared: &Shared, ear: &Ear) {
    let mut buffer = vec![0; 16 << 10];
    loop {
        let (waiting, closed) = {
            let state = shared.state.lock();
            (!state.waiting.is_empty(), state.closed)
        };
        if closed && !waiting {
            return;
        }
        // SAFETY: the descriptor is open as long as the ear, which outlives this borrow.
        let socket = unsafe { BorrowedFd::borrow_raw(ear.0.as_raw_fd()) };
        let wait = if waiting { PollTimeout::from(1000_u16) } else { PollTimeout::NONE };
        let mut ready =
            [PollFd::new(socket, PollFlags::POLLIN), PollFd::new(shared.bell.0.as_fd(), PollFlags::POLLIN)];
        let _ = poll(&mut ready, wait);
        if ready[1].any() == Some(true) {
            let _ = shared.bell.0.read();
        }
        // An overflow (ENOBUFS) loses nothing but speed: the deleting threads tell as well, after the grace period.
        while let Ok(length) = receive(ear.0.as_raw_fd(), &mut buffer) {
            let heard = &buffer[..length.min(16 << 10)];
            answers(heard)
                .filter_map(|a| gone(a.kind, a.body))
                .for_each(|index| shared.finish(index, Ok(())));
        }
        give_up_overdue(shared);
    }
}

/// The index of a link that is gone. A bridge says RTM_DELLINK of family AF_BRIDGE before the link itself is.
fn gone(kind: u16, body: &[u8]) -> Option<u32> {
    match kind == RTM_DELLINK && body.first() == Some(&0) {
        true => index_of(body),
        false => None,
    }
}

fn give_up_overdue(shared: &Shared) {
    let now = Instant::now();
    let overdue: Vec<_> = {
        let state = shared.state.lock();
        let late = state.waiting.iter().filter(|(_, w)| now.duration_since(w.since) > LIMIT);
        late.map(|(index, w)| (*index, w.name.clone())).collect()
    };
    for (index, name) in overdue {
        let seconds = Duration::as_secs(&LIMIT);
        let error =
            Error::unavailable(format!("delete {name}: the kernel did not finish within {seconds} s"));
        shared.finish(index, Err(error));
    }
}
