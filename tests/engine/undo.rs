//! A call that cannot be carried out leaves everything as it was: at every operation, and on a full disk.
use crate::{
    kinds::{base, kinds},
    support::{World, converged, snapshot},
};
use pontoon::error::{Error, Kind};
use serde_json::json;

#[test]
fn a_failure_of_any_operation_is_undone() {
    let mut cases = 0;
    for kind in kinds() {
        let what = kind.what;
        for operation in 0.. {
            let world = base();
            let before = snapshot(&world);
            world.kernel.fail_after(operation, Error::exhausted("no buffer space"));
            let reply = kind.run(&world);
            if world.kernel.calm() {
                assert!(reply.is_ok(), "{what}: {reply:?}");
                break;
            }
            cases += 1;
            let error = reply.expect_err(what);
            assert_eq!(error.to_string(), "no buffer space", "{what}, operation {operation}");
            world.until("the undoing", |world| snapshot(world) == before);
            converged(&world);
            kind.ok(&world);
            converged(&world);
        }
    }
    println!("{cases} failing operations");
    assert!(cases > 60, "{cases} failing operations");
}

/// Also when the kernel's part, done meanwhile, has to be taken back, and even if that fails at first.
#[test]
fn a_full_disk_is_said_and_changes_nothing() {
    for (slow_disk, failing) in [(false, None), (true, None), (true, Some(3)), (false, Some(9))] {
        full_disk(slow_disk, failing);
    }
}

fn full_disk(slow_disk: bool, failing: Option<u64>) {
    for kind in kinds() {
        let what = kind.what;
        let world = base();
        world.disk.set_slow(slow_disk);
        failing
            .into_iter()
            .for_each(|after| world.kernel.fail_after(after, Error::exhausted("no buffer space")));
        let before = snapshot(&world);
        world.disk.set_full(true);
        let error = kind.run(&world).expect_err(what);
        assert_eq!(error.kind, Kind::Exhausted, "{what}: {error}");
        world.kernel.calm();
        world.until("the undoing", |world| snapshot(world) == before);
        converged(&world);
        world.disk.set_full(false);
        kind.ok(&world);
        converged(&world);
    }
}

/// What failed can be had by others: no address, port or name is kept.
#[test]
fn what_failed_is_free_again() {
    let world = World::new();
    let create = json!({"name": "a", "networks": [{"network": "bridge", "ip": "172.17.0.9"}], "ports": [{"port": 80, "host_port": 80}]});
    world.kernel.fail_after(4, Error::exhausted("no buffer space"));
    world.call("Sandbox.Create", create.clone()).expect_err("a failure");
    world.disk.set_full(true);
    world.call("Sandbox.Create", create.clone()).expect_err("a failure");
    world.disk.set_full(false);
    world.ok("Sandbox.Create", create);
}
