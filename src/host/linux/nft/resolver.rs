//! The table `ip pontoon` inside a sandbox: 127.0.0.11:53 leads to the daemon's sockets on 127.0.0.11 and another
//! port, without any connection tracking. It never reads or changes another table of the sandbox.
//!
//! reference/nft-layout.md section 4; in nft's words `layout/resolver.nft`, against which it is tested.
use super::{
    abi::IPV4,
    batch::Batch,
    observe::{rules_by_chain, rules_of, table_notes},
    rule::*,
    shape,
    socket::Socket,
    table::{INPUT, OUTPUT, Table, hooked},
};
use crate::error::Result;

const NAME: &str = "pontoon";
const ADDRESS: [u8; 4] = [127, 0, 0, 11];
const DNS: [u8; 2] = 53u16.to_be_bytes();
/// Protocol, and where its checksum stands in its header.
const UDP: (u8, u32) = (17, 6);
const TCP: (u8, u32) = (6, 16);

/// Installs the redirect to `port` in the calling thread's network namespace, a sandbox's. 0.1 ms where there is none or the
/// right one, 15 ms where another is replaced.
pub fn install_resolver(port: u16) -> Result<()> {
    let mut socket = Socket::open()?;
    let mut batch = Batch::default();
    let table = table(port);
    let there = match found(&mut socket)? {
        Found::Leads(to) if to == port => return Ok(()),
        Found::Nothing => false,
        Found::Leads(_) | Found::Broken => true,
    };
    batch.start(&socket);
    // Not `replace` for all: what deletes makes the closing of the socket slow, even if there was nothing.
    if there {
        table.replace(&mut batch);
    } else {
        table.create(&mut batch);
    }
    let refused = match batch.commit(&mut socket)? {
        Ok(()) => return Ok(()),
        Err(refused) => refused,
    };
    let step = format!("install the DNS redirect of a sandbox: {}", batch.subject_of(&refused));
    Err(refused.into_error(step))
}

/// Takes the redirect away, in the calling thread's network namespace; one that is gone is fine. What it returns is a
/// socket whose closing waits 15 ms for the kernel and holds others up: let another thread drop it, later.
pub fn remove_resolver() -> Result<impl Send + 'static> {
    let mut socket = Socket::open()?;
    if table_notes(&mut socket, IPV4, NAME)?.is_none() {
        return Ok(socket);
    }
    let mut batch = Batch::default();
    batch.start(&socket);
    table(0).erase(&mut batch);
    match batch.commit(&mut socket)? {
        Ok(()) => Ok(socket),
        Err(refused) => Err(refused.into_error("remove the DNS redirect of a sandbox".to_owned())),
    }
}

/// The port that the redirect in the calling thread's network namespace leads to; None if there is none of ours, or
/// it is not whole.
pub fn resolver_port() -> Result<Option<u16>> {
    match found(&mut Socket::open()?)? {
        Found::Leads(port) => Ok(Some(port)),
        Found::Nothing | Found::Broken => Ok(None),
    }
}

enum Found {
    Nothing,
    /// A table of that name which is not as this version builds it.
    Broken,
    /// To this port.
    Leads(u16),
}

/// Two questions: a daemon that starts asks them in every sandbox.
fn found(socket: &mut Socket) -> Result<Found> {
    let Some(notes) = table_notes(socket, IPV4, NAME)? else { return Ok(Found::Nothing) };
    let text = String::from_utf8_lossy(&notes);
    let port = text.trim_end_matches('\0').rsplit_once("port=").and_then(|(_, port)| port.parse().ok());
    let Some(port) = port.filter(|port| notes == table_notes_of(*port)) else { return Ok(Found::Broken) };
    match rules_of(socket, IPV4, NAME)? == Some(rules_by_chain(&table(port))) {
        true => Ok(Found::Leads(port)),
        false => Ok(Found::Broken),
    }
}

fn table_notes_of(port: u16) -> Vec<u8> {
    shape::table_notes(&comment(port))
}

fn comment(port: u16) -> String {
    format!("owner=pontoon layout=1 port={port}")
}

fn table(port: u16) -> Table {
    let comment = comment(port);
    let port = port.to_be_bytes();
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
    Table {
        family: IPV4,
        name: NAME.to_owned(),
        comment,
        chains: vec![hooked("input", "filter", INPUT, 0), hooked("output", "filter", OUTPUT, -300)],
        sets: &[],
        rules: vec![asked(UDP), asked(TCP), answered(UDP), answered(TCP)],
    }
}
