//! What the hot rooms are tried with: by the benches, and by tests/hot_rooms.rs, which counts what they allocate.
use pontoon::{
    ipam::{Leases, PortTable, Taken, default_pools, pick},
    model::{
        Family, Id, IfName, Mac, Network, Proto, Sandbox, Volume,
        names::{Asker, Names, Seat},
        network::Settings,
        options::BridgeSettings,
        port::{Holder, Port},
    },
    plan::Lookup,
};
use serde_json::json;
use std::{collections::BTreeMap, sync::Arc};

pub fn id(n: u16) -> Id {
    let mut bytes = [7; 32];
    bytes[..2].copy_from_slice(&n.to_be_bytes());
    Id::from_bytes(bytes)
}

pub fn seat(n: u16) -> Seat {
    let [high, low] = n.to_be_bytes();
    let names = vec![format!("sandbox-{n}"), "everyone".into(), format!("alias-{n}")];
    Seat { sandbox: id(n), names, addresses: vec![[10, 1, high, low].into()] }
}

/// 1,000 sandboxes on one network, all sharing an alias.
pub fn names() -> Names {
    let mut names = Names::default();
    names.set_network(id(0), "front");
    names.set_asker(id(1), Asker { networks: vec![id(0)], ..Asker::default() });
    (1..=1000).for_each(|n| names.set_seat(id(0), seat(n)));
    names
}

/// A query for an A record.
pub fn query(name: &str) -> Vec<u8> {
    let mut packet = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        packet.push(label.len() as u8);
        packet.extend_from_slice(label.as_bytes());
    }
    packet.extend_from_slice(&[0, 0, 1, 0, 1]);
    packet
}

pub struct One(pub Arc<Network>);

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
pub fn network() -> Network {
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
pub fn sandbox(ports: u16) -> Sandbox {
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

/// With so many addresses given.
pub fn leases(given: usize) -> Leases {
    let subnet = "10.0.0.0/16".parse().expect("a subnet");
    let mut leases = Leases::new(subnet, None, Some([10, 0, 0, 1].into()), &BTreeMap::new());
    for _ in 0..given {
        leases.take("bench", None).expect("an address");
    }
    leases
}

pub fn holder() -> Arc<Holder> {
    Arc::new(Holder { sandbox: id(1), name: "web".to_owned() })
}

/// With so many ports promised.
pub fn port_table(promised: u16) -> PortTable {
    let (mut table, holder) = (PortTable::new(), holder());
    let port = |host_port| Port { host_ip: None, host_port, port: 80, count: 1, proto: Proto::Tcp };
    (10_000..10_000 + promised).for_each(|number| table.promise(&port(number), &holder).expect("a port"));
    table
}

/// With so many subnets taken.
pub fn taken(count: usize) -> Taken {
    let (pools, mut taken) = (default_pools(), Taken::new());
    for _ in 0..count {
        taken.add(&pick(&pools, Family::V4, None, &[&taken]).expect("a subnet"));
    }
    taken
}
