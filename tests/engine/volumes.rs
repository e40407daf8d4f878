//! Volumes that come and go by themselves, and those that stay.
use crate::support::{World, converged};
use pontoon::model::kernel::Item;
use serde_json::{Value, json};

fn mounted(world: &World) -> usize {
    world.kernel.items().iter().filter(|item| matches!(item, Item::VolumeMount(_))).count()
}
fn count(world: &World) -> usize {
    world.engine().view().volumes.size()
}
fn tmpfs() -> Value {
    json!({"type": "tmpfs", "device": "tmpfs"})
}

#[test]
fn named_ones_are_made_and_stay() {
    let world = World::new();
    world.ok("Sandbox.Create", json!({"name": "a", "mounts": [{"kind": "volume", "source": "data", "target": "/d"}, {"kind": "volume", "source": "data", "target": "/e"}]}));
    assert_eq!(world.volume("data").users.len(), 1);
    world.ok("Sandbox.Remove", json!({"name": "a", "volumes": true}));
    assert!(world.volume("data").users.is_empty());
    converged(&world);
    world.ok("Volume.Create", json!({"name": "data"}));
    world.ok("Volume.Remove", json!({"name": "data"}));
    world.ok("Volume.Remove", json!({"name": "data", "force": true}));
    assert_eq!(count(&world), 0);
}

/// Removals are durable by their promise; their files are waited for together, or when a name comes again.
#[test]
fn removals_wait_for_the_disk_together() {
    let world = World::new();
    let syncs = || world.volumes.syncs.load(std::sync::atomic::Ordering::Relaxed);
    let before = syncs();
    for i in 0..40 {
        let name = json!({"name": format!("v{i}")});
        world.ok("Volume.Create", name.clone());
        world.ok("Volume.Remove", name);
    }
    assert_eq!(syncs() - before, 1, "40 removals");
    world.ok("Volume.Create", json!({"name": "other"}));
    assert_eq!(syncs() - before, 1, "another name has nothing to wait for");
    world.ok("Volume.Create", json!({"name": "v39"}));
    assert_eq!(syncs() - before, 2, "this one's old files might come back");
    converged(&world);
}

/// The power fails after any step of removing volumes and making them again. Old files may be back then, but no volume has
/// them.
#[test]
fn a_power_cut_gives_no_volume_the_files_of_a_removed_one() {
    let mut deaths = 0;
    for steps in 0..100 {
        let mut world = World::new();
        let begun = world.start_dying(Some(steps)).is_ok();
        let turns = ["Create", "Remove", "Create", "Remove"];
        let names = ["data", "more"];
        let all = names.iter().flat_map(|name| turns.iter().map(move |turn| (name, turn)));
        let done = begun
            && all
                .map(|(name, turn)| world.call(&format!("Volume.{turn}"), json!({ "name": name })))
                .all(|r| r.is_ok())
            && world.call("Volume.Create", json!({"name": "data"})).is_ok();
        if !done {
            deaths += 1;
        }
        world.kill();
        world.volumes.cut_power();
        world.reboot();
        let back = world.volumes.back.lock().clone();
        assert!(back.is_empty(), "after {steps} steps a start left the old files of {back:?}");
        converged(&world);
        if done {
            break;
        }
    }
    assert!((10..99).contains(&deaths), "{deaths} deaths");
}

#[test]
fn anonymous_ones_go_if_asked_to() {
    for (auto_remove, volumes, left) in [(false, false, 1), (false, true, 0), (true, false, 0)] {
        let world = World::new();
        let mounts = json!([{"kind": "volume", "target": "/d", "driver_options": tmpfs()}]);
        world.ok("Sandbox.Create", json!({"name": "a", "mounts": mounts, "auto_remove": auto_remove}));
        assert_eq!((count(&world), mounted(&world)), (1, 1));
        world.ok("Sandbox.Remove", json!({"name": "a", "volumes": volumes}));
        assert_eq!(
            (count(&world), mounted(&world)),
            (left, 0),
            "auto_remove {auto_remove}, volumes {volumes}"
        );
        converged(&world);
    }
}

#[test]
fn mounted_at_first_use_and_unmounted_after_the_last() {
    let world = World::new();
    world.ok("Volume.Create", json!({"name": "scratch", "options": tmpfs()}));
    let mounts = json!([{"kind": "volume", "source": "scratch", "target": "/d"}]);
    assert_eq!(mounted(&world), 0);
    for name in ["a", "b"] {
        world.ok("Sandbox.Create", json!({"name": name, "mounts": mounts}));
        assert_eq!(mounted(&world), 1);
    }
    world.ok("Sandbox.Remove", json!({"name": "a"}));
    assert_eq!(mounted(&world), 1);
    world.ok("Sandbox.Remove", json!({"name": "b"}));
    assert_eq!(mounted(&world), 0);
    converged(&world);
}

