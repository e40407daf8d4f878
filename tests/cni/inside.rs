//! What is judged and made inside the container's own namespace: CHECK, `loopback`, routes of a foreign plugin.
use crate::world::{PLUGIN, World, addresses, call, call_program, config, ip, netns, seat, world};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::{Value, json};
use std::{fs, process::Command};

/// As `loopback` of `pontoon cni install`.
fn loopback() -> String {
    let path = "/run/loopback";
    if !std::path::Path::new(path).exists() {
        // Not a copy: a child forked meanwhile would keep it open for writing, and it could not be run (ETXTBSY).
        std::os::unix::fs::symlink(PLUGIN, path).expect("link");
    }
    path.to_owned()
}

fn asleep<T>(world: &World, test: impl FnOnce() -> T) -> T {
    let pid = Pid::from_raw(i32::try_from(world.daemon.id()).expect("pid"));
    kill(pid, Signal::SIGSTOP).expect("stop");
    let result = test();
    kill(pid, Signal::SIGCONT).expect("go on");
    result
}

#[test]
fn check_sees_what_is_gone() {
    world(|w| {
        let ns = netns("a");
        let mut list = config("1.1.0", "n", json!({ "subnets": ["10.44.0.0/24", "fd44::/64"] }));
        for (what, args) in [
            ("the address", "addr flush dev eth0 scope global"),
            ("one of both", "addr del fd44::2/64 dev eth0"),
            ("the route", "route del default"),
            ("the IPv6 route", "-6 route del default"),
            ("the interface is down", "link set eth0 down"),
            ("the interface", "link del eth0"),
            ("the name", "link set eth0 down name eth9"),
            ("the MAC address", "link set eth0 address 02:00:00:00:00:99"),
        ] {
            list["prevResult"] = Value::Null;
            let given = json!({ "runtimeConfig": { "ips": ["10.44.0.2", "fd44::2"] } });
            list["runtimeConfig"] = given["runtimeConfig"].clone();
            list["prevResult"] = call("ADD", seat("c1", &ns), &list).fine();
            call("CHECK", seat("c1", &ns), &list).fine();
            // The daemon would put it back before anybody asks.
            let said = asleep(w, || {
                let words = ["-n", "a"].into_iter().chain(args.split(' '));
                assert!(Command::new("ip").args(words).status().expect("run ip").success(), "{what}");
                call("CHECK", seat("c1", &ns), &list)
            });
            assert_eq!(said.refused(), 106, "{what}");
            call("DEL", seat("c1", &ns), &list).fine();
        }
        call("ADD", seat("c1", &ns), &config("1.1.0", "n", json!({}))).fine();
    });
}

#[test]
fn loopback_of_anybodys_pod() {
    world(|w| {
        w.kill_daemon();
        let ns = netns("pod");
        let up = || ip(&["-n", "pod", "link", "show", "lo"])[0]["flags"].to_string().contains("\"UP\"");
        let lo = |verb: &str, more: Value| {
            let config = json!({ "cniVersion": "0.3.1", "name": "cni-loopback", "type": "loopback" });
            let mut config = config;
            more.as_object().expect("object").iter().for_each(|(k, v)| config[k] = v.clone());
            call_program(&loopback(), verb, crate::world::Seat { ifname: "lo", ..seat("c1", &ns) }, &config)
        };
        assert!(!up());
        let newer = json!({ "cniVersion": "1.0.0", "prevResult": {} });
        assert_eq!(lo("CHECK", newer.clone()).refused(), 106);
        let result = lo("ADD", json!({})).fine();
        assert!(up());
        assert_eq!(
            (&result["cniVersion"], &result["interfaces"][0]["name"]),
            (&json!("0.3.1"), &json!("lo"))
        );
        assert_eq!(
            (&result["ips"][0]["address"], &result["ips"][0]["version"]),
            (&json!("127.0.0.1/8"), &json!("4"))
        );
        lo("ADD", json!({})).fine();
        lo("CHECK", newer).fine();
        for _ in 0..2 {
            lo("DEL", json!({})).fine();
        }
        ip(&["netns", "del", "pod"]);
        lo("DEL", json!({})).fine();
        assert_eq!(lo("ADD", json!({})).refused(), 4);
    });
}

/// A plugin that answers ADD with `result` and everything else with nothing.
fn plugin(name: &str, result: &Value) {
    let script =
        format!("#!/bin/sh\ncat >/dev/null\n[ \"$CNI_COMMAND\" != ADD ] || cat <<'JSON'\n{result}\nJSON\n");
    let path = format!("/run/cni/{name}");
    fs::create_dir_all("/run/cni").expect("folder");
    // Written by another process, for the same reason as above.
    let write = "printf %s \"$1\" >\"$2\" && chmod 755 \"$2\"";
    let written = Command::new("sh").args(["-c", write, "sh", &script, &path]).status().expect("sh");
    assert!(written.success());
}

#[test]
fn routes_of_a_foreign_plugin() {
    world(|_| {
        let ns = netns("a");
        let ip4 = json!({ "address": "10.47.0.9/24", "gateway": "10.47.0.1" });
        let routes = json!([{ "dst": "0.0.0.0/0" }, { "dst": "10.99.0.0/16" }, { "dst": "10.98.0.0/16", "gw": "10.47.0.7" }]);
        plugin("chooses", &json!({ "cniVersion": "1.0.0", "ips": [ip4], "routes": routes }));
        let mut list = config("1.0.0", "n", json!({ "ipam": { "type": "chooses" } }));
        let result = call("ADD", seat("c1", &ns), &list).fine();
        assert_eq!(addresses(&ns, "eth0"), Some(vec!["10.47.0.9/24".to_owned()]));
        assert_eq!(
            result["routes"],
            json!([{ "dst": "0.0.0.0/0", "gw": "10.47.0.1" }, { "dst": "10.99.0.0/16", "gw": "10.47.0.1" },
                { "dst": "10.98.0.0/16", "gw": "10.47.0.7" }])
        );
        let there = ip(&["-n", "a", "route"]);
        for (to, via) in
            [("default", "10.47.0.1"), ("10.99.0.0/16", "10.47.0.1"), ("10.98.0.0/16", "10.47.0.7")]
        {
            let found = there.as_array().expect("routes").iter().find(|route| route["dst"] == to);
            assert_eq!(found.map(|route| &route["gateway"]), Some(&json!(via)), "{to}: {there}");
        }
        list["prevResult"] = result;
        call("CHECK", seat("c1", &ns), &list).fine();
        call("DEL", seat("c1", &ns), &list).fine();
        // What cannot be, is refused and leaves nothing.
        list["prevResult"] = Value::Null;
        for routes in [
            json!([{ "dst": "10.99.0.0/16", "gw": "192.0.2.1" }]),
            json!([{ "dst": "0.0.0.0/0", "gw": "10.47.0.8" }]),
            json!([{ "dst": "fd00::/8" }]),
            json!([{ "gw": "10.47.0.1" }]),
        ] {
            plugin(
                "chooses",
                &json!({ "cniVersion": "1.0.0", "ips": [{ "address": "10.47.0.9/24", "gateway": "10.47.0.1" }], "routes": routes }),
            );
            assert_eq!(call("ADD", seat("c1", &ns), &list).refused(), 7, "{routes}");
            assert_eq!(addresses(&ns, "eth0"), None);
        }
    });
}
