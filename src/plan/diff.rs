//! The ordered difference of two kernel states. Never touches what is equal.
use crate::model::kernel::{Item, Key, Op};
use std::collections::BTreeMap;

/// The operations that lead from `found` to `wanted`.
///
/// Order: what elements depend on, then all elements (removals first: they are one transaction, and a map key that
/// changes its value must leave before it comes), then what depends on them; last the removals, top down.
pub fn diff(found: impl IntoIterator<Item = Item>, wanted: impl IntoIterator<Item = Item>) -> Vec<Op> {
    let mut old: BTreeMap<Key, Item> = found.into_iter().map(|item| (item.key(), item)).collect();
    if old.is_empty() {
        return all(wanted);
    }
    let new: BTreeMap<Key, Item> = wanted.into_iter().map(|item| (item.key(), item)).collect();
    let (mut ops, mut equal) = (Vec::new(), Vec::new());
    for (key, item) in new {
        match old.remove(&key) {
            None => ops.push(Op::Add(item)),
            Some(before) if before != item => ops.push(Op::Change(before, item)),
            Some(same @ (Item::Routes(_) | Item::Shaper(_))) => equal.push(same),
            Some(_) => {}
        }
    }
    // A link that is made anew takes the routes through it along, and its limits.
    equal.retain(|item| ops.iter().any(|op| is_anew(op, item)));
    ops.extend(equal.into_iter().map(Op::Add));
    ops.extend(old.into_values().map(Op::Remove));
    ops.sort_by_key(place);
    ops
}

/// The same where nothing was: an attach, which need not compare. (Two ports of a sandbox may want one element.)
fn all(wanted: impl IntoIterator<Item = Item>) -> Vec<Op> {
    let mut items: Vec<Item> = wanted.into_iter().collect();
    items.sort_by_cached_key(|item| (item.rank(), item.key()));
    items.dedup_by(|a, b| a.key() == b.key());
    items.into_iter().map(Op::Add).collect()
}

fn is_anew(op: &Op, item: &Item) -> bool {
    let Op::Change(_, Item::Link(link)) = op else { return false };
    match item {
        Item::Routes(routes) => link.sandbox == routes.sandbox,
        Item::Shaper(shaper) => link.endpoint == shaper.endpoint,
        _ => false,
    }
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
        kernel::{Element, Hold, Link, LinkKind, Routes, Shaper},
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
    fn what_two_want_is_made_once() {
        let all = [net("b"), hold(80, &[]), Item::Forwarding(Family::V4), net("a"), net("b")];
        let expected = [Item::Forwarding(Family::V4), hold(80, &[]), net("a"), net("b")].map(Op::Add);
        assert_eq!(diff([], all), expected);
    }

    #[test]
    fn routes_and_limits_are_set_again_after_their_link() {
        let id = crate::model::Id::from_bytes([1; 32]);
        let name = IfName::parse("eth0").expect("a name");
        let routes = Item::Routes(Routes { sandbox: id, v4: None, v6: None });
        let link = |mtu| {
            let kind = LinkKind::Veth { bridge: name.clone(), isolated: false };
            let (mac, addresses, neighbours) = (crate::model::Mac([2; 6]), Vec::new(), Vec::new());
            let (endpoint, sandbox, name, ipv6) = (id, id, name.clone(), false);
            Item::Link(Link {
                endpoint,
                sandbox,
                kind,
                name,
                mac,
                mtu,
                addresses,
                ipv6,
                neighbours,
                sysctls: Box::default(),
                routes: Vec::new(),
            })
        };
        let limits = Item::Shaper(Shaper { endpoint: id, sandbox: id, ingress: None, egress: None });
        let both = [routes.clone(), limits.clone()];
        let ops =
            diff(both.clone().into_iter().chain([link(None)]), both.into_iter().chain([link(Some(1400))]));
        assert_eq!(ops, [Op::Change(link(None), link(Some(1400))), Op::Add(routes), Op::Add(limits)]);
    }

    #[test]
    fn a_moved_port_is_one_change() {
        let (a, b) = (hold(80, &["10.0.0.2:80"]), hold(80, &["10.0.0.3:80"]));
        assert_eq!(diff([a.clone()], [b.clone()]), [Op::Change(a, b)]);
    }
}
