//! Subnets that a runtime reserves, networks upon them, and addresses that both give out.
use crate::support::{World, converged};
use pontoon::model::{Reply, reservation::Reservation};
use serde_json::json;

fn reserve(world: &World, body: serde_json::Value) -> Reservation {
    match world.ok("Pool.Reserve", body) {
        Reply::Reservation(made) => made,
        other => panic!("{other:?}"),
    }
}

fn take(world: &World, pool: &Reservation) -> String {
    match world.ok("Pool.Take", json!({"pool": pool.id})) {
        Reply::Address(address) => address.to_string(),
        other => panic!("{other:?}"),
    }
}

fn left(world: &World) -> usize {
    world.engine().view().reservations.size()
}

#[test]
fn a_network_upon_it_and_its_addresses() {
    let mut world = World::new();
    let pool = reserve(&world, json!({}));
    assert_eq!(pool.subnet.to_string(), "172.18.0.0/16");
    assert_eq!(take(&world, &pool), "172.18.0.1/16");
    let upon = json!([{"subnet": "172.18.0.0/16", "gateway": "172.18.0.1", "reserved": true}]);
    world.ok("Network.Create", json!({"name": "n", "pools": upon}));
    let address = take(&world, &pool);
    assert_eq!(address, "172.18.0.2/16");
    world.ok(
        "Sandbox.Create",
        json!({"name": "c", "handed": true, "networks": [{"network": "n", "ip": "172.18.0.2"}]}),
    );
    // One of our own has the next, whoever asks.
    world.ok("Sandbox.Create", json!({"name": "ours", "networks": [{"network": "n"}]}));
    assert_eq!(world.seat("ours", "n").addresses[0].to_string(), "172.18.0.3/16");
    converged(&world);
    world.restart();
    assert_eq!(take(&world, &pool), "172.18.0.4/16");
    assert!(world.refused("Pool.Take", json!({"pool": pool.id, "address": "172.18.0.3"})).contains("in use"));
    assert!(world.refused("Pool.Take", json!({"pool": pool.id, "address": "172.18.0.2"})).contains("in use"));
    // In either order: the address is free when the last of both has let it go.
    world.ok("Pool.GiveBack", json!({"pool": pool.id, "address": "172.18.0.2"}));
    assert!(world.refused("Pool.Take", json!({"pool": pool.id, "address": "172.18.0.2"})).contains("in use"));
    world.ok("Sandbox.Remove", json!({"name": "c"}));
    world.ok("Pool.Take", json!({"pool": pool.id, "address": "172.18.0.2"}));
    assert!(world.refused("Pool.Release", json!({"pool": pool.id})).contains("in use by network n"));
    world.ok("Sandbox.Remove", json!({"name": "ours"}));
    world.ok("Network.Remove", json!({"name": "n"}));
    assert_eq!(left(&world), 0);
    converged(&world);
    assert_eq!(reserve(&world, json!({})).subnet, pool.subnet);
}

#[test]
fn without_a_network_of_ours() {
    let mut world = World::new();
    let pool = reserve(&world, json!({"subnet": "10.9.0.0/24", "range": "10.9.0.128/25"}));
    assert_eq!(take(&world, &pool), "10.9.0.128/24");
    let six = reserve(&world, json!({"ipv6": true}));
    assert!(take(&world, &six).ends_with("::1/64"));
    world.restart();
    assert_eq!(take(&world, &pool), "10.9.0.129/24");
    world.reboot();
    assert_eq!(left(&world), 2);
    world.ok("Pool.Release", json!({"pool": pool.id}));
    world.ok("Pool.Release", json!({"pool": six.id}));
    world.restart();
    assert_eq!(left(&world), 0);
}

#[test]
fn refusals() {
    let world = World::new();
    world.ok("Network.Create", json!({"name": "n", "pools": [{"subnet": "10.8.0.0/24"}]}));
    let pool = reserve(&world, json!({"subnet": "10.9.0.0/24"}));
    world.ok(
        "Network.Create",
        json!({"name": "m", "pools": [{"subnet": "10.9.0.0/24", "gateway": "10.9.0.1", "reserved": true}]}),
    );
    crate::support::refuses(
        &world,
        crate::refusals! {
            "Pool.Reserve" {"subnet": "10.8.0.0/25"}
                => Conflict "subnet 10.8.0.0/25 overlaps with 10.8.0.0/24 of network n: choose another"
            "Pool.Reserve" {"subnet": "10.9.0.0/25"}
                => Conflict "subnet 10.9.0.0/25 overlaps with 10.9.0.0/24, which a runtime has reserved: choose another"
            "Network.Create" {"name": "x", "pools": [{"subnet": "10.9.0.0/16"}]}
                => Conflict "subnet 10.9.0.0/16 overlaps with 10.9.0.0/24, which a runtime has reserved: choose another"
            "Network.Create" {"name": "x", "pools": [{"subnet": "10.9.0.0/24", "reserved": true}]}
                => Conflict "subnet 10.9.0.0/24 is in use by network m"
            "Network.Create" {"name": "x", "pools": [{"subnet": "10.7.0.0/24", "reserved": true}]}
                => NotFound "subnet 10.7.0.0/24 is not reserved: ask for it with Pool.Reserve"
            "Sandbox.Create" {"name": "x", "networks": [{"network": "m", "ip": "10.9.0.1"}]}
                => Invalid "address 10.9.0.1 cannot be had in network m: it is set aside; ask for another"
        },
    );
    assert!(
        world
            .refused("Pool.Take", json!({"pool": pool.id, "address": "10.7.0.1"}))
            .contains("does not lie in")
    );
}
