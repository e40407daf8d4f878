//! What every `Host` does, fake or real. A test brings a fresh host and a folder for namespaces; nothing of ours is
//! there before, and nothing after. What only a judge outside can see (packets, `ip -j`) is proven elsewhere.
use pontoon::{
    host::{Extent, Host},
    model::{
        Family, Id, IfName, Mac, Proto, Subnet,
        address::Cidr,
        kernel::{
            Bridge, Bucket, Element, Hold, Item, Link, LinkKind, Namespace, Op, PairVerdict, Resolver, Route,
            Routes, Shaper,
        },
    },
    plan::diff::diff,
};
use std::{
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    sync::mpsc,
};

/// The ground that the battery stands on.
pub struct Ground<'a> {
    pub host: &'a mut dyn Host,
    /// `<run>/netns`
    pub netns: &'a Path,
}

/// One thing that every host does.
pub type Check = fn(&mut Ground<'_>);

/// Name and body of every check.
pub const BATTERY: &[(&str, Check)] = &[
    ("what is added is found, and nothing else", found),
    ("adding what is there and removing what is gone is fine", twice),
    ("a link needs its bridge and its namespace", order),
    ("one value for a key", one_value),
    ("a port is held once", held_once),
    ("a namespace is known by its inode", namespaces),
    ("a removed namespace takes its links along", links_end),
    ("routes move", routes_move),
    ("limits change, and come again with their link", limits),
];

fn id(n: u8) -> Id {
    Id::from_bytes([n; 32])
}
fn name(text: &str) -> IfName {
    text.parse().expect("an interface name")
}
fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}
/// Address `n` of the network that bridge `on` is for.
fn cidr(on: u8, n: u8) -> Cidr {
    let subnet: Subnet = format!("10.250.{on}.0/24").parse().expect("a subnet");
    subnet.with(ip(&format!("10.250.{on}.{n}")))
}
fn bridge(n: u8) -> Item {
    let addresses = vec![cidr(n, 1)];
    Item::Bridge(Bridge {
        network: id(n),
        name: name(&format!("ptbat{n}")),
        mac: Mac([2, 0, 0, 0, 0, n]),
        mtu: None,
        addresses,
        ipv6: false,
        route_localnet: true,
    })
}
fn namespace(ground: &Ground<'_>, n: u8) -> Item {
    Item::Namespace(Namespace { sandbox: id(n), path: path(ground, n), made: true })
}
fn path(ground: &Ground<'_>, n: u8) -> PathBuf {
    ground.netns.join(format!("battery{n}"))
}
fn link(n: u8, sandbox: u8, on: u8, inside: &str) -> Item {
    Item::Link(Link {
        endpoint: id(n),
        sandbox: id(sandbox),
        kind: LinkKind::Veth { bridge: name(&format!("ptbat{on}")), isolated: false },
        name: name(inside),
        mac: Mac([2, 0, 0, 0, 1, n]),
        mtu: None,
        addresses: vec![cidr(on, n)],
        ipv6: false,
        neighbours: vec![(ip(&format!("10.250.{on}.1")), Mac([2, 0, 0, 0, 0, on]))],
        sysctls: Box::default(),
        routes: Vec::new(),
    })
}
fn routes(sandbox: u8, on: u8, inside: &str) -> Item {
    let v4 = Some(Route { gateway: Some(ip(&format!("10.250.{on}.1"))), link: name(inside) });
    Item::Routes(Routes { sandbox: id(sandbox), v4, v6: None })
}
fn hold(port: u16) -> Item {
    let targets = vec![SocketAddr::new(ip("10.250.1.9"), 80)];
    Item::Hold(Hold { proto: Proto::Tcp, host: Some(ip("127.0.0.1")), port, targets })
}
fn port(at: u16, to: &str) -> Item {
    let to = SocketAddr::new(ip(to), 80);
    Item::Element(Element::Port { host: None, proto: Proto::Tcp, port: at, to })
}
fn elements() -> Vec<Item> {
    let (a, b) = (name("ptbat1"), name("ptbat2"));
    vec![
        Item::Element(Element::Net(a.clone())),
        Item::Element(Element::Masq(Family::V4, a.clone())),
        Item::Element(Element::Pair { from: a, to: b, verdict: PairVerdict::Accept }),
        port(4_711, "10.250.1.9"),
    ]
}
/// A sandbox in one network.
fn scene(ground: &Ground<'_>) -> Vec<Item> {
    let mut items = elements();
    items.extend([bridge(1), namespace(ground, 9), hold(4_711), link(9, 9, 1, "eth0"), routes(9, 1, "eth0")]);
    items
}

