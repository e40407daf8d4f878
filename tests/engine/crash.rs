//! The daemon dies at every step of every kind of command, and of the start that follows: the next start mends it.
use crate::support::{World, command, converged};
use serde_json::{Value, json};

/// A machine on which every kind of command has something to do.
pub fn base() -> World {
    let world = World::new();
    world.ok("Network.Create", json!({"name": "front", "pools": [{"subnet": "10.1.0.0/24"}]}));
    world.ok(
        "Network.Create",
        json!({"name": "back", "pools": [{"subnet": "10.2.0.0/24"}, {"subnet": "fd00:2::/64"}]}),
    );
    world.ok("Network.Create", json!({"name": "empty", "options": {"name": "emptybr"}}));
    world.ok("Volume.Create", json!({"name": "spare"}));
    world.ok("Volume.Create", json!({"name": "scratch", "options": {"type": "tmpfs", "device": "tmpfs"}}));
    world.kernel.make_namespace("/run/netns/given");
    world.kernel.start_process(41);
    let mounts = json!([
        {"kind": "volume", "source": "scratch", "target": "/scratch"},
        {"kind": "volume", "target": "/cache", "driver_options": {"type": "tmpfs", "device": "tmpfs"}},
    ]);
    let ports = json!([{"port": 80, "host_port": 8080}, {"port": 53, "host_port": 5353, "proto": "udp"}]);
    let networks = json!([{"network": "front"}, {"network": "back", "bandwidth": limits()}]);
    world.ok(
        "Sandbox.Create",
        json!({"name": "web", "networks": networks, "ports": ports, "mounts": mounts, "auto_remove": true}),
    );
    world.ok("Sandbox.Create", json!({"name": "app", "networks": [{"network": "back"}], "netns": "/run/netns/given", "ports": [{"port": 1, "host_port": 9000}]}));
    world
}

fn limits() -> Value {
    json!({"ingress": {"rate": 8_000_000, "burst": 800_000}, "egress": {"rate": 80_000, "burst": 80_000}})
}

/// One command of every kind: name, method, body.
pub fn kinds() -> Vec<(&'static str, &'static str, Value)> {
    let mounts = json!([
        {"kind": "volume", "source": "fresh", "target": "/fresh"},
        {"kind": "volume", "source": "scratch", "target": "/scratch"},
        {"kind": "volume", "target": "/anonymous", "driver_options": {"type": "tmpfs", "device": "tmpfs"}},
    ]);
    let networks = json!([{"network": "front", "aliases": ["shop"]}, {"network": "back", "priority": 5, "bandwidth": limits()}]);
    let ports =
        json!([{"port": 80, "host_port": 80}, {"port": 7000, "host_port": 7000, "count": 9}, {"port": 443}]);
    vec![
        (
            "create a network",
            "Network.Create",
            json!({"name": "new", "ipv6": true, "options": {"name": "newbr"}}),
        ),
        ("create an internal network", "Network.Create", json!({"name": "new", "internal": true})),
        ("remove a network", "Network.Remove", json!({"name": "empty"})),
        (
            "create a sandbox",
            "Sandbox.Create",
            json!({"name": "new", "networks": networks, "ports": ports, "mounts": mounts}),
        ),
        (
            "create a sandbox without network",
            "Sandbox.Create",
            json!({"name": "new", "networks": [{"network": "none"}]}),
        ),
        (
            "share a sandbox",
            "Sandbox.Create",
            json!({"name": "new", "networks": [{"network": "sandbox:web"}]}),
        ),
        ("remove a sandbox", "Sandbox.Remove", json!({"name": "web"})),
        ("remove a runtime's sandbox", "Sandbox.Remove", json!({"name": "app", "volumes": true})),
        (
            "connect",
            "Network.Connect",
            json!({"sandbox": "app", "endpoint": {"network": "front", "priority": 9, "bandwidth": limits()}}),
        ),
        ("disconnect", "Network.Disconnect", json!({"sandbox": "web", "network": "back"})),
        ("disconnect the last", "Network.Disconnect", json!({"sandbox": "app", "network": "back"})),
        ("start", "Sandbox.Start", json!({"name": "web", "pid": 41})),
        ("create a volume", "Volume.Create", json!({"name": "new"})),
        ("remove a volume", "Volume.Remove", json!({"name": "spare"})),
    ]
}

