//! Restarts that nobody notices, reboots, drift, and the host left as found.
use crate::{
    kinds::base,
    support::{World, converged, is_converged, snapshot},
};
use pontoon::model::kernel::{Item, Op};
use serde_json::json;

#[test]
fn a_restart_touches_only_what_died_with_the_process() {
    let mut world = base();
    world.kernel.make_namespace("/run/netns/other");
    world.ok("Sandbox.Create", json!({"name": "other", "netns": "/run/netns/other"}));
    let before = snapshot(&world);
    world.kill();
    world.kernel.take_log();
    world.restart();
    let ops = world.kernel.take_log();
    let in_process = |op: &Op| matches!(op, Op::Add(Item::Hold(_) | Item::Namespace(_) | Item::Resolver(_)));
    let others: Vec<_> = ops.iter().filter(|op| !in_process(op)).collect();
    assert!(others.is_empty(), "a restart did {others:#?}");
    assert!(!ops.is_empty());
    assert_eq!(snapshot(&world), before);
    converged(&world);
}

#[test]
fn a_reboot_brings_promises_back_and_releases_sandboxes() {
    let mut world = base();
    world.ok(
        "Sandbox.Create",
        json!({"name": "new", "leased": true, "netns": "/run/netns/leased", "networks": [{"network": "back"}]}),
    );
    let reserved = world.disk.contents().reservations;
    assert_eq!(reserved.iter().map(|pool| pool.addresses.len()).sum::<usize>(), 2);
    let (seat, leased) = (world.address("seat", "front"), world.address("new", "back"));
    world.reboot();
    converged(&world);
    let view = world.engine().view();
    assert_eq!(view.sandboxes.size(), 0, "made, given, handed and leased ones");
    for network in ["front", "back", "empty", "plan", "bridge", "host", "none"] {
        world.network(network);
    }
    for volume in ["spare", "scratch", "lent"] {
        world.volume(volume);
    }
    assert_eq!(view.volumes.size(), 3, "the anonymous volume went with its sandbox");
    assert_eq!(world.disk.contents().reservations, reserved, "subnets, and the addresses taken of them");
    // A mount that a runtime asked for did not outlive the boot.
    world.ok("Volume.Remove", json!({"name": "lent"}));
    // All they had is free: a static address, a port, what was handed over, what was leased.
    for (name, network, ip) in
        [("web", "front", "10.1.0.2"), ("seat", "front", seat.as_str()), ("leased", "back", leased.as_str())]
    {
        world.ok("Sandbox.Create", json!({"name": name, "networks": [{"network": network, "ip": ip}]}));
    }
    let ports = json!([{"port": 80, "host_port": 8080}, {"port": 1, "host_port": 9000}, {"port": 2, "host_port": 9001}]);
    world.ok("Sandbox.Publish", json!({"name": "web", "ports": ports}));
    converged(&world);
}

#[test]
fn a_reboot_ends_what_only_a_boot_can_end() {
    let mut world = base();
    world.ok("Sandbox.Create", json!({"name": "plain", "networks": [{"network": "host"}]}));
    world.kernel.make_namespace("/run/netns/theirs");
    world.ok("Sandbox.Create", json!({"name": "theirs", "netns": "/run/netns/theirs"}));
    world.kill();
    world.restart();
    assert!(world.has_sandbox("plain") && world.has_sandbox("theirs"), "a restart is no reboot");
    // A namespace of the new boot may stand at the same path, with the inode of the old one.
    world.reboot_keeping_namespaces();
    converged(&world);
    assert_eq!(world.engine().view().sandboxes.size(), 0);
}

#[test]
fn what_ended_meanwhile_is_released() {
    let mut world = base();
    world.kernel.start_process(50);
    world.kernel.make_namespace("/run/netns/replaced");
    world.ok("Sandbox.Create", json!({"name": "run"}));
    world.ok("Sandbox.Start", json!({"name": "run", "pid": 50}));
    world.ok("Sandbox.Create", json!({"name": "beside", "networks": [{"network": "sandbox:run"}]}));
    world.ok("Sandbox.Create", json!({"name": "replaced", "netns": "/run/netns/replaced"}));
    world.kill();
    world.kernel.end_process(50);
    // The same path, another namespace.
    world.kernel.make_namespace("/run/netns/replaced");
    world.restart();
    converged(&world);
    let left: Vec<bool> =
        ["web", "app", "run", "beside", "replaced"].iter().map(|name| world.has_sandbox(name)).collect();
    assert_eq!(left, [true, true, false, false, false]);
    let told: Vec<_> =
        world.events().iter().filter(|e| e.action == "release").map(|e| e.name.clone()).collect();
    assert_eq!(told.len(), 3, "{told:?}");
}

