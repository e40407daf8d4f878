//! A machine on which every kind of command has something to do, and one command of every kind: what `crash` and `undo`
//! try at every step. A new `Command` without a line here fails.
use crate::support::World;
use pontoon::{
    error::Error,
    model::{Command, Reply},
};
use serde_json::{Value, json};

pub fn base() -> World {
    let world = World::new();
    let pools = json!([{"subnet": "10.2.0.0/24"}, {"subnet": "fd00:2::/64"}]);
    for (method, body) in [
        ("Network.Create", json!({"name": "front", "pools": [{"subnet": "10.1.0.0/24"}]})),
        ("Network.Create", json!({"name": "back", "pools": pools})),
        ("Network.Create", json!({"name": "empty", "options": {"name": "emptybr"}})),
        (
            "Network.Create",
            json!({"name": "plan", "config_only": true, "pools": [{"subnet": "10.5.0.0/24"}]}),
        ),
        ("Volume.Create", json!({"name": "spare"})),
        ("Volume.Create", json!({"name": "scratch", "options": {"type": "tmpfs", "device": "tmpfs"}})),
        ("Volume.Create", json!({"name": "lent", "options": {"type": "tmpfs", "device": "tmpfs"}})),
        ("Volume.Mount", json!({"name": "lent", "id": "1"})),
        ("Pool.Reserve", json!({"subnet": "10.3.0.0/24"})),
        ("Pool.Reserve", json!({"subnet": "10.4.0.0/24"})),
        ("Pool.Take", json!({"pool": "10.3.0.0/24", "address": "10.3.0.1"})),
        ("Pool.Take", json!({"pool": "10.3.0.0/24", "address": "10.3.0.9"})),
    ] {
        world.ok(method, with_pool(&world, body));
    }
    world.kernel.make_namespace("/run/netns/given");
    world.kernel.make_namespace("/run/netns/leased");
    world.kernel.start_process(41);
    let mounts = json!([
        {"kind": "volume", "source": "scratch", "target": "/scratch"},
        {"kind": "volume", "target": "/cache", "driver_options": {"type": "tmpfs", "device": "tmpfs"}},
    ]);
    let ports = json!([{"port": 80, "host_port": 8080}, {"port": 53, "host_port": 5353, "proto": "udp"}]);
    let networks = json!([{"network": "front"}, {"network": "back", "bandwidth": limits()}]);
    for body in [
        json!({"name": "web", "networks": networks, "ports": ports, "mounts": mounts, "auto_remove": true}),
        json!({"name": "app", "networks": [{"network": "back"}], "netns": "/run/netns/given",
               "ports": [{"port": 1, "host_port": 9000}]}),
        json!({"name": "seat", "handed": true, "networks": [{"network": "front"}],
               "ports": [{"port": 2, "host_port": 9001}]}),
    ] {
        world.ok("Sandbox.Create", body);
    }
    world
}

fn limits() -> Value {
    json!({"ingress": {"rate": 8_000_000, "burst": 800_000}, "egress": {"rate": 80_000, "burst": 80_000}})
}

/// A reserved subnet is named by itself in these tables; calls want its id, which every world has its own of.
fn with_pool(world: &World, mut body: Value) -> Value {
    if let Some(subnet) = body["pool"].as_str() {
        let view = world.engine().view();
        let found = view.reservations.values().find(|r| r.subnet.to_string() == subnet);
        body["pool"] = json!(found.map_or("0".repeat(64), |reservation| reservation.id.to_string()));
    }
    body
}

/// One command, and what shows that it was carried out.
pub struct Kind {
    pub what: &'static str,
    method: &'static str,
    body: Value,
    pub holds: fn(&World) -> bool,
}

impl Kind {
    /// In `world`, which has ids of its own. A prune that kept something is told as the error that it is here.
    pub fn run(&self, world: &World) -> pontoon::error::Result<Reply> {
        match world.call(self.method, with_pool(world, self.body.clone()))? {
            Reply::Pruned(pruned) if !pruned.kept.is_empty() => Err(Error::exhausted(pruned.kept.join("; "))),
            reply => Ok(reply),
        }
    }
    pub fn ok(&self, world: &World) {
        if let Err(error) = self.run(world) {
            panic!("{}: {error}", self.what);
        }
    }
}

