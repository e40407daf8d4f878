//! The daemon dies at every step of every kind of command, and of the start that follows: the next start mends it.
use crate::{
    kinds::{Kind, base, kinds},
    support::{World, converged},
};
use serde_json::json;

/// After a start everything agrees, what stood before stands, and the command can be given again.
fn mended(world: &World, what: &str, kind: &Kind) {
    converged(world);
    for network in ["front", "back", "bridge", "host", "none"] {
        world.network(network);
    }
    world.volume("scratch");
    if let Err(error) = kind.run(world) {
        let done = ["already", "not found", "not connected", "reserved", "in use", "not taken"];
        assert!(done.iter().any(|words| error.to_string().contains(words)), "{what}, again: {error}");
    }
    assert!((kind.holds)(world), "{what}, again");
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
    for kind in kinds() {
        for step in 0.. {
            let mut world = base();
            world.disk.set_slow(slow_disk);
            world.kernel.crash_after(step);
            let reply = kind.run(&world);
            let (died, what) = (world.kernel.crashed(), format!("{}, step {step}", kind.what));
            world.restart();
            if !died {
                assert!(reply.is_ok(), "{what}: {reply:?}");
                assert!((kind.holds)(&world), "{what}: acknowledged, so it holds");
                mended(&world, &what, &kind);
                break;
            }
            cases += 1;
            assert!(reply.is_err(), "{what}: nobody is told of what a dead daemon did");
            mended(&world, &what, &kind);
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
    for kind in kinds() {
        for step in 0.. {
            let mut world = base();
            // In the middle of its work, and then again at every step of the next start.
            world.disk.set_slow(slow_disk);
            world.kernel.crash_after(4);
            let _ = kind.run(&world);
            let started = world.start_dying(Some(step));
            let died = world.kernel.crashed();
            cases += 1;
            if !died {
                started.expect("a start");
                break;
            }
            world.restart();
            mended(&world, &format!("{}, mending, step {step}", kind.what), &kind);
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
