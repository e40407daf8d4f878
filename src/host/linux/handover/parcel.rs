//! A text and the descriptors it speaks of, over a stream socket or as files. It never reads the text.
use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, recvmsg, sendmsg};
use std::{
    io::{self, IoSlice, IoSliceMut, Read, Write},
    os::{
        fd::{AsFd, AsRawFd, FromRawFd, OwnedFd},
        unix::net::UnixStream,
    },
};

/// Descriptors of one message at the most (SCM_MAX_FD, unix(7)).
pub(super) const BATCH: usize = 253;
/// Bytes of text at the most: 10,000 sandboxes with names take 5 MB.
pub(super) const LONGEST: usize = 256 << 20;
/// Descriptors at the most: as many as a process may have open by default on a large host.
const MOST: usize = 1 << 20;

/// What is handed over at once.
#[derive(Debug, Default)]
pub struct Parcel {
    pub text: Vec<u8>,
    pub descriptors: Vec<OwnedFd>,
}

/// A number that tells open descriptors apart, in whatever process and order they arrive: the inode, which all sockets
/// share one counter for (sockfs, get_next_ino).
pub fn number(descriptor: impl AsFd) -> io::Result<u64> {
    Ok(nix::sys::stat::fstat(descriptor)?.st_ino)
}

impl Parcel {
    /// Blocks until the other side has taken everything.
    pub fn send(&self, mut to: &UnixStream) -> io::Result<()> {
        let (text, count) = (self.text.len() as u64, self.descriptors.len() as u64);
        to.write_all(&[text.to_be_bytes(), count.to_be_bytes()].concat())?;
        to.write_all(&self.text)?;
        for batch in self.descriptors.chunks(BATCH) {
            let numbers: Vec<i32> = batch.iter().map(AsRawFd::as_raw_fd).collect();
            let with = [ControlMessage::ScmRights(&numbers)];
            sendmsg::<()>(to.as_raw_fd(), &[IoSlice::new(b"d")], &with, MsgFlags::MSG_NOSIGNAL, None)?;
        }
        Ok(())
    }

    /// Blocks until everything has come.
    pub fn receive(mut from: &UnixStream) -> io::Result<Self> {
        let mut head = [0; 16];
        from.read_exact(&mut head)?;
        let [text, count] = [0, 8].map(|at| {
            let mut number = [0; 8];
            number.copy_from_slice(&head[at..at + 8]);
            usize::try_from(u64::from_be_bytes(number)).unwrap_or(usize::MAX)
        });
        if text > LONGEST || count > MOST {
            return Err(io::Error::other("the other side is no pontoon"));
        }
        let mut parcel = Parcel { text: vec![0; text], descriptors: Vec::new() };
        from.read_exact(&mut parcel.text)?;
        while parcel.descriptors.len() < count {
            let more = receive_batch(from)?;
            if more.is_empty() {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            parcel.descriptors.extend(more);
        }
        Ok(parcel)
    }
}

fn receive_batch(from: &UnixStream) -> io::Result<Vec<OwnedFd>> {
    let mut byte = [0];
    let mut into = [IoSliceMut::new(&mut byte)];
    let mut control = nix::cmsg_space!([i32; BATCH]);
    let got = recvmsg::<()>(from.as_raw_fd(), &mut into, Some(&mut control), MsgFlags::MSG_CMSG_CLOEXEC)?;
    let mut descriptors = Vec::new();
    for message in got.cmsgs()? {
        if let ControlMessageOwned::ScmRights(numbers) = message {
            // SAFETY: the kernel just put these descriptors into this process and nobody else knows them.
            descriptors.extend(numbers.into_iter().map(|number| unsafe { OwnedFd::from_raw_fd(number) }));
        }
    }
    Ok(descriptors)
}
