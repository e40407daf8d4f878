//! What the pure hot rooms cost, without sockets, kernel or disk: `cargo bench --bench hot_rooms`. They guard against
//! regressions: `--save-baseline NAME` before a change, `--baseline NAME` after it.
use criterion::{Criterion, criterion_group, criterion_main};
use pontoon::{
    dns::{Over, answer::answer},
    ipam::{Ephemeral, Intervals, Leases, PortTable, Taken, default_pools, pick},
    model::{
        Family, Id, IfName, Mac, Network, PortSpec, Proto, Sandbox, Volume,
        names::{Asker, Names, Seat},
        network::Settings,
        options::BridgeSettings,
        port::{Holder, Port},
    },
    plan::{self, Lookup},
};
use serde_json::json;
use std::{collections::BTreeMap, hint::black_box, sync::Arc};

fn id(n: u16) -> Id {
    let mut bytes = [7; 32];
    bytes[..2].copy_from_slice(&n.to_be_bytes());
    Id::from_bytes(bytes)
}

fn seat(n: u16) -> Seat {
    let [high, low] = n.to_be_bytes();
    let names = vec![format!("sandbox-{n}"), "everyone".into(), format!("alias-{n}")];
    Seat { sandbox: id(n), names, addresses: vec![[10, 1, high, low].into()] }
}

/// 1,000 sandboxes on one network, all sharing an alias.
fn names() -> Names {
    let mut names = Names::default();
    names.set_network(id(0), "front");
    names.set_asker(id(1), Asker { networks: vec![id(0)], ..Asker::default() });
    (1..=1000).for_each(|n| names.set_seat(id(0), seat(n)));
    names
}

/// A query for an A record.
fn query(name: &str) -> Vec<u8> {
    let mut packet = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        packet.push(label.len() as u8);
        packet.extend_from_slice(label.as_bytes());
    }
    packet.extend_from_slice(&[0, 0, 1, 0, 1]);
    packet
}

fn dns(criterion: &mut Criterion) {
    let names = names();
    let asker = names.asker(&id(1));
    let cases =
        ["sandbox-500", "sandbox-500.front", "500.1.1.10.in-addr.arpa", "everyone", "www.example.test"];
    for name in cases {
        let (packet, mut out, mut turn) = (query(name), Vec::with_capacity(4096), 0_usize);
        criterion.bench_function(&format!("answer/{name}"), |bencher| {
            bencher.iter(|| {
                out.clear();
                turn = turn.wrapping_add(1);
                black_box(answer(black_box(&packet), Over::Udp, asker, &names, turn, &mut out));
            });
        });
    }
    criterion.bench_function("names/change-one-of-1000-and-publish", |bencher| {
        let mut names = names.clone();
        bencher.iter(|| {
            names.set_seat(id(0), seat(500));
            black_box(names.clone());
        });
    });
}

/// Address and port of the next sandbox among 10,000; a subnet for the next network among 1,000.
fn ipam(criterion: &mut Criterion) {
    let subnet = "10.0.0.0/16".parse().expect("a subnet");
    let mut leases = Leases::new(subnet, None, Some([10, 0, 0, 1].into()), &BTreeMap::new());
    for _ in 0..10_000 {
        leases.take("bench", None).expect("an address");
    }
    criterion.bench_function("ipam/take-and-free-an-address-among-10000", |bencher| {
        bencher.iter(|| {
            let address = leases.take("bench", None).expect("an address");
            leases.free(black_box(address));
        });
    });
    let mut table = PortTable::new();
    let holder = Arc::new(Holder { sandbox: id(1), name: "web".to_owned() });
    let port = |host_port| Port { host_ip: None, host_port, port: 80, count: 1, proto: Proto::Tcp };
    (10_000..20_000).for_each(|number| table.promise(&port(number), &holder).expect("a port"));
    let (spec, ephemeral): (PortSpec, _) =
        ("80".parse().expect("a port"), Ephemeral::new(32_768, 60_999, []));
    criterion.bench_function("ipam/choose-promise-release-a-port-among-10000", |bencher| {
        bencher.iter(|| {
            let chosen = table.choose(&spec, &ephemeral, &Intervals::new()).expect("a port");
            table.promise(&chosen[0], &holder).expect("a port");
            table.release(black_box(&chosen[0]));
        });
    });
    let (pools, mut taken) = (default_pools(), Taken::new());
    for _ in 0..1_000 {
        taken.add(&pick(&pools, Family::V4, None, &[&taken]).expect("a subnet"));
    }
    criterion.bench_function("ipam/pick-a-subnet-among-1000", |bencher| {
        bencher.iter(|| pick(&pools, Family::V4, None, black_box(&[&taken])));
    });
}

struct One(Arc<Network>);

impl Lookup for One {
    fn network(&self, _: Id) -> Option<Arc<Network>> {
        Some(self.0.clone())
    }
    fn volume(&self, _: &str) -> Option<Arc<Volume>> {
        None
    }
    fn siblings(&self, _: &Sandbox) -> Vec<Arc<Sandbox>> {
        Vec::new()
    }
}

/// As the ledger has it; what is not said has its default.
fn network() -> Network {
    let device = IfName::parse("br0").expect("a name");
    let settings =
        Settings::Bridge { device, mac: Mac([2, 0x42, 10, 0, 0, 1]), settings: BridgeSettings::default() };
    let pool = json!({ "subnet": "10.0.0.0/16", "gateway": "10.0.0.1" });
    let network = json!({
        "id": id(0), "name": "front", "driver": "bridge", "created": "", "ipv4": true, "ipv6": false,
        "pools": [pool], "settings": settings,
    });
    serde_json::from_value(network).expect("a network")
}

/// With one seat and so many ports.
fn sandbox(ports: u16) -> Sandbox {
    let endpoint = json!({
        "id": id(2), "network": id(0), "ifname": "eth0", "mac": "02:42:0a:00:00:02", "ip4": "10.0.0.2",
    });
    let port = |number| json!({ "host_port": 20_000 + number, "port": 80, "proto": "tcp" });
    let sandbox = json!({
        "id": id(1), "name": "web", "created": "", "netns": { "made": "/run/netns/web" },
        "endpoints": [endpoint], "ports": (0..ports).map(port).collect::<Vec<_>>(),
    });
    serde_json::from_value(sandbox).expect("a sandbox")
}

fn plans(criterion: &mut Criterion) {
    let lookup = One(Arc::new(network()));
    for ports in [1, 1_000] {
        let sandbox = sandbox(ports);
        criterion.bench_function(
            &format!("plan/items-and-diff-of-a-sandbox-with-{ports}-ports"),
            |bencher| {
                bencher
                    .iter(|| plan::diff::diff([], plan::sandbox::items(black_box(&sandbox), &lookup, false)));
            },
        );
    }
}

fn port_texts(criterion: &mut Criterion) {
    for text in ["8080:80", "[::1]:9000-9999:9000-9999/udp"] {
        criterion.bench_function(&format!("port/parse {text}"), |bencher| {
            bencher.iter(|| black_box(text).parse::<PortSpec>());
        });
    }
}

criterion_group!(all, dns, ipam, plans, port_texts);
criterion_main!(all);
