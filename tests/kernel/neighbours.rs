//! Firewalls of others on the same host: our sandboxes keep working, theirs too, and what is theirs stays as they made it.
//!
//! ufw and firewalld are their own tables here, loaded as those programs load them (ufw 0.36's chains by iptables-restore,
//! firewalld 1.3's table by nft), which is quick; the programs themselves are in `firewalls`, a real dockerd in
//! integration/dockerd.
use crate::world::{Box, Echo, Place, World, echo, need, tool::soon, world_with_neighbours};
use serde_json::json;

const JUDGES: &[&str] = &["ip", "nft", "iptables", "ip6tables", "iptables-restore"];

pub fn scene(test: impl FnOnce(&World, &Place, &Box) + Send) {
    need(JUDGES);
    world_with_neighbours(|w, lan, _| {
        // As their owners find the host: the tables are there, empty, before anybody drops anything.
        for iptables in ["iptables", "ip6tables"] {
            w.host.run(iptables, &["-P", "FORWARD", "ACCEPT"]);
        }
        w.dual("n", json!({}));
        let ports = json!([{"host_port": 8080, "port": 80}, {"host_port": 8080, "port": 80, "proto": "udp"}]);
        let a = w.sandbox_with("a", json!({"networks": [{"network": "n"}], "ports": ports}));
        let _echo = Echo::serve(&a.place, "a", 80);
        test(w, lan, &a);
        // All of it goes with the test's own tables.
        w.host.run("nft", &["flush", "ruleset"]);
    });
}

pub fn works(lan: &Place, a: &Box) {
    for to in ["192.0.2.1:8080", "[2001:db8:1::1]:8080"] {
        soon(3_000, &format!("{to} answers"), || echo::ask_for(lan, echo::Proto::Tcp, to, 100).is_some());
        echo::open(lan, to, "a");
    }
    assert!(a.place.ping("192.0.2.2", "2") && a.place.ping("2001:db8:1::2", "2"), "out to the LAN");
}

fn doctor(w: &World) -> (String, String) {
    let all = w.call("System.Doctor", json!({}));
    let all = all.as_array().expect("findings").iter();
    let found = all.clone().find(|f| f["check"] == "foreign firewall").expect("the check");
    (found["level"].as_str().unwrap_or("").to_owned(), found["message"].as_str().unwrap_or("").to_owned())
}

fn both(w: &World, args: &[&str]) {
    for iptables in ["iptables", "ip6tables"] {
        w.host.run(iptables, args);
    }
}

pub fn rules(w: &World, iptables: &str, chain: &str) -> Vec<String> {
    w.host
        .run(iptables, &["-S", chain])
        .lines()
        .filter(|line| line.contains("pontoon/"))
        .map(str::to_owned)
        .collect()
}

#[test]
fn a_forward_policy_of_drop_as_dockerd_sets_it() {
    scene(|w, lan, a| {
        both(w, &["-N", "DOCKER-USER"]);
        both(w, &["-A", "FORWARD", "-j", "DOCKER-USER"]);
        both(w, &["-P", "FORWARD", "DROP"]);
        works(lan, a);
        for iptables in ["iptables", "ip6tables"] {
            let ours = rules(w, iptables, "FORWARD");
            assert_eq!(ours.len(), 2, "{iptables}: {ours:?}");
            assert!(
                ours.iter().all(|rule| rule.contains("devgroup")
                    && rule.contains("0x5050")
                    && rule.ends_with("-j ACCEPT")),
                "{ours:?}"
            );
            // iptables can still read and write its own chain.
            w.host.run(iptables, &["-A", "FORWARD", "-i", "nosuch0", "-j", "DROP"]);
            w.host.run(iptables, &["-D", "FORWARD", "-i", "nosuch0", "-j", "DROP"]);
        }
        assert_eq!(doctor(w).0, "ok", "{:?}", doctor(w));
        // Flushed, as its owner's restart does.
        both(w, &["-F", "FORWARD"]);
        works(lan, a);
        assert_eq!(rules(w, "iptables", "FORWARD").len(), 2);
        assert!(w.events("repair").iter().any(|cause| cause.contains("ip filter FORWARD")));
        // With us it goes, and what is theirs stays.
        w.daemon.leave();
        assert_eq!(rules(w, "iptables", "FORWARD"), Vec::<String>::new());
        assert!(w.host.run("iptables", &["-S"]).contains("-P FORWARD DROP"));
        both(w, &["-P", "FORWARD", "ACCEPT"]);
        w.daemon.again();
    });
}

