//! What stands in the kernel and on the disk is what is listed, and nothing more: links, addresses, routes, neighbours,
//! nftables elements, leases, mounts, sockets, files.
use super::{
    judge::{inner, list, ports, texts},
    promised::{Names, Promised},
};
use crate::world::{World, tool::soon};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    path::PathBuf,
};

/// All that the daemon lists, in the kernel's words.
struct Listed {
    devices: Names,
    /// `DEVICE ADDRESS/PREFIX`
    gateways: Names,
    /// `DEVICE SUBNET`
    subnets: Names,
    ends: Names,
    /// `DEVICE ADDRESS`
    neighbours: Names,
    addresses: BTreeSet<IpAddr>,
    /// Of sandboxes that have joined something: without a network ports wait.
    ports: Names,
}

fn plain(text: &str) -> String {
    text.split('/').next().unwrap_or_default().to_owned()
}

impl Listed {
    fn of(networks: &[Value], sandboxes: &[Value]) -> Self {
        let mut listed = Listed {
            devices: Names::new(),
            gateways: Names::new(),
            subnets: Names::new(),
            ends: Names::new(),
            neighbours: Names::new(),
            addresses: BTreeSet::new(),
            ports: Names::new(),
        };
        let mut by_name = BTreeMap::new();
        for network in networks {
            let (Some(device), Some(name)) = (network["device"].as_str(), network["name"].as_str()) else {
                continue;
            };
            by_name.insert(name, device);
            listed.devices.insert(device.to_owned());
            for subnet in inner(network, "subnets") {
                let (gateway, subnet) =
                    (subnet["gateway"].as_str().unwrap_or(""), subnet["subnet"].as_str().unwrap_or(""));
                let prefix = subnet.split('/').nth(1).unwrap_or_default();
                listed.gateways.insert(format!("{device} {gateway}/{prefix}"));
                listed.subnets.insert(format!("{device} {subnet}"));
                listed.addresses.extend(gateway.parse::<IpAddr>());
            }
        }
        for sandbox in sandboxes {
            let seats = inner(sandbox, "networks");
            if !seats.is_empty() {
                listed.ports.extend(ports(sandbox));
            }
            for seat in seats {
                listed.ends.extend(seat["host_ifname"].as_str().map(str::to_owned));
                let device =
                    seat["network"].as_str().and_then(|name| by_name.get(name)).copied().unwrap_or("");
                for address in inner(seat, "addresses").iter().filter_map(Value::as_str).map(plain) {
                    listed.addresses.extend(address.parse::<IpAddr>());
                    listed.neighbours.insert(format!("{device} {address}"));
                }
            }
        }
        listed
    }
}

pub fn only_what_is_listed(w: &World) {
    let (networks, sandboxes) = (list(w, "Network.List"), list(w, "Sandbox.List"));
    let listed = Listed::of(&networks, &sandboxes);
    soon(5000, "links are those of the networks and endpoints", || {
        let links = texts(w.host.ip(&["link"]).as_array().into_iter().flatten(), "ifname").into_iter();
        let ours: Names = links.filter(|name| name.starts_with("pt") || is_bridge(name)).collect();
        ours == listed.ends.union(&listed.devices).cloned().collect()
    });
    assert_eq!(addresses(w), listed.gateways, "addresses of the bridges");
    assert_eq!(routes(w), listed.subnets, "routes to the bridges");
    assert_eq!(neighbours(w), listed.neighbours, "neighbours that are written down");
    elements(&w.host.run("nft", &["-s", "list", "ruleset"]), &listed);
    assert_eq!(held(w), listed.ports, "held ports");
    leases(&networks, &sandboxes);
}

fn is_bridge(name: &str) -> bool {
    name.starts_with("br-") || name == "pontoon0"
}

fn addresses(w: &World) -> Names {
    let links = w.host.ip(&["addr"]);
    let mut all = Names::new();
    for link in links.as_array().into_iter().flatten() {
        let Some(name) = link["ifname"].as_str().filter(|name| is_bridge(name)) else { continue };
        let global = inner(link, "addr_info").iter().filter(|address| address["scope"] == "global");
        all.extend(
            global.map(|a| format!("{name} {}/{}", a["local"].as_str().unwrap_or(""), a["prefixlen"])),
        );
    }
    all
}

fn routes(w: &World) -> Names {
    let mut all = Names::new();
    for family in ["-4", "-6"] {
        let routes = w.host.ip(&[family, "route", "show", "table", "main"]);
        for route in routes.as_array().into_iter().flatten() {
            let (Some(device), Some(to)) = (route["dev"].as_str(), route["dst"].as_str()) else { continue };
            if is_bridge(device) && !to.starts_with("fe80:") {
                all.insert(format!("{device} {to}"));
            }
        }
    }
    all
}

fn neighbours(w: &World) -> Names {
    let all = w.host.ip(&["neigh", "show", "nud", "permanent"]);
    let all = all.as_array().into_iter().flatten();
    let ours = all.filter(|n| n["dev"].as_str().is_some_and(is_bridge) && n["lladdr"].is_string());
    ours.map(|n| format!("{} {}", n["dev"].as_str().unwrap_or(""), n["dst"].as_str().unwrap_or(""))).collect()
}

