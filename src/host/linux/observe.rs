//! What stands in the kernel that bears our mark, as items to compare with what is wanted.
use super::{
    forwarding,
    kernel::{Linux, br_netfilter, bridged_packets_are_filtered},
    namespace::{self, Home},
    netlink::{
        self, Route,
        observe::{self, BridgeSeen, DefaultSeen, EndSeen, InsideSeen, Seen},
        shape,
    },
    tidy_up::forwarding_note,
};
use crate::{
    error::Result,
    host::Extent,
    model::{
        Family, Id, IfName, Mac,
        address::Cidr,
        kernel::{
            Bridge, Element, Item, Key, LINK_GROUP, Link, LinkKind, Namespace, Route as Wish, Routes, Shaper,
            VolumeMount, host_end, queue,
        },
    },
};
use std::{
    collections::{BTreeSet, HashMap, HashSet},
    net::IpAddr,
    os::fd::AsFd,
    path::PathBuf,
};

/// Past so many names one dump of all links is cheaper.
const ONE_BY_ONE: usize = 16;

/// Changes nothing, but for tables that are gone or not whole. Names that cannot be read from the kernel are taken over from `wanted` where what can be read agrees.
pub fn observe(linux: &mut Linux, wanted: &[Item], extent: Extent) -> Result<Vec<Item>> {
    linux.hairpin = br_netfilter();
    let seen = host(linux, wanted, extent)?;
    let ends = Ends::new(linux, &seen);
    let mut found = Vec::new();
    for family in [Family::V4, Family::V6] {
        if forwarding::is_on(family)? {
            found.push(Item::Forwarding(family));
        }
    }
    found.extend(bridges(&seen.bridges, wanted));
    found.extend(insides(linux, &ends, wanted)?);
    found.extend(outsides(&ends, wanted));
    found.extend(shapers(&mut linux.route, &seen, wanted)?);
    if extent == Extent::All {
        found.extend(strangers(&mut linux.route, &seen.ends, wanted)?);
        found.extend(forgotten_namespaces(linux, wanted));
    }
    found.extend(in_this_process(linux, wanted));
    if wanted.iter().any(|item| matches!(item, Item::VolumeMount(_))) || extent == Extent::All {
        found.extend(mounted_volumes(linux, wanted));
    }
    if extent == Extent::Wanted {
        let keys: HashSet<Key> = wanted.iter().map(Item::key).collect();
        found.retain(|item| keys.contains(&item.key()));
    }
    if wanted.iter().any(|item| matches!(item, Item::Element(_))) || extent == Extent::All {
        found.extend(elements(linux, wanted)?);
    }
    Ok(found)
}

/// Our links on the host, or those that are wanted and the bridges they stand on.
fn host(linux: &mut Linux, wanted: &[Item], extent: Extent) -> Result<Seen> {
    let mut names: BTreeSet<IfName> = BTreeSet::new();
    for item in wanted {
        match item {
            Item::Bridge(bridge) => drop(names.insert(bridge.name.clone())),
            Item::Link(link) => {
                let bridge = link.kind.bridge().map(|(bridge, _)| bridge.clone());
                names.extend(bridge.into_iter().flat_map(|bridge| [link.host_name(), bridge]));
            }
            Item::Shaper(shaper) => names.extend([host_end(&shaper.endpoint), queue(&shaper.endpoint)]),
            _ => {}
        }
    }
    match extent == Extent::Wanted && names.len() <= ONE_BY_ONE {
        true => {
            let names: Vec<&IfName> = names.iter().collect();
            observe::named(&mut linux.route, &linux.instance, &names)
        }
        false => observe::host(&mut linux.route, &linux.instance),
    }
}

fn elements(linux: &mut Linux, wanted: &[Item]) -> Result<Vec<Item>> {
    let elements = match linux.nft.elements()? {
        Some(elements) => {
            // Whatever was let through without them must not last.
            let found: HashSet<&Element> = elements.iter().collect();
            linux.unjudged |=
                wanted.iter().any(|item| matches!(item, Item::Element(e) if !found.contains(e)));
            elements
        }
        // Gone or not whole: made anew in one transaction with all that belongs into them, so that no packet finds
        // the tables half made.
        None => {
            let element = |item: &Item| if let Item::Element(e) = item { Some(e.clone()) } else { None };
            let elements: Vec<Element> = wanted.iter().filter_map(element).collect();
            linux.rebuild(&elements)?;
            linux.rebuilt = true;
            elements
        }
    };
    // The guards belong to the forwarding switch, not to any network.
    Ok(elements.into_iter().filter(|e| !matches!(e, Element::Guard(_))).map(Item::Element).collect())
}

/// Host ends as they stand, and how their ports should be set.
struct Ends<'a> {
    by_endpoint: HashMap<Id, &'a EndSeen>,
    neighbours: &'a HashSet<(u32, IpAddr, Mac)>,
    hairpin: bool,
    /// Isolated ports would lose what br_netfilter redirects.
    filtered: bool,
}