fn has_network(world: &World, name: &str) -> bool {
    world.engine().view().find_network(name).is_ok()
}

fn has_volume(world: &World, name: &str) -> bool {
    world.engine().view().find_volume(name).is_ok()
}

fn seats(world: &World, name: &str) -> usize {
    world.engine().view().find_sandbox(name).map_or(0, |sandbox| sandbox.endpoints.len())
}

fn ports(world: &World, name: &str) -> usize {
    world.engine().view().find_sandbox(name).map_or(0, |sandbox| sandbox.ports.len())
}

fn taken(world: &World, address: &str) -> bool {
    let view = world.engine().view();
    view.reservations.values().any(|r| r.addresses.iter().any(|a| a.to_string() == address))
}

fn reserved(world: &World, subnet: &str) -> bool {
    world.engine().view().reservations.values().any(|r| r.subnet.to_string() == subnet)
}

fn mounted(world: &World, name: &str) -> bool {
    let volume = world.engine().view().find_volume(name).expect("volume");
    !volume.mounts.is_empty()
}

macro_rules! kinds {
    ($($what:literal: $method:literal $body:tt => $holds:expr;)*) => {
        vec![$(Kind { what: $what, method: $method, body: json!($body), holds: $holds }),*]
    };
}

pub fn kinds() -> Vec<Kind> {
    kinds! {
        "create a network": "Network.Create" {"name": "new", "ipv6": true, "options": {"name": "newbr"}}
            => |w| has_network(w, "new");
        "create an internal network": "Network.Create" {"name": "new", "internal": true}
            => |w| has_network(w, "new");
        "create a configuration": "Network.Create" {"name": "new", "config_only": true, "options": {"mtu": "1400"}}
            => |w| has_network(w, "new");
        "create a network from a configuration": "Network.Create" {"name": "new", "config_from": "plan"}
            => |w| has_network(w, "new");
        "create a network upon a reserved subnet": "Network.Create"
            {"name": "new", "pools": [{"subnet": "10.3.0.0/24", "gateway": "10.3.0.1", "reserved": true}]}
            => |w| has_network(w, "new");
        "remove a network": "Network.Remove" {"name": "empty"} => |w| !has_network(w, "empty");
        "remove a configuration": "Network.Remove" {"name": "plan"} => |w| !has_network(w, "plan");
        "prune networks": "Network.Prune" {} => |w| !has_network(w, "empty") && has_network(w, "front");
        "create a sandbox": "Sandbox.Create" {
            "name": "new",
            "networks": [
                {"network": "front", "aliases": ["shop"], "link_local": ["169.254.7.7"]},
                {"network": "back", "priority": 5, "bandwidth": limits()},
            ],
            "ports": [{"port": 80, "host_port": 80}, {"port": 7000, "host_port": 7000, "count": 9}, {"port": 443}],
            "mounts": [
                {"kind": "volume", "source": "fresh", "target": "/fresh"},
                {"kind": "volume", "source": "scratch", "target": "/scratch"},
                {"kind": "volume", "target": "/anonymous", "driver_options": {"type": "tmpfs", "device": "tmpfs"}},
            ],
        } => |w| seats(w, "new") == 2;
        "create a sandbox without network": "Sandbox.Create" {"name": "new", "networks": [{"network": "none"}]}
            => |w| w.has_sandbox("new");
        "create a sandbox on the host": "Sandbox.Create" {"name": "new", "networks": [{"network": "host"}]}
            => |w| w.has_sandbox("new");
        "share a sandbox": "Sandbox.Create" {"name": "new", "networks": [{"network": "sandbox:web"}]}
            => |w| w.has_sandbox("new");
        "hand an interface over": "Sandbox.Create"
            {"name": "new", "handed": true, "networks": [{"network": "back"}], "ports": [{"port": 80, "host_port": 80}]}
            => |w| ports(w, "new") == 1;
        "lease addresses": "Sandbox.Create"
            {"name": "new", "leased": true, "netns": "/run/netns/leased", "networks": [{"network": "back"}]}
            => |w| seats(w, "new") == 1;
        "remove a sandbox": "Sandbox.Remove" {"name": "web"} => |w| !w.has_sandbox("web");
        "remove a runtime's sandbox": "Sandbox.Remove" {"name": "app", "volumes": true} => |w| !w.has_sandbox("app");
        "take a handed one back": "Sandbox.Remove" {"name": "seat"} => |w| !w.has_sandbox("seat");
        "connect": "Network.Connect"
            {"sandbox": "app", "endpoint": {"network": "front", "priority": 9, "bandwidth": limits()}}
            => |w| seats(w, "app") == 2;
        "disconnect": "Network.Disconnect" {"sandbox": "web", "network": "back"} => |w| seats(w, "web") == 1;
        "disconnect the last": "Network.Disconnect" {"sandbox": "app", "network": "back"} => |w| seats(w, "app") == 0;
        "start": "Sandbox.Start" {"name": "web", "pid": 41}
            => |w| w.sandbox("web").process.is_some();
        "publish": "Sandbox.Publish"
            {"name": "web", "ports": [{"port": 80, "host_port": 8080}, {"port": 81, "host_port": 8081, "count": 3}]}
            => |w| w.sandbox("web").ports.iter().any(|port| port.host_port == 8081);
        "publish besides": "Sandbox.Publish"
            {"name": "web", "add": true, "ports": [{"port": 81, "host_port": 8081, "count": 3}]}
            => |w| w.sandbox("web").ports.iter().any(|port| port.host_port == 8081) && ports(w, "web") > 1;
        "publish no more": "Sandbox.Publish" {"name": "seat", "ports": []} => |w| ports(w, "seat") == 0;
        "rename": "Sandbox.Update" {"name": "web", "rename": "shop", "dns_servers": ["192.0.2.9"]}
            => |w| w.has_sandbox("shop") && !w.has_sandbox("web");
        "label a seat": "Sandbox.Update" {"name": "app", "seat_labels": {"back": {"k": "v"}}}
            => |w| w.sandbox("app").networks[0].labels.contains_key("k");
        "create a volume": "Volume.Create" {"name": "new"} => |w| has_volume(w, "new");
        "remove a volume": "Volume.Remove" {"name": "spare"} => |w| !has_volume(w, "spare");
        "mount a volume": "Volume.Mount" {"name": "scratch", "id": "7"} => |w| mounted(w, "scratch");
        "give a mount back": "Volume.Unmount" {"name": "lent", "id": "1"} => |w| !mounted(w, "lent");
        "prune volumes": "Volume.Prune" {"all": true} => |w| !has_volume(w, "spare") && has_volume(w, "scratch");
        "reserve a subnet": "Pool.Reserve" {"subnet": "10.6.0.0/24"} => |w| reserved(w, "10.6.0.0/24");
        "release a subnet": "Pool.Release" {"pool": "10.4.0.0/24"} => |w| !reserved(w, "10.4.0.0/24");
        "take an address": "Pool.Take" {"pool": "10.3.0.0/24", "address": "10.3.0.7"} => |w| taken(w, "10.3.0.7");
        "give an address back": "Pool.GiveBack" {"pool": "10.3.0.0/24", "address": "10.3.0.9"}
            => |w| !taken(w, "10.3.0.9");
    }
}

/// Commands that ask and change nothing.
const QUESTIONS: &[&str] = &[
    "Network.List",
    "Network.Inspect",
    "Sandbox.List",
    "Sandbox.Inspect",
    "Volume.List",
    "Volume.Inspect",
    "Pool.List",
    "System.Df",
    "System.Info",
    "System.Doctor",
    "System.Dump",
    "System.Namespace",
    "System.Why",
];

#[test]
fn every_command_that_changes_something_is_here() {
    let tried = kinds();
    for method in Command::METHODS {
        let changes = tried.iter().any(|kind| kind.method == *method);
        assert!(changes != QUESTIONS.contains(method), "{method}: either a question, or one of `kinds`");
    }
}

/// And each of them does what it says.
#[test]
fn every_kind_shows() {
    for kind in kinds() {
        let world = base();
        assert!(!(kind.holds)(&world), "{}: before", kind.what);
        kind.ok(&world);
        assert!((kind.holds)(&world), "{}: after", kind.what);
    }
}
