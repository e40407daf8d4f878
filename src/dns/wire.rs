//! The shapes of DNS messages (RFC 1035 section 4, RFC 6891): numbers, headers and a walk over records. It only looks;
//! it never trusts a length or a pointer, and never follows one.
use std::ops::Range;

/// Bytes of a message header.
pub const HEADER: usize = 12;
/// Bytes of an OPT record without options.
pub const OPT_LEN: usize = 11;
/// UDP payload size that we announce: fits every path without fragments (DNS flag day 2020).
pub const PAYLOAD: u16 = 1232;

pub mod rtype {
    pub const A: u16 = 1;
    pub const SOA: u16 = 6;
    pub const PTR: u16 = 12;
    pub const AAAA: u16 = 28;
    pub const OPT: u16 = 41;
    pub const ANY: u16 = 255;
}

pub mod class {
    pub const IN: u16 = 1;
    pub const ANY: u16 = 255;
}

pub mod rcode {
    pub const NOERROR: u16 = 0;
    pub const FORMERR: u16 = 1;
    pub const SERVFAIL: u16 = 2;
    pub const NXDOMAIN: u16 = 3;
    pub const NOTIMP: u16 = 4;
    pub const REFUSED: u16 = 5;
    /// Extended: the upper bits stand in the OPT record.
    pub const BADVERS: u16 = 16;
}

pub mod flag {
    pub const QR: u16 = 0x8000;
    pub const OPCODE: u16 = 0x7800;
    pub const TC: u16 = 0x0200;
    pub const RD: u16 = 0x0100;
    pub const RA: u16 = 0x0080;
    pub const AD: u16 = 0x0020;
    pub const CD: u16 = 0x0010;
    pub const RCODE: u16 = 0x000f;
    /// In the TTL field of an OPT record: DNSSEC wanted.
    pub const DO: u16 = 0x8000;
}

/// Two bytes at `at`; None past the end.
pub fn u16_at(packet: &[u8], at: usize) -> Option<u16> {
    let bytes = packet.get(at..at.checked_add(2)?)?;
    Some(u16::from_be_bytes([bytes[0], bytes[1]]))
}

/// Four bytes at `at`; None past the end.
pub fn u32_at(packet: &[u8], at: usize) -> Option<u32> {
    let bytes = packet.get(at..at.checked_add(4)?)?;
    Some(u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
}

/// Writes two bytes at `at`; outside of the message it does nothing.
pub fn put_u16(message: &mut [u8], at: usize, value: u16) {
    if let Some(place) = message.get_mut(at..at + 2) {
        place.copy_from_slice(&value.to_be_bytes());
    }
}

/// A message header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    pub id: u16,
    pub flags: u16,
    /// Questions, answers, authority, additional.
    pub counts: [u16; 4],
}

impl Header {
    pub fn read(packet: &[u8]) -> Option<Self> {
        let field = |n: usize| u16_at(packet, 2 * n);
        Some(Header { id: field(0)?, flags: field(1)?, counts: [field(2)?, field(3)?, field(4)?, field(5)?] })
    }
    pub fn write(&self, out: &mut Vec<u8>) {
        let [questions, answers, authority, additional] = self.counts;
        for field in [self.id, self.flags, questions, answers, authority, additional] {
            out.extend_from_slice(&field.to_be_bytes());
        }
    }
}

/// First byte after the name that begins at `at`. A pointer ends a name and is not followed.
pub fn skip_name(packet: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match *packet.get(at)? {
            0 => return Some(at + 1),
            length @ 1..=63 => at += 1 + usize::from(length),
            0xc0.. => return (at + 2 <= packet.len()).then_some(at + 2),
            _ => return None,
        }
    }
}

/// A resource record, by its places in the message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    pub start: usize,
    pub rtype: u16,
    pub class: u16,
    /// Where the four bytes of the TTL are.
    pub ttl_at: usize,
    pub ttl: u32,
    pub data: Range<usize>,
    /// The name is the root.
    pub root: bool,
}

impl Record {
    /// The record that begins at `at`; None if it is cut off or malformed.
    pub fn read(packet: &[u8], at: usize) -> Option<Self> {
        let fixed = skip_name(packet, at)?;
        let length = usize::from(u16_at(packet, fixed + 8)?);
        let data = fixed + 10..fixed + 10 + length;
        packet.get(data.clone())?;
        Some(Record {
            start: at,
            rtype: u16_at(packet, fixed)?,
            class: u16_at(packet, fixed + 2)?,
            ttl_at: fixed + 4,
            ttl: u32_at(packet, fixed + 4)?,
            data,
            root: packet[at] == 0,
        })
    }
}

/// Reads `count` records from `at` on, calls `see` for each, and returns the place after the last.
pub fn walk(packet: &[u8], mut at: usize, count: u16, mut see: impl FnMut(&Record)) -> Option<usize> {
    for _ in 0..count {
        let record = Record::read(packet, at)?;
        at = record.data.end;
        see(&record);
    }
    Some(at)
}