impl<'a> Ends<'a> {
    fn new(linux: &Linux, seen: &'a Seen) -> Self {
        Ends {
            by_endpoint: seen.ends.iter().map(|end| (end.endpoint, end)).collect(),
            neighbours: &seen.neighbours,
            hairpin: linux.hairpin,
            filtered: bridged_packets_are_filtered(),
        }
    }

    /// Is this end as `wish` wants it?
    fn fits(&self, wish: &Link, end: &EndSeen) -> bool {
        let Some((bridge, isolated)) = wish.kind.bridge() else { return true };
        end.up
            && end.bridge.as_ref() == Some(bridge)
            && end.isolated == (isolated && !self.filtered)
            && end.hairpin == self.hairpin
    }

    /// Does the bridge know its addresses? One that goes down forgets them all.
    fn remembers(&self, wish: &Link, end: &EndSeen) -> bool {
        let mut addresses = wish.addresses.iter().filter(|cidr| wish.ipv6 || cidr.address.is_ipv4());
        addresses.all(|cidr| self.neighbours.contains(&(end.bridge_index, cidr.address, wish.mac)))
    }
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
        let whole = seen.up && seen.group == LINK_GROUP;
        let mut addresses = seen.addresses.clone();
        if let Some(wish) = wish
            && same(&addresses, &wish.addresses)
        {
            addresses.clone_from(&wish.addresses);
        }
        let default_mtu = wish.is_some_and(|wish| wish.mtu.is_none());
        let (ipv6, route_localnet) = wish.map_or((false, false), |wish| switched(wish));
        Item::Bridge(Bridge {
            network: seen.network,
            name: seen.name.clone(),
            mac: seen.mac.unwrap_or(Mac([0; 6])),
            // A bridge that is down, or in another group, differs from every wish: changing it brings it up.
            mtu: match (whole, default_mtu) {
                (true, true) => None,
                (true, false) => Some(seen.mtu),
                (false, _) => Some(0),
            },
            addresses,
            ipv6,
            route_localnet,
        })
    });
    found.collect()
}

/// IPv6 and the routing of 127.0.0.0/8, as they were wished or the other way round.
fn switched(wish: &Bridge) -> (bool, bool) {
    let right = netlink::bridge::switches_stand(wish);
    (wish.ipv6 == right.0, wish.route_localnet == right.1)
}

/// Links and default routes of wanted sandboxes, read inside their namespaces: one visit each.
fn insides(linux: &Linux, ends: &Ends<'_>, wanted: &[Item]) -> Result<Vec<Item>> {
    let mut links: HashMap<Id, Vec<&Link>> = HashMap::new();
    let mut routes: HashMap<Id, &Routes> = HashMap::new();
    for item in wanted {
        match item {
            Item::Link(link) => links.entry(link.sandbox).or_default().push(link),
            Item::Routes(wish) => drop(routes.insert(wish.sandbox, wish)),
            _ => {}
        }
    }
    let namespaces: Vec<&Namespace> = wanted
        .iter()
        .filter_map(|item| if let Item::Namespace(namespace) = item { Some(namespace) } else { None })
        .collect();
    let looks = namespace::tour(&linux.home, &namespaces, |home, namespace| {
        let promised = links.get(&namespace.sandbox).map_or(&[][..], Vec::as_slice);
        look_inside(home, ends, namespace, promised, routes.get(&namespace.sandbox).copied())
    });
    let found: Result<Vec<Vec<Item>>> = looks.into_iter().collect();
    Ok(found?.into_iter().flatten().collect())
}

/// What is there of a sandbox's promised links and default routes.
fn look_inside(
    home: &Home,
    ends: &Ends<'_>,
    namespace: &Namespace,
    promised: &[&Link],
    wish: Option<&Routes>,
) -> Result<Vec<Item>> {
    let Ok(fd) = namespace::open(&namespace.path, home) else { return Ok(Vec::new()) };
    let look = || Route::open().and_then(|mut route| observe::inside(&mut route));
    let (interfaces, defaults) = home.enter(fd.as_fd(), look)??;
    let mut found = Vec::new();
    // A link that is made anew takes its routes with it.
    let mut passing: HashSet<&IfName> = HashSet::new();
    for link in promised {
        let interface = interfaces.iter().find(|interface| interface.name == link.name);
        let seen = found_link(link, ends, Some(interface));
        passing.extend((seen.as_ref() != Some(*link)).then_some(&link.name));
        found.extend(seen.map(Item::Link));
    }
    if let Some(wish) = wish {
        let lasting: Vec<&DefaultSeen> = defaults
            .iter()
            .filter(|seen| !seen.link.as_ref().is_some_and(|link| passing.contains(link)))
            .collect();
        let own = |name: &IfName| promised.iter().all(|link| link.name != *name);
        found.extend(found_routes(wish, &lasting, own).map(Item::Routes));
    }
    Ok(found)
}

