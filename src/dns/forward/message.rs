//! Messages to and from upstream servers: builds the query, judges the answer, dresses it for the client. Pure; what an
//! upstream says about anything else than the question is never passed on.
use crate::dns::query::{Ask, put_opt};
use crate::dns::wire::{HEADER, Header, OPT_LEN, Record, flag, put_u16, rcode, rtype, u16_at, u32_at, walk};
use std::time::Duration;

/// Longest life of an entry, whatever its TTL says.
const LONGEST: u32 = 3600;

/// An upstream's answer without its OPT record, as it is kept.
#[derive(Debug, PartialEq, Eq)]
pub struct Reply {
    /// With the extended bits.
    pub code: u16,
    pub body: Box<[u8]>,
    /// The server cut it off.
    pub cut: bool,
}

/// Why a packet is not the answer.
#[derive(Debug, PartialEq, Eq)]
pub enum Mismatch {
    /// Not to this query: forged, or late. The true answer may still come.
    Stray,
    /// From the server asked, but of no use.
    Malformed,
}

/// The query for `question` (name, type, class); `dnssec` None leaves the OPT record out, for servers that choke on it.
pub fn query(id: u16, flags: u16, question: &[u8], dnssec: Option<bool>) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEADER + question.len() + OPT_LEN);
    let counts = [1, 0, 0, u16::from(dnssec.is_some())];
    Header { id, flags, counts }.write(&mut out);
    out.extend_from_slice(question);
    if let Some(dnssec) = dnssec {
        put_opt(rcode::NOERROR, dnssec, &mut out);
    }
    out
}

/// Reads an answer to the query `id` for `question` (lower case).
pub fn read(packet: &[u8], id: u16, question: &[u8]) -> Result<Reply, Mismatch> {
    let header = Header::read(packet).ok_or(Mismatch::Stray)?;
    if header.id != id || header.flags & (flag::QR | flag::OPCODE) != flag::QR {
        return Err(Mismatch::Stray);
    }
    let code = header.flags & flag::RCODE;
    let start = HEADER + question.len();
    let asked = packet.get(HEADER..start).filter(|_| header.counts[0] == 1);
    match asked {
        Some(asked) if same_question(asked, question) => {}
        // some servers leave the question out when they could not read the query
        None if header.counts[0] == 0 && code != rcode::NOERROR && code != rcode::NXDOMAIN => {
            return Ok(Reply { code, body: Box::default(), cut: false });
        }
        _ => return Err(Mismatch::Stray),
    }
    let cut = header.flags & flag::TC != 0;
    read_records(packet, &header, start, code, cut).ok_or(Mismatch::Malformed)
}

/// The name without regard to case, type and class exactly.
fn same_question(one: &[u8], other: &[u8]) -> bool {
    let name = one.len().saturating_sub(4);
    one.len() == other.len()
        && one[..name].eq_ignore_ascii_case(&other[..name])
        && one[name..] == other[name..]
}

fn read_records(packet: &[u8], header: &Header, start: usize, mut code: u16, cut: bool) -> Option<Reply> {
    let counts = header.counts;
    // a cut answer may end anywhere: it is passed on without records
    let ends = if cut { None } else { Some(walk(packet, start, counts[1].checked_add(counts[2])?, |_| ())?) };
    let (mut end, mut kept, mut opt) = (ends.unwrap_or(start), 0, false);
    if let Some(mut at) = ends {
        for _ in 0..counts[3] {
            let record = Record::read(packet, at)?;
            at = record.data.end;
            if record.rtype == rtype::OPT {
                opt = true;
                code |= (record.ttl >> 24 << 4) as u16;
            } else if !opt {
                // what stands behind an OPT record is left out with it: pointers into it would be off
                end = at;
                kept += 1;
            }
        }
    }
    let mut body = packet.get(..end)?.to_vec();
    if cut {
        (6..HEADER).step_by(2).for_each(|at| put_u16(&mut body, at, 0));
    }
    put_u16(&mut body, 10, kept);
    Some(Reply { code, body: body.into(), cut })
}

impl Reply {
    /// How long it may be kept; zero: not at all. Negative answers live as RFC 2308 says: no SOA, no life.
    pub fn life(&self) -> Duration {
        let life = match self.code {
            rcode::NOERROR | rcode::NXDOMAIN if !self.cut => self.shortest().unwrap_or(0),
            _ => 0,
        };
        Duration::from_secs(u64::from(life.min(LONGEST)))
    }

