//! Reads our tables back from the kernel. It changes nothing and reads no other table.
use super::{
    Nft, abi,
    decode::{Tree, decode},
    element::set_of,
    sets::{SHAPES, Set},
    shape,
    socket::{Refusal, Socket},
    table::Table,
    wire::{Attrs, Message, Writer},
};
use crate::{
    error::{Error, Result},
    model::kernel::Element,
};
use std::collections::{BTreeMap, BTreeSet};

/// How often a reading is begun anew because somebody changed the ruleset meanwhile. The last one stands: as a rule
/// only we change our tables, and `Watch` tells of whoever else does.
const READINGS: usize = 4;

impl Nft {
    /// Every element of our tables. None: they are not there, or not as this version builds them (another layout, a
    /// rule or set missing, an element that we would not write); `rebuild` mends that. About 1 ms for each 1,000.
    pub fn elements(&mut self) -> Result<Option<Vec<Element>>> {
        for reading in 1..=READINGS {
            if !self.whole()? {
                return Ok(None);
            }
            match self.read_all(SHAPES.iter().map(|shape| shape.set))? {
                Some((elements, interrupted)) if !interrupted || reading == READINGS => {
                    return Ok(Some(elements));
                }
                Some(_) => continue,
                None => return Ok(None),
            }
        }
        Ok(None)
    }

    /// Number of the ruleset's generation in this network namespace; any change by anybody raises it.
    pub fn generation(&mut self) -> Result<u32> {
        let mut id = None;
        let question = |_: &mut Writer| {};
        let answer = ask(&mut self.socket, abi::GETGEN, abi::ACK, 0, question, |message| {
            id = message.attrs().be32(1);
        })?;
        answer.map_err(|refused| refused.into_error("read the nft generation".to_owned()))?;
        id.ok_or_else(|| Error::internal("read the nft generation: the kernel gave none"))
    }

    /// Those of `wanted` whose keys are there, for kernels that cannot destroy.
    pub(super) fn present(&mut self, wanted: &[Element]) -> Result<Vec<Element>> {
        let sets: BTreeSet<Set> = wanted.iter().map(set_of).collect();
        let Some((found, _)) = self.read_all(sets.into_iter())? else { return Ok(Vec::new()) };
        let key = |element: &Element| {
            let e = super::element::encode(element);
            (e.set, e.key.as_slice().to_vec(), e.key_end.map(|k| k.as_slice().to_vec()), e.behind)
        };
        let keys: BTreeSet<_> = found.iter().map(key).collect();
        Ok(wanted.iter().filter(|element| keys.contains(&key(element))).cloned().collect())
    }

    /// Elements of these sets, and whether a dump was interrupted. None: a set is missing or holds what is not ours.
    fn read_all(&mut self, sets: impl Iterator<Item = Set>) -> Result<Option<(Vec<Element>, bool)>> {
        let mut all = Vec::new();
        let mut interrupted = false;
        for set in sets {
            match self.read_set(set, &mut all)? {
                Some(again) => interrupted |= again,
                None => return Ok(None),
            }
        }
        Ok(Some((all, interrupted)))
    }

    fn read_set(&mut self, set: Set, all: &mut Vec<Element>) -> Result<Option<bool>> {
        let is_tree = matches!(set, Set::Tcp4 | Set::Udp4 | Set::Tcp6 | Set::Udp6);
        let (mut tree, mut strange) = (Tree::default(), false);
        let name = self.inet.name.clone();
        let question = |w: &mut Writer| {
            w.text(abi::LIST_TABLE, &name);
            w.text(abi::LIST_SET, set.name());
        };
        let answer = ask(&mut self.socket, abi::GETSETELEM, abi::DUMP, set.family(), question, |message| {
            for (_, entry) in message.attrs().nested(abi::LIST_ELEMENTS).unwrap_or(Attrs(&[])) {
                match is_tree {
                    true => strange |= !tree.add(set, Attrs(entry)),
                    false => match decode(set, Attrs(entry)) {
                        Some(element) => all.push(element),
                        None => strange = true,
                    },
                }
            }
        })?;
        all.extend(tree.ranges(set));
        match answer {
            Ok(interrupted) => Ok((!strange).then_some(interrupted)),
            Err(refused) if refused.errno == libc::ENOENT => Ok(None),
            Err(refused) => Err(refused.into_error(format!("read set {} of table {name}", set.name()))),
        }
    }