/// After a start everything agrees, what stood before stands, and the command can be given again.
fn mended(world: &World, what: &str, (method, body): (&str, &Value)) {
    converged(world);
    for network in ["front", "back", "bridge", "host", "none"] {
        world.network(network);
    }
    world.volume("scratch");
    let again = world.run(command(method, body.clone()));
    if let Err(error) = &again {
        let fine =
            ["already", "not found", "not connected"].iter().any(|words| error.to_string().contains(words));
        assert!(fine, "{what}, again: {error}");
    }
    converged(world);
    world.ok("Network.Create", json!({"name": "later", "pools": [{"subnet": "10.77.0.0/24"}]}));
    world.ok("Sandbox.Create", json!({"name": "later", "networks": [{"network": "later"}, {"network": "front"}], "ports": [{"port": 80}]}));
    world.ok("Sandbox.Remove", json!({"name": "later"}));
    world.ok("Network.Remove", json!({"name": "later"}));
    converged(world);
}

#[test]
fn death_at_any_step_of_any_command() {
    let cases = deaths(false);
    assert!(cases > 100, "{cases} deaths");
}

/// The kernel's work is done, all that goes ahead of it, before the promise is on the disk.
#[test]
fn death_before_the_promise() {
    let cases = deaths(true);
    assert!(cases > 100, "{cases} deaths");
}

fn deaths(slow_disk: bool) -> usize {
    let mut cases = 0;
    for (what, method, body) in kinds() {
        for step in 0.. {
            let mut world = base();
            world.disk.set_slow(slow_disk);
            world.kernel.crash_after(step);
            let reply = world.run(command(method, body.clone()));
            if !world.kernel.crashed() {
                assert!(reply.is_ok(), "{what}: {reply:?}");
                world.restart();
                let view = world.engine().view();
                let expected = !method.ends_with("Remove");
                let name = body["name"].as_str().unwrap_or("web");
                let there = match method.split_once('.') {
                    Some(("Network", "Connect" | "Disconnect")) => expected,
                    Some(("Network", _)) => view.find_network(name).is_ok(),
                    Some(("Sandbox", _)) => view.find_sandbox(name).is_ok(),
                    _ => view.find_volume(name).is_ok(),
                };
                assert_eq!(there, expected, "{what}: acknowledged, so it holds");
                mended(&world, what, (method, &body));
                break;
            }
            cases += 1;
            assert!(reply.is_err(), "{what}, step {step}: nobody is told of what a dead daemon did");
            world.restart();
            mended(&world, &format!("{what}, step {step}"), (method, &body));
        }
    }
    println!("{cases} deaths, slow disk: {slow_disk}");
    cases
}

#[test]
fn death_while_mending() {
    let cases = deaths_while_mending(false) + deaths_while_mending(true);
    println!("{cases} deaths while mending");
    assert!(cases > 200, "{cases} deaths while mending");
}

fn deaths_while_mending(slow_disk: bool) -> usize {
    let mut cases = 0;
    for (what, method, body) in kinds() {
        for step in 0.. {
            let mut world = base();
            // In the middle of its work, and then again at every step of the next start.
            world.disk.set_slow(slow_disk);
            world.kernel.crash_after(4);
            let _ = world.run(command(method, body.clone()));
            let started = world.start_dying(Some(step));
            let died = world.kernel.crashed();
            cases += 1;
            if !died {
                started.expect("a start");
                break;
            }
            world.restart();
            mended(&world, &format!("{what}, mending, step {step}"), (method, &body));
        }
    }
    cases
}

#[test]
fn death_at_any_step_of_the_first_start() {
    let mut cases = 0;
    for step in 0.. {
        let mut world = World::new();
        world.stop();
        world.disk = Default::default();
        let started = world.start_dying(Some(step));
        if !world.kernel.crashed() {
            started.expect("a start");
            break;
        }
        cases += 1;
        world.restart();
        converged(&world);
    }
    assert!(cases > 5, "{cases} deaths at the first start");
}
