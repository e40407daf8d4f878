//! Which address a sandbox gets.
use crate::support::{World, converged};
use serde_json::json;

fn small() -> World {
    let world = World::new();
    world.ok("Network.Create", json!({"name": "small", "pools": [{"subnet": "10.3.0.0/29"}]}));
    world
}

fn join(world: &World, name: &str) -> String {
    world.ok("Sandbox.Create", json!({"name": name, "networks": [{"network": "small"}]}));
    world.address(name, "small")
}

#[test]
fn the_next_one_and_not_the_one_just_freed() {
    let world = small();
    assert_eq!(join(&world, "a"), "10.3.0.2");
    assert_eq!(join(&world, "b"), "10.3.0.3");
    world.ok("Sandbox.Remove", json!({"name": "a"}));
    assert_eq!(join(&world, "c"), "10.3.0.4");
    assert_eq!(join(&world, "d"), "10.3.0.5");
    assert_eq!(join(&world, "e"), "10.3.0.6");
    assert_eq!(join(&world, "f"), "10.3.0.2", "round again");
    let full = "network small has no free IPv4 address left in 10.3.0.0/29: 5 in use, so disconnect a sandbox or use a network with a larger subnet";
    let more = json!({"name": "g", "networks": [{"network": "small"}]});
    assert_eq!(world.refused("Sandbox.Create", more), full);
    assert_eq!(world.network("small").subnets[0].free, 0);
    world.ok("Network.Disconnect", json!({"sandbox": "c", "network": "small"}));
    assert_eq!(world.network("small").subnets[0].free, 1);
    assert_eq!(join(&world, "g"), "10.3.0.4");
    converged(&world);
}

#[test]
fn the_one_asked_for() {
    let world = small();
    world.ok("Sandbox.Create", json!({"name": "a", "networks": [{"network": "small", "ip": "10.3.0.3"}]}));
    assert_eq!(world.address("a", "small"), "10.3.0.3");
    assert_eq!(join(&world, "b"), "10.3.0.2");
    assert_eq!(join(&world, "c"), "10.3.0.4", "past the one asked for");
    assert_eq!(
        world.seat("a", "small").mac.to_string(),
        pontoon::model::Mac::of_ipv4([10, 3, 0, 3].into()).to_string()
    );
}

#[test]
fn never_those_set_aside() {
    let world = World::new();
    let pool = json!({"subnet": "10.4.0.0/29", "gateway": "10.4.0.3", "aux": {"nas": "10.4.0.4"}});
    world.ok("Network.Create", json!({"name": "small", "pools": [pool]}));
    let given: Vec<String> = ["a", "b", "c", "d"].iter().map(|name| join(&world, name)).collect();
    assert_eq!(given, ["10.4.0.1", "10.4.0.2", "10.4.0.5", "10.4.0.6"]);
}

#[test]
fn both_families() {
    let world = World::new();
    world.ok(
        "Network.Create",
        json!({"name": "small", "pools": [{"subnet": "10.5.0.0/24"}, {"subnet": "fd00:5::/64"}]}),
    );
    join(&world, "a");
    let addresses: Vec<String> = world.seat("a", "small").addresses.iter().map(ToString::to_string).collect();
    assert_eq!(addresses, ["10.5.0.2/24", "fd00:5::2/64"]);
}

#[test]
fn a_picked_subnet_collides_with_nothing() {
    let world = World::new();
    let first = pontoon::ipam::default_pools()[0].base;
    world.kernel.set_surroundings(&[first], &[]);
    world.resolvers().nameservers.lock().push("172.18.0.53".parse().expect("an address"));
    world.ok("Network.Create", json!({"name": "n"}));
    let subnet = world.network("n").subnets[0].subnet;
    assert!(!first.overlaps(&subnet), "{subnet} overlaps with a route");
    assert!(!subnet.contains("172.18.0.53".parse().expect("an address")), "{subnet} hides the nameserver");
}

#[test]
fn host_bits_are_cleared_with_a_warning() {
    let world = World::new();
    let pool = json!({"subnet": "182.18.0.1/16", "gateway": "182.18.0.1"});
    let reply = world.ok("Network.Create", json!({"name": "n", "pools": [pool]}));
    let pontoon::model::Reply::Created(created) = reply else { panic!("{reply:?}") };
    assert_eq!(created.warnings, ["subnet 182.18.0.1/16 has host bits set: 182.18.0.0/16 is used"]);
    assert_eq!(world.network("n").subnets[0].subnet.to_string(), "182.18.0.0/16");
}
