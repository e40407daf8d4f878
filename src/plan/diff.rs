//! The ordered difference of two kernel states. Never touches what is equal.
use crate::model::kernel::{Item, Key, Op};
use std::collections::BTreeMap;

/// The operations that lead from `found` to `wanted`.
///
/// Order: what elements depend on, then all elements (removals first: they are one transaction, and a map key that
/// changes its value must leave before it comes), then what depends on them; last the removals, top down.
pub fn diff(found: impl IntoIterator<Item = Item>, wanted: impl IntoIterator<Item = Item>) -> Vec<Op> {
    let mut old: BTreeMap<Key, Item> = found.into_iter().map(|item| (item.key(), item)).collect();
    let new: BTreeMap<Key, Item> = wanted.into_iter().map(|item| (item.key(), item)).collect();
    let mut ops = Vec::new();
    for (key, item) in new {
        match old.remove(&key) {
            None => ops.push(Op::Add(item)),
            Some(before) if before != item => ops.push(Op::Change(before, item)),
            Some(_) => {}
        }
    }
    ops.extend(old.into_values().map(Op::Remove));
    ops.sort_by_key(place);
    ops
}

/// Where an operation stands: (phase, order within it).
fn place(op: &Op) -> (u8, u8) {
    match op {
        Op::Remove(Item::Element(_)) => (4, 0),
        Op::Add(item @ Item::Element(_)) | Op::Change(_, item @ Item::Element(_)) => (item.rank(), 1),
        Op::Add(item) | Op::Change(_, item) => (item.rank(), 2),
        Op::Remove(item) => (100, u8::MAX - item.rank()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{
        Family, IfName, Proto,
        kernel::{Element, Hold},
    };

    fn hold(port: u16, targets: &[&str]) -> Item {
        let targets = targets.iter().map(|t| t.parse().expect("an address")).collect();
        Item::Hold(Hold { proto: Proto::Tcp, host: None, port, targets })
    }
    fn net(name: &str) -> Item {
        Item::Element(Element::Net(IfName::parse(name).expect("a name")))
    }

    #[test]
    fn equal_states_need_nothing() {
        assert_eq!(diff([hold(80, &[]), net("b0")], [net("b0"), hold(80, &[])]), []);
    }

    #[test]
    fn adds_before_elements_before_removals() {
        let ops =
            diff([hold(81, &[]), net("old")], [net("new"), hold(80, &[]), Item::Forwarding(Family::V4)]);
        let expected = [
            Op::Add(Item::Forwarding(Family::V4)),
            Op::Add(hold(80, &[])),
            Op::Remove(net("old")),
            Op::Add(net("new")),
            Op::Remove(hold(81, &[])),
        ];
        assert_eq!(ops, expected);
    }

    #[test]
    fn a_moved_port_is_one_change() {
        let (a, b) = (hold(80, &["10.0.0.2:80"]), hold(80, &["10.0.0.3:80"]));
        assert_eq!(diff([a.clone()], [b.clone()]), [Op::Change(a, b)]);
    }
}
