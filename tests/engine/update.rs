//! What changes of a sandbox that runs: its name, whom its resolver asks.
use crate::support::{World, converged};
use serde_json::json;
use std::net::IpAddr;

fn asked(world: &World, name: &str) -> Vec<IpAddr> {
    let names = world.engine().published.names.load_full();
    names.asker(&world.sandbox(name).id).expect("an asker").upstream.servers.clone()
}

fn finds(world: &World, asker: &str, name: &str) -> bool {
    let names = world.engine().published.names.load_full();
    let asker = names.asker(&world.sandbox(asker).id).expect("an asker");
    names.find(asker, name).is_some()
}

#[test]
fn names_follow_a_renaming() {
    let mut world = World::new();
    let ports = json!([{"port": 80, "host_port": 8080}]);
    world.ok(
        "Sandbox.Create",
        json!({"name": "web", "ports": ports, "networks": [{"network": "bridge", "aliases": ["www"]}]}),
    );
    world.ok("Sandbox.Create", json!({"name": "other"}));
    let before = world.sandbox("web");
    world.kernel.take_log();
    world.ok("Sandbox.Update", json!({"name": "web", "rename": "shop"}));
    assert!(world.kernel.take_log().is_empty(), "the kernel knows no names");
    let told = world.events().into_iter().find(|event| event.action == "rename").expect("an event");
    assert_eq!((told.name.as_str(), told.attributes["old_name"].as_str()), ("shop", "web"));
    for restarted in [false, true] {
        if restarted {
            world.kill();
            world.restart();
        }
        assert!(!world.has_sandbox("web") && !finds(&world, "other", "web"));
        assert!(finds(&world, "other", "shop") && finds(&world, "other", "www"));
        let after = world.sandbox("shop");
        assert_eq!((after.id, &after.netns_path), (before.id, &before.netns_path));
        converged(&world);
    }
    // Somebody else may have the old name, and a namespace of his own.
    world.ok("Sandbox.Create", json!({"name": "web"}));
    assert_ne!(world.sandbox("web").netns_path, before.netns_path);
    assert!(finds(&world, "other", "web"));
    converged(&world);
    for (name, words) in [
        ("other", "the name other is already in use by sandbox"),
        ("no spaces", "invalid name"),
        ("", "invalid name"),
    ] {
        let said = world.refused("Sandbox.Update", json!({"name": "shop", "rename": name}));
        assert!(said.contains(words), "{name}: {said}");
    }
    for name in ["web", "other", "shop"] {
        world.ok("Sandbox.Remove", json!({"name": name}));
    }
    converged(&world);
    world.ok("Sandbox.Create", json!({"name": "web"}));
    assert_eq!(world.sandbox("web").netns_path, before.netns_path, "it is free again");
}

#[test]
fn other_nameservers() {
    let mut world = World::new();
    world.ok("Sandbox.Create", json!({"name": "a", "dns": {"servers": ["192.0.2.1"]}}));
    world.ok("Sandbox.Update", json!({"name": "a", "dns_servers": ["192.0.2.2", "2001:db8::2"]}));
    let wanted: Vec<IpAddr> = ["192.0.2.2", "2001:db8::2"].map(|ip| ip.parse().unwrap()).into();
    assert_eq!(asked(&world, "a"), wanted);
    world.kill();
    world.restart();
    assert_eq!(asked(&world, "a"), wanted);
    let labels = json!({"bridge": {"k": "v"}});
    world.ok("Sandbox.Update", json!({"name": "a", "dns_servers": [], "seat_labels": labels}));
    assert_eq!(asked(&world, "a"), Vec::<IpAddr>::new());
    assert_eq!(world.sandbox("a").networks[0].labels["k"], "v");
    world.ok("Sandbox.Create", json!({"name": "h", "networks": [{"network": "host"}]}));
    let said = world.refused("Sandbox.Update", json!({"name": "h", "dns_servers": []}));
    assert_eq!(said, "sandbox h has no resolver of ours: change its nameservers where it runs");
    let said = world.refused("Sandbox.Update", json!({"name": "h", "seat_labels": labels}));
    assert_eq!(said, "sandbox h has no seat in network bridge");
    converged(&world);
}
