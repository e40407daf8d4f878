//! What must hold whenever nothing is under way: promises, kernel, names and files agree, and nothing is had twice.
use super::World;
use pontoon::{
    engine::View,
    model::{Id, Name, kernel::Item, sandbox::Netns},
    plan::{self, Lookup},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::Arc,
};

/// All that a refused or failed call must leave as it was.
pub fn snapshot(world: &World) -> String {
    let view = world.engine().view();
    let sorted = |mut lines: Vec<String>| {
        lines.sort();
        lines.join("\n")
    };
    [
        sorted(view.networks.values().map(|n| format!("{n:?}")).collect()),
        sorted(view.sandboxes.values().map(|s| format!("{s:?}")).collect()),
        sorted(view.volumes.values().map(|v| format!("{v:?}")).collect()),
        sorted(kernel(world).iter().map(|item| format!("{item:?}")).collect()),
        format!("{:?}", world.disk.contents()),
        format!("{:?}", world.volumes.directories.lock()),
        format!("{:?}", world.resolvers().served()),
    ]
    .join("\n--\n")
}

/// Kernel state, but forwarding, which stays on once it is.
fn kernel(world: &World) -> BTreeSet<Item> {
    world.kernel.items().into_iter().filter(|item| !matches!(item, Item::Forwarding(_))).collect()
}

/// What the promises want, worked out anew.
fn wanted(view: &View) -> BTreeSet<Item> {
    let mut items = plan::constant();
    items.extend(view.networks.values().flat_map(|network| plan::network::items(network)));
    items.extend(view.sandboxes.values().flat_map(|sandbox| plan::sandbox::items(sandbox, view, false)));
    items.extend(view.volumes.values().flat_map(|volume| plan::volume::items(volume)));
    items.into_iter().filter(|item| !matches!(item, Item::Forwarding(_))).collect()
}

/// Does the kernel hold what is promised, and nothing else?
pub fn is_converged(world: &World) -> bool {
    wanted(&world.engine().view()) == kernel(world)
}

/// Panics with what disagrees.
pub fn converged(world: &World) {
    let view = world.engine().view();
    let (wanted, found) = (wanted(&view), kernel(world));
    let missing: Vec<_> = wanted.difference(&found).collect();
    let extra: Vec<_> = found.difference(&wanted).collect();
    assert!(
        missing.is_empty() && extra.is_empty(),
        "the kernel lacks {missing:#?} and has too much: {extra:#?}"
    );
    ledger(world, &view);
    nothing_twice(&view);
    names(world, &view);
    let resolving: BTreeSet<Id> = wanted
        .iter()
        .filter_map(|item| if let Item::Resolver(r) = item { Some(r.sandbox) } else { None })
        .collect();
    assert_eq!(world.resolvers().served(), resolving, "sandboxes whose DNS is served");
    let directories = world.volumes.directories.lock();
    for volume in view.volumes.keys() {
        assert!(directories.contains(volume), "volume {volume} has no directory");
    }
    let known = |name: &&Name| view.volumes.contains_key(*name);
    let forgotten: Vec<_> = directories.iter().filter(|name| !known(name)).collect();
    assert!(forgotten.is_empty(), "files of volumes that were removed are still there: {forgotten:?}");
}

fn ledger(world: &World, view: &View) {
    let contents = world.disk.contents();
    let shown: BTreeMap<Id, _> = view.networks.iter().map(|(id, n)| (*id, (**n).clone())).collect();
    let kept: BTreeMap<Id, _> = contents.networks.into_iter().map(|n| (n.id, n)).collect();
    assert_eq!(shown, kept, "networks shown and promised");
    let shown: BTreeMap<Id, _> = view.sandboxes.iter().map(|(id, s)| (*id, (**s).clone())).collect();
    let kept: BTreeMap<Id, _> = contents.sandboxes.into_iter().map(|s| (s.id, s)).collect();
    assert_eq!(shown, kept, "sandboxes shown and promised");
    let shown: BTreeMap<Id, _> = view.reservations.iter().map(|(id, r)| (*id, (**r).clone())).collect();
    let kept: BTreeMap<Id, _> = contents.reservations.into_iter().map(|r| (r.id, r)).collect();
    assert_eq!(shown, kept, "reservations shown and promised");
    let shown: BTreeMap<_, _> = view.volumes.iter().map(|(name, v)| (name.clone(), (**v).clone())).collect();
    let kept: BTreeMap<_, _> = contents.volumes.into_iter().map(|v| (v.name.clone(), v)).collect();
    assert_eq!(shown, kept, "volumes shown and promised");
}

fn nothing_twice(view: &View) {
    let (mut addresses, mut ports, mut names) = (BTreeMap::new(), BTreeMap::new(), BTreeSet::new());
    for sandbox in view.sandboxes.values() {
        assert!(names.insert(sandbox.name.clone()), "the name {} twice", sandbox.name);
        if let Netns::Shared(with) = sandbox.netns {
            assert!(view.sandboxes.contains_key(&with), "{} shares with nobody", sandbox.name);
        }
        for endpoint in &sandbox.endpoints {
            let network = view.network(endpoint.network).expect("a network behind every endpoint");
            for address in endpoint.addresses() {
                assert!(network.pool_of(address).is_some(), "{address} is not of {}", network.name);
                assert!(
                    network.pools.iter().all(|pool| pool.gateway != Some(address)),
                    "{address} is a gateway"
                );
                let before = addresses.insert((network.id, address), sandbox.name.clone());
                assert_eq!(before, None, "{address} twice");
            }
        }
        for port in &sandbox.ports {
            let hosts: Vec<Option<IpAddr>> = vec![port.host_ip];
            for host in hosts {
                for number in port.host_port..=port.host_last() {
                    let before = ports.insert((port.proto, host, number), sandbox.name.clone());
                    assert_eq!(before, None, "port {number} twice");
                }
            }
        }
    }
    // A configuration has a subnet only for those who are made from it.
    let networks: Vec<_> = view.networks.values().filter(|network| !network.config_only).collect();
    for (i, network) in networks.iter().enumerate() {
        for other in &networks[i + 1..] {
            assert_ne!(network.name, other.name, "a network's name twice");
            for pool in &network.pools {
                assert!(
                    !other.pools.iter().any(|o| o.subnet.overlaps(&pool.subnet)),
                    "{} twice",
                    pool.subnet
                );
            }
        }
    }
}

/// Everybody finds himself and his neighbours.
fn names(world: &World, view: &View) {
    let names = world.engine().published.names.load_full();
    for sandbox in view.sandboxes.values() {
        let asker = names.asker(&sandbox.id).unwrap_or_else(|| panic!("{} may not ask", sandbox.name));
        for endpoint in &sandbox.endpoints {
            let network = view.network(endpoint.network).expect("a network");
            let name = format!("{}.{}", sandbox.name, network.name).to_ascii_lowercase();
            let found = names.find(asker, &name).unwrap_or_else(|| panic!("{name} is not found"));
            let addresses: BTreeSet<IpAddr> = found.addresses(0).copied().collect();
            assert!(endpoint.addresses().all(|a| addresses.contains(&a)), "{name}: {addresses:?}");
        }
    }
    let gone: Vec<&Arc<_>> = view.sandboxes.values().filter(|s| names.asker(&s.id).is_none()).collect();
    assert!(gone.is_empty());
}