/// The chains of ufw 0.36 that a forwarded packet meets, with its default policy, deny.
const UFW: &str = "*filter
:FORWARD DROP [0:0]
:PREFIX-before-logging-forward - [0:0]
:PREFIX-before-forward - [0:0]
:PREFIX-user-forward - [0:0]
:PREFIX-after-forward - [0:0]
:PREFIX-after-logging-forward - [0:0]
:PREFIX-reject-forward - [0:0]
:PREFIX-track-forward - [0:0]
-A FORWARD -j PREFIX-before-logging-forward
-A FORWARD -j PREFIX-before-forward
-A FORWARD -j PREFIX-after-forward
-A FORWARD -j PREFIX-after-logging-forward
-A FORWARD -j PREFIX-reject-forward
-A FORWARD -j PREFIX-track-forward
-A PREFIX-before-forward -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A PREFIX-before-forward -j PREFIX-user-forward
-A PREFIX-reject-forward -j REJECT
COMMIT
";

#[test]
fn ufw_and_its_reload() {
    scene(|w, lan, a| {
        let load = || {
            for (program, prefix) in [("iptables-restore", "ufw"), ("ip6tables-restore", "ufw6")] {
                let file = format!("/run/{prefix}.rules");
                std::fs::write(&file, UFW.replace("PREFIX", prefix)).expect("rules");
                w.host.run(program, &[&file]);
            }
        };
        // What comes from the LAN and is not ours stays dropped.
        load();
        works(lan, a);
        assert_eq!(rules(w, "iptables", "ufw-user-forward").len(), 2);
        assert_eq!(rules(w, "ip6tables", "ufw6-user-forward").len(), 2);
        assert_eq!(rules(w, "iptables", "FORWARD"), Vec::<String>::new(), "only where ufw leaves room");
        for _ in 0..2 {
            load();
            works(lan, a);
        }
        both(w, &["-P", "FORWARD", "ACCEPT"]);
    });
}

/// What firewalld 1.3 makes of its zone `public` for forwarded packets.
const FIREWALLD: &str = "
table inet firewalld
delete table inet firewalld
table inet firewalld {
	chain filter_FORWARD {
		type filter hook forward priority filter + 10; policy accept;
		ct state { established, related } accept
		ct status dnat accept
		iifname \"lo\" accept
		ct state invalid drop
		reject with icmpx admin-prohibited
	}
}
";

#[test]
fn firewalld_and_its_reload() {
    scene(|w, lan, a| {
        for _ in 0..3 {
            std::fs::write("/run/firewalld.nft", FIREWALLD).expect("rules");
            w.host.run("nft", &["-f", "/run/firewalld.nft"]);
            works(lan, a);
        }
        let chain = w.host.run("nft", &["list", "chain", "inet", "firewalld", "filter_FORWARD"]);
        assert_eq!(chain.matches("pontoon/default/pass").count(), 2, "{chain}");
        assert_eq!(doctor(w).0, "ok");
        w.daemon.leave();
        let chain = w.host.run("nft", &["list", "chain", "inet", "firewalld", "filter_FORWARD"]);
        assert!(!chain.contains("pontoon") && chain.contains("reject"), "{chain}");
        w.daemon.again();
    });
}

