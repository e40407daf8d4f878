//! The one thing we do in tables of others: where a foreign chain drops what it does not know, a marked rule of ours lets
//! link group 0x5050 pass, in the place that its owner leaves to others. It never changes or deletes a rule without our mark.
//!
//! An accept of ours never overrides a drop elsewhere (reference/nft-layout.md section 8). Chains of iptables-nft get
//! the rule as iptables would write it (`match devgroup`): with native expressions iptables 1.8.9 cannot read them any more.
//! Appended to FORWARD it decides only what would have met the policy, so that nothing of Docker's own is opened.
use super::{
    abi,
    batch::Batch,
    observe::ask,
    rule::{IIFGROUP, OIFGROUP, rule},
    socket::Socket,
    wire::{Attrs, Message, Writer},
};
use crate::{error::Result, model::kernel::LINK_GROUP};

/// A chain of somebody else that decides about forwarded packets, and ours among them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gate {
    family: u8,
    table: String,
    chain: String,
    /// Handles of our rules there.
    ours: Vec<[u8; 8]>,
    passable: bool,
    drops: bool,
}

impl Gate {
    /// Does what is ours not pass without a rule? (Else rules stand there from the time when it did not.)
    pub fn is_shut(&self) -> bool {
        self.drops && self.ours.len() < 2
    }
    /// `ip filter FORWARD`
    pub fn name(&self) -> String {
        let family = match self.family {
            abi::IPV4 => "ip",
            abi::IPV6 => "ip6",
            _ => "inet",
        };
        format!("{family} {} {}", self.table, self.chain)
    }
    /// Do rules of ours stand there?
    pub fn is_open(&self) -> bool {
        self.ours.len() >= 2
    }
    /// Is there a place for such rules? Not in a base chain that somebody wrote by hand.
    pub fn is_passable(&self) -> bool {
        self.passable
    }
    fn is_native(&self) -> bool {
        self.family == abi::INET
    }
}

/// A socket for looking and for the rules of one instance.
#[derive(Debug)]
pub struct Passage {
    socket: Socket,
    batch: Batch,
    mark: String,
}

struct Chain {
    family: u8,
    table: String,
    name: String,
    drops: bool,
}

/// Does this table's content decide where rules of ours belong?
pub(super) fn concerns(family: u8, table: Option<&str>) -> bool {
    match family {
        abi::IPV4 | abi::IPV6 => table == Some("filter"),
        abi::INET => table == Some("firewalld"),
        _ => false,
    }
}

impl Passage {
    /// In the calling thread's namespace.
    pub fn open(instance: &str) -> Result<Passage> {
        let mark = format!("pontoon/{instance}/pass");
        Ok(Passage { socket: Socket::open()?, batch: Batch::default(), mark })
    }

    /// The foreign chains that drop what is forwarded, and where our rules stand or would stand.
    pub fn gates(&mut self) -> Result<Vec<Gate>> {
        let chains = self.chains()?;
        let mut gates = Vec::new();
        for family in [abi::IPV4, abi::IPV6] {
            let of = |name: &str| {
                let is = |c: &&Chain| c.family == family && c.table == "filter" && c.name == name;
                chains.iter().find(is)
            };
            let ufw = of(if family == abi::IPV4 { "ufw-user-forward" } else { "ufw6-user-forward" });
            let forward = of("FORWARD").map(|chain| (chain, true, chain.drops && ufw.is_none()));
            gates.extend(ufw.map(|chain| (chain, true, true)).into_iter().chain(forward));
        }
        let firewalld = |c: &&Chain| {
            (c.family, c.table.as_str(), c.name.as_str()) == (abi::INET, "firewalld", "filter_FORWARD")
        };
        gates.extend(chains.iter().find(firewalld).map(|chain| (chain, true, true)));
        let others = chains.iter().filter(|c| c.drops && !concerns(c.family, Some(&c.table)));
        gates.extend(others.filter(|c| !c.table.starts_with("pontoon")).map(|chain| (chain, false, true)));
        let gate = |(chain, passable, drops): (&Chain, bool, bool)| {
            let (family, table, chain) = (chain.family, chain.table.clone(), chain.name.clone());
            let mut gate = Gate { family, table, chain, ours: Vec::new(), passable, drops };
            gate.ours = self.ours(&gate)?;
            Ok(gate)
        };
        let all: Result<Vec<Gate>> = gates.into_iter().map(gate).collect();
        Ok(all?.into_iter().filter(|gate| gate.drops || !gate.ours.is_empty()).collect())
    }

    /// Lets our link group pass there.
    pub fn pass(&mut self, gate: &Gate) -> Result<()> {
        self.batch.start(&self.socket);
        self.delete(gate);
        for incoming in [true, false] {
            // At the end of a chain of iptables; at the head of firewalld's, which ends in a reject.
            let place = if gate.is_native() { 0 } else { abi::APPEND };
            let start = self.batch.open(abi::NEWRULE, abi::CREATE | place, gate.family);
            let out = self.batch.out();
            out.text(1, &gate.table);
            out.text(2, &gate.chain);
            out.nest(4, |w| match gate.is_native() {
                true => native(w, incoming),
                false => as_iptables(w, incoming, &self.mark),
            });
            if gate.is_native() {
                out.attr(7, &comment(&self.mark));
            }
            self.batch.close(start);
        }
        self.commit(&format!("let our networks pass {}", gate.name()))
    }

