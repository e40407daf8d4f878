//! Which objects a filter leaves in a list.
use crate::support::World;
use serde_json::{Value, json};

/// A network in use and one that is not, sandboxes with and without a process, a volume in use and a spare one.
fn surroundings() -> World {
    let world = World::new();
    world.kernel.set_surroundings(&[], &["uplink".parse().unwrap()]);
    world.kernel.start_process(41);
    let pool = |third: u8| json!([{"subnet": format!("10.{third}.0.0/24")}]);
    for body in [
        json!({"name": "front", "pools": pool(1), "labels": {"tier": "a"}, "id": "f".repeat(64)}),
        json!({"name": "back", "pools": pool(2), "labels": {"tier": "b", "x": ""}}),
        json!({"name": "lan", "pools": pool(3), "driver": "macvlan", "options": {"parent": "uplink"}}),
    ] {
        world.ok("Network.Create", body);
    }
    world.ok("Volume.Create", json!({"name": "data", "labels": {"keep": "yes"}}));
    world.ok("Volume.Create", json!({"name": "spare", "labels": {"keep": "no"}}));
    let mounts = json!([{"kind": "volume", "source": "data", "target": "/d"}]);
    for body in [
        json!({"name": "web", "networks": [{"network": "front"}], "mounts": mounts, "id": "e".repeat(64)}),
        json!({"name": "db", "networks": [{"network": "back"}], "labels": {"role": "store"}}),
        json!({"name": "cache", "networks": [{"network": "front"}], "labels": {"role": "cache"}}),
    ] {
        world.ok("Sandbox.Create", body);
    }
    world.ok("Sandbox.Start", json!({"name": "db", "pid": 41}));
    world
}

fn names(world: &World, method: &str, filters: &Value) -> Vec<String> {
    let list = serde_json::to_value(world.ok(method, json!({ "filters": filters }))).expect("JSON");
    let list = list.as_array().expect("a list");
    let mut names: Vec<String> =
        list.iter().map(|one| one["name"].as_str().expect("a name").to_owned()).collect();
    names.sort();
    names
}

#[test]
fn filters() {
    let world = surroundings();
    let all = ["back", "bridge", "front", "host", "lan", "none"];
    for (filters, wanted) in [
        (json!({}), &all[..]),
        (json!({"name": ["ron", "ack"]}), &["back", "front"]),
        (json!({"id": ["ffff"]}), &["front"]),
        (json!({"driver": ["macvlan", "none"]}), &["lan", "none"]),
        (json!({"scope": ["local"]}), &all),
        (json!({"scope": ["swarm"]}), &[]),
        (json!({"type": ["custom"]}), &["back", "front", "lan"]),
        (json!({"type": ["builtin"]}), &["bridge", "host", "none"]),
        (json!({"dangling": ["true"]}), &["lan"]),
        (json!({"dangling": ["false"]}), &["back", "bridge", "front", "host", "none"]),
        (json!({"label": ["tier"]}), &["back", "front"]),
        (json!({"label": ["tier=a"]}), &["front"]),
        (json!({"label": ["tier=b", "x"]}), &["back"]),
        (json!({"label": ["tier=a", "x"]}), &[]),
        (json!({"driver": ["bridge"], "type": ["custom"]}), &["back", "front"]),
    ] {
        assert_eq!(names(&world, "Network.List", &filters), wanted, "{filters}");
    }
    for (filters, wanted) in [
        (json!({}), &["cache", "db", "web"][..]),
        (json!({"name": ["b"]}), &["db", "web"]),
        (json!({"id": ["eee"]}), &["web"]),
        (json!({"status": ["running"]}), &["db"]),
        (json!({"status": ["registered"]}), &["cache", "web"]),
        (json!({"status": ["exited"]}), &[]),
        (json!({"network": ["front"]}), &["cache", "web"]),
        (json!({"network": ["nowhere"]}), &[]),
        (json!({"volume": ["data"]}), &["web"]),
        (json!({"volume": ["spare"]}), &[]),
        (json!({"label": ["role"]}), &["cache", "db"]),
        (json!({"label": ["role=store"]}), &["db"]),
    ] {
        assert_eq!(names(&world, "Sandbox.List", &filters), wanted, "{filters}");
    }
    for (filters, wanted) in [
        (json!({}), &["data", "spare"][..]),
        (json!({"name": ["par"]}), &["spare"]),
        (json!({"driver": ["local"]}), &["data", "spare"]),
        (json!({"driver": ["nfs"]}), &[]),
        (json!({"label": ["keep"]}), &["data", "spare"]),
        (json!({"label": ["keep=yes"]}), &["data"]),
        (json!({"dangling": ["1"]}), &["spare"]),
        (json!({"dangling": ["f"]}), &["data"]),
    ] {
        assert_eq!(names(&world, "Volume.List", &filters), wanted, "{filters}");
    }
}
