//! Writes and reads netlink messages and their attributes as bytes; it knows no table and makes no system call.
//!
//! Layout: linux/netlink.h (struct nlmsghdr, struct nlattr) and linux/netfilter/nfnetlink.h (struct nfgenmsg).
//! Headers are in the machine's order, everything nf_tables carries inside attributes is big-endian.

/// Bytes of `struct nlmsghdr` and of `struct nfgenmsg`.
pub const HEADER: usize = 16;
pub const BODY: usize = HEADER + 4;
/// NLA_F_NESTED.
pub const NESTED: u16 = 0x8000;
const KIND: u16 = 0x3fff;

/// A growing row of messages.
#[derive(Debug, Default)]
pub struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
    pub fn len(&self) -> usize {
        self.bytes.len()
    }
    pub fn clear(&mut self) {
        self.bytes.clear();
    }

    /// Writes the headers of a message; the answer is where it starts, for `close` and `flag`.
    pub fn open(&mut self, kind: u16, flags: u16, seq: u32, family: u8, resource: u16) -> usize {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0; 4]);
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        self.bytes.extend_from_slice(&flags.to_ne_bytes());
        self.bytes.extend_from_slice(&seq.to_ne_bytes());
        self.bytes.extend_from_slice(&[0, 0, 0, 0, family, 0]);
        self.bytes.extend_from_slice(&resource.to_be_bytes());
        start
    }

    /// Writes the length of the message that starts at `start` and ends here.
    pub fn close(&mut self, start: usize) {
        let length = (self.bytes.len() - start) as u32;
        self.bytes[start..start + 4].copy_from_slice(&length.to_ne_bytes());
    }

    /// Adds flags to the message that starts at `start`.
    pub fn flag(&mut self, start: usize, flags: u16) {
        let at = start + 6;
        let old = u16::from_ne_bytes([self.bytes[at], self.bytes[at + 1]]);
        self.bytes[at..at + 2].copy_from_slice(&(old | flags).to_ne_bytes());
    }

    pub fn attr(&mut self, kind: u16, value: &[u8]) {
        self.bytes.extend_from_slice(&(4 + value.len() as u16).to_ne_bytes());
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        self.bytes.extend_from_slice(value);
        self.pad();
    }

    pub fn be32(&mut self, kind: u16, value: u32) {
        self.attr(kind, &value.to_be_bytes());
    }

    /// A string, ended by a zero as the kernel wants it.
    pub fn text(&mut self, kind: u16, value: &str) {
        self.bytes.extend_from_slice(&(5 + value.len() as u16).to_ne_bytes());
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        self.bytes.extend_from_slice(value.as_bytes());
        self.bytes.push(0);
        self.pad();
    }

    /// An attribute of attributes; at most 64 KiB, its length is a u16.
    pub fn nest(&mut self, kind: u16, inside: impl FnOnce(&mut Writer)) {
        let start = self.open_nest(kind);
        inside(self);
        self.close_nest(start);
    }

    pub fn open_nest(&mut self, kind: u16) -> usize {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0; 2]);
        self.bytes.extend_from_slice(&(kind | NESTED).to_ne_bytes());
        start
    }

    pub fn close_nest(&mut self, start: usize) {
        let length = self.bytes.len() - start;
        debug_assert!(length <= usize::from(u16::MAX), "a nested attribute ends at 64 KiB");
        self.bytes[start..start + 2].copy_from_slice(&(length as u16).to_ne_bytes());
    }

    /// Appends attributes written elsewhere.
    pub fn append(&mut self, other: &Writer) {
        self.bytes.extend_from_slice(&other.bytes);
    }

    fn pad(&mut self) {
        let wanted = self.bytes.len().next_multiple_of(4);
        self.bytes.resize(wanted, 0);
    }
}

/// One received or sent message.
#[derive(Debug, Clone, Copy)]
pub struct Message<'a> {
    pub kind: u16,
    pub flags: u16,
    pub seq: u32,
    /// Port number of the socket that caused it; 0 is the kernel.
    pub port: u32,
    /// Where it starts in the bytes that were walked.
    pub start: usize,
    /// Everything behind the header.
    pub body: &'a [u8],
}

