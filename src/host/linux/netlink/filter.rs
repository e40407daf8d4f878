//! Classic BPF on a netlink socket, so that the kernel wakes us only for what we want to hear; it decides nothing itself.
//!
//! BPF loads big-endian and netlink is native, so constants are turned round here.
use netlink_sys::Socket;
use std::{io, os::fd::AsRawFd};

/// Where a message has its type, its flags, and the first byte of its body.
pub(super) const KIND: u32 = 4;
pub(super) const FLAGS: u32 = 6;
pub(super) const BODY: u32 = 16;

pub(super) const PASS: libc::sock_filter = line(libc::BPF_RET | libc::BPF_K, 0, 0, u32::MAX);
pub(super) const DROP: libc::sock_filter = line(libc::BPF_RET | libc::BPF_K, 0, 0, 0);

const fn line(code: u32, jt: u8, jf: u8, k: u32) -> libc::sock_filter {
    libc::sock_filter { code: code as u16, jt, jf, k }
}
pub(super) const fn load_short(at: u32) -> libc::sock_filter {
    line(libc::BPF_LD | libc::BPF_H | libc::BPF_ABS, 0, 0, at)
}
pub(super) const fn load_byte(at: u32) -> libc::sock_filter {
    line(libc::BPF_LD | libc::BPF_B | libc::BPF_ABS, 0, 0, at)
}
/// Goes `yes` lines further if the loaded 16 bits are this value, else `no` lines.
pub(super) const fn equal_short(value: u16, yes: u8, no: u8) -> libc::sock_filter {
    equal_byte(u16::from_be_bytes(value.to_ne_bytes()) as u32, yes, no)
}
pub(super) const fn equal_byte(value: u32, yes: u8, no: u8) -> libc::sock_filter {
    line(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, yes, no, value)
}
/// The same if any of these bits is set.
pub(super) const fn any_bit_short(bits: u16, yes: u8, no: u8) -> libc::sock_filter {
    let bits = u16::from_be_bytes(bits.to_ne_bytes()) as u32;
    line(libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K, yes, no, bits)
}

/// Puts the program on the socket: from now on what it drops is not even queued.
pub(super) fn attach(socket: &Socket, lines: &mut [libc::sock_filter]) -> io::Result<()> {
    let program = libc::sock_fprog { len: lines.len() as u16, filter: lines.as_mut_ptr() };
    // SAFETY: the kernel copies the program, whose length and lines are alive and right, during the call.
    let set = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_ATTACH_FILTER,
            (&raw const program).cast(),
            size_of_val(&program) as libc::socklen_t,
        )
    };
    if set == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
