//! Every verb in every version, alone and chained, in the orders that runtimes really come up with.
use crate::{
    runtime::Runtime,
    world::{Seat, World, addresses, ip, netns, sandboxes, seat, world},
};
use serde_json::json;

const VERSIONS: [&str; 5] = ["0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"];

/// One step of a play: what a runtime does, and what it must be told.
#[derive(Debug, Clone, Copy)]
enum Step {
    Add,
    /// The interface is there already.
    AddAgain,
    /// Another interface of the same container, in the same network.
    AddSecond,
    AddNowhere,
    Check,
    CheckMissing,
    Del,
    /// Without CNI_NETNS, with the earlier result.
    DelLate,
    /// Without both: the cache is lost too.
    DelForgotten,
    /// The namespace goes before anything else.
    Lose,
    /// The daemon is killed and started.
    Restart,
    /// The daemon ends, and every namespace and interface with it.
    Reboot,
    GcKeeping,
    GcAll,
}
use Step::*;

const PLAYS: &[&[Step]] = &[
    &[Add, Check, Del],
    &[Add, AddAgain, Check, AddAgain, Del],
    &[Add, AddSecond, Check, Del],
    &[Add, Del, Del, Del, Del, Del, Del, Del, Del, Del, Del],
    &[Add, DelLate, DelForgotten, Del],
    &[Add, DelForgotten, DelForgotten],
    &[Del, DelForgotten],
    &[AddNowhere, DelForgotten, Add, Del],
    &[Add, Del, Add, Check, DelLate, Add, DelForgotten],
    &[Add, Lose, Del, DelLate, DelForgotten],
    &[Add, Restart, Check, AddAgain, Del],
    &[Add, Reboot, DelForgotten, Add, Check, Del],
    &[Add, Reboot, Add, Check, DelLate],
    &[Add, Del, CheckMissing],
    &[Add, GcKeeping, Check, GcAll, CheckMissing, Del],
];

struct Stage<'w> {
    world: &'w mut World,
    runtime: Runtime,
    version: &'static str,
    there: bool,
}

impl Stage<'_> {
    fn play(&mut self, step: Step) {
        let ns = "/run/netns/a";
        let at = seat("c1", ns);
        let late = Seat { netns: "", ..at };
        match step {
            Add => {
                self.runtime.add(at).fine();
                self.there = true;
            }
            AddAgain => assert_eq!(self.runtime.add(at).refused(), 101),
            AddSecond => assert_eq!(self.runtime.add(Seat { ifname: "net1", ..at }).refused(), 101),
            AddNowhere => assert_eq!(self.runtime.add(seat("c1", "/run/netns/none")).refused(), 4),
            Check => match self.version {
                "0.3.0" | "0.3.1" => assert_eq!(self.runtime.check(at).refused(), 1),
                _ => drop(self.runtime.check(at).fine()),
            },
            CheckMissing => match self.version {
                "0.3.0" | "0.3.1" => assert_eq!(self.runtime.check(at).refused(), 1),
                _ => assert_eq!(self.runtime.check(at).refused(), 106),
            },
            Del => self.gone(self.runtime.del(at, true)),
            DelLate => self.gone(self.runtime.del(late, true)),
            DelForgotten => self.gone(self.runtime.del(late, false)),
            Lose => {
                ip(&["netns", "del", "a"]);
                self.there = false;
            }
            Restart => self.world.start_daemon(),
            Reboot => {
                self.world.kill_daemon();
                // Here it stays the same kernel, which would give the namespace's number again were it free.
                let old = std::fs::File::open(ns).expect("the namespace");
                ip(&["netns", "del", "a"]);
                for link in ip(&["link"]).as_array().into_iter().flatten() {
                    let name = link["ifname"].as_str().unwrap_or_default();
                    ip(&["link", "del", name]);
                }
                netns("a");
                drop(old);
                self.world.start_daemon();
                self.there = false;
            }
            GcKeeping | GcAll if self.version != "1.1.0" => {
                assert_eq!(self.runtime.gc(&["c1"]).refused(), 1);
                if matches!(step, GcAll) {
                    self.gone(self.runtime.del(late, true)); // as libcni does for a stale attachment
                }
            }
            GcKeeping => drop(self.runtime.gc(&["c0", "c1"]).fine()),
            GcAll => self.gone(self.runtime.gc(&["c0"])),
        }
        let given = self.runtime.result["ips"][0]["address"].as_str().unwrap_or_default();
        let inside = addresses(ns, "eth0");
        assert_eq!(inside, self.there.then(|| vec![given.to_owned()]), "what is inside");
    }

    fn gone(&mut self, said: crate::world::Said) {
        said.fine();
        self.there = false;
    }
}

#[test]
fn every_version_alone_and_chained() {
    // `tuning` of Debian's containernetworking-plugins stands behind us, as in Podman's lists.
    let chained = std::path::Path::new("/usr/lib/cni/tuning").exists();
    assert!(
        chained || std::env::var("PONTOON_TEST_REQUIRE").as_deref() != Ok("1"),
        "would be skipped: tuning is missing"
    );
    if !chained {
        eprintln!("skipped: chains: /usr/lib/cni/tuning is missing");
    }
    let ours = || json!({ "type": "pontoon", "subnet": "10.44.0.0/24" });
    let tuning = || json!({ "type": "tuning", "sysctl": { "net.ipv4.conf.all.log_martians": "1" } });
    world(|world| {
        netns("a");
        for version in VERSIONS {
            for plugins in [vec![ours()], vec![ours(), tuning()]] {
                // Debian's plugins do not speak the latest version.
                if plugins.len() > 1 && (!chained || version == "1.1.0") {
                    continue;
                }
                for play in PLAYS {
                    if addresses("/run/netns/a", "lo").is_none() {
                        netns("a");
                    }
                    let what = format!("{version}, {} plugins, {play:?}", plugins.len());
                    let runtime = Runtime::new(version, "n", plugins.clone());
                    let mut stage = Stage { world, runtime, version, there: false };
                    for (i, step) in play.iter().enumerate() {
                        let step = std::panic::AssertUnwindSafe(|| stage.play(*step));
                        if let Err(panic) = std::panic::catch_unwind(step) {
                            eprintln!("step {i} of {what}");
                            std::panic::resume_unwind(panic);
                        }
                    }
                    assert_eq!(sandboxes(), Vec::<String>::new(), "{what}");
                }
            }
        }
    });
}
