//! Interfaces that a runtime fetches from the host: made once, never made again, gone when the runtime's end is. And
//! addresses for those that another program makes.
use crate::support::{World, converged};
use pontoon::model::kernel::{Element, Item, LinkKind};
use serde_json::{Value, json};

fn container(world: &World, name: &str) {
    world.ok(
        "Sandbox.Create",
        json!({"name": name, "handed": true, "networks": [{"network": "n", "mac": "02:00:00:00:00:09"}]}),
    );
}

fn world() -> World {
    let world = World::new();
    world.ok("Network.Create", json!({"name": "n", "pools": [{"subnet": "10.9.0.0/24"}]}));
    world
}

fn published(world: &World) -> usize {
    let is_port = |item: &Item| matches!(item, Item::Element(Element::Port { .. }));
    world.kernel.items().iter().filter(|item| is_port(item)).count()
}

#[test]
fn we_make_the_pair_and_nothing_inside() {
    let world = world();
    container(&world, "c");
    let seat = world.seat("c", "n");
    let items = world.kernel.items();
    let link = items.iter().find_map(|item| if let Item::Link(link) = item { Some(link) } else { None });
    let link = link.expect("a link");
    assert!(matches!(link.kind, LinkKind::Handed { .. }), "{link:?}");
    assert_eq!(link.name.as_str(), format!("ph{}", &seat.id.to_string()[..12]));
    let inside = |item: &&Item| matches!(item, Item::Namespace(_) | Item::Routes(_) | Item::Resolver(_));
    assert_eq!(items.iter().find(inside), None);
    converged(&world);
    assert!(
        world
            .refused("Network.Connect", json!({"sandbox": "c", "endpoint": {"network": "bridge"}}))
            .contains("one seat of a runtime's container")
    );
    world.ok("Sandbox.Remove", json!({"name": "c"}));
    converged(&world);
}

#[test]
fn a_restart_leaves_it_and_a_reboot_ends_it() {
    let mut world = world();
    container(&world, "c");
    world.kernel.take_log();
    world.restart();
    assert!(world.has_sandbox("c"));
    assert!(world.kernel.take_log().is_empty(), "a restart touches nothing");
    converged(&world);
    world.reboot();
    assert!(!world.has_sandbox("c"));
    converged(&world);
}

#[test]
fn what_the_runtime_let_go_is_not_made_again() {
    let mut world = world();
    container(&world, "c");
    world.kernel.lose_link(world.seat("c", "n").id);
    world.drifted();
    world.ok("Volume.Create", json!({}));
    let links = |world: &World| world.kernel.items().iter().filter(|i| matches!(i, Item::Link(_))).count();
    assert_eq!(links(&world), 0);
    world.ok("Sandbox.Remove", json!({"name": "c"}));
    converged(&world);
    container(&world, "d");
    world.kernel.lose_link(world.seat("d", "n").id);
    world.restart();
    assert!(!world.has_sandbox("d"));
    converged(&world);
}

#[test]
fn ports_come_and_go_while_it_runs() {
    let mut world = world();
    container(&world, "c");
    let publish =
        |world: &World, ports: Value| world.call("Sandbox.Publish", json!({"name": "c", "ports": ports}));
    publish(&world, json!([{"port": 80, "host_port": 8080}])).expect("published");
    publish(&world, json!([{"port": 80, "host_port": 8080}, {"port": 81, "host_port": 8081}]))
        .expect("again");
    assert_eq!(published(&world), 2);
    converged(&world);
    world.restart();
    assert_eq!(published(&world), 2);
    world.ok("Sandbox.Create", json!({"name": "other", "ports": [{"port": 80, "host_port": 9090}]}));
    let refused = publish(&world, json!([{"port": 80, "host_port": 9090}])).expect_err("taken");
    assert!(refused.to_string().contains("other"), "{refused}");
    assert_eq!(world.sandbox("c").ports.len(), 2);
    converged(&world);
    publish(&world, json!([])).expect("none");
    assert_eq!(world.sandbox("c").ports.len(), 0);
    world.ok("Sandbox.Create", json!({"name": "third", "ports": [{"port": 80, "host_port": 8080}]}));
    converged(&world);
}

fn twins(world: &World) -> Vec<String> {
    let device = |item: &Item| match item {
        Item::Element(Element::Twin(device, address)) => Some(format!("{device} {address}")),
        _ => None,
    };
    world.kernel.items().iter().filter_map(device).collect()
}

