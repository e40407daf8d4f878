//! Writes a whole table into a transaction: away with the old one, then chains, sets and rules. What stands in
//! them is said elsewhere (`inet`, `guard`, `resolver`).
use super::{abi, batch::Batch, rule::Rule, sets::Shape, shape};

/// A constant table.
#[derive(Debug)]
pub struct Table {
    pub family: u8,
    pub name: String,
    pub comment: String,
    pub chains: Vec<Chain>,
    pub sets: &'static [Shape],
    /// Rules of one chain stand in this order.
    pub rules: Vec<Rule>,
}

#[derive(Debug)]
pub struct Chain {
    pub name: &'static str,
    pub hook: Option<Hook>,
}

/// Where a base chain hangs; its policy is accept.
#[derive(Debug)]
pub struct Hook {
    pub kind: &'static str,
    /// NF_INET_* or NF_BR_*.
    pub number: u32,
    pub priority: i32,
}

/// NF_INET_PRE_ROUTING ... NF_INET_POST_ROUTING; NF_BR_PRE_ROUTING is 0 too.
pub const PREROUTING: u32 = 0;
pub const INPUT: u32 = 1;
pub const FORWARD: u32 = 2;
pub const OUTPUT: u32 = 3;
pub const POSTROUTING: u32 = 4;

pub fn chain(name: &'static str) -> Chain {
    Chain { name, hook: None }
}
pub fn hooked(name: &'static str, kind: &'static str, number: u32, priority: i32) -> Chain {
    Chain { name, hook: Some(Hook { kind, number, priority }) }
}

impl Table {
    /// Adds what replaces the table, there or not, elements included, by this one without any. `flags`: `abi::TABLE_*`.
    pub fn replace(&self, batch: &mut Batch, flags: u32) {
        self.erase(batch);
        self.create_with(batch, flags);
    }

    /// Adds what makes the table where there is none.
    pub fn create(&self, batch: &mut Batch) {
        self.create_with(batch, 0);
    }

    /// The same, but that only the socket it is sent by may change it.
    pub fn create_owned(&self, batch: &mut Batch) {
        self.create_with(batch, abi::TABLE_OWNED);
    }

    fn create_with(&self, batch: &mut Batch, flags: u32) {
        batch.message(abi::NEWTABLE, abi::CREATE, self.family, |w| {
            w.text(abi::TABLE_NAME, &self.name);
            w.be32(abi::TABLE_FLAGS, flags);
            w.attr(abi::TABLE_USERDATA, &shape::table_notes(&self.comment));
        });
        self.chains.iter().for_each(|chain| self.write_chain(batch, chain));
        for set in self.sets {
            batch.message(abi::NEWSET, abi::CREATE, self.family, |w| {
                w.text(1, &self.name);
                set.write(w);
            });
        }
        self.rules.iter().for_each(|rule| self.write_rule(batch, rule));
    }

    /// Adds what deletes the table, which is there.
    pub fn delete(&self, batch: &mut Batch) {
        batch.message(abi::DELTABLE, 0, self.family, |w| w.text(abi::TABLE_NAME, &self.name));
    }

    /// Adds what deletes the table, there or not: to create first is no error if it exists.
    pub fn erase(&self, batch: &mut Batch) {
        batch.message(abi::NEWTABLE, abi::CREATE, self.family, |w| w.text(abi::TABLE_NAME, &self.name));
        self.delete(batch);
    }

    fn write_chain(&self, batch: &mut Batch, chain: &Chain) {
        batch.message(abi::NEWCHAIN, abi::CREATE, self.family, |w| {
            w.text(1, &self.name);
            w.text(3, chain.name);
            if let Some(hook) = &chain.hook {
                w.text(7, hook.kind);
                w.nest(4, |w| {
                    w.be32(1, hook.number);
                    w.attr(2, &hook.priority.to_be_bytes());
                });
                w.be32(5, abi::ACCEPT as u32);
            }
        });
    }

    fn write_rule(&self, batch: &mut Batch, rule: &Rule) {
        if let Some(list) = rule.listed {
            batch.message(abi::NEWSET, abi::CREATE, self.family, |w| {
                w.text(1, &self.name);
                list.write(w);
            });
            batch.message(abi::NEWSETELEM, abi::CREATE, self.family, |w| {
                w.text(1, &self.name);
                list.write_values(w);
            });
        }
        batch.message(abi::NEWRULE, abi::CREATE | abi::APPEND, self.family, |w| {
            w.text(1, &self.name);
            w.text(2, rule.chain);
            w.nest(4, |w| w.append(&rule.expressions));
        });
    }
}
