//! Frames that a sandbox with NET_RAW sends to its neighbours: what is honest arrives, every lie is dropped at its port;
//! without the guard all of them arrive, which shows that they are what they seem. `frames.py` makes them.
use crate::{
    no_br_netfilter::without,
    world::{Box, Place, World, echo, need, tool::soon, world},
};
use serde_json::json;
use std::{
    collections::BTreeSet,
    io::{BufRead, BufReader, Read},
    process::{Command, Stdio},
};

const SCRIPT: &str = include_str!("frames.py");

/// The attacker, its victim, and a neighbour whose names it uses.
struct Scene {
    a: Box,
    b: Box,
    c: Box,
}

fn scene(w: &World, options: serde_json::Value) -> Scene {
    // Where bridged packets pass the IP rules, those stop some of the lies too.
    without(w);
    let pools = json!([{"subnet": "10.9.0.0/24"}, {"subnet": "fd09::/64"}]);
    w.dual("n", json!({"pools": pools, "options": options}));
    let [a, b, c] = ["a", "b", "c"].map(|name| w.sandbox(name, &["n"]));
    // It believes routers, as the default of the kernel is.
    b.place.enter(|| {
        std::fs::write("/proc/sys/net/ipv6/conf/eth0/accept_ra", "2").expect("accept_ra");
    });
    Scene { a, b, c }
}

fn mac(place: &Place) -> String {
    place.link("eth0")["address"].as_str().expect("mac").to_owned()
}

impl Scene {
    /// The names of the frames that reach the victim.
    fn attack(&self) -> BTreeSet<String> {
        let hear = || Command::new("python3").args(["-c", SCRIPT, "hear"]).stdout(Stdio::piped()).spawn();
        let mut child = self.b.place.enter(hear).expect("python3");
        let mut reader = BufReader::new(child.stdout.take().expect("pipe"));
        let mut text = String::new();
        reader.read_line(&mut text).expect("up");
        let (a, b, c) = (&self.a, &self.b, &self.c);
        let args = [&a.ip, &a.ip6, &b.ip, &b.ip6, &mac(&b.place), &c.ip, &c.ip6, &mac(&c.place)];
        let args = args.map(String::as_str);
        a.place.run("python3", &[&["-c", SCRIPT, "send"], &args[..], &["10.9.0.1", "fd09::1"]].concat());
        text.clear();
        reader.read_to_string(&mut text).expect("names");
        child.wait().expect("wait");
        text.lines().map(str::to_owned).collect()
    }

    /// Did the victim take a route or an address from the attacker?
    fn misled(&self) -> bool {
        self.b.place.run("ip", &["-6", "route"]).contains("2001:db8:bad")
            || self.b.place.run("ip", &["-6", "addr"]).contains("2001:db8:bad")
    }
}

const HONEST: [&str; 9] = [
    "honest DHCP discover",
    "honest advertisement",
    "honest arp",
    "honest arp probe",
    "honest end",
    "honest fragments",
    "honest solicitation",
    "honest udp",
    "honest udp over IPv6",
];
const LIES: usize = 27;

#[test]
fn honest_frames_arrive_and_no_lie_does() {
    need(&["ip", "nft", "python3"]);
    world(|w| {
        let scene = scene(w, json!({}));
        let heard = scene.attack();
        assert_eq!(heard.iter().map(String::as_str).collect::<Vec<_>>(), HONEST);
        assert!(!scene.misled(), "a route or an address of the attacker's");
        for line in
            scene.b.place.run("ip", &["neigh"]).lines().filter(|line| line.contains(&mac(&scene.a.place)))
        {
            let own = [&scene.a.ip, &scene.a.ip6].iter().any(|ip| line.starts_with(&format!("{ip} ")));
            assert!(own || line.starts_with("fe80:"), "the victim believes {line}");
        }
        let _echo = echo::Echo::serve(&scene.c.place, "c", 80);
        for to in [format!("{}:80", scene.c.ip), format!("[{}]:80", scene.c.ip6)] {
            echo::open(&scene.b.place, &to, "c");
        }
    });
}

#[test]
fn without_the_guard_every_lie_arrives() {
    need(&["ip", "nft", "python3"]);
    world(|w| {
        let scene = scene(w, json!({"guard": "false"}));
        let heard = scene.attack();
        assert_eq!(heard.len(), HONEST.len() + LIES, "{heard:?}");
        soon(2000, "the victim believes the router", || scene.misled());
    });
}