/// Applies, and waits for the end of what leaves.
fn apply(ground: &mut Ground<'_>, ops: &[Op]) -> pontoon::error::Result<()> {
    let applied = ground.host.apply(ops)?;
    if applied.leaving.is_empty() {
        return Ok(());
    }
    let (send, receive) = mpsc::channel();
    ground.host.bury(applied.leaving, Box::new(move |gone| drop(send.send(gone))));
    receive.recv_timeout(std::time::Duration::from_secs(5)).expect("a burial")
}
fn add(ground: &mut Ground<'_>, items: &[Item]) {
    apply(ground, &diff([], items.to_vec())).expect("to be added");
}
fn clear(ground: &mut Ground<'_>, items: &[Item]) {
    apply(ground, &diff(items.to_vec(), [])).expect("to be removed");
    let left = ground.host.observe(&[], Extent::All).expect("to be observed");
    assert_eq!(ours(left), [], "nothing is left");
}
fn ours(found: Vec<Item>) -> Vec<Item> {
    found.into_iter().filter(|item| !matches!(item, Item::Forwarding(_))).collect()
}

fn found(ground: &mut Ground<'_>) {
    let scene = scene(ground);
    add(ground, &scene);
    let found = ours(ground.host.observe(&scene, Extent::All).expect("to be observed"));
    assert_eq!(diff(found, scene.clone()), [], "found and wanted");
    clear(ground, &scene);
}

fn twice(ground: &mut Ground<'_>) {
    let mut scene = scene(ground);
    // Two that cannot be found by looking.
    scene.push(Item::Resolver(Resolver { sandbox: id(9), by_network: true }));
    add(ground, &scene);
    add(ground, &elements());
    add(ground, &[namespace(ground, 9), hold(4_711)]);
    clear(ground, &scene);
    clear(ground, &scene);
}

fn order(ground: &mut Ground<'_>) {
    let lonely = Op::Add(link(9, 9, 1, "eth0"));
    apply(ground, std::slice::from_ref(&lonely)).expect_err("no namespace");
    let space = namespace(ground, 9);
    add(ground, std::slice::from_ref(&space));
    apply(ground, std::slice::from_ref(&lonely)).expect_err("no bridge");
    clear(ground, &[space]);
}

fn one_value(ground: &mut Ground<'_>) {
    let (before, after) = (port(4_712, "10.250.1.9"), port(4_712, "10.250.1.8"));
    add(ground, std::slice::from_ref(&before));
    apply(ground, &[Op::Add(after.clone())]).expect_err("the key has another value");
    let ops = diff([before], [after.clone()]);
    apply(ground, &ops).expect("a removal makes room");
    let found = ours(ground.host.observe(&[], Extent::All).expect("to be observed"));
    assert_eq!(found, std::slice::from_ref(&after));
    clear(ground, &[after]);
}

fn held_once(ground: &mut Ground<'_>) {
    add(ground, &[hold(4_713)]);
    let found = ground.host.observe(&[hold(4_713)], Extent::All).expect("to be observed");
    assert!(found.contains(&hold(4_713)));
    let every = Hold { proto: Proto::Tcp, host: None, port: 4_713, targets: vec![] };
    let error = apply(ground, &[Op::Add(Item::Hold(every))]).expect_err("it is taken");
    assert_eq!(error.kind, pontoon::error::Kind::Conflict, "{error}");
    assert!(error.message.starts_with("port 4713/tcp is in use on the host"), "{error}");
    clear(ground, &[hold(4_713)]);
}