/// Links whose sandboxes nobody wants to have looked into.
fn outsides(ends: &Ends<'_>, wanted: &[Item]) -> Vec<Item> {
    let mut visited = HashSet::new();
    for item in wanted {
        if let Item::Namespace(namespace) = item {
            visited.insert(namespace.sandbox);
        }
    }
    let links = wanted.iter().filter_map(|item| match item {
        Item::Link(link) if !visited.contains(&link.sandbox) => Some(link),
        _ => None,
    });
    links.filter_map(|link| found_link(link, ends, None)).map(Item::Link).collect()
}

/// Limits of host ends that are to have some, and devices of ours that nobody wants.
fn shapers(route: &mut Route, seen: &Seen, wanted: &[Item]) -> Result<Vec<Item>> {
    let mut queues: HashMap<Id, (u32, bool)> =
        seen.queues.iter().map(|(endpoint, index, up)| (*endpoint, (*index, *up))).collect();
    let mut found = Vec::new();
    let some = wanted.iter().any(|item| matches!(item, Item::Shaper(_)));
    let buckets = if some { shape::buckets(route)? } else { HashMap::new() };
    for item in wanted {
        let Item::Shaper(wish) = item else { continue };
        let queue = queues.remove(&wish.endpoint);
        let end = seen.ends.iter().find(|end| end.endpoint == wish.endpoint);
        let through = queue.filter(|(_, up)| *up).map(|(index, _)| index);
        let (ingress, egress) = match end {
            Some(end) => shape::look(route, &buckets, end.index, through)?,
            None => (None, None),
        };
        if ingress.is_some() || egress.is_some() || queue.is_some() {
            found.push(Item::Shaper(Shaper { ingress, egress, ..wish.clone() }));
        }
    }
    let stranger =
        |endpoint| Item::Shaper(Shaper { endpoint, sandbox: endpoint, ingress: None, egress: None });
    found.extend(queues.into_keys().map(stranger));
    Ok(found)
}

/// None: it is not there. Else the wish itself if it is as wished, or something that differs from it: in its bridge if the
/// host's side is wrong, in its isolation if only what the bridge should know is missing, in its addresses (or MTU) if the
/// sandbox's side is wrong, in its name if it has to be made anew.
fn found_link(wish: &Link, ends: &Ends<'_>, inside: Option<Option<&InsideSeen>>) -> Option<Link> {
    let mut found = wish.clone();
    if let LinkKind::Veth { bridge, isolated } | LinkKind::Handed { bridge, isolated } = &mut found.kind {
        let end = ends.by_endpoint.get(&wish.endpoint)?;
        if !ends.fits(wish, end) {
            *bridge = wish.host_name();
        } else if !ends.remembers(wish, end) {
            *isolated = !*isolated;
        }
    }
    match (inside, &wish.kind) {
        (None, _) => {}
        (Some(Some(inside)), _) if is_dressed(wish, inside) => {}
        (Some(Some(_)), _) if wish.addresses.is_empty() => found.mtu = Some(0),
        (Some(Some(_)), _) => found.addresses.clear(),
        // Half of a pair that is being taken down, or the sandbox renamed its end.
        (Some(None), LinkKind::Veth { .. }) => found.name = wish.host_name(),
        (Some(None), _) => return None,
    }
    Some(found)
}

fn is_dressed(wish: &Link, inside: &InsideSeen) -> bool {
    let shares_mac = matches!(wish.kind, LinkKind::Ipvlan { .. });
    inside.up
        && (shares_mac || inside.mac == Some(wish.mac))
        && wish.mtu.is_none_or(|mtu| mtu == inside.mtu)
        && wish.addresses.iter().all(|address| inside.addresses.contains(address))
        && wish.routes.iter().all(|route| inside.routes.contains(route))
}

/// A default route through an interface of the sandbox's `own` (a VPN) is its affair: ours counts as there.
fn found_routes(wish: &Routes, defaults: &[&DefaultSeen], own: impl Fn(&IfName) -> bool) -> Option<Routes> {
    let has = |v6: bool, wish: Option<&Wish>| {
        let wish = wish?;
        let is = |seen: &&&DefaultSeen| {
            seen.v6 == v6
                && (seen.link.as_ref().is_some_and(&own)
                    || (seen.gateway == wish.gateway && seen.link.as_ref() == Some(&wish.link)))
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
    let mounted = linux.volumes.mounted();
    if !mounted.is_empty() {
        linux.mounting.ring();
    }
    mounted.into_iter().map(|name| wish(&name).cloned().unwrap_or_else(|| stranger(name))).collect()
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
        self.nft.rebuild(&all)?;
        self.unjudged = true;
        self.nft.keep_translating()
    }
}