#[test]
fn prune() {
    let world = World::new();
    world.ok("Volume.Create", json!({"name": "named"}));
    world.ok("Volume.Create", json!({}));
    world.ok(
        "Sandbox.Create",
        json!({"name": "a", "mounts": [{"kind": "volume", "source": "used", "target": "/d"}]}),
    );
    world.ok("Volume.Prune", json!({}));
    assert_eq!(count(&world), 2);
    world.ok("Volume.Prune", json!({"all": true}));
    assert_eq!(count(&world), 1);
    world.volume("used");
    converged(&world);
}

#[test]
fn what_a_prune_passes_over() {
    let world = World::new();
    for (name, labels) in
        [("plain", json!({})), ("dear", json!({"keep": "yes"})), ("other", json!({"keep": "no"}))]
    {
        world.ok("Volume.Create", json!({"name": name, "labels": labels}));
    }
    world.ok("Volume.Create", json!({"name": "far", "options": tmpfs()}));
    world.ok("Volume.Prune", json!({"all": true, "filters": {"label!": ["keep=yes", "nothing"]}}));
    assert_eq!(count(&world), 2, "only what bears the label, and what has mount options");
    world.ok("Volume.Prune", json!({"all": true}));
    assert_eq!(count(&world), 1);
    world.volume("far");
    for (name, labels) in [("one", json!({})), ("two", json!({"keep": "yes"}))] {
        world.ok("Network.Create", json!({"name": name, "labels": labels}));
    }
    world.ok("Network.Prune", json!({"filters": {"label!": ["keep"]}}));
    world.network("two");
    assert!(world.engine().view().network_named("one").is_none());
}

#[test]
fn one_prune_at_a_time() {
    let world = World::new();
    world.ok("Volume.Create", json!({}));
    world.ok("Network.Create", json!({"name": "net"}));
    for method in ["Volume.Prune", "Network.Prune"] {
        let told = std::cell::RefCell::new(Vec::new());
        let meanwhile = |what: &str| {
            if !what.is_empty() {
                told.borrow_mut().push(world.refused(method, json!({})));
            }
            true
        };
        let command = crate::support::command(method, json!({}));
        world.engine().execute(command, &meanwhile).expect("the first prune");
        let told = told.into_inner();
        assert!(told.iter().any(|text| text.contains("a prune operation is already running")), "{told:?}");
        world.ok(method, json!({}));
    }
}

/// Who mounts through a runtime is counted, durably; a new boot has none of the old mounts.
#[test]
fn mounts_of_runtimes() {
    let mut world = World::new();
    let mounted = |world: &World| {
        world.kernel.items().iter().any(|item| matches!(item, pontoon::model::kernel::Item::VolumeMount(_)))
    };
    world.ok("Volume.Create", json!({"name": "ram", "options": {"type": "tmpfs", "device": "tmpfs"}}));
    for id in ["1", "2", "2"] {
        world.ok("Volume.Mount", json!({"name": "ram", "id": id}));
    }
    world.ok(
        "Sandbox.Create",
        json!({"name": "a", "mounts": [{"kind": "volume", "source": "ram", "target": "/d"}]}),
    );
    world.ok("Sandbox.Remove", json!({"name": "a"}));
    world.ok("Volume.Unmount", json!({"name": "ram", "id": "1"}));
    world.ok("Volume.Unmount", json!({"name": "ram", "id": "1"}));
    assert!(mounted(&world));
    assert!(world.refused("Volume.Remove", json!({"name": "ram"})).contains("in use by a runtime (1 mounts"));
    world.ok("Volume.Prune", json!({"all": true}));
    world.restart();
    assert_eq!(world.volume("ram").mounts, ["2"]);
    converged(&world);
    world.reboot();
    assert!(world.volume("ram").mounts.is_empty() && !mounted(&world));
    world.ok("Volume.Mount", json!({"name": "ram", "id": "3"}));
    converged(&world);
    world.ok("Volume.Unmount", json!({"name": "ram", "id": "3"}));
    converged(&world);
    world.ok("Volume.Remove", json!({"name": "ram"}));
}
