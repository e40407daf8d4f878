//! What stands in the kernel that bears our mark, as items to compare with what is wanted.
use super::{
    forwarding,
    kernel::Linux,
    netlink::{
        Route,
        observe::{self, BridgeSeen, DefaultSeen, EndSeen, InsideSeen},
    },
    tidy_up::forwarding_note,
};
use crate::{
    error::Result,
    model::{
        Family, Id, IfName,
        address::Cidr,
        kernel::{Bridge, Element, Item, Link, LinkKind, Namespace, Route as Wish, Routes, VolumeMount},
    },
};
use std::{
    collections::{HashMap, HashSet},
    net::IpAddr,
    os::fd::AsFd,
    path::PathBuf,
};

/// Changes nothing, but for tables that are gone or not whole. Names that cannot be read from the kernel are taken over from `wanted` where what can be read agrees.
pub fn observe(linux: &mut Linux, wanted: &[Item]) -> Result<Vec<Item>> {
    let seen = observe::host(&mut linux.route, &linux.instance)?;
    let mut found = Vec::new();
    for family in [Family::V4, Family::V6] {
        if forwarding::is_on(family)? {
            found.push(Item::Forwarding(family));
        }
    }
    found.extend(bridges(&seen.bridges, wanted));
    found.extend(insides(linux, &seen.ends, wanted)?);
    found.extend(handed(&seen.ends, wanted));
    found.extend(strangers(&mut linux.route, &seen.ends, wanted)?);
    found.extend(in_this_process(linux, wanted));
    found.extend(forgotten_namespaces(linux, wanted));
    found.extend(mounted_volumes(linux, wanted));
    let elements = match linux.nft.elements()? {
        Some(elements) => elements,
        // Gone or not whole: made anew in one transaction with all that belongs into them, so that no packet finds
        // the tables half made.
        None => {
            let elements: Vec<Element> = wanted
                .iter()
                .filter_map(
                    |item| if let Item::Element(element) = item { Some(element.clone()) } else { None },
                )
                .collect();
            linux.rebuild(&elements)?;
            elements
        }
    };
    // The guards belong to the forwarding switch, not to any network.
    found.extend(elements.into_iter().filter(|e| !matches!(e, Element::Guard(_))).map(Item::Element));
    Ok(found)
}

fn bridges(seen: &[BridgeSeen], wanted: &[Item]) -> Vec<Item> {
    let mut wishes = HashMap::new();
    for item in wanted {
        if let Item::Bridge(bridge) = item {
            wishes.insert(bridge.name.clone(), bridge);
        }
    }
    let found = seen.iter().map(|seen| {
        let wish = wishes.get(&seen.name);
        let mut addresses = seen.addresses.clone();
        if let Some(wish) = wish
            && same(&addresses, &wish.addresses)
            && seen.up
        {
            addresses.clone_from(&wish.addresses);
        }
        let default_mtu = wish.is_some_and(|wish| wish.mtu.is_none());
        Item::Bridge(Bridge {
            network: seen.network,
            name: seen.name.clone(),
            mac: seen.mac.unwrap_or(crate::model::Mac([0; 6])),
            mtu: if default_mtu { None } else { Some(seen.mtu) },
            // A bridge that is down differs from every wish: changing it brings it up.
            addresses: if seen.up { addresses } else { Vec::new() },
            ipv6: wish.is_some_and(|wish| wish.ipv6),
            route_localnet: wish.is_some_and(|wish| wish.route_localnet),
        })
    });
    found.collect()
}