#[test]
fn where_nobody_leaves_room_doctor_says_so() {
    scene(|w, _, a| {
        std::fs::write(
            "/run/own.nft",
            "table inet own {\nchain routed {\ntype filter hook forward priority 0; policy drop;\n}\n}\n",
        )
        .expect("rules");
        w.host.run("nft", &["-f", "/run/own.nft"]);
        let (level, message) = doctor(w);
        assert!(level == "problem" && message.contains("inet own routed"), "{level} {message}");
        assert!(!a.place.ping("192.0.2.2", "0.3"));
        w.host.run("nft", &["delete", "table", "inet", "own"]);
        assert_eq!(doctor(w).0, "ok");
        assert!(a.place.ping("192.0.2.2", "2"));
    });
}

#[test]
fn told_to_report_only_it_touches_nothing() {
    scene(|w, _, _| {
        w.daemon.kill();
        let config = w.daemon.root().parent().expect("home").join("pontoon.toml");
        let text = std::fs::read_to_string(&config).expect("configuration");
        std::fs::write(&config, text + "foreign_firewalls = \"report\"\n").expect("configuration");
        w.daemon.again();
        both(w, &["-P", "FORWARD", "DROP"]);
        std::thread::sleep(std::time::Duration::from_millis(100));
        assert_eq!(rules(w, "iptables", "FORWARD"), Vec::<String>::new());
        let (level, message) = doctor(w);
        assert!(level == "problem" && message.contains("ip filter FORWARD"), "{level} {message}");
        both(w, &["-P", "FORWARD", "ACCEPT"]);
    });
}

/// Tables as kube-proxy writes them: marks, and a drop of what is invalid or not marked.
const KUBE: &str = "*filter
:KUBE-FORWARD - [0:0]
-A FORWARD -m comment --comment \"kubernetes forwarding rules\" -j KUBE-FORWARD
-A KUBE-FORWARD -m conntrack --ctstate INVALID -j DROP
-A KUBE-FORWARD -m mark --mark 0x4000/0x4000 -j ACCEPT
-A KUBE-FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
COMMIT
*nat
:KUBE-POSTROUTING - [0:0]
:KUBE-SERVICES - [0:0]
:KUBE-MARK-MASQ - [0:0]
:KUBE-SVC - [0:0]
-A PREROUTING -j KUBE-SERVICES
-A OUTPUT -j KUBE-SERVICES
-A POSTROUTING -j KUBE-POSTROUTING
-A KUBE-SERVICES -d 10.96.0.1/32 -p tcp -m tcp --dport 80 -j KUBE-SVC
-A KUBE-SVC -j KUBE-MARK-MASQ
-A KUBE-SVC -p tcp -j DNAT --to-destination 192.0.2.2:80
-A KUBE-MARK-MASQ -j MARK --or-mark 0x4000
-A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN
-A KUBE-POSTROUTING -j MARK --xor-mark 0x4000
-A KUBE-POSTROUTING -j MASQUERADE
COMMIT
";

#[test]
fn services_of_kube_proxy_and_rules_of_tailscale() {
    scene(|w, lan, a| {
        std::fs::write("/run/kube.rules", KUBE).expect("rules");
        w.host.run("iptables-restore", &["/run/kube.rules"]);
        // Tailscale: policy rules around a mark, a table of its own, and its chain first in FORWARD.
        for rule in [
            ["5210", "fwmark", "0x80000/0xff0000", "table", "main"],
            ["5250", "fwmark", "0x80000/0xff0000", "type", "unreachable"],
        ] {
            let all: Vec<&str> = ["rule", "add", "pref"].iter().chain(&rule).copied().collect();
            w.host.run("ip", &all);
        }
        w.host.run("ip", &["rule", "add", "pref", "5270", "table", "52"]);
        w.host.run("ip", &["route", "add", "100.64.0.0/10", "via", "192.0.2.2", "table", "52"]);
        both(w, &["-N", "ts-forward"]);
        both(w, &["-I", "FORWARD", "-j", "ts-forward"]);
        both(w, &["-A", "ts-forward", "-i", "tailscale0", "-j", "MARK", "--set-xmark", "0x40000/0xff0000"]);
        both(w, &["-A", "ts-forward", "-o", "tailscale0", "-j", "ACCEPT"]);
        lan.run("ip", &["addr", "add", "100.64.0.7/32", "dev", "lo"]);
        let _lan = Echo::serve(lan, "lan", 80);
        works(lan, a);
        // Theirs: a service address and the tailnet, from the host and from a sandbox.
        for from in [&w.host, &a.place] {
            assert!(echo::ask(from, echo::Proto::Tcp, "10.96.0.1:80").is_some(), "{from:?} and the service");
            let told = echo::ask(from, echo::Proto::Tcp, "100.64.0.7:80");
            assert!(
                told.as_ref().is_some_and(|told| told.starts_with("lan ")),
                "{from:?} and the tailnet: {told:?}"
            );
        }
        for rule in ["5210", "5250", "5270"] {
            w.host.run("ip", &["rule", "del", "pref", rule]);
        }
    });
}

