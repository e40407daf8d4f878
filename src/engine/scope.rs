//! Where to look: what should stand in the kernel where suspicions point, and no more. A notice about one sandbox costs the
//! same whether there is one or a thousand.
use super::{boot, view::View};
use crate::{
    host::Suspect,
    model::{Id, Network, kernel::Item},
    plan,
};
use std::collections::{BTreeMap, BTreeSet};

/// What should stand where the suspects point, as promised in `view`.
pub(super) fn wanted(view: &View, strict: bool, suspects: &BTreeMap<Suspect, String>) -> Vec<Item> {
    if suspects.contains_key(&Suspect::Everything) {
        return boot::wanted(view, strict);
    }
    let one = |suspect: &Suspect| matches!(suspect, Suspect::Bridge(_) | Suspect::Port(_) | Suspect::Link(_));
    let mut items: BTreeSet<Item> = BTreeSet::new();
    if !suspects.keys().all(one) {
        let fits = |item: &Item| suspects.keys().any(|suspect| concerns(suspect, item));
        items.extend(boot::wanted(view, strict).into_iter().filter(fits));
    }
    for suspect in suspects.keys() {
        match suspect {
            Suspect::Bridge(network) => items.extend(bridge_and_ports(view, *network)),
            Suspect::Link(endpoint) => {
                let sandbox = view.seated(*endpoint).into_iter();
                let inside = |item: &Item| {
                    matches!(item, Item::Namespace(_) | Item::Link(_) | Item::Routes(_) | Item::Shaper(_))
                };
                items.extend(sandbox.flat_map(|s| plan::sandbox::items(s, view, strict)).filter(inside));
            }
            Suspect::Port(endpoint) => items.extend(port(view, strict, *endpoint)),
            _ => {}
        }
    }
    items.into_iter().collect()
}

/// The items that a suspicion about all of a kind is about.
fn concerns(suspect: &Suspect, item: &Item) -> bool {
    match suspect {
        Suspect::Tables => matches!(item, Item::Element(_)),
        Suspect::Forwarding => matches!(item, Item::Forwarding(_)),
        Suspect::Mounts => matches!(item, Item::VolumeMount(_)),
        Suspect::Ports => matches!(item, Item::Link(_)),
        Suspect::Lost => {
            matches!(item, Item::Link(_) | Item::Shaper(_) | Item::Bridge(_) | Item::Forwarding(_))
        }
        Suspect::Everything | Suspect::Told | Suspect::Bridge(_) | Suspect::Port(_) | Suspect::Link(_) => {
            false
        }
    }
}

/// An endpoint's host end and its limits, and the bridge below: a port that was taken off may be the first that is heard of
/// a bridge being deleted, half a second before the bridge itself if it has a thousand.
fn port(view: &View, strict: bool, endpoint: Id) -> Vec<Item> {
    let Some(sandbox) = view.seated(endpoint) else { return Vec::new() };
    let mut items = plan::sandbox::items(sandbox, view, strict);
    items.retain(|item| match item {
        Item::Link(link) => link.endpoint == endpoint,
        Item::Shaper(shaper) => shaper.endpoint == endpoint,
        _ => false,
    });
    let seat = sandbox.endpoints.iter().find(|seat| seat.id == endpoint);
    let network = seat.and_then(|seat| view.networks.get(&seat.network));
    items.extend(network.and_then(|network| bridge(network)));
    items
}

fn bridge(network: &Network) -> Option<Item> {
    plan::network::items(network).into_iter().find(|item| matches!(item, Item::Bridge(_)))
}

/// A bridge, and its ports as seen from the host.
fn bridge_and_ports(view: &View, network: Id) -> Vec<Item> {
    let Some(network) = view.networks.get(&network) else { return Vec::new() };
    let mut items: Vec<Item> = bridge(network).into_iter().collect();
    for sandbox in view.members(network.id) {
        let seats: BTreeSet<Id> =
            sandbox.endpoints.iter().filter(|seat| seat.network == network.id).map(|seat| seat.id).collect();
        let links = plan::sandbox::links(&sandbox, view);
        items.extend(links.filter(|link| seats.contains(&link.endpoint)).map(Item::Link));
    }
    items
}

/// Everything behind the doors of all sandboxes: for after the host's side has been put right.
pub(super) fn insides(view: &View, what: &str) -> Vec<(Suspect, String)> {
    let seats = view.sandboxes.values().flat_map(|sandbox| &sandbox.endpoints);
    seats.map(|seat| (Suspect::Link(seat.id), what.to_owned())).collect()
}
