//! Sandboxes that end: by a call that waits, by themselves, while others share them.
use crate::support::{World, converged};
use pontoon::model::kernel::{Item, Op};
use serde_json::json;
use std::{path::Path, sync::mpsc};

fn running(world: &World, name: &str, pid: u32) {
    world.ok(
        "Sandbox.Create",
        json!({"name": name, "auto_remove": true, "mounts": [{"kind": "volume", "target": "/d"}]}),
    );
    world.ok("Sandbox.Start", json!({"name": name, "pid": pid}));
}

#[test]
fn a_process_that_ends_releases_its_sandbox() {
    let world = World::new();
    world.kernel.start_process(7);
    running(&world, "a", 7);
    world.kernel.end_process(7);
    world.until("the release", |world| !world.has_sandbox("a"));
    converged(&world);
    assert_eq!(world.engine().view().volumes.size(), 0);
    let last = world.events().iter().rfind(|event| event.object == "sandbox").cloned();
    assert_eq!(last.map(|event| event.action.clone()).as_deref(), Some("release"));
}

#[test]
fn a_namespace_that_vanishes_releases_its_sandbox() {
    let world = World::new();
    world.kernel.make_namespace("/run/netns/x");
    world.ok(
        "Sandbox.Create",
        json!({"name": "a", "netns": "/run/netns/x", "ports": [{"port": 80, "host_port": 80}]}),
    );
    world.kernel.remove_namespace(Path::new("/run/netns/x"));
    world.until("the release", |world| !world.has_sandbox("a"));
    converged(&world);
}

#[test]
fn those_who_share_it_go_along() {
    let world = World::new();
    world.kernel.start_process(7);
    running(&world, "a", 7);
    world.ok("Sandbox.Create", json!({"name": "b", "networks": [{"network": "sandbox:a"}]}));
    world.kernel.end_process(7);
    world.until("the release", |world| !world.has_sandbox("a") && !world.has_sandbox("b"));
    converged(&world);
}

#[test]
fn removal_asks_and_waits() {
    let world = World::new();
    world.kernel.start_process(7);
    running(&world, "a", 7);
    world.ok("Sandbox.Remove", json!({"name": "a"}));
    assert!(!world.has_sandbox("a"));
    world.kernel.start_stubborn_process(8);
    running(&world, "b", 8);
    world.ok("Sandbox.Remove", json!({"name": "b", "force": true}));
    assert!(!world.has_sandbox("b"));
    converged(&world);
}

#[test]
fn everybody_who_waits_is_answered() {
    let world = World::new();
    world.kernel.start_stubborn_process(7);
    running(&world, "a", 7);
    let (send, receive) = mpsc::channel();
    for force in [false, false, true] {
        let (send, remove) =
            (send.clone(), crate::support::command("Sandbox.Remove", json!({"name": "a", "force": force})));
        world.engine().submit(remove, Box::new(move |reply| drop(send.send(reply))));
    }
    for _ in 0..3 {
        let reply = receive.recv_timeout(std::time::Duration::from_secs(5)).expect("an answer");
        assert!(reply.is_ok(), "{reply:?}");
    }
    converged(&world);
}

/// The removal that found the process gone comes before the news of its end.
#[test]
fn nobody_waits_for_what_another_removed() {
    let world = World::new();
    world.kernel.start_stubborn_process(7);
    running(&world, "a", 7);
    let (send, receive) = mpsc::channel();
    let first = send.clone();
    let remove = || crate::support::command("Sandbox.Remove", json!({"name": "a"}));
    world.engine().submit(remove(), Box::new(move |reply| drop(first.send(reply))));
    // When this is refused the removal waits.
    world.refused("Sandbox.Start", json!({"name": "nobody", "pid": 1}));
    world.kernel.end_unseen(7);
    world.engine().submit(remove(), Box::new(move |reply| drop(send.send(reply))));
    for _ in 0..2 {
        let reply = receive.recv_timeout(std::time::Duration::from_secs(5)).expect("an answer");
        assert!(reply.is_ok(), "{reply:?}");
    }
}

#[test]
fn a_release_that_the_disk_refuses_is_tried_again() {
    let world = World::new();
    world.kernel.start_process(7);
    running(&world, "a", 7);
    world.disk.set_full(true);
    world.kernel.end_process(7);
    std::thread::sleep(std::time::Duration::from_millis(50));
    assert!(world.has_sandbox("a"), "what is promised is not taken back without a word on disk");
    world.disk.set_full(false);
    world.until("the release", |world| !world.has_sandbox("a"));
    converged(&world);
}

#[test]
fn the_answer_waits_until_the_link_is_gone() {
    let world = World::new();
    world.ok("Sandbox.Create", json!({"name": "a"}));
    world.kernel.defer_burials(true);
    let (send, receive) = mpsc::channel();
    let remove = crate::support::command("Sandbox.Remove", json!({"name": "a"}));
    world.engine().submit(remove, Box::new(move |reply| drop(send.send(reply))));
    world.until("the removal", |world| !world.has_sandbox("a"));
    assert!(receive.try_recv().is_err(), "not yet");
    world.until("the burial", |world| world.kernel.dig() > 0);
    assert!(receive.recv().expect("an answer").is_ok());
    converged(&world);
}

#[test]
fn a_failure_is_told_when_its_traces_are_gone() {
    let world = World::new();
    world.kernel.make_namespace("/run/netns/x");
    let create = json!({"name": "a", "netns": "/run/netns/x"});
    world.kernel.take_log();
    world.ok("Sandbox.Create", create.clone());
    let routes = world.kernel.take_log().iter().position(|op| matches!(op, Op::Add(Item::Routes(_))));
    world.ok("Sandbox.Remove", json!({"name": "a"}));

    world.kernel.defer_burials(true);
    let routes = routes.expect("a default route") as u64;
    world.kernel.fail_after(routes, pontoon::error::Error::exhausted("no buffer space"));
    let (send, receive) = mpsc::channel();
    let command = crate::support::command("Sandbox.Create", create.clone());
    world.engine().submit(command, Box::new(move |reply| drop(send.send(reply))));
    world.settle();
    assert!(receive.try_recv().is_err(), "eth0 is still in the runtime's namespace");
    assert_eq!(world.kernel.dig(), 1);
    let error = receive.recv().expect("an answer").expect_err("a failure");
    assert_eq!(error.to_string(), "no buffer space");
    world.kernel.defer_burials(false);
    world.ok("Sandbox.Create", create);
    converged(&world);
}