/// Links and default routes of wanted sandboxes, read inside their namespaces: one visit each.
fn insides(linux: &Linux, ends: &[EndSeen], wanted: &[Item]) -> Result<Vec<Item>> {
    let ends: HashMap<Id, &EndSeen> = ends.iter().map(|end| (end.endpoint, end)).collect();
    let mut links: HashMap<Id, Vec<&Link>> = HashMap::new();
    let mut routes: HashMap<Id, &Routes> = HashMap::new();
    for item in wanted {
        match item {
            Item::Link(link) => links.entry(link.sandbox).or_default().push(link),
            Item::Routes(wish) => drop(routes.insert(wish.sandbox, wish)),
            _ => {}
        }
    }
    let mut found = Vec::new();
    for item in wanted {
        let Item::Namespace(namespace) = item else { continue };
        let Ok(fd) = super::namespace::open(&namespace.path, &linux.home) else { continue };
        let look = || Route::open().and_then(|mut route| observe::inside(&mut route));
        let (interfaces, defaults) = linux.home.enter(fd.as_fd(), look)??;
        // A link that is made anew takes its routes with it.
        let mut passing: HashSet<&IfName> = HashSet::new();
        for link in links.get(&namespace.sandbox).into_iter().flatten() {
            let interface = interfaces.iter().find(|interface| interface.name == link.name);
            let seen = found_link(link, ends.get(&link.endpoint).copied(), interface);
            passing.extend((seen.as_ref() != Some(*link)).then_some(&link.name));
            found.extend(seen.map(Item::Link));
        }
        if let Some(wish) = routes.get(&namespace.sandbox) {
            let lasting: Vec<&DefaultSeen> = defaults
                .iter()
                .filter(|seen| !seen.link.as_ref().is_some_and(|link| passing.contains(link)))
                .collect();
            found.extend(found_routes(wish, &lasting).map(Item::Routes));
        }
    }
    Ok(found)
}

/// Links whose other end their runtime has: they are judged by the host end alone.
fn handed(ends: &[EndSeen], wanted: &[Item]) -> Vec<Item> {
    let ends: HashMap<Id, &EndSeen> = ends.iter().map(|end| (end.endpoint, end)).collect();
    let found = wanted.iter().filter_map(|item| {
        let Item::Link(wish) = item else { return None };
        let (LinkKind::Handed { bridge, .. }, Some(end)) = (&wish.kind, ends.get(&wish.endpoint)) else {
            return None;
        };
        let equal = end.up && end.bridge.as_ref() == Some(bridge);
        Some(Item::Link(if equal { wish.clone() } else { different(wish) }))
    });
    found.collect()
}

/// None: it is not there. Else the wish itself if it is as wished, or something that differs from it.
fn found_link(wish: &Link, end: Option<&EndSeen>, inside: Option<&InsideSeen>) -> Option<Link> {
    let (inside, differs) = match (&wish.kind, end, inside) {
        (LinkKind::Veth { bridge, .. }, Some(end), Some(inside)) => {
            (inside, end.bridge.as_ref() != Some(bridge) || !end.up)
        }
        // Half of a pair that is being taken down, or the sandbox renamed its end: made anew.
        (LinkKind::Veth { .. }, Some(_), None) => return Some(different(wish)),
        (LinkKind::Veth { .. }, None, _) => return None,
        (_, _, inside) => (inside?, false),
    };
    let equal = !differs
        && inside.up
        && inside.mac == Some(wish.mac)
        && wish.addresses.iter().all(|address| inside.addresses.contains(address))
        && wish.routes.iter().all(|route| inside.routes.contains(route));
    Some(if equal { wish.clone() } else { different(wish) })
}

fn different(wish: &Link) -> Link {
    Link { addresses: Vec::new(), neighbours: Vec::new(), ..wish.clone() }
}

fn found_routes(wish: &Routes, defaults: &[&DefaultSeen]) -> Option<Routes> {
    let has = |v6: bool, wish: Option<&Wish>| {
        let wish = wish?;
        let is = |seen: &&&DefaultSeen| {
            seen.v6 == v6 && seen.gateway == wish.gateway && seen.link.as_ref() == Some(&wish.link)
        };
        defaults.iter().find(is).map(|_| wish.clone())
    };
    let found =
        Routes { sandbox: wish.sandbox, v4: has(false, wish.v4.as_ref()), v6: has(true, wish.v6.as_ref()) };
    (found.v4.is_some() || found.v6.is_some()).then_some(found)
}

