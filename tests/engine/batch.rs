//! Commands that are decided together and share a commit, while one stands on another's shoulders.
use crate::support::{World, command, converged};
use pontoon::{
    error::Error,
    model::kernel::{Item, Op},
};
use serde_json::{Value, json};
use std::sync::mpsc;

/// Gives all commands to the writer while it is busy, so that they come as one batch; answers in order.
fn together(world: &World, calls: &[(&str, Value)]) -> Vec<Result<(), String>> {
    let (answer, answers) = mpsc::channel();
    let (busy, go) = mpsc::channel::<()>();
    let (begun, is_busy) = mpsc::channel();
    // The answer to a refused call is given on the writer's thread: it waits there until all others are queued.
    let nothing = command("Sandbox.Start", json!({"name": "nobody", "pid": 1}));
    world.engine().submit(
        nothing,
        Box::new(move |_| {
            let _ = begun.send(());
            let _ = go.recv();
        }),
    );
    is_busy.recv().expect("a busy writer");
    for (i, (method, body)) in calls.iter().enumerate() {
        let answer = answer.clone();
        world.engine().submit(
            command(method, body.clone()),
            Box::new(move |reply| drop(answer.send((i, reply.map(drop).map_err(|e| e.to_string()))))),
        );
    }
    busy.send(()).expect("a writer");
    let mut replies: Vec<_> = (0..calls.len()).map(|_| answers.recv().expect("an answer")).collect();
    replies.sort_by_key(|(i, _)| *i);
    replies.into_iter().map(|(_, reply)| reply).collect()
}

fn chain() -> Vec<(&'static str, Value)> {
    vec![
        ("Network.Create", json!({"name": "n", "pools": [{"subnet": "10.6.0.0/24"}]})),
        (
            "Sandbox.Create",
            json!({"name": "s", "networks": [{"network": "n"}], "ports": [{"port": 80, "host_port": 80}]}),
        ),
        ("Network.Connect", json!({"sandbox": "s", "endpoint": {"network": "bridge"}})),
    ]
}

#[test]
fn one_commit_serves_all() {
    let world = World::new();
    let before = world.disk.commits();
    let replies = together(&world, &chain());
    assert!(replies.iter().all(Result::is_ok), "{replies:?}");
    assert_eq!(world.disk.commits() - before, 1);
    converged(&world);
}

#[test]
fn all_the_way_back_in_one_batch() {
    let world = World::new();
    together(&world, &chain());
    let back = [
        ("Sandbox.Remove", json!({"name": "s"})),
        ("Network.Remove", json!({"name": "n"})),
        ("Network.Create", json!({"name": "n", "pools": [{"subnet": "10.6.0.0/24"}]})),
        (
            "Sandbox.Create",
            json!({"name": "s", "networks": [{"network": "n"}], "ports": [{"port": 80, "host_port": 80}]}),
        ),
    ];
    let replies = together(&world, &back);
    assert!(replies.iter().all(Result::is_ok), "{replies:?}");
    converged(&world);
}

#[test]
fn what_stood_on_a_failure_is_decided_anew() {
    let clean = World::new();
    clean.kernel.take_log();
    together(&clean, &chain());
    let operations = clean.kernel.take_log().len() as u64;
    for operation in 0..operations {
        let world = World::new();
        world.kernel.fail_after(operation, Error::exhausted("no buffer space"));
        let replies = together(&world, &chain());
        let failed = replies.iter().filter(|reply| reply.is_err()).count();
        assert!(failed >= 1, "operation {operation}: {replies:?}");
        assert!(replies.contains(&Err("no buffer space".to_owned())), "operation {operation}: {replies:?}");
        world.until("the undoing", |world| world.kernel.dig() == 0);
        converged(&world);
        for (method, body) in chain() {
            let _ = world.call(method, body);
        }
        assert_eq!(world.sandbox("s").networks.len(), 2, "operation {operation}");
        converged(&world);
    }
}

#[test]
fn a_chosen_port_is_chosen_anew_within_a_batch() {
    let world =
        World::with(|settings| settings.ephemeral = pontoon::ipam::Ephemeral::new(40_000, 40_009, []));
    world.kernel.bind("nc (pid 9)", pontoon::model::Proto::Tcp, None, 40_000);
    let replies = together(
        &world,
        &[
            ("Sandbox.Create", json!({"name": "a", "ports": [{"port": 80}]})),
            ("Network.Disconnect", json!({"sandbox": "a", "network": "bridge"})),
            ("Sandbox.Create", json!({"name": "b", "ports": [{"port": 80}]})),
        ],
    );
    assert!(replies.iter().all(Result::is_ok), "{replies:?}");
    assert!(world.sandbox("a").networks.is_empty());
    converged(&world);
}

#[test]
fn nothing_is_acknowledged_before_it_is_durable() {
    let world = World::new();
    world.disk.set_full(true);
    let create = ("Volume.Create", json!({"name": "data"}));
    let replies = together(&world, &[create.clone(), create]);
    assert!(replies.iter().all(Result::is_err), "{replies:?}");
    world.disk.set_full(false);
    converged(&world);
}