    /// Both tables bear our comment and have as many rules in each chain as we write, and whoever may change them may.
    fn whole(&mut self) -> Result<bool> {
        Ok(self.lock.fits()
            && self.has_mark(abi::INET)?
            && self.has_mark(abi::BRIDGE)?
            && self.has_rules(abi::INET)?
            && self.has_rules(abi::BRIDGE)?)
    }

    fn has_mark(&mut self, family: u8) -> Result<bool> {
        let notes = table_notes(&mut self.socket, family, &self.inet.name)?;
        Ok(notes == Some(shape::table_notes(&self.inet.comment)))
    }

    fn has_rules(&mut self, family: u8) -> Result<bool> {
        let found = rules_of(&mut self.socket, family, &self.inet.name)?;
        Ok(found == Some(rules_by_chain(self.table(family))))
    }

    fn table(&self, family: u8) -> &Table {
        if family == abi::INET { &self.inet } else { &self.bridge }
    }
}

/// One question about nf_tables, its answers shown to `each`.
pub(super) fn ask(
    socket: &mut Socket,
    kind: u16,
    flags: u16,
    family: u8,
    question: impl FnOnce(&mut Writer),
    each: impl FnMut(&Message<'_>),
) -> Result<Result<bool, Refusal>> {
    let seq = socket.next_number();
    let mut w = Writer::default();
    let start = w.open(kind, abi::REQUEST | flags, seq, family, 0);
    question(&mut w);
    w.close(start);
    socket.advance(1);
    socket.ask(w.bytes(), seq, each)
}

/// The comment notes of a table; None: there is no such table, Some of nothing: it has none.
pub(super) fn table_notes(socket: &mut Socket, family: u8, name: &str) -> Result<Option<Vec<u8>>> {
    let mut notes = Vec::new();
    let question = |w: &mut Writer| w.text(abi::TABLE_NAME, name);
    let answer = ask(socket, abi::GETTABLE, abi::ACK, family, question, |message| {
        notes = message.attrs().get(abi::TABLE_USERDATA).unwrap_or(&[]).to_vec();
    })?;
    match answer {
        Ok(_) => Ok(Some(notes)),
        Err(refused) if refused.errno == libc::ENOENT => Ok(None),
        Err(refused) => Err(refused.into_error(format!("read table {name}"))),
    }
}

/// How many rules each chain of a table has; None: there is no such table.
pub(super) fn rules_of(
    socket: &mut Socket,
    family: u8,
    name: &str,
) -> Result<Option<BTreeMap<String, usize>>> {
    let mut found = BTreeMap::new();
    let question = |w: &mut Writer| w.text(1, name);
    let answer = ask(socket, abi::GETRULE, abi::DUMP, family, question, |message| {
        let attrs = message.attrs();
        if let (Some(table), Some(chain)) = (attrs.text(1), attrs.text(2))
            && table == name
        {
            *found.entry(chain.to_owned()).or_default() += 1;
        }
    })?;
    match answer {
        Ok(_) => Ok(Some(found)),
        Err(refused) if refused.errno == libc::ENOENT => Ok(None),
        Err(refused) => Err(refused.into_error(format!("read the rules of table {name}"))),
    }
}

pub(super) fn rules_by_chain(table: &Table) -> BTreeMap<String, usize> {
    let mut chains = BTreeMap::new();
    for rule in &table.rules {
        *chains.entry(rule.chain.to_owned()).or_default() += 1;
    }
    chains
}