/// Host ends of endpoints that nobody promised, with what was written on the bridge for them.
fn strangers(route: &mut Route, ends: &[EndSeen], wanted: &[Item]) -> Result<Vec<Item>> {
    let known: HashSet<Id> = wanted
        .iter()
        .filter_map(|item| if let Item::Link(l) = item { Some(l.endpoint) } else { None })
        .collect();
    let strangers: Vec<&EndSeen> = ends.iter().filter(|end| !known.contains(&end.endpoint)).collect();
    if strangers.is_empty() {
        return Ok(Vec::new());
    }
    let mut behind = observe::behind(route, &strangers)?;
    let link = |end: &EndSeen| {
        let (mac, addresses) = behind.remove(&end.index).unwrap_or((crate::model::Mac([0; 6]), Vec::new()));
        let prefix = |ip: &IpAddr| if ip.is_ipv4() { 32 } else { 128 };
        Item::Link(Link {
            endpoint: end.endpoint,
            sandbox: end.endpoint,
            kind: LinkKind::Veth {
                bridge: end.bridge.clone().unwrap_or_else(|| end.name.clone()),
                isolated: false,
            },
            name: end.name.clone(),
            mac,
            mtu: None,
            addresses: addresses.iter().map(|ip| Cidr { address: *ip, prefix: prefix(ip) }).collect(),
            ipv6: true,
            neighbours: Vec::new(),
            sysctls: Box::default(),
            routes: Vec::new(),
        })
    };
    Ok(strangers.into_iter().map(link).collect())
}

/// What lives in this process: namespaces and ports held, and mounts.
fn in_this_process(linux: &Linux, wanted: &[Item]) -> Vec<Item> {
    let (namespaces, held) = (linux.namespaces.lock(), linux.holds.held());
    let held: HashSet<_> = held.into_iter().collect();
    let there = |item: &&Item| match item {
        Item::Namespace(namespace) => namespaces.contains_key(&namespace.sandbox),
        Item::Hold(_) => held.contains(&item.key()),
        Item::Resolver(resolver) => linux.resolving.contains(&resolver.sandbox),
        _ => false,
    };
    wanted.iter().filter(there).cloned().collect()
}

/// A volume's mount is what it should be if it is there: its options never change.
fn mounted_volumes(linux: &Linux, wanted: &[Item]) -> Vec<Item> {
    let wish =
        |name: &str| wanted.iter().find(|item| matches!(item, Item::VolumeMount(m) if m.volume == name));
    let stranger = |volume: String| Item::VolumeMount(VolumeMount { volume, options: Default::default() });
    let mounted = linux.volumes.mounted().into_iter();
    mounted.map(|name| wish(&name).cloned().unwrap_or_else(|| stranger(name))).collect()
}

/// Namespace files of ours that no sandbox has any more.
fn forgotten_namespaces(linux: &Linux, wanted: &[Item]) -> Vec<Item> {
    let known: HashSet<&PathBuf> = wanted
        .iter()
        .filter_map(|item| if let Item::Namespace(n) = item { Some(&n.path) } else { None })
        .collect();
    let Ok(entries) = std::fs::read_dir(linux.run.join("netns")) else { return Vec::new() };
    let paths = entries.flatten().map(|entry| entry.path()).filter(|path| !known.contains(path));
    // Nobody knows their sandbox: any id that no sandbox has will do.
    let namespaces = paths.enumerate().map(|(i, path)| {
        let mut id = [0xff; 32];
        id[..8].copy_from_slice(&(i as u64).to_be_bytes());
        Item::Namespace(Namespace { sandbox: Id::from_bytes(id), path, made: true })
    });
    namespaces.collect()
}

fn same<T: Ord + Clone>(a: &[T], b: &[T]) -> bool {
    let sorted = |values: &[T]| {
        let mut values = values.to_vec();
        values.sort();
        values
    };
    sorted(a) == sorted(b)
}

impl Linux {
    /// Tables and elements anew, in one transaction, with the guards of what we switched on.
    pub(super) fn rebuild(&mut self, elements: &[Element]) -> Result<()> {
        let noted =
            [Family::V4, Family::V6].into_iter().filter(|family| forwarding_note(self, *family).exists());
        let all: Vec<Element> = elements.iter().cloned().chain(noted.map(Element::Guard)).collect();
        self.nft.rebuild(&all)
    }
}