/// A neighbour of its second network is answered past the NAT unless the kernel knows that both seats are one container's.
#[test]
fn seats_of_one_container_know_of_each_other() {
    let mut world = world();
    world.ok("Network.Create", json!({"name": "m", "pools": [{"subnet": "10.8.0.0/24"}], "options": {"com.docker.network.bridge.name": "brm"}}));
    let seat = |world: &World, name: &str, network: &str| {
        world.ok("Sandbox.Create", json!({"name": name, "handed": true, "networks": [{"network": network}]}));
    };
    let joins = |world: &World, name: &str, key: &str| {
        world.ok("Sandbox.Update", json!({"name": name, "container": key}));
    };
    let publish = |world: &World, name: &str, ports: Value| {
        world.ok("Sandbox.Publish", json!({"name": name, "ports": ports}));
    };
    let ports = json!([{"port": 80, "host_port": 8080}]);
    seat(&world, "one", "n");
    seat(&world, "two", "m");
    seat(&world, "stranger", "m");
    joins(&world, "one", "/run/netns/1");
    publish(&world, "one", ports.clone());
    joins(&world, "stranger", "/run/netns/2");
    assert_eq!(twins(&world), [""; 0]);
    joins(&world, "two", "/run/netns/1");
    let wanted = [format!("brm {}", world.seat("one", "n").addresses[0].address)];
    assert_eq!(twins(&world), wanted);
    converged(&world);
    world.restart();
    assert_eq!(twins(&world), wanted);
    converged(&world);
    // The ports go and come, then the other seat does.
    publish(&world, "one", json!([]));
    assert_eq!(twins(&world), [""; 0]);
    publish(&world, "one", ports.clone());
    assert_eq!(twins(&world), wanted);
    world.ok("Sandbox.Remove", json!({"name": "two"}));
    assert_eq!(twins(&world), [""; 0]);
    converged(&world);
    seat(&world, "two", "m");
    joins(&world, "two", "/run/netns/1");
    assert_eq!(twins(&world), wanted);
    // Started anew, in another namespace.
    joins(&world, "two", "/run/netns/3");
    assert_eq!(twins(&world), [""; 0]);
    joins(&world, "two", "/run/netns/1");
    world.ok("Sandbox.Remove", json!({"name": "one"}));
    assert_eq!(twins(&world), [""; 0]);
    converged(&world);
    world.ok("Sandbox.Create", json!({"name": "own"}));
    let refused = world.refused("Sandbox.Update", json!({"name": "own", "container": "x"}));
    assert!(refused.contains("a container of its own"), "{refused}");
}

#[test]
fn leased_addresses_stay_over_a_restart_and_end_with_the_namespace() {
    let mut world = world();
    world.kernel.make_namespace("/run/netns/x");
    let before = world.kernel.items();
    let networks = json!([{"network": "n", "ip": "10.9.0.2"}]);
    world.ok(
        "Sandbox.Create",
        json!({"name": "l", "leased": true, "netns": "/run/netns/x", "networks": networks}),
    );
    assert_eq!(world.kernel.items(), before, "addresses alone");
    let taken = |world: &World| world.call("Sandbox.Create", json!({"name": "c", "networks": networks}));
    assert!(taken(&world).is_err());
    world.restart();
    assert!(taken(&world).is_err());
    world.kernel.remove_namespace(std::path::Path::new("/run/netns/x"));
    world.until("the release", |world| !world.has_sandbox("l"));
    taken(&world).expect("free again");
    converged(&world);
}

#[test]
fn refusals() {
    let world = world();
    world.kernel.make_namespace("/run/netns/x");
    let leased =
        json!({"name": "l", "leased": true, "netns": "/run/netns/x", "networks": [{"network": "n"}]});
    world.ok("Sandbox.Create", leased);
    world.ok("Sandbox.Create", json!({"name": "h", "networks": [{"network": "host"}]}));
    crate::support::refuses(
        &world,
        crate::refusals! {
            "Sandbox.Create" {"name": "x", "handed": true, "netns": "/run/netns/x", "networks": [{"network": "n"}]}
                => Invalid "handed and netns exclude each other: say which of both it is"
            "Sandbox.Create" {"name": "x", "handed": true, "networks": [{"network": "host"}]}
                => Invalid "interfaces can be handed over only in networks with a bridge"
            "Sandbox.Publish" {"name": "h", "ports": [{"port": 80}]}
                => Invalid "sandbox h has no network of its own: it cannot publish ports"
            "Sandbox.Publish" {"name": "l", "ports": [{"port": 80}]}
                => Invalid "sandbox l has no network of its own: it cannot publish ports"
            "Network.Connect" {"sandbox": "l", "endpoint": {"network": "bridge"}}
                => Invalid "sandbox l is addresses alone, for a container that somebody else connects"
            "Sandbox.Create" {"name": "x", "leased": true, "networks": [{"network": "n"}]}
                => Invalid "leased addresses need the path of a namespace, and publish no ports"
            "Sandbox.Publish" {"name": "x", "ports": []}
                => NotFound "sandbox x not found: `pontoon sandbox ls` lists them"
        },
    );
}
