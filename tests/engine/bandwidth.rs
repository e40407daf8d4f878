//! Limits of seats as promises: they come and go with their link, whatever happens in between.
use crate::support::{World, converged, snapshot};
use pontoon::{
    error::Error,
    model::kernel::{Item, Op},
};
use serde_json::{Value, json};

fn limits() -> Value {
    json!({"ingress": {"rate": 8_000_000, "burst": 800_000}, "egress": {"rate": 80_000, "burst": 8}})
}

fn shaped() -> World {
    let world = World::new();
    world.ok("Network.Create", json!({"name": "n", "options": {"mtu": "9000"}}));
    world.ok("Sandbox.Create", json!({"name": "a", "networks": [{"network": "n", "bandwidth": limits()}]}));
    converged(&world);
    world
}

fn shapers(world: &World) -> Vec<pontoon::model::kernel::Shaper> {
    let items = world.kernel.items().into_iter();
    items.filter_map(|item| if let Item::Shaper(shaper) = item { Some(shaper) } else { None }).collect()
}

#[test]
fn bits_become_buckets_of_bytes() {
    let world = shaped();
    let shaper = &shapers(&world)[0];
    let bucket = |bucket: Option<pontoon::model::kernel::Bucket>| bucket.map(|b| (b.rate, b.burst));
    assert_eq!(bucket(shaper.ingress), Some((1_000_000, 100_000)));
    assert_eq!(bucket(shaper.egress), Some((10_000, 9_018)), "one packet fits, however small the burst");
    assert_eq!(serde_json::to_value(world.sandbox("a").networks[0].bandwidth).unwrap(), limits());
}

#[test]
fn they_outlive_the_daemon_and_end_with_the_seat() {
    let mut world = shaped();
    world.kill();
    world.kernel.take_log();
    world.restart();
    let about = |op: &Op| {
        matches!(op, Op::Add(Item::Shaper(_)) | Op::Change(_, Item::Shaper(_)) | Op::Remove(Item::Shaper(_)))
    };
    assert!(!world.kernel.take_log().iter().any(about), "a restart leaves them alone");
    converged(&world);
    let seat = json!({"network": "bridge", "bandwidth": {"egress": {"rate": 8_000, "burst": 8_000}}});
    world.ok("Network.Connect", json!({"sandbox": "a", "endpoint": seat}));
    assert_eq!(shapers(&world).len(), 2);
    world.ok("Network.Disconnect", json!({"sandbox": "a", "network": "n"}));
    assert_eq!(shapers(&world).len(), 1);
    converged(&world);
    world.ok("Sandbox.Remove", json!({"name": "a"}));
    assert_eq!(shapers(&world), []);
    converged(&world);
}

#[test]
fn a_namespace_that_ends_meanwhile_leaves_no_device() {
    let mut world = World::new();
    world.kernel.make_namespace("/run/netns/theirs");
    let seat = json!({"network": "bridge", "bandwidth": limits()});
    world.ok("Sandbox.Create", json!({"name": "t", "netns": "/run/netns/theirs", "networks": [seat]}));
    world.kill();
    world.kernel.make_namespace("/run/netns/theirs");
    world.restart();
    assert!(!world.has_sandbox("t"));
    assert_eq!(shapers(&world), []);
    converged(&world);
}

/// Without sch_tbf or ifb the kernel refuses the shaper, behind the link that it is for.
#[test]
fn a_kernel_that_lacks_it() {
    let seat = json!({"network": "n", "bandwidth": limits()});
    let create = json!({"name": "b", "networks": [seat]});
    let shaping = |op: &Op| matches!(op, Op::Add(Item::Shaper(_)));
    for (method, body) in
        [("Sandbox.Create", create), ("Network.Connect", json!({"sandbox": "a", "endpoint": seat}))]
    {
        let fresh = || {
            let world = World::new();
            world.ok("Network.Create", json!({"name": "n"}));
            world.ok("Sandbox.Create", json!({"name": "a"}));
            converged(&world);
            world.kernel.take_log();
            world
        };
        let world = fresh();
        world.ok(method, body.clone());
        let before_it = world.kernel.take_log().iter().position(shaping).expect("a shaper");
        let world = fresh();
        let before = snapshot(&world);
        let lacks = "cannot limit the bandwidth of pt0: this kernel lacks sch_tbf";
        world.kernel.fail_after(before_it as u64, Error::unsupported(lacks));
        assert_eq!(world.refused(method, body.clone()), lacks);
        world.until("the undoing", |world| snapshot(world) == before);
        converged(&world);
        assert!(!world.kernel.take_log().iter().any(shaping), "{method}: another operation failed");
        // The same without a limit.
        let text = body.to_string().replace(&limits().to_string(), "{}");
        world.ok(method, serde_json::from_str(&text).expect("JSON"));
        converged(&world);
    }
}

#[test]
fn what_cannot_be_limited() {
    let world = World::new();
    world.kernel.set_surroundings(&[], &["uplink".parse().unwrap()]);
    world.ok(
        "Network.Create",
        json!({"name": "m", "driver": "macvlan", "options": {"parent": "uplink"},
        "pools": [{"subnet": "10.7.0.0/24"}]}),
    );
    let seat = |network: &str| json!([{"network": network, "bandwidth": limits()}]);
    let words = world.refused("Sandbox.Create", json!({"name": "a", "networks": seat("m")}));
    assert_eq!(words, "network m has no bridge: the bandwidth of its sandboxes cannot be limited");
    world.kernel.make_namespace("/run/netns/theirs");
    let leased =
        json!({"name": "a", "netns": "/run/netns/theirs", "leased": true, "networks": seat("bridge")});
    let words = world.refused("Sandbox.Create", leased);
    assert_eq!(words, "leased addresses have no interface of ours whose bandwidth could be limited");
    world.ok("Sandbox.Create", json!({"name": "owner"}));
    let words = world.refused("Sandbox.Create", json!({"name": "a", "networks": seat("sandbox:owner")}));
    assert_eq!(words, "the bandwidth of network sandbox:owner cannot be limited");
    converged(&world);
}
