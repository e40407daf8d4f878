//! Keeps messages that nobody wants from waking a listener: the kernel drops them (socket(7), SO_ATTACH_FILTER). It looks
//! at the head of the first message of a datagram only.
use std::{io, os::fd::RawFd};

/// The netlink messages that a listener hears.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    /// Of this type.
    Kind(u16),
    /// Caused by anybody but the socket of this port number.
    NotBy(u32),
}

/// From now on the netlink socket `fd` gets these messages and no others.
pub fn only(fd: RawFd, heard: Heard) -> io::Result<()> {
    // Classic BPF loads big-endian, netlink is native. Offsets are those of struct nlmsghdr (netlink(7)).
    let (width, at, value, equal) = match heard {
        Heard::Kind(kind) => (libc::BPF_H, 4, u32::from(u16::from_be_bytes(kind.to_ne_bytes())), true),
        Heard::NotBy(port) => (libc::BPF_W, 12, u32::from_be_bytes(port.to_ne_bytes()), false),
    };
    let line = |code: u32, jt, jf, k| libc::sock_filter { code: code as u16, jt, jf, k };
    let (jt, jf) = if equal { (0, 1) } else { (1, 0) };
    let mut lines = [
        line(libc::BPF_LD | width | libc::BPF_ABS, 0, 0, at),
        line(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, jt, jf, value),
        line(libc::BPF_RET | libc::BPF_K, 0, 0, u32::MAX),
        line(libc::BPF_RET | libc::BPF_K, 0, 0, 0),
    ];
    let program = libc::sock_fprog { len: lines.len() as u16, filter: lines.as_mut_ptr() };
    // SAFETY: the kernel copies the program, whose length and lines are alive and right, during the call.
    let set = unsafe {
        libc::setsockopt(
            fd,
            libc::SOL_SOCKET,
            libc::SO_ATTACH_FILTER,
            (&raw const program).cast(),
            size_of_val(&program) as libc::socklen_t,
        )
    };
    if set == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