fn namespaces(ground: &mut Ground<'_>) {
    let (one, two) = (namespace(ground, 1), namespace(ground, 2));
    add(ground, &[one.clone(), two.clone()]);
    let (first, second) = (path(ground, 1), path(ground, 2));
    let inode = ground.host.namespace(&first).expect("a namespace");
    assert_eq!(ground.host.namespace(&first).expect("the same"), inode);
    assert_ne!(ground.host.namespace(&second).expect("another"), inode);
    clear(ground, &[one, two]);
    let error = ground.host.namespace(&first).expect_err("it is gone");
    assert_eq!(error.to_string(), format!("network namespace {}: no such file", first.display()));
}

fn links_end(ground: &mut Ground<'_>) {
    let scene = vec![bridge(1), namespace(ground, 9), link(9, 9, 1, "eth0")];
    add(ground, &scene);
    clear(ground, &scene);
    add(ground, &scene);
    clear(ground, &scene);
}

fn routes_move(ground: &mut Ground<'_>) {
    let mut scene =
        vec![bridge(1), bridge(2), namespace(ground, 9), link(8, 9, 1, "eth0"), link(9, 9, 2, "eth1")];
    scene.push(routes(9, 1, "eth0"));
    add(ground, &scene);
    let moved = [routes(9, 2, "eth1")];
    apply(ground, &diff([routes(9, 1, "eth0")], moved.clone())).expect("a move");
    scene.pop();
    scene.extend(moved);
    let found = ours(ground.host.observe(&scene, Extent::All).expect("to be observed"));
    assert_eq!(diff(found, scene.clone()), []);
    clear(ground, &scene);
}

fn shaper(ingress: Option<u64>, egress: Option<u64>) -> Item {
    let bucket = |rate| Bucket { rate, burst: 20_000 };
    let (ingress, egress) = (ingress.map(bucket), egress.map(bucket));
    Item::Shaper(Shaper { endpoint: id(8), sandbox: id(9), ingress, egress })
}

fn limits(ground: &mut Ground<'_>) {
    let scene = vec![bridge(1), namespace(ground, 9), link(8, 9, 1, "eth0")];
    add(ground, &scene);
    let mut before: Option<Item> = None;
    // The third is more than 32 bits of bytes a second.
    for (ingress, egress) in [
        (Some(1_000_000), None),
        (Some(2_000_000), Some(500)),
        (None, Some(10_000_000_000)),
        (Some(3_000_000), Some(3_000_000)),
    ] {
        let wanted = shaper(ingress, egress);
        apply(ground, &diff(before.clone(), [wanted.clone()])).expect("limits");
        let whole: Vec<Item> = scene.iter().cloned().chain([wanted.clone()]).collect();
        let found = ours(ground.host.observe(&whole, Extent::All).expect("to be observed"));
        assert_eq!(diff(found, whole), [], "{wanted:?}");
        before = Some(wanted);
    }
    let limited: Vec<Item> = scene.iter().cloned().chain(before).collect();
    // Without its link a limit is no limit.
    apply(ground, &[Op::Remove(link(8, 9, 1, "eth0"))]).expect("the link to go");
    let found = ours(ground.host.observe(&limited, Extent::All).expect("to be observed"));
    let ops = diff(found, limited.clone());
    assert!(
        ops.iter().any(|op| matches!(op, Op::Change(_, Item::Shaper(_)) | Op::Add(Item::Shaper(_)))),
        "{ops:?}"
    );
    apply(ground, &ops).expect("both again");
    let found = ours(ground.host.observe(&limited, Extent::All).expect("to be observed"));
    assert_eq!(diff(found, limited.clone()), []);
    clear(ground, &limited);
}
