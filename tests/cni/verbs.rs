//! Repeats, many at once, several networks, GC, a namespace or a daemon that is gone.
use crate::world::{Seat, addresses, call, config, ip, netns, sandboxes, seat, world};
use serde_json::{Value, json};
use std::{collections::BTreeSet, time::Duration};

fn list(name: &str, third: u8) -> Value {
    config("1.1.0", name, json!({ "subnet": format!("10.44.{third}.0/24") }))
}

#[test]
fn sixteen_first_adds_at_once() {
    world(|_| {
        let list = list("n", 0);
        let spaces: Vec<String> = (0..16).map(|i| netns(&format!("p{i}"))).collect();
        let results: Vec<Value> = std::thread::scope(|scope| {
            let list = &list;
            let one = |(i, ns): (usize, &String)| {
                let (id, ns) = (format!("c{i}"), ns.clone());
                scope.spawn(move || call("ADD", seat(&id, &ns), list).fine())
            };
            let threads: Vec<_> = spaces.iter().enumerate().map(one).collect();
            threads.into_iter().map(|thread| thread.join().expect("thread")).collect()
        });
        let given: BTreeSet<String> =
            results.iter().map(|result| result["ips"][0]["address"].to_string()).collect();
        assert_eq!(given.len(), 16, "{given:?}");
        for (ns, result) in spaces.iter().zip(&results) {
            assert_eq!(json!(addresses(ns, "eth0").expect("eth0")), json!([result["ips"][0]["address"]]));
        }
        // Only one of them is to stay.
        let mut gc = list.clone();
        gc["cni.dev/valid-attachments"] = json!([{ "containerID": "c3", "ifname": "eth0" }]);
        call("GC", seat("", ""), &gc).fine();
        assert_eq!(sandboxes(), ["c3"]);
        // A runtime that does not say what is valid takes nothing away.
        call("GC", seat("", ""), &list).fine();
        assert_eq!(sandboxes(), ["c3"]);
    });
}

#[test]
fn several_networks_are_one_sandbox() {
    world(|_| {
        let ns = netns("a");
        let second = Seat { ifname: "net1", ..seat("c1", &ns) };
        // At once, as go-cni does it.
        std::thread::scope(|scope| {
            scope.spawn(|| call("ADD", seat("c1", &ns), &list("one", 1)).fine());
            scope.spawn(|| call("ADD", second, &list("two", 2)).fine());
        });
        assert_eq!(sandboxes(), ["c1"]);
        assert_eq!(addresses(&ns, "eth0"), Some(vec!["10.44.1.2/24".to_owned()]));
        assert_eq!(addresses(&ns, "net1"), Some(vec!["10.44.2.2/24".to_owned()]));
        assert_eq!(call("ADD", second, &list("two", 2)).refused(), 101, "the interface is there");
        call("DEL", Seat { ifname: "eth7", ..seat("c1", &ns) }, &list("one", 1)).fine();
        call("DEL", seat("c1", ""), &list("one", 1)).fine();
        assert_eq!((addresses(&ns, "eth0"), addresses(&ns, "net1").is_some()), (None, true));
        call("DEL", second, &list("two", 2)).fine();
        assert_eq!(sandboxes(), Vec::<String>::new());
    });
}

#[test]
fn gc_keeps_to_its_own_list() {
    world(|_| {
        let spaces = ["a", "b", "c"].map(netns);
        // Two lists lead to one network; the third container joins the second list with a later interface.
        let (one, two) = (list("one", 1), config("1.1.0", "two", json!({ "network": "one" })));
        let later = Seat { ifname: "net1", ..seat("c3", &spaces[2]) };
        call("ADD", seat("c1", &spaces[0]), &one).fine();
        call("ADD", seat("c2", &spaces[1]), &two).fine();
        call("ADD", seat("c3", &spaces[2]), &list("else", 2)).fine();
        call("ADD", later, &two).fine();
        let collect = |list: &Value, keep: Value| {
            let mut list = list.clone();
            list["cni.dev/valid-attachments"] = keep;
            call("GC", seat("", ""), &list).fine();
        };
        collect(&one, json!([]));
        assert_eq!(sandboxes(), ["c2", "c3"], "just c1 came through list one");
        assert!(addresses(&spaces[2], "net1").is_some(), "it came through list two");
        collect(&two, json!([{ "containerID": "c2", "ifname": "eth0" }]));
        assert_eq!((addresses(&spaces[2], "net1"), addresses(&spaces[2], "eth0").is_some()), (None, true));
        collect(&two, json!([{ "containerID": "c2", "ifname": "eth1" }]));
        assert_eq!(sandboxes(), ["c3"], "the interface counts too");
        collect(&list("else", 2), json!([]));
        assert_eq!(sandboxes(), Vec::<String>::new());
    });
}

#[test]
fn a_second_life_under_the_same_id() {
    world(|_| {
        let (a, b) = (netns("a"), netns("b"));
        call("ADD", seat("c1", &a), &list("n", 0)).fine();
        // No DEL came (ctr run -d never sends one), and the container is started anew elsewhere.
        call("ADD", seat("c1", &b), &list("n", 0)).fine();
        assert_eq!((addresses(&a, "eth0"), addresses(&b, "eth0").is_some()), (None, true));
        ip(&["netns", "del", "b"]);
        for _ in 0..2 {
            call("DEL", seat("c1", "/run/netns/b"), &list("n", 0)).fine();
        }
        assert_eq!(sandboxes(), Vec::<String>::new());
    });
}

#[test]
fn a_short_id_is_nobody_elses() {
    world(|_| {
        let (a, id) = (netns("a"), "abcdef".repeat(10) + "abcd");
        call("ADD", seat(&id, &a), &list("n", 0)).fine();
        call("DEL", seat("abcdef", ""), &list("n", 0)).fine();
        assert!(addresses(&a, "eth0").is_some(), "abcdef begins somebody's id and is not it");
        call("DEL", seat(&id, ""), &list("n", 0)).fine();
        assert_eq!(addresses(&a, "eth0"), None);
    });
}

#[test]
fn check_notices_what_is_missing() {
    world(|_| {
        let ns = netns("a");
        let mut list = list("n", 0);
        list["prevResult"] = call("ADD", seat("c1", &ns), &list).fine();
        call("CHECK", seat("c1", &ns), &list).fine();
        assert_eq!(call("CHECK", seat("c2", &ns), &list).refused(), 106);
        let mut wrong = list.clone();
        wrong["prevResult"]["ips"][0]["address"] = json!("10.44.0.77/24");
        assert_eq!(call("CHECK", seat("c1", &ns), &wrong).refused(), 106);
        list["prevResult"] = Value::Null;
        assert_eq!(call("CHECK", seat("c1", &ns), &list).refused(), 7);
    });
}

#[test]
fn without_a_daemon() {
    world(|w| {
        let ns = netns("a");
        call("ADD", seat("c1", &ns), &list("n", 0)).fine();
        w.kill_daemon();
        for (verb, code) in [("ADD", 11), ("DEL", 11), ("STATUS", 51)] {
            let said = call(verb, seat("c2", &ns), &list("n", 0));
            assert!(said.took < Duration::from_secs(2), "{verb} took {:?}", said.took);
            assert_eq!(said.refused(), code, "{verb}");
        }
        w.start_daemon();
        call("STATUS", seat("", ""), &list("n", 0)).fine();
        assert!(addresses(&ns, "eth0").is_some());
        call("DEL", seat("c1", ""), &list("n", 0)).fine();
        assert_eq!(addresses(&ns, "eth0"), None);
    });
}
