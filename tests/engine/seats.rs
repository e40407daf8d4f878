//! Names, shared namespaces, host and none.
use crate::support::{World, converged};
use pontoon::model::{Reply, sandbox::Netns};
use serde_json::json;
use std::net::IpAddr;

fn finds(world: &World, asker: &str, name: &str) -> Vec<String> {
    let names = world.engine().published.names.load_full();
    let Some(asker) = names.asker(&world.sandbox(asker).id) else { return Vec::new() };
    let mut found: Vec<IpAddr> =
        names.find(asker, name).map(|found| found.addresses(0).copied().collect()).unwrap_or_default();
    found.sort();
    found.iter().map(ToString::to_string).collect()
}

#[test]
fn names_come_and_go_with_seats() {
    let world = World::new();
    for (name, subnet) in [("front", "10.1.0.0/24"), ("back", "10.2.0.0/24")] {
        world.ok("Network.Create", json!({"name": name, "pools": [{"subnet": subnet}]}));
    }
    world.ok("Sandbox.Create", json!({"name": "db", "hostname": "postgres", "networks": [{"network": "back", "aliases": ["store"]}]}));
    world.ok("Sandbox.Create", json!({"name": "web", "networks": [{"network": "front"}]}));
    assert_eq!(finds(&world, "web", "db"), Vec::<String>::new(), "no network in common");
    let links = json!({"pg": "db"});
    world.ok(
        "Network.Connect",
        json!({"sandbox": "web", "endpoint": {"network": "back", "links": links, "aliases": ["store"]}}),
    );
    let short = world.sandbox("db").id.short();
    for name in ["db", "postgres", "pg", "db.back", short.as_str()] {
        assert_eq!(finds(&world, "web", name), ["10.2.0.2"], "{name}");
    }
    assert_eq!(finds(&world, "db", "store"), ["10.2.0.2", "10.2.0.3"]);
    assert_eq!(finds(&world, "db", "pg"), Vec::<String>::new(), "links are the asker's own");
    world.ok("Network.Disconnect", json!({"sandbox": "web", "network": "back"}));
    assert_eq!(finds(&world, "web", "db"), Vec::<String>::new());
    assert_eq!(finds(&world, "db", "store"), ["10.2.0.2"]);
    world.ok("Sandbox.Remove", json!({"name": "db"}));
    converged(&world);
}

#[test]
fn a_shared_namespace() {
    let world = World::new();
    world.ok("Sandbox.Create", json!({"name": "a", "ports": [{"port": 80, "host_port": 80}]}));
    world.ok("Sandbox.Create", json!({"name": "b", "networks": [{"network": "sandbox:a"}], "ports": [{"port": 81, "host_port": 81}]}));
    world.ok("Sandbox.Create", json!({"name": "c", "networks": [{"network": "sandbox:b"}]}));
    let (a, b, c) = (world.sandbox("a"), world.sandbox("b"), world.sandbox("c"));
    assert_eq!((&b.netns, &c.netns), (&Netns::Shared(a.id), &Netns::Shared(a.id)));
    assert_eq!(b.netns_path, a.netns_path);
    assert!(b.ports.is_empty(), "discarded, with a warning");
    converged(&world);
    let words = world.refused("Sandbox.Remove", json!({"name": "a"}));
    assert_eq!(words, "sandbox a shares its network with b, c: remove that first");
    for name in ["c", "b", "a"] {
        world.ok("Sandbox.Remove", json!({"name": name}));
        converged(&world);
    }
}

#[test]
fn host_and_none() {
    let world = World::new();
    let before = world.kernel.items();
    world.ok("Sandbox.Create", json!({"name": "h", "networks": [{"network": "host"}]}));
    assert_eq!(world.kernel.items(), before, "the host's network is left alone");
    world.ok("Sandbox.Create", json!({"name": "n", "networks": [{"network": "none"}]}));
    assert!(world.sandbox("n").networks.is_empty());
    converged(&world);
    // Out of its isolation, and back.
    world.ok("Network.Connect", json!({"sandbox": "n", "endpoint": {"network": "bridge"}}));
    converged(&world);
    world.ok("Network.Disconnect", json!({"sandbox": "n", "network": "bridge"}));
    converged(&world);
}

/// The fake kernel's namespaces look empty: whoever asks why nothing arrives is told of the interface first.
#[test]
fn an_interface_that_is_gone_is_told_to_whoever_asks_why() {
    let world = World::new();
    world.ok("Sandbox.Create", json!({"name": "a"}));
    world.ok("Sandbox.Create", json!({"name": "b"}));
    let Reply::Findings(told) = world.ok("System.Why", json!({"from": "a", "to": "b:80"})) else { panic!() };
    let told: Vec<_> =
        told.iter().map(|f| (f.level.as_str(), f.message.as_str(), f.remedy.is_some())).collect();
    assert_eq!(told[1], ("problem", "a has no eth0", true));
    assert_eq!(told[2], ("problem", "b has no eth0", true));
    assert!(
        told.last().is_some_and(|(level, text, remedy)| {
            *level == "problem" && text.contains("refuses") && !remedy
        })
    );
}