/// An engine that starts after us finds the host forwarding and changes nothing: our guard must not stop its containers.
#[test]
fn containers_of_an_engine_that_came_later_reach_out() {
    need(JUDGES);
    world_with_neighbours(|w, lan, wan| {
        w.dual("n", json!({}));
        w.sandbox("a", &["n"]);
        let bridge = "br-0123456789ab";
        w.host.run("ip", &["link", "add", bridge, "type", "bridge"]);
        w.host.run("ip", &["addr", "add", "10.77.0.1/24", "dev", bridge]);
        w.host.run("ip", &["link", "set", bridge, "up"]);
        let container = |name: &str, address: &str| {
            w.host.run("ip", &["netns", "add", name]);
            w.host.run("ip", &["link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", name]);
            w.host.run("ip", &["link", "set", name, "master", bridge, "up"]);
            let place = Place::named(name);
            place.run("ip", &["addr", "add", &format!("{address}/24"), "dev", "eth0"]);
            place.run("ip", &["link", "set", "eth0", "up"]);
            place.run("ip", &["route", "add", "default", "via", "10.77.0.1"]);
            place
        };
        // An administrator's bridge has no engine behind it that counts on us: for its neighbours the host is no router.
        w.host.run("ip", &["link", "add", "br-lan", "type", "bridge"]);
        w.host.run("ip", &["addr", "add", "10.78.0.1/24", "dev", "br-lan"]);
        w.host.run("ip", &["link", "set", "br-lan", "up"]);
        w.host.run("ip", &["netns", "add", "desk"]);
        w.host.run("ip", &["link", "add", "desk", "type", "veth", "peer", "name", "eth0", "netns", "desk"]);
        w.host.run("ip", &["link", "set", "desk", "master", "br-lan", "up"]);
        let desk = Place::named("desk");
        desk.run("ip", &["addr", "add", "10.78.0.2/24", "dev", "eth0"]);
        desk.run("ip", &["link", "set", "eth0", "up"]);
        desk.run("ip", &["route", "add", "default", "via", "10.78.0.1"]);
        soon(2000, "the desk is on its bridge", || desk.ping("10.78.0.1", "1"));
        assert!(!desk.ping("192.0.2.2", "0.3"), "br-lan is nobody's engine");
        w.host.run("ip", &["netns", "del", "desk"]);
        w.host.run("ip", &["link", "del", "br-lan"]);
        let (one, _two) = (container("one", "10.77.0.2"), container("two", "10.77.0.3"));
        assert!(one.ping("192.0.2.2", "2"), "out to the LAN");
        assert!(one.ping("10.77.0.3", "2"), "its neighbour, through br_netfilter");
        assert!(lan.ping("10.77.0.2", "2"), "in, if its own engine lets it");
        assert!(!wan.ping("192.0.2.2", "0.3"), "we made no router for others");
        for name in ["one", "two"] {
            w.host.run("ip", &["netns", "del", name]);
        }
        w.host.run("ip", &["link", "del", bridge]);
    });
}
