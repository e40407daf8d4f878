//! Work does not grow with what is already there.
use crate::support::World;
use serde_json::json;

/// Operations of an attach and a detach, one network, one port.
fn cost(world: &World) -> (usize, usize) {
    world.kernel.take_log();
    world.ok(
        "Sandbox.Create",
        json!({"name": "probe", "networks": [{"network": "n"}], "ports": [{"port": 80, "host_port": 80}]}),
    );
    let attach = world.kernel.take_log().len();
    world.ok("Sandbox.Remove", json!({"name": "probe"}));
    (attach, world.kernel.take_log().len())
}

#[test]
fn an_attach_costs_the_same_beside_500() {
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
    }
    assert_eq!(cost(&world), alone);
    println!("{} operations to attach, {} to detach", alone.0, alone.1);
}
