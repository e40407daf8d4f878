//! A table that keeps address translation at work while our tables are gone. It decides nothing.
//!
//! `nft flush ruleset`, which every reload of nftables.service begins with, takes the last rule away that needs conntrack
//! and the last NAT chain; with them the kernel takes both out of the packets' way (nf_ct_netns_put, nf_nat_unregister_fn).
//! Connections keep their translation, but nobody carries it out: a client's packet arrives at the host's own port, a
//! sandbox's leaves with the sandbox's address, and whoever gets it knows no such connection and answers by a reset. Of 72
//! open connections three flushes ended 50 to 72 (tests/kernel/flush.rs), however soon the tables were there again.
//!
//! A table with an owner (NFT_TABLE_F_OWNER, kernel 5.12) is passed over by the flush of anybody else, and ends with its
//! owner's socket, so nothing stays behind even after kill -9. In it, one NAT chain with a rule that asks conntrack keeps
//! both in their place. What is allowed is not in there, on purpose: a table that others cannot change would take `nft
//! delete element` from the administrator; a saved `nft list ruleset` with it cannot be loaded while we run (EPERM; so it
//! is with this one, and with firewalld's since 2.1); and before the flag PERSIST (6.9) published ports would end with the
//! daemon. Only while somebody takes our tables away in a loop are they owned as well (`locked`).
use super::{
    Nft, abi,
    rule::{CT_STATE, rule},
    table::{Chain, Hook, INPUT, Table},
};
use crate::error::Result;

/// NF_IP_PRI_NAT_SRC. Only the first packet of a connection to the host itself comes by.
const PRIORITY: i32 = 100;
/// Such packets are dropped or let be before a NAT chain: this one never sees any.
const STATE_INVALID: u32 = 1;

impl Nft {
    /// Makes the table, whose owner is this socket, if it has not done so. A kernel that knows no owners refuses; then all is
    /// as it would be without.
    pub fn keep_translating(&mut self) -> Result<()> {
        if self.lasting.is_some() {
            return Ok(());
        }
        let table = table(&self.inet.name);
        self.batch.start(&self.socket);
        table.create_owned(&mut self.batch);
        match self.batch.commit(&mut self.socket)? {
            Ok(()) => self.lasting = Some(table),
            Err(refused) => {
                let error = self.refused(refused, "make", &[], &[]);
                tracing::debug!(%error, "a flush of the ruleset by others will reset connections");
            }
        }
        Ok(())
    }
}

fn table(name: &str) -> Table {
    Table {
        family: abi::INET,
        name: format!("{name}.nat"),
        comment: format!("owner={name}: open connections survive a flush; ends with the daemon"),
        chains: vec![Chain {
            name: "input",
            hook: Some(Hook { kind: "nat", number: INPUT, priority: PRIORITY }),
        }],
        sets: &[],
        rules: vec![rule("input").any_bit(CT_STATE, STATE_INVALID).accept()],
    }
}
