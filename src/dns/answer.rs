//! The hot path: one query in, one answer from the published names out. Pure; it never does I/O and never forwards itself.
//!
//! | query | outcome |
//! |---|---|
//! | known name, A / AAAA / ANY | its addresses of that family, rotated over those who share the name |
//! | known name, no address of that family, or any other type | NOERROR without answer, never forwarded |
//! | PTR of an address in the asker's networks | `name.network.` |
//! | unknown single label, A or AAAA, the user set ndots | NOERROR without answer |
//! | unknown name below a domain that only we know | NXDOMAIN, never forwarded |
//! | zone transfers, classes other than IN | REFUSED |
//! | anything else | forwarded |
//!
//! Docker forwards TXT, HTTPS and the like even for its own names; that leaks them and makes clients wait, so we do not.
use super::query::{Bad, Over, Query};
use super::reverse;
use super::wire::{class, flag, put_u16, rcode, rtype};
use crate::model::names::{Asker, Found, Names};
use std::net::IpAddr;

/// Seconds that a client may keep an answer. Docker says 600, which outlives the sandbox; aardvark 0, which some caches
/// refuse to share even among one burst. An address is not promised longer than its sandbox, so: a few seconds.
pub const TTL: u32 = 5;

/// What becomes of a packet.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "made and taken apart on the stack of the hot path, never kept")]
pub enum Action<'a> {
    /// The answer was appended to the buffer.
    Reply,
    /// Nothing was appended; somebody else has to know.
    Forward(Query<'a>),
    /// Nothing is to be said.
    Drop,
}

/// Answers `packet` for `asker` (None: a sandbox that nobody knows) into the end of `out`. `turn` is any number that
/// changes from call to call: answers begin at that seat.
pub fn answer<'a>(
    packet: &'a [u8],
    over: Over,
    asker: Option<&Asker>,
    names: &Names,
    turn: usize,
    out: &mut Vec<u8>,
) -> Action<'a> {
    let query = match Query::parse(packet, over) {
        Ok(query) => query,
        Err(Bad::Ignore) => return Action::Drop,
        Err(Bad::Say(ask, code)) => {
            ask.say(code, &[], out);
            return Action::Reply;
        }
    };
    let say = |code, out: &mut Vec<u8>| {
        query.ask.say(code, query.question, out);
        Action::Reply
    };
    if !matches!(query.qclass, class::IN | class::ANY) || is_meta(query.qtype) {
        return say(rcode::REFUSED, out);
    }
    let Some(asker) = asker else { return say(rcode::SERVFAIL, out) };
    let Some(name) = query.name.as_str() else { return Action::Forward(query) };
    if let Some(found) = names.find(asker, name) {
        put_addresses(&query, found, turn, out);
        return Action::Reply;
    }
    if let Some((host, network)) = reverse::parse(name).and_then(|address| names.reverse(asker, address)) {
        put_pointer(&query, host, network, out);
        return Action::Reply;
    }
    if asker.upstream.local.iter().any(|domain| is_below(name, domain)) {
        return say(rcode::NXDOMAIN, out);
    }
    let single = !name.is_empty() && !name.contains('.') && matches!(query.qtype, rtype::A | rtype::AAAA);
    if single && asker.upstream.ndots_set {
        return say(rcode::NOERROR, out);
    }
    Action::Forward(query)
}

/// `name` is in lower case and has no dot at its end.
fn is_below(name: &str, domain: &str) -> bool {
    name.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

/// Types that ask for something else than records: OPT, TKEY, TSIG, transfers, mailbox types (RFC 6895 3.1).
fn is_meta(qtype: u16) -> bool {
    qtype == rtype::OPT || (249..=254).contains(&qtype)
}

fn put_addresses(query: &Query<'_>, found: Found<'_>, turn: usize, out: &mut Vec<u8>) {
    let base = out.len();
    let room = query.ask.limit() - query.ask.opt_len();
    query.ask.header(rcode::NOERROR, 0).write(out);
    out.extend_from_slice(query.question);
    let (mut count, mut cut) = (0, false);
    if matches!(query.qtype, rtype::A | rtype::AAAA | rtype::ANY) {
        for address in found.addresses(turn) {
            if !is_wanted(query.qtype, address) {
                continue;
            }
            cut = out.len() - base + 16 + if address.is_ipv4() { 0 } else { 12 } > room;
            if cut {
                break;
            }
            put_address(address, out);
            count += 1;
        }
    }
    finish(query, base, count, cut, out);
}

fn is_wanted(qtype: u16, address: &IpAddr) -> bool {
    match qtype {
        rtype::A => address.is_ipv4(),
        rtype::AAAA => address.is_ipv6(),
        _ => true,
    }
}

/// A record that is named as the question is (pointer to byte 12).
fn put_address(address: &IpAddr, out: &mut Vec<u8>) {
    match address {
        IpAddr::V4(v4) => {
            put_record(rtype::A, 4, out);
            out.extend_from_slice(&v4.octets());
        }
        IpAddr::V6(v6) => {
            put_record(rtype::AAAA, 16, out);
            out.extend_from_slice(&v6.octets());
        }
    }
}

fn put_record(kind: u16, length: u16, out: &mut Vec<u8>) {
    let mut fixed = [0xc0, 12, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    fixed[2..4].copy_from_slice(&kind.to_be_bytes());
    fixed[6..10].copy_from_slice(&TTL.to_be_bytes());
    fixed[10..12].copy_from_slice(&length.to_be_bytes());
    out.extend_from_slice(&fixed);
}

fn put_pointer(query: &Query<'_>, host: &str, network: &str, out: &mut Vec<u8>) {
    let base = out.len();
    query.ask.header(rcode::NOERROR, 0).write(out);
    out.extend_from_slice(query.question);
    let record = out.len();
    let (mut count, mut cut) = (0, false);
    if matches!(query.qtype, rtype::PTR | rtype::ANY) {
        put_record(rtype::PTR, 0, out);
        let data = out.len();
        let length = put_name([host, network], out);
        put_u16(out, data - 2, length.unwrap_or(0));
        cut = out.len() - base > query.ask.limit() - query.ask.opt_len();
        count = u16::from(length.is_some() && !cut);
    }
    if count == 0 {
        out.truncate(record);
    }
    finish(query, base, count, cut, out);
}

/// Appends the dotted parts as one uncompressed name and returns its length; None if it is none (RFC 1035 2.3.4).
fn put_name(parts: [&str; 2], out: &mut Vec<u8>) -> Option<u16> {
    let start = out.len();
    for label in parts.iter().filter(|part| !part.is_empty()).flat_map(|part| part.split('.')) {
        let length = u8::try_from(label.len()).ok().filter(|length| (1..=63).contains(length))?;
        out.push(length);
        out.extend_from_slice(label.as_bytes());
    }
    out.push(0);
    let length = out.len() - start;
    u16::try_from(length).ok().filter(|length| *length <= 255)
}

fn finish(query: &Query<'_>, base: usize, count: u16, cut: bool, out: &mut Vec<u8>) {
    put_u16(out, base + 6, count);
    if cut {
        let flags = query.ask.header(rcode::NOERROR, 0).flags | flag::TC;
        put_u16(out, base + 2, flags);
    }
    query.ask.put_opt(rcode::NOERROR, out);
}