impl<'a> Message<'a> {
    /// Address family of an nfnetlink message.
    pub fn family(&self) -> u8 {
        self.body.first().copied().unwrap_or(0)
    }
    /// Attributes of an nfnetlink message.
    pub fn attrs(&self) -> Attrs<'a> {
        Attrs(self.body.get(BODY - HEADER..).unwrap_or(&[]))
    }
}

/// Walks messages; stops at the first that is cut short.
pub fn messages(bytes: &[u8]) -> impl Iterator<Item = Message<'_>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let head = bytes.get(at..at + HEADER)?;
        let length = u32_ne(head, 0)? as usize;
        let body = bytes.get(at + HEADER..at + length.max(HEADER))?;
        let kind_flags = u32_ne(head, 4)?.to_ne_bytes();
        let message = Message {
            kind: u16::from_ne_bytes([kind_flags[0], kind_flags[1]]),
            flags: u16::from_ne_bytes([kind_flags[2], kind_flags[3]]),
            seq: u32_ne(head, 8)?,
            port: u32_ne(head, 12)?,
            start: at,
            body,
        };
        at += length.max(HEADER).next_multiple_of(4);
        Some(message)
    })
}

/// Attributes one after the other: (kind without flag bits, value).
#[derive(Debug, Clone, Copy)]
pub struct Attrs<'a>(pub &'a [u8]);

impl<'a> Iterator for Attrs<'a> {
    type Item = (u16, &'a [u8]);
    fn next(&mut self) -> Option<Self::Item> {
        let head = self.0.get(..4)?;
        let length = usize::from(u16::from_ne_bytes([head[0], head[1]]));
        let value = self.0.get(4..length)?;
        self.0 = self.0.get(length.next_multiple_of(4)..).unwrap_or(&[]);
        Some((u16::from_ne_bytes([head[2], head[3]]) & KIND, value))
    }
}

impl<'a> Attrs<'a> {
    pub fn get(self, kind: u16) -> Option<&'a [u8]> {
        { self }.find(|(k, _)| *k == kind).map(|(_, value)| value)
    }
    pub fn nested(self, kind: u16) -> Option<Attrs<'a>> {
        self.get(kind).map(Attrs)
    }
    pub fn be32(self, kind: u16) -> Option<u32> {
        self.get(kind)?.try_into().ok().map(u32::from_be_bytes)
    }
    /// A string without its ending zero.
    pub fn text(self, kind: u16) -> Option<&'a str> {
        let bytes = self.get(kind)?;
        let end = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
        std::str::from_utf8(&bytes[..end]).ok()
    }
}

/// The u32 in the machine's order at `at`.
pub fn u32_ne(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4)?.try_into().ok().map(u32::from_ne_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let mut w = Writer::default();
        let start = w.open(0x0a0c, 1, 7, 2, 0);
        w.text(1, "pontoon");
        w.nest(3, |w| w.be32(9, 0x01020304));
        w.close(start);
        w.flag(start, 4);
        let all: Vec<Message> = messages(w.bytes()).collect();
        assert_eq!((all.len(), all[0].kind, all[0].flags, all[0].seq), (1, 0x0a0c, 5, 7));
        assert_eq!(all[0].family(), 2);
        assert_eq!(all[0].attrs().text(1), Some("pontoon"));
        assert_eq!(all[0].attrs().nested(3).and_then(|n| n.be32(9)), Some(0x01020304));
    }

    #[test]
    fn cut_short_is_no_panic() {
        let mut w = Writer::default();
        let start = w.open(1, 0, 0, 0, 0);
        w.attr(1, b"abc");
        w.close(start);
        for end in 0..w.len() {
            assert_eq!(messages(&w.bytes()[..end]).count(), 0);
            Attrs(&w.bytes()[..end]).for_each(drop);
        }
        assert_eq!(Attrs(&[3, 0, 1, 0]).count(), 0, "an attribute shorter than its head");
    }
}
