//! The words between caller, supervisor and init: JSON over a socket pair that keeps message borders, now and then with
//! a descriptor. It never waits for ever on a dead peer: its end of the pair closes with it.
use super::Failure;
use crate::error::{Error, Result};
use rustix::net::{self, RecvFlags, SendFlags};
use serde::{Deserialize, Serialize};
use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// One message.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Word {
    /// From the supervisor: init's pid, of which nothing is ready yet.
    Born(i32),
    /// To init: somebody watches over it, so it may begin what lasts.
    Known,
    /// From init: all is mounted (with a terminal: its master comes along). From the supervisor: this is init's pid.
    Ready(i32),
    /// Run the command now.
    Go,
    /// The command runs.
    Started,
    Failed(Failure),
}

/// One end.
#[derive(Debug)]
pub(super) struct Channel(pub(super) OwnedFd);

const LONGEST: usize = 64 << 10;

impl Channel {
    pub(super) fn pair() -> Result<(Self, Self)> {
        let (a, b) = net::socketpair(
            net::AddressFamily::UNIX,
            net::SocketType::SEQPACKET,
            net::SocketFlags::CLOEXEC,
            None,
        )
        .map_err(|e| Error::os("make a socket pair", &e.into()))?;
        Ok((Channel(a), Channel(b)))
    }

    pub(super) fn send(&self, word: &Word, fd: Option<BorrowedFd<'_>>) -> Result<()> {
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
    pub(super) fn receive(&self) -> Result<Option<(Word, Option<OwnedFd>)>> {
        let mut text = vec![0u8; LONGEST];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = net::RecvAncillaryBuffer::new(&mut space);
        let got = rustix::io::retry_on_intr(|| {
            net::recvmsg(&self.0, &mut [IoSliceMut::new(&mut text)], &mut ancillary, RecvFlags::CMSG_CLOEXEC)
        });
        let got = got.map_err(|e| Error::os("receive a message", &e.into()))?;
        if got.bytes == 0 {
            return Ok(None);
        }
        let fd = ancillary.drain().find_map(|message| match message {
            net::RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
            _ => None,
        });
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
