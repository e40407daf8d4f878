//! Words between two processes: JSON over a unix socket that keeps message borders, now and then with one descriptor. It
//! reads no more than its limit, and takes nothing that came cut off.
use crate::error::{Error, Result};
use rustix::{
    io::Errno,
    net::{self, RecvFlags, ReturnFlags, SendFlags},
};
use serde::{Serialize, de::DeserializeOwned};
use std::{
    io::{IoSlice, IoSliceMut},
    mem::MaybeUninit,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

/// Bytes of a message at the most.
pub const LONGEST: usize = 64 << 10;

/// One end.
#[derive(Debug)]
pub struct Channel(pub OwnedFd);

impl Channel {
    pub fn pair() -> Result<(Self, Self)> {
        let (a, b) = net::socketpair(
            net::AddressFamily::UNIX,
            net::SocketType::SEQPACKET,
            net::SocketFlags::CLOEXEC,
            None,
        )
        .map_err(|e| Error::os("make a socket pair", &e.into()))?;
        Ok((Channel(a), Channel(b)))
    }

    pub fn send<T: Serialize>(&self, word: &T, fd: Option<BorrowedFd<'_>>) -> Result<()> {
        let text = serde_json::to_vec(word).map_err(|e| Error::internal("write a message").because(e))?;
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = net::SendAncillaryBuffer::new(&mut space);
        let fds: Vec<_> = fd.into_iter().collect();
        if !fds.is_empty() {
            ancillary.push(net::SendAncillaryMessage::ScmRights(&fds));
        }
        net::sendmsg(&self.0, &[IoSlice::new(&text)], &mut ancillary, SendFlags::NOSIGNAL)
            .map(drop)
            .map_err(|e| Error::os("send a message", &e.into()))
    }

    /// The next word; none: the peer is gone.
    pub fn receive<T: DeserializeOwned>(&self) -> Result<Option<(T, Option<OwnedFd>)>> {
        let mut text = vec![0u8; LONGEST];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = net::RecvAncillaryBuffer::new(&mut space);
        let got = rustix::io::retry_on_intr(|| {
            net::recvmsg(&self.0, &mut [IoSliceMut::new(&mut text)], &mut ancillary, RecvFlags::CMSG_CLOEXEC)
        });
        let got = match got {
            // It is gone, and has not read what we sent.
            Err(Errno::CONNRESET) => return Ok(None),
            got => got.map_err(|e| Error::os("receive a message", &e.into()))?,
        };
        if got.bytes == 0 {
            return Ok(None);
        }
        // What is left of them is closed with the buffer.
        let fd = ancillary.drain().find_map(|message| match message {
            net::RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
            _ => None,
        });
        if got.flags.intersects(ReturnFlags::TRUNC) {
            return Err(Error::invalid(format!("a message is longer than {LONGEST} bytes")));
        }
        let word = serde_json::from_slice(&text[..got.bytes])
            .map_err(|e| Error::internal("read a message").because(e))?;
        Ok(Some((word, fd)))
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
