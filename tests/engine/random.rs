//! Any sequence of commands, faults, deaths and reboots keeps promises and kernel in agreement.
use crate::support::{World, command, converged};
use pontoon::error::Error;
use proptest::prelude::*;
use serde_json::{Value, json};

#[derive(Debug, Clone)]
enum Step {
    Call(&'static str, Value),
    /// The next call's n-th operation fails.
    Fail(u64),
    FullDisk(bool),
    /// Whatever is written beside the kernel's work comes after it; or before it again.
    SlowDisk(bool),
    /// The daemon dies n steps from now, if it gets there.
    Crash(u64),
    Restart,
    Reboot,
    StartProcess(u32),
    EndProcess(u32),
}

fn name() -> impl Strategy<Value = String> {
    (0..4).prop_map(|i| format!("s{i}"))
}
fn network() -> impl Strategy<Value = String> {
    prop_oneof![4 => (0..3).prop_map(|i| format!("n{i}")), 1 => Just("bridge".to_owned())]
}
fn ports() -> impl Strategy<Value = Value> {
    let port = (0u16..4, 1u16..3, any::<bool>()).prop_map(|(i, count, chosen)| match chosen {
        true => json!({"port": 80, "count": count}),
        false => json!({"port": 80, "host_port": 8080 + i, "count": count}),
    });
    prop::collection::vec(port, 0..3).prop_map(Value::from)
}
fn mounts() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(json!([])),
        Just(json!([{"kind": "volume", "source": "v0", "target": "/d"}])),
        Just(
            json!([{"kind": "volume", "target": "/d", "driver_options": {"type": "tmpfs", "device": "tmpfs"}}])
        ),
    ]
}

fn call() -> impl Strategy<Value = Step> {
    let create = (
        name(),
        prop::collection::vec((network(), -1..2i32), 1..3),
        ports(),
        mounts(),
        any::<(bool, bool)>(),
    );
    let create = create.prop_map(|(name, networks, ports, mounts, (auto_remove, handed))| {
        let networks: Vec<Value> = networks.iter().map(|(n, p)| json!({"network": n, "priority": p})).collect();
        ("Sandbox.Create", json!({"name": name, "networks": networks, "ports": ports, "mounts": mounts, "auto_remove": auto_remove, "handed": handed}))
    });
    let small = network().prop_map(|n| {
        let subnet = format!("10.{}.0.0/29", n.bytes().last().unwrap_or(0));
        ("Network.Create", json!({"name": n, "pools": [{"subnet": subnet}]}))
    });
    prop_oneof![
        4 => create,
        2 => small,
        1 => network().prop_map(|n| ("Network.Remove", json!({"name": n}))),
        2 => (name(), network(), -1..2i32).prop_map(|(s, n, p)| ("Network.Connect", json!({"sandbox": s, "endpoint": {"network": n, "priority": p}}))),
        2 => (name(), network()).prop_map(|(s, n)| ("Network.Disconnect", json!({"sandbox": s, "network": n}))),
        2 => (name(), any::<bool>()).prop_map(|(s, v)| ("Sandbox.Remove", json!({"name": s, "force": true, "volumes": v}))),
        2 => (name(), ports(), any::<bool>()).prop_map(|(s, ports, add)| ("Sandbox.Publish", json!({"name": s, "ports": ports, "add": add}))),
        1 => (name(), name()).prop_map(|(a, b)| ("Sandbox.Create", json!({"name": a, "networks": [{"network": format!("sandbox:{b}")}]}))),
        1 => (name(), 0..3u32).prop_map(|(s, pid)| ("Sandbox.Start", json!({"name": s, "pid": pid}))),
        1 => Just(("Volume.Create", json!({"name": "v0"}))),
        1 => Just(("Volume.Create", json!({"name": "v0", "options": {"type": "tmpfs", "device": "tmpfs"}}))),
        1 => Just(("Volume.Remove", json!({"name": "v0"}))),
        2 => (any::<bool>(), 0..2u32).prop_map(|(on, id)| (if on { "Volume.Mount" } else { "Volume.Unmount" }, json!({"name": "v0", "id": id.to_string()}))),
    ]
    .prop_map(|(method, body)| Step::Call(method, body))
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        20 => call(),
        2 => (0..20u64).prop_map(Step::Fail),
        1 => any::<bool>().prop_map(Step::FullDisk),
        1 => any::<bool>().prop_map(Step::SlowDisk),
        1 => (0..30u64).prop_map(Step::Crash),
        1 => Just(Step::Restart),
        1 => Just(Step::Reboot),
        2 => (0..3u32).prop_map(Step::StartProcess),
        1 => (0..3u32).prop_map(Step::EndProcess),
    ]
}

fn take(world: &mut World, step: Step) {
    match step {
        Step::Call(method, body) => drop(world.run(command(method, body))),
        Step::Fail(after) => world.kernel.fail_after(after, Error::exhausted("no buffer space")),
        Step::FullDisk(full) => world.disk.set_full(full),
        Step::SlowDisk(slow) => world.disk.set_slow(slow),
        Step::Crash(after) => world.kernel.crash_after(after),
        Step::Restart => {
            world.disk.set_full(false);
            world.restart();
        }
        Step::Reboot => {
            world.disk.set_full(false);
            world.reboot();
        }
        Step::StartProcess(pid) => drop(world.kernel.start_process(pid)),
        Step::EndProcess(pid) => {
            world.disk.set_full(false);
            world.kernel.calm();
            world.kernel.end_process(pid);
        }
    }
    if world.kernel.crashed() {
        world.disk.set_full(false);
        world.restart();
    }
    world.settle();
    if world.kernel.crashed() {
        world.restart();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_iters: 400, ..ProptestConfig::default() })]
    #[test]
    fn promises_and_kernel_agree(steps in prop::collection::vec(step(), 1..40)) {
        let mut world = World::new();
        for step in steps {
            take(&mut world, step);
            converged(&world);
        }
        world.restart();
        converged(&world);
    }
}
