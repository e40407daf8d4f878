//! Somebody who knows nothing of us takes something of ours away, again and again, and sees how soon it is back.
use super::{
    promised::Dice,
    tally::{Tally, one_more},
};
use crate::world::{Box, Place, World};
use serde_json::json;
use std::{
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    time::{Duration, Instant},
};

/// Is somebody else at work on what is ours?
pub fn wanted() -> bool {
    std::env::var_os("SOAK_DRIFT").is_some()
}

/// What is changed, and what then tells whether it is right again: it says what it said before.
struct Fault {
    damage: (Place, String),
    judge: (Place, String),
}

/// A network, a sandbox and a volume to be maltreated; the firewall and a bridge are everybody's.
pub struct Drift {
    faults: Vec<Fault>,
}

impl Drift {
    pub fn new(w: &World, shared_bridge: &str) -> Self {
        let device = w.dual("drift-net", json!({}))["device"].as_str().expect("device").to_owned();
        let options = json!({"type": "tmpfs", "device": "tmpfs", "o": "size=64k"});
        w.call("Volume.Create", json!({"name": "drift-vol", "options": options}));
        let mounts = json!([{"kind": "volume", "source": "drift-vol", "target": "/v"}]);
        let victim =
            w.sandbox_with("drift-a", json!({"networks": [{"network": "drift-net"}], "mounts": mounts}));
        let end = w.inspect("drift-a")["networks"][0]["host_ifname"].as_str().expect("a host end").to_owned();
        Drift { faults: faults(w, &victim, &device, &end, shared_bridge) }
    }

    /// Until it is over. `gate`: while it is shut, nothing is damaged.
    pub fn disturb(
        &self,
        w: &World,
        seed: u64,
        over: &AtomicBool,
        gate: &parking_lot::RwLock<()>,
        tally: &Tally,
    ) {
        let mut dice = Dice::new(seed);
        while !over.load(Relaxed) {
            std::thread::sleep(Duration::from_millis(500 + dice.below(2500)));
            let fault = &self.faults[dice.below(self.faults.len() as u64) as usize];
            let judge = || fault.judge.0.try_run("sh", &["-c", &fault.judge.1]);
            let (open, before) = (gate.read(), judge());
            let (life, begin) = (tally.life(), Instant::now());
            // What is gone already cannot be taken away.
            let (done, _) = fault.damage.0.try_run("sh", &["-c", &fault.damage.1]);
            drop(open);
            if !done || !before.0 {
                continue;
            }
            one_more(&tally.faults);
            let mut harmed = false;
            while judge() != before {
                harmed = true;
                assert!(
                    begin.elapsed() < Duration::from_secs(90),
                    "`{}` is not put right: {:?}, not {before:?}\n{}",
                    fault.damage.1,
                    judge(),
                    w.daemon.log()
                );
                if over.load(Relaxed) {
                    return;
                }
                std::thread::sleep(Duration::from_millis(2));
            }
            // What withstood was not repaired, and what a start puts right is no measure of a repair.
            match life.is_some() && tally.life() == life {
                _ if !harmed => {}
                true => tally.repairs.note(begin.elapsed()),
                false => tally.over_starts.note(begin.elapsed()),
            }
        }
    }
}

fn faults(w: &World, victim: &Box, device: &str, end: &str, shared: &str) -> Vec<Fault> {
    let data = w.daemon.root().join("volumes/drift-vol/_data");
    let data = data.display();
    let net = format!("nft get element inet pontoon net '{{ \"{shared}\" }}'");
    let port = "nft get element inet pontoon any4 '{ tcp . 8080 }'".to_owned();
    let guard = format!(
        "nft get element bridge pontoon guarded '{{ \"{end}\" }}' || nft list table bridge pontoon | grep -o {end} | sort -u | grep ."
    );
    let bridge = |name: &str| {
        format!(
            "ip -br link show dev {name} | cut -c1-60; ip -br addr show dev {name} | tr ' ' '\\n' | grep -v fe80 | sort; ip route show dev {name}"
        )
    };
    let inside =
        "ip -br addr show dev eth0 | sed 's,@[^ ]*,,' | tr ' ' '\\n' | grep -v fe80 | sort -u; ip route show default".to_owned();
    let port_of = format!(
        "ip -o link show dev {end} | grep -o 'master [^ ]*'; ip -o link show dev {end} | grep -c ,UP"
    );
    let here = |damage: &str, judge: &String| Fault {
        damage: (w.host.clone(), damage.to_owned()),
        judge: (w.host.clone(), judge.clone()),
    };
    let there = |damage: &str| Fault {
        damage: (victim.place.clone(), damage.to_owned()),
        judge: (victim.place.clone(), inside.clone()),
    };
    vec![
        here("nft flush ruleset", &net),
        here("nft flush ruleset", &port),
        here("nft flush map inet pontoon any4", &port),
        here("nft delete table bridge pontoon", &guard),
        here(&format!("nft delete element inet pontoon net '{{ \"{shared}\" }}'"), &net),
        here(&format!("ip link set {shared} down"), &bridge(shared)),
        here(&format!("ip addr flush dev {shared}"), &bridge(shared)),
        here(&format!("ip link del {device}"), &bridge(device)),
        here(&format!("ip link set {end} nomaster"), &port_of),
        here(&format!("ip link set {end} down"), &port_of),
        Fault {
            damage: (w.host.clone(), format!("ip link del {end}")),
            judge: (victim.place.clone(), inside.clone()),
        },
        here("sysctl -qw net.ipv4.ip_forward=0", &"sysctl -n net.ipv4.ip_forward".to_owned()),
        here(&format!("umount {data}"), &format!("mountpoint {data}")),
        there("ip addr flush dev eth0"),
        there("ip route del default"),
        there("ip link set eth0 down"),
    ]
}
