//! Names while things change: detach, restart, many askers.
use crate::world::{need, tool::soon, world};
use serde_json::json;

#[test]
fn names_go_with_their_sandbox_and_come_back_with_another_address() {
    need(&["ip", "nft", "dig"]);
    world(|w| {
        w.network("n", json!({}));
        let a = w.sandbox("a", &["n"]);
        let mut before = String::new();
        for _ in 0..5 {
            let db = w.sandbox("db", &["n"]);
            assert_eq!(a.place.dig(&["db"]), db.ip, "published before the reply");
            assert_ne!(db.ip, before);
            w.remove("db");
            assert_ne!(a.place.dig(&["db"]), db.ip);
            before = db.ip;
        }
    });
}

#[test]
fn names_survive_a_restart_of_the_daemon() {
    need(&["ip", "nft", "dig"]);
    world(|w| {
        w.network("n", json!({}));
        let (a, b) = (
            w.sandbox("a", &["n"]),
            w.sandbox_with("b", json!({"networks": [{"network": "n", "aliases": ["x"]}]})),
        );
        w.daemon.kill();
        assert_eq!(a.place.dig(&["b"]), "TIMEOUT");
        w.daemon.again();
        soon(1000, "names answer again", || {
            a.place.dig(&["b"]) == b.ip && a.place.dig(&["+tcp", "x"]) == b.ip
        });
        w.daemon.stop();
        w.daemon.again();
        assert_eq!(a.place.dig(&["b"]), b.ip);
    });
}

#[test]
fn many_askers_at_once() {
    need(&["ip", "nft", "dig"]);
    world(|w| {
        w.network("n", json!({}));
        let all: Vec<_> = (0..12).map(|i| w.sandbox(&format!("s{i}"), &["n"])).collect();
        std::thread::scope(|scope| {
            for (i, asker) in all.iter().enumerate() {
                let next = &all[(i + 1) % all.len()];
                scope.spawn(move || (0..3).for_each(|_| assert_eq!(asker.place.dig(&[&next.name]), next.ip)));
            }
        });
    });
}