    /// NXDOMAIN, or no record of the type asked for.
    pub fn is_negative(&self) -> bool {
        self.code == rcode::NXDOMAIN || !self.has_answer().unwrap_or(false)
    }

    fn question_end(&self) -> Option<usize> {
        Some(crate::dns::wire::skip_name(&self.body, HEADER)? + 4)
    }

    fn has_answer(&self) -> Option<bool> {
        let start = self.question_end()?;
        let wanted = u16_at(&self.body, start - 4)?;
        let mut found = false;
        walk(&self.body, start, u16_at(&self.body, 6)?, |record| {
            found |= record.rtype == wanted || wanted == rtype::ANY;
        })?;
        Some(found)
    }

    /// The least of all TTLs, in seconds.
    fn shortest(&self) -> Option<u32> {
        let header = Header::read(&self.body)?;
        let (mut least, mut soa) = (u32::MAX, None);
        let mut note = |record: &Record| least = least.min(seconds(record.ttl));
        let at = walk(&self.body, self.question_end()?, header.counts[1], &mut note)?;
        let at = walk(&self.body, at, header.counts[2], |record| {
            note(record);
            if record.rtype == rtype::SOA {
                let minimum = u32_at(&self.body, record.data.end.saturating_sub(4)).unwrap_or(0);
                soa = Some(minimum.min(seconds(record.ttl)));
            }
        })?;
        walk(&self.body, at, header.counts[3], &mut note)?;
        match self.is_negative() {
            true => Some(least.min(soa?)),
            false => Some(least),
        }
    }

    /// Appends the answer for a client: its id, its spelling of the question, TTLs lessened by the answer's age, and no
    /// longer than it can take.
    pub fn dress(&self, ask: &Ask, question: &[u8], age: Duration, out: &mut Vec<u8>) {
        let base = out.len();
        let fits = self.body.get(HEADER..HEADER + question.len()).is_some();
        if !fits || !matches!(self.code, rcode::NOERROR | rcode::NXDOMAIN) {
            return ask.say(if fits { self.code } else { rcode::SERVFAIL }, question, out);
        }
        out.extend_from_slice(&self.body);
        let message = &mut out[base..];
        message[HEADER..HEADER + question.len()].copy_from_slice(question);
        lessen(message, HEADER + question.len(), age.as_secs().try_into().unwrap_or(u32::MAX));
        let (end, counts, cut) = fit(message, HEADER + question.len(), ask.limit() - ask.opt_len());
        out.truncate(base + end);
        let mut header = ask.header(self.code, counts[0]);
        header.counts[2] = counts[1];
        header.counts[3] += counts[2];
        header.flags |= if cut || self.cut { flag::TC } else { 0 };
        header.flags |= self.authentic(ask);
        let mut fields = Vec::with_capacity(HEADER);
        header.write(&mut fields);
        out[base..base + HEADER].copy_from_slice(&fields);
        ask.put_opt(self.code, out);
    }

    /// The AD bit, for clients that show they understand it (RFC 6840 5.8).
    fn authentic(&self, ask: &Ask) -> u16 {
        let understood = ask.flags & flag::AD != 0 || ask.edns.is_some_and(|edns| edns.dnssec);
        let said = u16_at(&self.body, 2).unwrap_or(0) & flag::AD;
        if understood { said } else { 0 }
    }
}

/// A TTL with the first bit set counts as zero (RFC 2181 8).
fn seconds(ttl: u32) -> u32 {
    if ttl > i32::MAX as u32 { 0 } else { ttl }
}

fn lessen(message: &mut [u8], mut at: usize, age: u32) {
    while let Some(record) = Record::read(message, at).filter(|_| age > 0) {
        let left = seconds(record.ttl).saturating_sub(age);
        message[record.ttl_at..record.ttl_at + 4].copy_from_slice(&left.to_be_bytes());
        at = record.data.end;
    }
}

/// Where to end so that at most `room` bytes are used, the counts then, and whether something that matters was lost.
/// Additional records may be missing without a word (RFC 2181 9).
fn fit(message: &[u8], start: usize, room: usize) -> (usize, [u16; 3], bool) {
    let counts = Header::read(message).map_or([0; 4], |header| header.counts);
    let (mut at, mut kept) = (start, [0; 3]);
    for section in 0..3 {
        for _ in 0..counts[section + 1] {
            match Record::read(message, at).filter(|record| record.data.end <= room) {
                Some(record) => at = record.data.end,
                None => return (at, kept, section < 2),
            }
            kept[section] += 1;
        }
    }
    (at, kept, false)
}
