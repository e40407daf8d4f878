//! The first packet after an attach is answered, always.
use crate::world::{Echo, Place, World, echo, need, world};
use serde_json::{Value, json};
use std::{sync::Mutex, time::Instant};

/// ms; a lost ARP request costs a whole second, a lost SYN as well.
const LIMIT: u64 = 100;

fn dual(w: &World) -> Echo {
    w.dual("n", json!({"pools": [{"subnet": "10.9.0.0/16"}, {"subnet": "fd09::/64"}]}));
    Echo::serve(&w.host, "host", 7)
}

/// None: all is well.
fn lost(from: &Place, i: usize, limit: u64) -> Option<String> {
    let (to, proto) = (["10.9.0.1:7", "[fd09::1]:7"][i % 2], echo::BOTH[i / 2 % 2]);
    let start = Instant::now();
    match echo::ask_for(from, proto, to, limit) {
        Some(_) => None,
        None => Some(format!("#{i} {proto:?} {to} after {:?}", start.elapsed())),
    }
}

#[test]
fn two_hundred_in_a_row() {
    need(&["ip"]);
    world(|w| {
        let _echo = dual(w);
        let (mut all, mut kept) = (Vec::new(), Vec::new());
        for i in 0..200 {
            let name = format!("a{i}");
            let a = w.sandbox(&name, &["n"]);
            all.extend(lost(&a.place, i, LIMIT));
            // Every other stays until the next has come: the bridge is not always empty.
            kept.push(name);
            if i % 2 == 1 {
                kept.drain(..).for_each(|name| w.remove(&name));
            }
        }
        assert!(all.is_empty(), "{} of 200 first packets were lost: {all:?}", all.len());
    });
}

#[test]
fn sixteen_callers_at_once() {
    need(&["ip"]);
    world(|w| {
        let _echo = dual(w);
        let all = Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            for caller in 0..16 {
                let all = &all;
                scope.spawn(move || {
                    for turn in 0..8 {
                        let name = format!("s{caller}-{turn}");
                        let a = w.sandbox(&name, &["n"]);
                        // They keep both processors busy: the limit is just below what a lost packet costs.
                        all.lock().expect("lock").extend(lost(&a.place, caller + turn, 900));
                        if turn % 2 == 0 {
                            w.remove(&name);
                        }
                    }
                });
            }
        });
        let all = all.into_inner().expect("lock");
        assert!(all.is_empty(), "{} of 128 first packets were lost: {all:?}", all.len());
        let list = w.call("Sandbox.List", json!({}));
        let addresses = |s: &Value| s["networks"][0]["addresses"].to_string();
        let mut ips: Vec<_> = list.as_array().expect("list").iter().map(addresses).collect();
        ips.sort();
        ips.dedup();
        assert_eq!(ips.len(), 64, "every sandbox has addresses of its own");
    });
}
