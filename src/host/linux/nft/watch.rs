//! Hears who changes the ruleset of a network namespace, and whether our tables were touched. It never repairs.
//!
//! Every transaction, of anybody, ends in NFT_MSG_NEWGEN; what came before it since the last one belongs to it.
use super::{
    abi,
    socket::{Socket, set_option},
    wire::{Message, messages},
};
use crate::error::{Error, Result};
use nix::{
    errno::Errno,
    sys::socket::{MsgFlags, setsockopt, sockopt},
};
use std::os::fd::{AsFd, BorrowedFd};

/// NFNLGRP_NFTABLES.
const GROUP: libc::c_int = 7;
/// A rebuild of 10,000 elements announces itself with about 5 MB.
const RECEIVE_BUFFER: usize = 8 << 20;

/// A listener in the namespace where it was opened.
#[derive(Debug)]
pub struct Watch {
    socket: Socket,
    table: String,
    so_far: Touched,
}

/// What happened to our tables.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Touched {
    /// Tables, chains, sets or rules of ours deleted.
    pub structure: u32,
    /// Elements of ours deleted. A deleted table does not count its elements.
    pub elements: u32,
    /// Anything added to our tables.
    pub added: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// A transaction was done. `author` is the port number of the socket that did it (`Nft::port_id` for our own);
    /// `thread` and `name` are of the thread behind it.
    Commit { generation: u32, author: u32, thread: u32, name: String, touched: Touched },
    /// Messages were lost (too many at once): only a dump can tell.
    Lost,
}

impl Touched {
    pub fn any(&self) -> bool {
        *self != Touched::default()
    }
}

impl Watch {
    /// Listens in the calling thread's network namespace for changes of the tables of `instance`.
    pub fn open(instance: &str) -> Result<Watch> {
        let table = super::table_name(instance)?;
        let socket = Socket::open()?;
        let failed = |e: Errno| Error::os("listen to nftables events", &e.into());
        // Root of a user namespace gets what net.core.rmem_max allows, and loses more often.
        setsockopt(&socket.fd(), sockopt::RcvBufForce, &RECEIVE_BUFFER)
            .or_else(|_| setsockopt(&socket.fd(), sockopt::RcvBuf, &RECEIVE_BUFFER))
            .map_err(failed)?;
        set_option(socket.fd(), libc::NETLINK_ADD_MEMBERSHIP, GROUP).map_err(failed)?;
        Ok(Watch { socket, table, so_far: Touched::default() })
    }

    /// What has been heard since the last call, without waiting; poll `as_fd` for reading to wait.
    pub fn heard(&mut self) -> Result<Vec<Notice>> {
        let mut notices = Vec::new();
        loop {
            match self.socket.receive(MsgFlags::MSG_DONTWAIT) {
                Ok(length) => {
                    let (table, so_far) = (&self.table, &mut self.so_far);
                    notices.extend(
                        messages(self.socket.received(length)).filter_map(|m| hear(table, so_far, &m)),
                    );
                }
                Err(Errno::EAGAIN) => return Ok(notices),
                Err(Errno::ENOBUFS) => notices.push(Notice::Lost),
                Err(e) => return Err(Error::os("read nftables events", &e.into())),
            }
        }
    }
}

impl AsFd for Watch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.fd()
    }
}

/// Takes note of one message; a NEWGEN ends the transaction.
fn hear(table: &str, so_far: &mut Touched, message: &Message<'_>) -> Option<Notice> {
    let attrs = message.attrs();
    if message.kind == abi::NEWGEN {
        return Some(Notice::Commit {
            generation: attrs.be32(1).unwrap_or(0),
            author: message.port,
            thread: attrs.be32(2).unwrap_or(0),
            name: attrs.text(3).unwrap_or("").to_owned(),
            touched: std::mem::take(so_far),
        });
    }
    // The first attribute of every object is its table's name.
    if matches!(message.family(), abi::INET | abi::BRIDGE) && attrs.text(1) == Some(table) {
        match message.kind {
            abi::DELTABLE | abi::DELCHAIN | abi::DELSET | abi::DELRULE => so_far.structure += 1,
            abi::DELSETELEM => so_far.elements += 1,
            _ => so_far.added += 1,
        }
    }
    None
}