    /// Takes our rules away, everywhere.
    pub fn leave(&mut self) -> Result<()> {
        for gate in self.gates()?.into_iter().filter(|gate| !gate.ours.is_empty()) {
            self.batch.start(&self.socket);
            self.delete(&gate);
            self.commit(&format!("take our rules out of {}", gate.name()))?;
        }
        Ok(())
    }

    fn delete(&mut self, gate: &Gate) {
        for handle in &gate.ours {
            self.batch.message(abi::DELRULE, 0, gate.family, |w| {
                w.text(1, &gate.table);
                w.text(2, &gate.chain);
                w.attr(3, handle);
            });
        }
    }

    fn commit(&mut self, step: &str) -> Result<()> {
        self.batch.commit(&mut self.socket)?.map_err(|refused| refused.into_error(step.to_owned()))
    }

    fn chains(&mut self) -> Result<Vec<Chain>> {
        let mut chains = Vec::new();
        let each = |message: &Message<'_>| chains.extend(chain_of(message));
        let answer = ask(&mut self.socket, abi::GETCHAIN, abi::DUMP, 0, |_| {}, each)?;
        answer.map_err(|refused| refused.into_error("list the chains of nftables".to_owned()))?;
        Ok(chains)
    }

    fn ours(&mut self, gate: &Gate) -> Result<Vec<[u8; 8]>> {
        let (mut ours, mark) = (Vec::new(), self.mark.clone());
        let question = |w: &mut Writer| {
            w.text(1, &gate.table);
            w.text(2, &gate.chain);
        };
        let answer = ask(&mut self.socket, abi::GETRULE, abi::DUMP, gate.family, question, |message| {
            let attrs = message.attrs();
            let marked =
                message.body.windows(mark.len() + 1).any(|part| part == [mark.as_bytes(), &[0]].concat());
            if marked && attrs.text(2) == Some(&gate.chain) {
                ours.extend(attrs.get(3).and_then(|handle| <[u8; 8]>::try_from(handle).ok()));
            }
        })?;
        match answer {
            Ok(_) => Ok(ours),
            Err(refused) if refused.errno == libc::ENOENT => Ok(ours),
            Err(refused) => Err(refused.into_error(format!("read the rules of {}", gate.name()))),
        }
    }
}

/// NFTA_CHAIN_TABLE 1, _NAME 3, _HOOK 4 (number 1), _POLICY 5
fn chain_of(message: &Message<'_>) -> Option<Chain> {
    let attrs = message.attrs();
    let hook = attrs.nested(4).and_then(|hook: Attrs<'_>| hook.be32(1));
    Some(Chain {
        family: message.family(),
        table: attrs.text(1)?.to_owned(),
        name: attrs.text(3)?.to_owned(),
        drops: hook == Some(super::table::FORWARD) && attrs.be32(5) == Some(0),
    })
}

/// `iifgroup 0x5050 accept`
fn native(w: &mut Writer, incoming: bool) {
    let group = if incoming { IIFGROUP } else { OIFGROUP };
    w.append(&rule("").is(group, &LINK_GROUP.to_ne_bytes()).accept().expressions);
}

/// `-m devgroup --src-group 0x5050 -m comment --comment MARK -j ACCEPT`, with a counter as iptables has in every rule.
fn as_iptables(w: &mut Writer, incoming: bool, mark: &str) {
    // struct xt_devgroup_info: flags (1 source, 4 destination), source group and mask, destination group and mask
    let flags: u32 = if incoming { 1 } else { 4 };
    let (source, target) =
        if incoming { ([LINK_GROUP, u32::MAX], [0; 2]) } else { ([0; 2], [LINK_GROUP, u32::MAX]) };
    let mut devgroup = Vec::new();
    for number in [flags].into_iter().chain(source).chain(target).chain([0]) {
        devgroup.extend(number.to_ne_bytes());
    }
    // struct xt_comment_info
    let mut text = mark.as_bytes().to_vec();
    text.resize(256, 0);
    matching(w, "devgroup", &devgroup);
    matching(w, "comment", &text);
    w.append(&rule("").counter().accept().expressions);
}

/// The expression `match`: an extension of xtables by its name, revision 0.
fn matching(w: &mut Writer, name: &str, info: &[u8]) {
    w.nest(abi::LIST, |w| {
        w.text(1, "match");
        w.nest(2, |w| {
            w.text(1, name);
            w.be32(2, 0);
            w.attr(3, info);
        });
    });
}

/// A comment as nft writes it (libnftnl, NFTNL_UDATA_RULE_COMMENT): type, length, text and zero.
fn comment(text: &str) -> Vec<u8> {
    let mut notes = vec![0, (text.len() + 1) as u8];
    notes.extend(text.as_bytes());
    notes.push(0);
    notes
}
