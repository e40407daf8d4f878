//! Work does not grow with what is already there.
use crate::support::World;
use serde_json::{Value, json};

/// A call, its body, and what takes it back.
type Deed = (&'static str, Value, Option<(&'static str, Value)>);

/// What a runtime asks for, one after another; `probe` is made first and goes last.
fn deeds() -> Vec<Deed> {
    let probe =
        json!({"name": "probe", "networks": [{"network": "n"}], "ports": [{"port": 80, "host_port": 80}]});
    let ports = |ports: Value| json!({"name": "probe", "ports": ports});
    vec![
        ("Sandbox.Create", probe, None),
        (
            "Sandbox.Publish",
            ports(json!([{"port": 80, "host_port": 80}, {"port": 81, "host_port": 81}])),
            None,
        ),
        ("Network.Create", json!({"name": "more", "pools": [{"subnet": "10.7.0.0/24"}]}), None),
        (
            "Network.Connect",
            json!({"sandbox": "probe", "endpoint": {"network": "more"}}),
            Some(("Network.Disconnect", json!({"sandbox": "probe", "network": "more"}))),
        ),
        ("Network.Remove", json!({"name": "more"}), None),
        ("Volume.Create", json!({"name": "data"}), Some(("Volume.Remove", json!({"name": "data"})))),
        ("Sandbox.Remove", json!({"name": "probe"}), None),
    ]
}

/// Operations of each deed.
fn cost(world: &World) -> Vec<(&'static str, usize)> {
    let mut costs = Vec::new();
    let mut count = |method: &'static str, body: Value| {
        world.kernel.take_log();
        world.ok(method, body);
        costs.push((method, world.kernel.take_log().len()));
    };
    for (method, body, back) in deeds() {
        count(method, body);
        back.into_iter().for_each(|(method, body)| count(method, body));
    }
    costs
}

#[test]
fn every_call_costs_the_same_beside_500() {
    let world = World::new();
    world.ok("Network.Create", json!({"name": "n", "pools": [{"subnet": "10.6.0.0/16"}]}));
    let alone = cost(&world);
    for i in 0..500 {
        let ports = json!([{"port": 80, "host_port": 10_000 + i}]);
        world.ok(
            "Sandbox.Create",
            json!({"name": format!("s{i}"), "networks": [{"network": "n"}], "ports": ports}),
        );
        world.ok("Network.Create", json!({"name": format!("n{i}"), "pools": [{"subnet": format!("10.{}.{}.0/24", 100 + i / 250, i % 250)}]}));
        world.ok("Volume.Create", json!({"name": format!("v{i}")}));
    }
    assert_eq!(cost(&world), alone);
    println!("operations: {alone:?}");
    let changes_nothing = |(method, count): &&(&str, usize)| *count == 0 && !method.starts_with("Volume");
    assert_eq!(alone.iter().find(changes_nothing), None);
}