#[test]
fn drift_is_mended_at_the_next_start() {
    let bridge = |world: &World| world.network("front").device.expect("a bridge");
    type Damage = Box<dyn Fn(&World)>;
    let damages: Vec<(&str, Damage)> = vec![
        ("the ruleset was flushed", Box::new(|world| world.kernel.flush_elements())),
        ("a bridge was deleted", Box::new(move |world| world.kernel.delete_interface(&bridge(world)))),
        (
            "a link was deleted",
            Box::new(|world| {
                let end = world.seat("web", "front").host_ifname.expect("a veth");
                world.kernel.delete_interface(&end);
            }),
        ),
        (
            "a sandbox lost the address that its default route needs",
            Box::new(|world| world.kernel.strip_link(world.seat("app", "back").id)),
        ),
        (
            "a sandbox lost its address",
            Box::new(|world| world.kernel.strip_link(world.seat("web", "front").id)),
        ),
    ];
    for (what, damage) in damages {
        let mut world = base();
        damage(&world);
        println!("{what}");
        world.restart();
        converged(&world);
    }
}

#[test]
fn the_host_is_left_as_found_when_nobody_needs_it() {
    let mut world = World::new();
    world.ok("Network.Create", json!({"name": "n"}));
    world.stop();
    assert_eq!(world.kernel.items(), []);
    world.restart();
    converged(&world);
    world.network("n");
    world.ok("Sandbox.Create", json!({"name": "s"}));
    let before = world.kernel.items();
    world.stop();
    assert_eq!(world.kernel.items(), before, "with a sandbox alive everything stays");
}

#[test]
fn addresses_go_on_behind_the_last_one() {
    let mut world = World::new();
    for name in ["a", "b", "c"] {
        world.ok("Sandbox.Create", json!({"name": name}));
    }
    world.ok("Sandbox.Remove", json!({"name": "b"}));
    world.restart();
    world.ok("Sandbox.Create", json!({"name": "d"}));
    assert_eq!(world.address("d", "bridge"), "172.17.0.5");
}

#[test]
fn a_full_disk_does_not_keep_the_living_waiting() {
    let mut world = base();
    world.kernel.start_process(50);
    world.ok("Sandbox.Create", json!({"name": "run"}));
    world.ok("Sandbox.Start", json!({"name": "run", "pid": 50}));
    world.kill();
    world.kernel.end_process(50);
    world.disk.set_full(true);
    world.restart();
    let web = world.sandbox("web").id;
    assert!(world.resolvers().served().contains(&web), "its names are served");
    world.disk.set_full(false);
    world.until("the release", |world| !world.has_sandbox("run"));
    world.settle();
    converged(&world);
}

/// The notice comes later, or while a fight pauses: the call does not wait for it.
#[test]
fn a_call_that_finds_its_bridge_gone_puts_it_right_first() {
    let world = base();
    let bridge = world.network("front").device.expect("a bridge");
    world.kernel.delete_interface(&bridge);
    world.ok("Sandbox.Create", json!({"name": "late", "networks": [{"network": "front"}]}));
    converged(&world);
    let told = world.events().iter().filter(|event| event.action == "repair").count();
    assert_eq!(told, 1, "and it is said");
}

/// While the kernel takes a thousand ports off a bridge that somebody deletes, the first of them are heard of, and nothing yet
/// of the bridge.
#[test]
fn a_port_that_is_off_its_bridge_leads_to_the_bridge() {
    let world = base();
    world.ok("Sandbox.Create", json!({"name": "s", "networks": [{"network": "front"}]}));
    let bridge = world.network("front").device.expect("a bridge");
    world.kernel.delete_interface(&bridge);
    world.noticed(pontoon::host::Suspect::Port(world.seat("s", "front").id));
    world.settle();
    let stands = |item: &Item| matches!(item, Item::Bridge(seen) if seen.name == bridge);
    assert!(world.kernel.items().iter().any(stands), "the bridge is made anew");
    let told: Vec<String> = world.events().iter().map(|event| format!("{event:?}")).collect();
    let told: Vec<&String> = told.iter().filter(|event| event.contains("repair")).collect();
    assert!(matches!(&told[..], [only] if only.contains("bridge")), "and it is said: {told:#?}");
}

#[test]
fn lost_notices_lead_into_every_sandbox_bit_by_bit() {
    let world = base();
    let names: Vec<String> = (0..100).map(|n| format!("s{n}")).collect();
    for name in &names {
        world.ok("Sandbox.Create", json!({"name": name, "networks": [{"network": "front"}]}));
    }
    world.kernel.delete_interface(&world.network("front").device.expect("a bridge"));
    names.iter().for_each(|name| world.kernel.strip_link(world.seat(name, "front").id));
    world.noticed(pontoon::host::Suspect::Lost);
    world.until("everything is right again", |world| {
        // A call is served in between.
        world.refused("Sandbox.Inspect", json!({"name": "nobody"}));
        is_converged(world)
    });
}

#[test]
fn a_reboot_is_not_forgotten_while_the_disk_is_full() {
    for served in [false, true] {
        let mut world = base();
        world.ok("Sandbox.Create", json!({"name": "plain", "networks": [{"network": "host"}]}));
        world.kill();
        world.kernel.next_boot();
        // The release cannot be written, what comes after it can.
        world.disk.refuse(1);
        world.restart();
        if served {
            world.ok("Sandbox.Create", json!({"name": "new", "networks": [{"network": "host"}]}));
        }
        world.kill();
        world.restart();
        assert!(!world.has_sandbox("plain"), "it was of another boot");
        assert_eq!(world.has_sandbox("new"), served, "it is of this one");
    }
}
