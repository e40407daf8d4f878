//! The table `ip pontoon` inside a sandbox: 127.0.0.11:53 leads to the daemon's sockets on 127.0.0.11 and another
//! port, without any connection tracking. It never reads or changes another table of the sandbox.
//!
//! With `by_network` 127.11.0.0/16 leads there too. A question that goes to one of these addresses becomes one that comes
//! from it, so that the answer, on its way back, tells whom it has to seem to come from.
//!
//! reference/nft-layout.md section 4; in nft's words `layout/resolver.nft` and `layout/resolver-by-network.nft`, against
//! which it is tested.
use super::{
    abi::IPV4,
    batch::Batch,
    observe::{rules_by_chain, rules_of, table_notes},
    rule::*,
    shape,
    socket::Socket,
    table::{INPUT, OUTPUT, Table, hooked},
};
use crate::{error::Result, model::sandbox::Dns};

const NAME: &str = "pontoon";
const ADDRESS: [u8; 4] = Dns::ADDRESS.octets();
/// Where a sandbox's questions come from when it asks an address of its own loopback.
const ASKER: [u8; 4] = [127, 0, 0, 1];
/// The first two bytes of where a question goes.
const TO: Load = header(NETWORK, 16, 2);
const DNS: [u8; 2] = 53u16.to_be_bytes();
/// Protocol, and where its checksum stands in its header.
const UDP: (u8, u32) = (17, 6);
const TCP: (u8, u32) = (6, 16);

/// Where questions lead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Redirect {
    /// Of the daemon's sockets.
    pub port: u16,
    /// Those at an address for each network too.
    pub by_network: bool,
}

/// Installs the redirect in the calling thread's network namespace, a sandbox's. 0.1 ms where there is none or the
/// right one, 15 ms where another is replaced. What it returns is a socket; to close it takes 3 µs, but 7 ms where something
/// was deleted a moment ago (`remove_resolver`).
pub fn install_resolver(wanted: Redirect) -> Result<impl Send + 'static> {
    let mut socket = Socket::small()?;
    let mut batch = Batch::default();
    let table = table(wanted);
    let there = match found(&mut socket)? {
        Found::Leads(to) if to == wanted => return Ok(socket),
        Found::Nothing => false,
        Found::Leads(_) | Found::Broken => true,
    };
    batch.start(&socket);
    // Not `replace` for all: what deletes makes the closing of the socket slow, even if there was nothing.
    if there {
        table.replace(&mut batch, 0);
    } else {
        table.create(&mut batch);
    }
    let refused = match batch.commit(&mut socket)? {
        Ok(()) => return Ok(socket),
        Err(refused) => refused,
    };
    let step = format!("install the DNS redirect of a sandbox: {}", batch.subject_of(&refused));
    Err(refused.into_error(step))
}

/// Takes the redirect away, in the calling thread's network namespace; one that is gone is fine, and another program's table
/// of that name is left alone. What it returns is a socket whose closing waits 15 ms for the kernel and holds others up: let
/// another thread drop it, later.
pub fn remove_resolver() -> Result<impl Send + 'static> {
    let mut socket = Socket::small()?;
    if !table_notes(&mut socket, IPV4, NAME)?.is_some_and(|notes| is_ours(&notes)) {
        return Ok(socket);
    }
    let mut batch = Batch::default();
    batch.start(&socket);
    table(Redirect { port: 0, by_network: false }).erase(&mut batch);
    match batch.commit(&mut socket)? {
        Ok(()) => Ok(socket),
        Err(refused) => Err(refused.into_error("remove the DNS redirect of a sandbox".to_owned())),
    }
}

/// The redirect in the calling thread's network namespace; None if there is none of ours, or it is not whole.
pub fn resolver_found() -> Result<Option<Redirect>> {
    match found(&mut Socket::small()?)? {
        Found::Leads(to) => Ok(Some(to)),
        Found::Nothing | Found::Broken => Ok(None),
    }
}

enum Found {
    Nothing,
    /// A table of that name which is not as this version builds it.
    Broken,
    Leads(Redirect),
}

/// Two questions: a daemon that starts asks them in every sandbox.
fn found(socket: &mut Socket) -> Result<Found> {
    let Some(notes) = table_notes(socket, IPV4, NAME)? else { return Ok(Found::Nothing) };
    let text = String::from_utf8_lossy(&notes);
    let port = text.trim_end_matches('\0').rsplit_once("port=").and_then(|(_, port)| port.parse().ok());
    let leads = port.map(|port| Redirect { port, by_network: text.contains(BY_NETWORK) });
    let Some(leads) = leads.filter(|leads| notes == shape::table_notes(&comment(*leads))) else {
        return Ok(Found::Broken);
    };
    match rules_of(socket, IPV4, NAME)? == Some(rules_by_chain(&table(leads))) {
        true => Ok(Found::Leads(leads)),
        false => Ok(Found::Broken),
    }
}

/// In the table's comment.
const BY_NETWORK: &str = " by-network";

/// How the comment of every one of our redirects begins.
const MARK: &str = "owner=pontoon";

/// Does a table with these notes bear our mark?
fn is_ours(notes: &[u8]) -> bool {
    notes.windows(MARK.len()).any(|part| part == MARK.as_bytes())
}

fn comment(redirect: Redirect) -> String {
    let more = if redirect.by_network { BY_NETWORK } else { "" };
    format!("{MARK} layout=1{more} port={}", redirect.port)
}

fn table(redirect: Redirect) -> Table {
    let port = redirect.port.to_be_bytes();
    let asked = |(protocol, checksum): (u8, u32)| {
        rule("input")
            .is(IP_DADDR, &ADDRESS)
            .is(L4PROTO, &[protocol])
            .is(DPORT, &DNS)
            .rewrite(DPORT, &port, checksum)
    };
    let answered = |(protocol, checksum): (u8, u32)| {
        rule("output")
            .is(IP_SADDR, &ADDRESS)
            .is(L4PROTO, &[protocol])
            .is(SPORT, &port)
            .rewrite(SPORT, &DNS, checksum)
    };
    let mut rules = vec![asked(UDP), asked(TCP), answered(UDP), answered(TCP)];
    if redirect.by_network {
        rules.insert(0, question_by_network());
        rules.push(answer_by_network());
    }
    Table {
        family: IPV4,
        name: NAME.to_owned(),
        comment: comment(redirect),
        chains: vec![hooked("input", "filter", INPUT, 0), hooked("output", "filter", OUTPUT, -300)],
        sets: &[],
        rules,
    }
}

/// Before the rules that change ports, for either protocol.
fn question_by_network() -> Rule {
    let asked = rule("input").is(IP_SADDR, &ASKER).is(TO, &Dns::BY_NETWORK).is(DPORT, &DNS);
    asked.readdress_by(IP_SADDR, IP_DADDR).readdress(IP_DADDR, &ADDRESS)
}

/// Behind them.
fn answer_by_network() -> Rule {
    let answered = rule("output").is(IP_SADDR, &ADDRESS).is(TO, &Dns::BY_NETWORK).is(SPORT, &DNS);
    answered.readdress_by(IP_SADDR, IP_DADDR).readdress(IP_DADDR, &ASKER)
}
