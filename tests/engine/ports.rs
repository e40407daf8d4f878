//! Published ports: chosen, held, moved, freed.
use crate::support::{World, converged};
use pontoon::model::{
    Proto,
    kernel::{Element, Item},
};
use serde_json::{Value, json};
use std::thread;

fn leads_to(world: &World, port: u16) -> Vec<String> {
    let items = world.kernel.items().into_iter();
    let to = items.filter_map(|item| match item {
        Item::Element(Element::Port { port: at, to, .. }) if at == port => Some(to.to_string()),
        _ => None,
    });
    to.collect()
}

#[test]
fn a_chosen_port_that_a_program_has_is_chosen_anew() {
    let world =
        World::with(|settings| settings.ephemeral = pontoon::ipam::Ephemeral::new(40_000, 40_009, []));
    for port in 40_000..40_003 {
        assert!(world.kernel.bind("nc (pid 9)", Proto::Tcp, None, port));
    }
    world.ok("Sandbox.Create", json!({"name": "a", "ports": [{"port": 80}]}));
    assert_eq!(world.sandbox("a").ports[0].host_port, 40_003);
    converged(&world);
}

#[test]
fn after_some_rounds_it_gives_up_and_says_who_has_it() {
    let world =
        World::with(|settings| settings.ephemeral = pontoon::ipam::Ephemeral::new(40_000, 40_002, []));
    for port in 40_000..=40_002 {
        assert!(world.kernel.bind("nc (pid 9)", Proto::Tcp, None, port));
    }
    let words = world.refused("Sandbox.Create", json!({"name": "a", "ports": [{"port": 80}]}));
    assert_eq!(words, "port 40002/tcp is in use on the host by nc (pid 9)");
    converged(&world);
}

#[test]
fn a_published_port_is_reserved() {
    let world = World::new();
    world.ok("Sandbox.Create", json!({"name": "a", "ports": [{"port": 80, "host_port": 8080}]}));
    assert!(!world.kernel.bind("nc (pid 9)", Proto::Tcp, None, 8080), "it is held");
    assert!(world.kernel.bind("nc (pid 9)", Proto::Udp, None, 8080), "udp is another port");
    world.ok("Sandbox.Remove", json!({"name": "a"}));
    assert!(world.kernel.bind("nc (pid 9)", Proto::Tcp, None, 8080), "it is free");
}

#[test]
fn ports_and_default_route_move_with_the_networks() {
    let world = World::new();
    for (name, subnet, internal) in
        [("a", "10.1.0.0/24", false), ("b", "10.2.0.0/24", false), ("c", "10.3.0.0/24", true)]
    {
        world
            .ok("Network.Create", json!({"name": name, "internal": internal, "pools": [{"subnet": subnet}]}));
    }
    let ports = json!([{"port": 80, "host_port": 8080}]);
    world.ok("Sandbox.Create", json!({"name": "s", "networks": [{"network": "b"}], "ports": ports}));
    let through = |world: &World| world.sandbox("s").gateway_network.map(|name| name.to_string());
    let steps = [
        (
            "Network.Connect",
            json!({"sandbox": "s", "endpoint": {"network": "c", "priority": 99}}),
            Some("b"),
            vec!["10.2.0.2:80"],
        ),
        (
            "Network.Connect",
            json!({"sandbox": "s", "endpoint": {"network": "a"}}),
            Some("a"),
            vec!["10.1.0.2:80"],
        ),
        ("Network.Disconnect", json!({"sandbox": "s", "network": "b"}), Some("a"), vec!["10.1.0.2:80"]),
        (
            "Network.Connect",
            json!({"sandbox": "s", "endpoint": {"network": "b", "priority": 1}}),
            Some("b"),
            vec!["10.2.0.3:80"],
        ),
        ("Network.Disconnect", json!({"sandbox": "s", "network": "b"}), Some("a"), vec!["10.1.0.2:80"]),
        ("Network.Disconnect", json!({"sandbox": "s", "network": "a"}), None, vec![]),
        (
            "Network.Connect",
            json!({"sandbox": "s", "endpoint": {"network": "b"}}),
            Some("b"),
            vec!["10.2.0.4:80"],
        ),
    ];
    for (method, body, gateway, to) in steps {
        let step = format!("{method} {body}");
        world.ok(method, body);
        assert_eq!(through(&world).as_deref(), gateway, "{step}");
        assert_eq!(leads_to(&world, 8080), to, "{step}");
        converged(&world);
    }
}

#[test]
fn many_ports_at_once() {
    let world = World::new();
    let ports: Vec<_> = (0..1_000).map(|i| json!({"port": 1_000 + i, "host_port": 20_000 + 2 * i})).collect();
    world.ok("Sandbox.Create", json!({"name": "a", "ports": ports}));
    assert_eq!(world.sandbox("a").ports.len(), 1_000);
    converged(&world);
    world.ok("Sandbox.Remove", json!({"name": "a"}));
    converged(&world);
}

#[test]
fn ports_are_added_by_many_at_once() {
    let world = World::new();
    world.ok("Sandbox.Create", json!({"name": "a", "ports": [{"port": 80, "host_port": 8080}]}));
    world.ok("Sandbox.Create", json!({"name": "b", "ports": [{"port": 80, "host_port": 9_000}]}));
    let add = |ports: Value| world.call("Sandbox.Publish", json!({"name": "a", "add": true, "ports": ports}));
    thread::scope(|scope| {
        for i in 0..32 {
            let ports = json!([{"port": 80}, {"port": 100 + i, "host_port": 9_100 + i}, {"port": 200 + i}]);
            scope.spawn(move || add(ports).expect("add"));
        }
    });
    assert_eq!(world.sandbox("a").ports.len(), 1 + 2 * 32, "what was there, and two of each");
    converged(&world);
    let before = (world.disk.commits(), world.sandbox("a").ports);
    add(json!([{"port": 131, "host_port": 9_131}, {"port": 80}])).expect("there already");
    for (ports, words) in [
        (json!([{"port": 1}, {"port": 2, "host_port": 9_000}]), "9000"),
        (json!([{"port": 80, "count": 0}]), "at least 1"),
    ] {
        let error = add(ports).expect_err("refused").to_string();
        assert!(error.contains(words), "{error}");
    }
    assert_eq!((world.disk.commits(), world.sandbox("a").ports), before, "nothing was changed");
    converged(&world);
}
