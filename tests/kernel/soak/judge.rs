//! Compares what the clients were told with what the daemon tells, and that with the kernel and the disk.
use super::client::{Client, Promised};
use crate::world::{World, tool::soon};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    ops::DerefMut,
};

type Names = BTreeSet<String>;

/// Objects of the clients as the daemon lists them.
fn listed(w: &World) -> Promised {
    let ours = |name: &Value| name.as_str().filter(|name| name.starts_with('k')).map(str::to_owned);
    let list = |method: &str| w.call(method, json!({})).as_array().cloned().unwrap_or_default();
    let names = |method: &str| list(method).iter().filter_map(|one| ours(&one["name"])).collect();
    let mut sandboxes = BTreeMap::new();
    for one in list("Sandbox.List") {
        let Some(name) = ours(&one["name"]) else { continue };
        let seats = one["networks"].as_array().into_iter().flatten();
        let seats: Names = seats.filter_map(|seat| seat["network"].as_str().map(str::to_owned)).collect();
        let port = one["ports"][0]["host_port"].as_u64().and_then(|port| u16::try_from(port).ok());
        sandboxes.insert(name, (seats, port));
    }
    Promised { networks: names("Network.List"), volumes: names("Volume.List"), sandboxes }
}

/// The part of the client with this number.
fn part(all: &Promised, number: usize) -> Promised {
    let prefix = format!("k{number}-");
    let of = |names: &Names| names.iter().filter(|name| name.starts_with(&prefix)).cloned().collect();
    let sandboxes = all.sandboxes.iter().filter(|(name, _)| name.starts_with(&prefix));
    Promised {
        networks: of(&all.networks),
        volumes: of(&all.volumes),
        sandboxes: sandboxes.map(|(name, seat)| (name.clone(), seat.clone())).collect(),
    }
}

fn same(a: &Promised, b: &Promised) -> bool {
    (&a.networks, &a.volumes, &a.sandboxes) == (&b.networks, &b.volumes, &b.sandboxes)
}

fn told(p: &Promised) -> String {
    format!("networks {:?}, volumes {:?}, sandboxes {:?}", p.networks, p.volumes, p.sandboxes)
}

/// What every client was promised is there and nothing else; a call without an answer was carried out wholly or not at all.
pub fn all_is_as_promised<C: DerefMut<Target = Client>>(w: &World, clients: impl Iterator<Item = C>) {
    let all = listed(w);
    for (number, mut client) in clients.enumerate() {
        let found = part(&all, number);
        if let Some(doubt) = client.doubt.take()
            && same(&found, &doubt)
        {
            client.promised = doubt;
        }
        assert!(
            same(&found, &client.promised),
            "client {number}\nwas promised {}\nand finds    {}",
            told(&client.promised),
            told(&found)
        );
    }
    kernel(w);
    disk(w, &all);
}

fn strings(value: &Value, key: &str) -> Names {
    let all = value.as_array().into_iter().flatten();
    all.filter_map(|one| one[key].as_str().map(str::to_owned)).collect()
}

/// Links, ports, namespaces and elements of exactly what is listed.
fn kernel(w: &World) {
    let networks = w.call("Network.List", json!({}));
    let sandboxes = w.call("Sandbox.List", json!({}));
    let networks = networks.as_array().expect("list");
    let sandboxes = sandboxes.as_array().expect("list");
    let seats: Vec<&Value> =
        sandboxes.iter().flat_map(|one| one["networks"].as_array().into_iter().flatten()).collect();
    let devices: Names = networks.iter().filter_map(|n| n["device"].as_str().map(str::to_owned)).collect();
    soon(5000, "links are those of the networks and endpoints", || {
        let links = w.host.ip(&["link"]);
        let names = strings(&links, "ifname");
        let ends = names.iter().filter(|name| name.starts_with("pt")).count();
        let bridges: Names =
            names.into_iter().filter(|name| name.starts_with("br-") || name == "pontoon0").collect();
        ends == seats.len() && bridges == devices
    });
    let texts = seats.iter().flat_map(|seat| seat["addresses"].as_array().cloned().unwrap_or_default());
    let plain = |text: Value| text.as_str().and_then(|text| text.split('/').next()?.parse::<IpAddr>().ok());
    let addresses: BTreeSet<IpAddr> = texts.filter_map(plain).collect();
    let gateways: BTreeSet<IpAddr> = networks
        .iter()
        .flat_map(|network| network["subnets"].as_array().cloned().unwrap_or_default())
        .filter_map(|subnet| plain(subnet["gateway"].clone()))
        .collect();
    elements(&w.host.run("nft", &["list", "ruleset"]), &devices, &addresses, &gateways);
    // One that has left all its networks keeps its ports for the next one it joins.
    let joined = sandboxes.iter().filter(|one| one["networks"].as_array().is_some_and(|all| !all.is_empty()));
    let ports: BTreeSet<u64> = joined
        .flat_map(|one| one["ports"].as_array().cloned().unwrap_or_default())
        .filter_map(|port| port["host_port"].as_u64())
        .collect();
    assert_eq!(held(&w.host.run("ss", &["-Hltn"])), ports, "held ports");
}

/// No word of the ruleset names what is gone, and every endpoint is in it.
fn elements(ruleset: &str, devices: &Names, addresses: &BTreeSet<IpAddr>, gateways: &BTreeSet<IpAddr>) {
    let words = ruleset.split([' ', '\t', '\n', ',', '"', '{', '}']).filter(|word| !word.is_empty());
    let words: BTreeSet<&str> = words.collect();
    // `br-*` is a rule that lets bridges of other engines pass.
    for word in words.iter().filter(|word| word.starts_with("br-") && **word != "br-*") {
        assert!(devices.contains(*word), "nft knows {word}, which is gone");
    }
    let known: BTreeSet<IpAddr> = words.iter().filter_map(|word| word.parse().ok()).collect();
    let ours = |ip: &&IpAddr| match ip {
        IpAddr::V4(v4) => {
            v4.octets()[0] == 172 && v4.octets()[3] != 0 || v4.octets()[0] == 10 && v4.octets()[3] != 0
        }
        IpAddr::V6(_) => false,
    };
    for ip in known.iter().filter(ours) {
        assert!(addresses.contains(ip) || gateways.contains(ip), "nft knows {ip}, which nobody has");
    }
    for ip in addresses {
        assert!(known.contains(ip), "nft does not know {ip}");
    }
}

fn held(listeners: &str) -> BTreeSet<u64> {
    let local = listeners.lines().filter_map(|line| line.split_whitespace().nth(3));
    local.filter_map(|address| address.rsplit(':').next()?.parse().ok()).collect()
}

fn files(folder: std::path::PathBuf) -> Names {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

fn disk(w: &World, all: &Promised) {
    let ours = |names: Names| names.into_iter().filter(|name| name.starts_with('k')).collect::<Names>();
    let namespaces: Names = all.sandboxes.keys().cloned().collect();
    assert_eq!(ours(files(w.daemon.run_dir().join("netns"))), namespaces, "namespace files");
    assert_eq!(ours(files(w.daemon.root().join("volumes"))), all.volumes, "volumes on disk");
}
