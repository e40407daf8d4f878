//! Reads a client's query by hand, without allocating. It never answers one.
use super::wire::{HEADER, Header, OPT_LEN, PAYLOAD, flag, rcode, rtype, u16_at, walk};

/// How a query came in; it decides how long the answer may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    Udp,
    Tcp,
}

/// What a client's OPT record says (RFC 6891).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Edns {
    /// UDP payload it can take, in bytes.
    pub size: u16,
    pub dnssec: bool,
}

/// What must be kept of a query to answer it: who asked is the caller's business.
#[derive(Debug, Clone, Copy)]
pub struct Ask {
    pub id: u16,
    pub flags: u16,
    pub edns: Option<Edns>,
    pub over: Over,
}

/// A well-formed query.
#[derive(Debug, Clone)]
pub struct Query<'a> {
    pub ask: Ask,
    /// Name, type and class as the client wrote them: its own case is repeated in the answer.
    pub question: &'a [u8],
    pub name: Text,
    pub qtype: u16,
    pub qclass: u16,
}

/// A query's name as lower-case text without the last dot.
#[derive(Debug, Clone)]
pub struct Text {
    bytes: [u8; 255],
    length: u8,
    /// A label holds a dot or a byte that is no visible ASCII: no name of ours can be meant.
    foreign: bool,
}

/// Why a packet is no query of ours.
#[derive(Debug, Clone, Copy)]
pub enum Bad {
    /// Answers, and what is too short to be answered.
    Ignore,
    /// To be answered with this code.
    Say(Ask, u16),
}

impl Text {
    /// None: this cannot be a name of ours.
    pub fn as_str(&self) -> Option<&str> {
        let bytes = &self.bytes[..usize::from(self.length)];
        if self.foreign { None } else { std::str::from_utf8(bytes).ok() }
    }

    /// Reads the uncompressed name at `at`; returns the place after it. Longer than 255 bytes is refused.
    fn read(packet: &[u8], mut at: usize) -> Option<(Self, usize)> {
        let mut text = Text { bytes: [0; 255], length: 0, foreign: false };
        let mut used = 0;
        loop {
            let length = usize::from(*packet.get(at)?);
            let label = packet.get(at + 1..at + 1 + length)?;
            at += 1 + length;
            match length {
                0 => break,
                1..=63 => {}
                _ => return None,
            }
            if used > 0 {
                text.bytes[used] = b'.';
                used += 1;
            }
            let place = text.bytes.get_mut(used..used + length)?;
            for (to, from) in place.iter_mut().zip(label) {
                text.foreign |= !from.is_ascii_graphic() || *from == b'.';
                *to = from.to_ascii_lowercase();
            }
            used += length;
            // one byte for the first length, one for the root
            if used > 253 {
                return None;
            }
        }
        text.length = used as u8;
        Some((text, at))
    }
}

impl Ask {
    /// Bytes that an answer may have.
    pub fn limit(&self) -> usize {
        match self.over {
            Over::Tcp => usize::from(u16::MAX),
            // 4096: what other servers send at most; above it TCP is better than fragments
            Over::Udp => usize::from(self.edns.map_or(512, |edns| edns.size)).clamp(512, 4096),
        }
    }

    /// Bytes that the OPT record of the answer takes.
    pub fn opt_len(&self) -> usize {
        if self.edns.is_some() { OPT_LEN } else { 0 }
    }

    /// The query once more, as far as it matters for an answer.
    pub fn again(&self, question: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEADER + question.len() + OPT_LEN);
        Header { id: self.id, flags: self.flags, counts: [1, 0, 0, u16::from(self.edns.is_some())] }
            .write(&mut out);
        out.extend_from_slice(question);
        let opt = out.len();
        if let Some(edns) = self.edns {
            put_opt(0, edns.dnssec, &mut out);
            // behind the root's name and the type
            out[opt + 3..opt + 5].copy_from_slice(&edns.size.to_be_bytes());
        }
        out
    }

    /// Header of an answer: RD and CD repeated, RA set, AA never (Docker; RFC 4035 3.2.2 for CD).
    pub fn header(&self, code: u16, answers: u16) -> Header {
        let kept = self.flags & (flag::OPCODE | flag::RD | flag::CD);
        let flags = flag::QR | flag::RA | kept | (code & flag::RCODE);
        Header { id: self.id, flags, counts: [1, answers, 0, u16::from(self.edns.is_some())] }
    }

    /// Appends the OPT record, if the client sent one.
    pub fn put_opt(&self, code: u16, out: &mut Vec<u8>) {
        let Some(edns) = self.edns else { return };
        put_opt(code, edns.dnssec, out);
    }

    /// Appends a whole answer without records; `question` may be empty.
    pub fn say(&self, code: u16, question: &[u8], out: &mut Vec<u8>) {
        let mut header = self.header(code, 0);
        header.counts[0] = u16::from(!question.is_empty());
        header.write(out);
        out.extend_from_slice(question);
        self.put_opt(code, out);
    }
}

/// Appends an OPT record without options; the upper bits of `code` go into it.
pub fn put_opt(code: u16, dnssec: bool, out: &mut Vec<u8>) {
    let [size_high, size_low] = PAYLOAD.to_be_bytes();
    let dnssec = if dnssec { (flag::DO >> 8) as u8 } else { 0 };
    let kind = rtype::OPT as u8;
    out.extend_from_slice(&[0, 0, kind, size_high, size_low, (code >> 4) as u8, 0, dnssec, 0, 0, 0]);
}

impl<'a> Query<'a> {
    pub fn parse(packet: &'a [u8], over: Over) -> Result<Self, Bad> {
        let header = Header::read(packet).ok_or(Bad::Ignore)?;
        let mut ask = Ask { id: header.id, flags: header.flags, edns: None, over };
        if header.flags & flag::QR != 0 {
            return Err(Bad::Ignore);
        }
        if header.flags & flag::OPCODE != 0 {
            return Err(Bad::Say(ask, rcode::NOTIMP));
        }
        if header.counts[0] != 1 {
            return Err(Bad::Say(ask, rcode::FORMERR));
        }
        let malformed = Bad::Say(ask, rcode::FORMERR);
        let (name, after) = Text::read(packet, HEADER).ok_or(malformed)?;
        let qtype = u16_at(packet, after).ok_or(malformed)?;
        let qclass = u16_at(packet, after + 2).ok_or(malformed)?;
        let (edns, version) = read_opt(packet, after + 4, header.counts).ok_or(malformed)?;
        ask.edns = edns;
        if version != 0 {
            return Err(Bad::Say(ask, rcode::BADVERS));
        }
        Ok(Query { ask, question: &packet[HEADER..after + 4], name, qtype, qclass })
    }
}

/// The OPT record among the records behind the question, with its version. None: malformed, or more than one.
fn read_opt(packet: &[u8], at: usize, counts: [u16; 4]) -> Option<(Option<Edns>, u8)> {
    let at = walk(packet, at, counts[1], |_| ())?;
    let at = walk(packet, at, counts[2], |_| ())?;
    let (mut found, mut version, mut fine) = (None, 0, true);
    walk(packet, at, counts[3], |record| {
        if record.rtype == rtype::OPT {
            fine &= found.is_none() && record.root;
            version = (record.ttl >> 16) as u8;
            let dnssec = record.ttl as u16 & flag::DO != 0;
            found = Some(Edns { size: record.class, dnssec });
        }
    })?;
    fine.then_some((found, version))
}