/// The disk takes its time: meanwhile the kernel's part of an attach goes on, and nothing of a removal, of a volume or
/// of what no start would find again; and nobody has an answer.
#[test]
fn what_may_go_ahead_of_the_promise() {
    let world = World::new();
    world.kernel.make_namespace("/run/netns/given");
    world.ok("Sandbox.Create", json!({"name": "old"}));
    world.disk.set_slow(true);
    let sandbox = |name: &str| json!({"name": name, "netns": "/run/netns/given", "ports": [{"port": 80, "host_port": 80}]});
    world.kernel.take_log();
    world.disk.set_full(true);
    world.call("Sandbox.Create", sandbox("new")).expect_err("a full disk");
    let log = world.kernel.take_log();
    assert!(log.iter().any(|op| matches!(op, Op::Add(Item::Link(_)))), "the link went ahead: {log:?}");
    assert!(!log.iter().any(|op| matches!(op, Op::Add(Item::Resolver(_)))), "the redirect waits: {log:?}");
    converged(&world);
    world.kernel.take_log();
    let mounts = json!([{"kind": "volume", "source": "fresh", "target": "/d"}]);
    for (method, body) in [
        ("Sandbox.Remove", json!({"name": "old"})),
        ("Network.Disconnect", json!({"sandbox": "old", "network": "bridge"})),
        ("Sandbox.Create", json!({"name": "new", "mounts": mounts})),
        ("Volume.Create", json!({"name": "fresh"})),
    ] {
        world.call(method, body.clone()).expect_err("a full disk");
        assert_eq!(world.kernel.take_log(), [], "{method} {body}");
        assert!(world.volumes.directories.lock().is_empty(), "{method} {body}");
    }
    world.disk.set_full(false);
    world.ok("Sandbox.Create", sandbox("new"));
    converged(&world);
}

#[test]
fn a_freed_name_inside_is_free_when_it_is_given_again() {
    let world = World::new();
    world.ok("Network.Create", json!({"name": "n"}));
    world.ok("Sandbox.Create", json!({"name": "s"}));
    let replies = together(
        &world,
        &[
            ("Network.Disconnect", json!({"sandbox": "s", "network": "bridge"})),
            ("Network.Connect", json!({"sandbox": "s", "endpoint": {"network": "n"}})),
            ("Network.Disconnect", json!({"sandbox": "s", "network": "n"})),
            ("Network.Connect", json!({"sandbox": "s", "endpoint": {"network": "n"}})),
        ],
    );
    assert!(replies.iter().all(Result::is_ok), "{replies:?}");
    converged(&world);
}

/// `count` sandboxes with a port each, behind the network that they are on.
fn crowd(count: u16) -> Vec<(&'static str, Value)> {
    let network = ("Network.Create", json!({"name": "n", "pools": [{"subnet": "10.6.0.0/24"}]}));
    let sandbox = |i: u16| json!({"name": format!("s{i}"), "networks": [{"network": "n"}], "ports": [{"port": 80, "host_port": 8000 + i}]});
    std::iter::once(network).chain((0..count).map(|i| ("Sandbox.Create", sandbox(i)))).collect()
}

#[test]
fn one_of_a_crowd_is_refused_alone() {
    let world = World::new();
    world.kernel.bind("nc (pid 9)", pontoon::model::Proto::Tcp, None, 8003);
    let replies = together(&world, &crowd(12));
    let refused: Vec<usize> = (0..replies.len()).filter(|i| replies[*i].is_err()).collect();
    assert_eq!(refused, [4], "{replies:?}");
    assert!(replies[4].as_ref().is_err_and(|error| error.contains("nc (pid 9)")), "{replies:?}");
    converged(&world);
}

#[test]
fn a_crowd_is_whole_or_told_wherever_it_fails() {
    let clean = World::new();
    clean.kernel.take_log();
    assert!(together(&clean, &crowd(5)).iter().all(Result::is_ok));
    let operations = clean.kernel.take_log().len() as u64;
    for operation in 0..operations {
        let world = World::new();
        world.kernel.fail_after(operation, Error::exhausted("no buffer space"));
        let replies = together(&world, &crowd(5));
        world.until("the undoing", |world| world.kernel.dig() == 0);
        converged(&world);
        for (reply, (method, body)) in replies.iter().zip(crowd(5)) {
            assert_eq!(
                reply.is_err(),
                world.call(method, body).is_ok(),
                "operation {operation}: {replies:?}"
            );
        }
        converged(&world);
    }
}

/// Sandboxes that have nothing to do with one another: while one gets its resolver the next one is begun.
#[test]
fn a_crowd_overlaps() {
    let world = World::new();
    world.kernel.take_log();
    assert!(together(&world, &crowd(3)).iter().all(Result::is_ok));
    let log = world.kernel.take_log();
    let places = |fits: fn(&Op) -> bool| -> Vec<usize> {
        log.iter().enumerate().filter(|(_, op)| fits(op)).map(|(place, _)| place).collect()
    };
    let links = places(|op| matches!(op, Op::Add(Item::Link(_))));
    let resolvers = places(|op| matches!(op, Op::Add(Item::Resolver(_))));
    assert!(links[1] < resolvers[0] && links[2] < resolvers[1], "links {links:?}, resolvers {resolvers:?}");
}

/// Whoever was answered is there after a death at any step, and who was not can be made.
#[test]
fn death_in_a_crowd() {
    for step in 0.. {
        let mut world = World::new();
        world.kernel.crash_after(step);
        let replies = together(&world, &crowd(3));
        let died = world.kernel.crashed();
        world.restart();
        converged(&world);
        for ((method, body), reply) in crowd(3).into_iter().zip(&replies) {
            let again = world.call(method, body).map(drop).map_err(|error| error.to_string());
            assert!(reply.is_err() || again.is_err(), "step {step}: it was answered and is not there");
            let there = |error: String| error.contains("already");
            assert!(again.err().is_none_or(there), "step {step}: it can be made");
        }
        converged(&world);
        if !died {
            assert!(step > 20, "{step} steps");
            break;
        }
    }
}
