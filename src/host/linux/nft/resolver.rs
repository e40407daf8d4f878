//! The table `ip pontoon` inside a sandbox: 127.0.0.11:53 leads to the daemon's sockets on 127.0.0.11 and another
//! port, without any connection tracking. It never reads or changes another table of the sandbox.
//!
//! reference/nft-layout.md section 4; in nft's words `layout/resolver.nft`, against which it is tested.
use super::{
    abi::IPV4,
    batch::Batch,
    rule::*,
    socket::Socket,
    table::{INPUT, OUTPUT, Table, hooked},
};
use crate::error::Result;

const ADDRESS: [u8; 4] = [127, 0, 0, 11];
const DNS: [u8; 2] = 53u16.to_be_bytes();
/// Protocol, and where its checksum stands in its header.
const UDP: (u8, u32) = (17, 6);
const TCP: (u8, u32) = (6, 16);

/// Installs (or replaces) the redirect to `port` in the calling thread's network namespace, a sandbox's.
pub fn install_resolver(port: u16) -> Result<()> {
    let mut socket = Socket::open()?;
    let mut batch = Batch::default();
    batch.start(&socket);
    table(port).write(&mut batch);
    let refused = match batch.commit(&mut socket)? {
        Ok(()) => return Ok(()),
        Err(refused) => refused,
    };
    let step = format!("install the DNS redirect of a sandbox: {}", batch.subject_of(&refused));
    Err(refused.into_error(step))
}

/// Takes the redirect away, in the calling thread's network namespace; one that is gone is fine.
pub fn remove_resolver() -> Result<()> {
    let mut socket = Socket::open()?;
    let mut batch = Batch::default();
    batch.start(&socket);
    table(0).erase(&mut batch);
    match batch.commit(&mut socket)? {
        Ok(()) => Ok(()),
        Err(refused) => Err(refused.into_error("remove the DNS redirect of a sandbox".to_owned())),
    }
}

fn table(port: u16) -> Table {
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
        name: "pontoon".to_owned(),
        comment: "owner=pontoon layout=1".to_owned(),
        chains: vec![hooked("input", "filter", INPUT, 0), hooked("output", "filter", OUTPUT, -300)],
        sets: &[],
        rules: vec![asked(UDP), asked(TCP), answered(UDP), answered(TCP)],
    }
}