/// No word of the ruleset names what is gone, and every endpoint and port is in it.
fn elements(ruleset: &str, listed: &Listed) {
    let words = ruleset.split([' ', '\t', '\n', ',', '"', '{', '}']).filter(|word| !word.is_empty());
    let words: BTreeSet<&str> = words.collect();
    // `br-0*` and its kin are rules that let bridges of other engines pass.
    for word in words.iter().filter(|word| word.starts_with("br-") && !word.ends_with('*')) {
        assert!(listed.devices.contains(*word), "nft knows {word}, which is gone");
    }
    for word in words.iter().filter(|word| word.starts_with("pt") && word.len() == 14) {
        assert!(listed.ends.contains(*word), "nft knows {word}, which is gone");
    }
    let known: BTreeSet<IpAddr> = words.iter().filter_map(|word| word.parse().ok()).collect();
    let of_a_pool = |ip: &&IpAddr| match ip {
        IpAddr::V4(v4) => matches!(v4.octets(), [172 | 10, _, _, last] if last != 0),
        IpAddr::V6(v6) => v6.segments()[0] & 0xff00 == 0xfd00 && v6.segments()[7] != 0,
    };
    for ip in known.iter().filter(of_a_pool) {
        assert!(listed.addresses.contains(ip), "nft knows {ip}, which nobody has");
    }
    let gateways: BTreeSet<IpAddr> =
        listed.gateways.iter().filter_map(|text| plain(text.split(' ').nth(1)?).parse().ok()).collect();
    for ip in listed.addresses.difference(&gateways) {
        assert!(known.contains(ip), "nft does not know {ip}");
    }
    // The clients' ports, alone or as ranges.
    let number = |text: &str| text.parse::<u16>().ok().filter(|port| (24_000..26_000).contains(port));
    let span = |word: &&&str| match word.split_once('-') {
        None => number(word).map(|port| (port, port)),
        Some((first, last)) => number(first).zip(number(last)),
    };
    let published: BTreeSet<u16> =
        words.iter().filter_map(|word| span(&word)).flat_map(|(first, last)| first..=last).collect();
    let promised = listed.ports.iter().filter_map(|port| number(port.split('/').next()?));
    assert_eq!(published, promised.collect(), "published ports in nft");
}

/// `8080/tcp` of every listener on the host.
fn held(w: &World) -> Names {
    let mut all = Names::new();
    for (flags, proto) in [("-Hltn", "tcp"), ("-Hlun", "udp")] {
        let text = w.host.run("ss", &[flags]);
        let local = text.lines().filter_map(|line| line.split_whitespace().nth(3));
        all.extend(local.filter_map(|address| Some(format!("{}/{proto}", address.rsplit(':').next()?))));
    }
    all
}

/// As many addresses are taken in every subnet as sandboxes have one there.
fn leases(networks: &[Value], sandboxes: &[Value]) {
    for network in networks {
        let seats = sandboxes.iter().flat_map(|sandbox| inner(sandbox, "networks"));
        let seats = seats.filter(|seat| seat["network"] == network["name"]);
        let taken: Vec<&str> =
            seats.flat_map(|seat| inner(seat, "addresses")).filter_map(Value::as_str).collect();
        for subnet in inner(network, "subnets") {
            let v6 = subnet["subnet"].as_str().is_some_and(|text| text.contains(':'));
            let count = taken.iter().filter(|address| address.contains(':') == v6).count();
            assert_eq!(subnet["used"], count, "leases of {}", network["name"]);
        }
    }
}

fn files(folder: PathBuf) -> Names {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

/// Files and mounts of exactly what is there.
pub fn disk(w: &World, all: &Promised) {
    let ours = |names: Names| names.into_iter().filter(|name| name.starts_with('k')).collect::<Names>();
    let (root, run) = (w.daemon.root(), w.daemon.run_dir());
    let namespaces: Names = all.sandboxes.keys().cloned().collect();
    assert_eq!(ours(files(run.join("netns"))), namespaces, "namespace files");
    let volumes: Names = all.volumes.keys().cloned().collect();
    assert_eq!(ours(files(root.join("volumes"))), volumes, "volumes on disk");
    soon(5000, "what was removed is deleted", || ours(files(root.join("volumes/.trash"))).is_empty());
    assert_eq!(files(root.join("run")), Names::new(), "what commands wrote in their views");
    let table = std::fs::read_to_string("/proc/thread-self/mountinfo").expect("mountinfo");
    let points = table.lines().filter_map(|line| line.split(' ').nth(4)).map(PathBuf::from);
    let mounted: Names = points
        .filter_map(|point| {
            Some(point.strip_prefix(root.join("volumes")).ok()?.parent()?.to_str()?.to_owned())
        })
        .collect();
    let used: BTreeSet<&String> = all.sandboxes.values().flat_map(|seat| &seat.volumes).collect();
    let wanted = all.volumes.iter().filter(|(name, tmpfs)| **tmpfs && used.contains(name));
    let wanted: Names = wanted.map(|(name, _)| name.clone()).chain(["drift-vol".to_owned()]).collect();
    let wanted = if super::drift::wanted() {
        wanted
    } else {
        wanted.into_iter().filter(|n| n != "drift-vol").collect()
    };
    assert_eq!(mounted, wanted, "mounts of volumes");
}
