//! What runtimes really send: Podman's and containerd's spellings, static addresses, chains, foreign address plugins.
use crate::world::{Seat, addresses, call, config, ip, netns, seat, world};
use serde_json::{Value, json};
use std::{process::Command, thread};

fn inspect(name: &str) -> Value {
    let output =
        Command::new(env!("CARGO_BIN_EXE_pontoon")).args(["sandbox", "inspect", name]).output().expect("run");
    serde_json::from_slice::<Value>(&output.stdout).expect("JSON")[0].clone()
}

#[test]
fn podman_and_containerd_spell_differently() {
    let podman = json!({"aliases": {"n": ["al1", "0123456789ab"]}, "portMappings": [
        {"hostPort": 8000, "containerPort": 80, "protocol": "tcp"}, {"hostPort": 8001, "containerPort": 81, "protocol": "tcp"}]});
    let cri = json!({"bandwidth": {"IngressRate": 1_000_000, "IngressBurst": 4_294_967_295_u64}, "dns": {"Servers": ["10.96.0.10"], "Searches": ["svc.local"], "Options": []},
        "io.kubernetes.cri.pod-annotations": {"a": "b"},
        "portMappings": [{"HostPort": 8080, "ContainerPort": 80, "Protocol": "TCP", "HostIP": ""}]});
    world(|_| {
        let ns = netns("a");
        let id = "ab".repeat(32);
        for (args, runtime, name, ports) in [
            ("IgnoreUnknown=1;K8S_POD_NAME=web1", podman, "web1", json!([8000, 80, 2])),
            (
                "K8S_POD_NAME=web;K8S_POD_NAMESPACE=prod;K8S_POD_UID=1;Odd",
                cri,
                "web.prod",
                json!([8080, 80, 1]),
            ),
        ] {
            let list = config(
                "1.0.0",
                "n",
                json!({ "subnets": ["10.44.0.0/24", "fd44::/64"], "runtimeConfig": runtime }),
            );
            let seat = Seat { args, ..seat(&id, &ns) };
            let result = call("ADD", seat, &list).fine();
            assert_eq!(result["ips"].as_array().map(Vec::len), Some(2), "both families");
            assert_eq!(result["dns"]["nameservers"], json!(["127.0.0.11"]));
            let sandbox = inspect(name);
            assert_eq!(sandbox["id"], json!(id));
            let port = &sandbox["ports"][0];
            assert_eq!(json!([port["host_port"], port["port"], port["count"]]), ports);
            call("DEL", seat, &list).fine();
        }
    });
}

#[test]
fn static_addresses() {
    world(|_| {
        let ns = netns("a");
        let made = |more: Value| {
            let mut list =
                config("1.0.0", "n", json!({ "subnet": "10.44.0.0/24", "gateway": "10.44.0.254" }));
            for (key, value) in more.as_object().expect("object") {
                list[key] = value.clone();
            }
            list
        };
        for (args, more) in [
            ("IP=10.44.0.9;MAC=02:00:00:00:00:09", json!({})),
            ("", json!({ "runtimeConfig": { "ips": ["10.44.0.9/24"], "mac": "02:00:00:00:00:09" } })),
            ("", json!({ "args": { "cni": { "ips": ["10.44.0.9"], "mac": "02:00:00:00:00:09" } } })),
        ] {
            let (seat, list) = (Seat { args, ..seat("c1", &ns) }, made(more));
            let result = call("ADD", seat, &list).fine();
            assert_eq!(addresses(&ns, "eth0"), Some(vec!["10.44.0.9/24".to_owned()]));
            assert_eq!(result["ips"][0]["gateway"], "10.44.0.254");
            assert_eq!(result["interfaces"][1]["mac"], "02:00:00:00:00:09");
            call("DEL", seat, &list).fine();
        }
    });
}

#[test]
fn behind_another_plugin() {
    world(|_| {
        let ns = netns("a");
        let previous = json!({ "cniVersion": "1.0.0", "interfaces": [{ "name": "x0" }], "ips": [{ "address": "192.0.2.9/24", "interface": 0 }] });
        let list = config("1.0.0", "n", json!({ "subnet": "10.44.0.0/24", "prevResult": previous }));
        let result = call("ADD", seat("c1", &ns), &list).fine();
        assert_eq!(result["interfaces"][0], previous["interfaces"][0]);
        assert_eq!(result["ips"][0], previous["ips"][0]);
        assert_eq!(
            (&result["ips"][1]["interface"], &result["interfaces"][2]["name"]),
            (&json!(2), &json!("eth0"))
        );
    });
}

#[test]
fn a_foreign_plugin_chooses_addresses() {
    if !std::path::Path::new("/usr/lib/cni/host-local").exists() {
        assert!(std::env::var("PONTOON_TEST_REQUIRE").as_deref() != Ok("1"), "host-local is missing");
        return eprintln!("skipped: host-local of containernetworking-plugins is missing");
    }
    world(|_| {
        let ns = netns("a");
        let ipam = json!({ "type": "host-local", "dataDir": "/run/hl", "ranges": [[{ "subnet": "10.46.0.0/24", "rangeStart": "10.46.0.50" }]] });
        let list = config("1.0.0", "n", json!({ "ipam": ipam }));
        let given = || {
            std::fs::read_dir("/run/hl/n")
                .expect("folder")
                .flatten()
                .filter(|e| e.file_name().to_string_lossy().starts_with("10."))
                .count()
        };
        call("ADD", seat("c1", &ns), &list).fine();
        assert_eq!((addresses(&ns, "eth0"), given()), (Some(vec!["10.46.0.50/24".to_owned()]), 1));
        assert_eq!(call("ADD", Seat { ifname: "lo", ..seat("c2", &ns) }, &list).code, 1);
        assert_eq!(given(), 1, "what a failed ADD took is given back");
        for _ in 0..2 {
            call("DEL", seat("c1", ""), &list).fine();
        }
        assert_eq!((addresses(&ns, "eth0"), given()), (None, 0));
    });
}

#[test]
fn lends_addresses_to_another_plugin() {
    if !std::path::Path::new("/usr/lib/cni/bridge").exists() {
        assert!(std::env::var("PONTOON_TEST_REQUIRE").as_deref() != Ok("1"), "bridge is missing");
        return eprintln!("skipped: bridge of containernetworking-plugins is missing");
    }
    world(|w| {
        std::fs::create_dir_all("/run/cni").expect("folder");
        std::os::unix::fs::symlink(crate::world::PLUGIN, "/run/cni/pontoon").expect("link");
        let ipam = json!({ "type": "pontoon", "subnet": "10.48.0.0/29", "routes": [{ "dst": "0.0.0.0/0" }] });
        let bridge = json!({ "cniVersion": "1.0.0", "name": "lent", "type": "bridge", "bridge": "br-theirs",
            "isGateway": true, "ipam": ipam });
        let play = |verb: &str, seat: Seat<'_>, config: &Value| {
            crate::world::call_program("/usr/lib/cni/bridge", verb, seat, config)
        };
        let ns = netns("a");
        let result = play("ADD", seat("c1", &ns), &bridge).fine();
        let given = result["ips"][0]["address"].as_str().expect("address").to_owned();
        assert_eq!(addresses(&ns, "eth0"), Some(vec![given.clone()]));
        assert_eq!(result["ips"][0]["gateway"], "10.48.0.1");
        assert_eq!(crate::world::sandboxes(), ["c1.eth0.lent"]);
        let reached = Command::new("ip")
            .args(["netns", "exec", "a", "ping", "-c1", "-W2", "10.48.0.1"])
            .stdout(std::process::Stdio::null())
            .status();
        assert!(reached.expect("run ping").success(), "their gateway, on their bridge");
        let mut check = bridge.clone();
        check["prevResult"] = result;
        play("CHECK", seat("c1", &ns), &check).fine();
        // It outlives the daemon, and is nobody else's.
        w.start_daemon();
        play("CHECK", seat("c1", &ns), &check).fine();
        let address = given.split('/').next().expect("address");
        let (other, args) = (netns("b"), format!("IP={address}"));
        let wanted = Seat { args: &args, ..seat("c2", &other) };
        assert_eq!(play("ADD", wanted, &bridge).code, 1, "{address} is taken");
        for _ in 0..2 {
            play("DEL", seat("c1", ""), &bridge).fine();
        }
        assert_eq!(crate::world::sandboxes(), Vec::<String>::new());
        // Containers that go without a word give theirs back: more lives than addresses.
        for life in 0..8 {
            let name = format!("life{life}");
            let ns = netns(&name);
            play("ADD", seat(&name, &ns), &bridge).fine();
            crate::world::ip(&["netns", "del", &name]);
            let start = std::time::Instant::now();
            while !crate::world::sandboxes().is_empty() {
                assert!(start.elapsed().as_secs() < 10, "life {life}: its lease stays");
                std::thread::sleep(std::time::Duration::from_millis(10));
            }
        }
        // GC and STATUS, as a newer plugin would pass them on.
        let ours = |verb: &str, seat: Seat<'_>, more: Value| {
            let mut config = bridge.clone();
            config["cniVersion"] = json!("1.1.0");
            more.as_object().expect("object").iter().for_each(|(key, value)| config[key] = value.clone());
            call(verb, seat, &config)
        };
        ours("ADD", seat("c1", &ns), json!({})).fine();
        ours("STATUS", seat("", ""), json!({})).fine();
        let keep = json!({ "cni.dev/valid-attachments": [{ "containerID": "c1", "ifname": "eth0" }] });
        ours("GC", seat("", ""), keep).fine();
        assert_eq!(crate::world::sandboxes(), ["c1.eth0.lent"]);
        ours("GC", seat("", ""), json!({ "cni.dev/valid-attachments": [] })).fine();
        assert_eq!(crate::world::sandboxes(), Vec::<String>::new());
    });
}

#[test]
fn ports_come_with_any_network() {
    let port = |host: u16| json!([{ "hostPort": host, "containerPort": 80, "protocol": "tcp" }]);
    let list = |name: &str, third: u8, ports: Value| {
        let subnet = format!("10.49.{third}.0/24");
        config("1.0.0", name, json!({ "subnet": subnet, "runtimeConfig": { "portMappings": ports } }))
    };
    let published = |name: &str| {
        let ports = inspect(name)["ports"].as_array().cloned().unwrap_or_default();
        ports.iter().map(|port| port["host_port"].clone()).collect::<Vec<_>>()
    };
    world(|_| {
        let ns = netns("a");
        let at = |ifname| Seat { ifname, ..seat("c1", &ns) };
        call("ADD", at("eth0"), &list("one", 1, json!([]))).fine();
        call("ADD", at("net1"), &list("two", 2, port(8081))).fine();
        assert_eq!(published("c1"), [8081]);
        // As Podman has it: the same again with each network, and one more.
        call("ADD", at("net2"), &list("three", 3, port(8081))).fine();
        call("ADD", at("net3"), &list("four", 4, port(8082))).fine();
        assert_eq!(published("c1"), [8081, 8082]);
        // One that is taken: the network is not joined either.
        let other = netns("b");
        call("ADD", seat("c2", &other), &list("one", 1, port(8083))).fine();
        assert_eq!(call("ADD", at("net4"), &list("five", 5, port(8083))).refused(), 101);
        assert_eq!((published("c1"), addresses(&ns, "net4")), (vec![json!(8081), json!(8082)], None));
        for (ifname, name) in [("eth0", "one"), ("net1", "two"), ("net2", "three"), ("net3", "four")] {
            call("DEL", at(ifname), &list(name, 9, json!([]))).fine();
        }
        call("DEL", seat("c2", &other), &list("one", 1, json!([]))).fine();
        assert_eq!(crate::world::sandboxes(), Vec::<String>::new());
    });
}

#[test]
fn bandwidth_is_limited_and_checked() {
    world(|w| {
        let ns = netns("a");
        let limits = |bandwidth: Value| {
            config(
                "1.0.0",
                "n",
                json!({ "subnet": "10.44.0.0/24", "runtimeConfig": { "bandwidth": bandwidth } }),
            )
        };
        // As containerd sends it, and as the specification has it.
        for bandwidth in [
            json!({ "IngressRate": 8_000_000, "IngressBurst": 4_294_967_295_u64, "EgressRate": 4_000_000, "EgressBurst": 4_294_967_295_u64 }),
            json!({ "ingressRate": 8e6, "ingressBurst": 1_000_000, "egressRate": 4_000_000, "egressBurst": 1_000_000 }),
        ] {
            let list = limits(bandwidth);
            let result = call("ADD", seat("c1", &ns), &list).fine();
            let end = result["interfaces"][0]["name"].as_str().expect("host end").to_owned();
            let tc = |args: &[&str]| {
                let output = Command::new("tc").args(args).output().expect("run tc");
                String::from_utf8_lossy(&output.stdout).into_owned()
            };
            assert!(tc(&["qdisc", "show", "dev", &end]).contains("tbf 1: root refcnt 2 rate 8Mbit"));
            assert!(tc(&["qdisc", "show", "dev", &end.replacen("pt", "pq", 1)]).contains("rate 4Mbit"));
            let mut check = list.clone();
            check["prevResult"] = result;
            call("CHECK", seat("c1", &ns), &check).fine();
            w.start_daemon();
            call("CHECK", seat("c1", &ns), &check).fine();
            // One that the daemon knows and the kernel does not have: seen from another host's namespace.
            let said = crate::world::call_elsewhere("CHECK", seat("c1", &ns), &check);
            assert_eq!(said.code, 1, "{said:?}");
            assert!(
                said.json["msg"]
                    .as_str()
                    .is_some_and(|msg| msg.contains("the ingress limit of eth0, 8000000 bit/s, is gone")),
                "{said:?}"
            );
            call("DEL", seat("c1", &ns), &list).fine();
        }
        for (bandwidth, words) in [
            (json!({ "ingressRate": 8, "ingressBurst": 0 }), "needs a burst"),
            (json!({ "egressBurst": 8 }), "it needs egressRate beside it"),
            (json!({ "egressRate": -1, "egressBurst": 8 }), "a whole number"),
            (json!({ "egressRate": 1, "egressBurst": 8 }), "from 8 bit/s"),
        ] {
            let said = call("ADD", seat("c1", &ns), &limits(bandwidth));
            assert_eq!((said.code, &said.json["code"]), (1, &json!(7)));
            assert!(said.json["msg"].as_str().is_some_and(|msg| msg.contains(words)), "{words}: {said:?}");
        }
        // A rate of 0 is no limit.
        call("ADD", seat("c1", &ns), &limits(json!({ "ingressRate": 0, "egressRate": 0 }))).fine();
    });
}

#[test]
fn ranges_of_addresses() {
    world(|_| {
        let list = |network: &str, ranges: Value| {
            config("1.0.0", network, json!({ "type": "pontoon", "runtimeConfig": { "ipRanges": ranges } }))
        };
        // Both spellings; two ranges of one set, of which the first is full after two.
        let ranges = json!([
            [{ "Subnet": "10.47.0.0/24", "RangeStart": "10.47.0.50", "RangeEnd": "10.47.0.51", "Gateway": "10.47.0.254" },
             { "subnet": "10.47.0.0/24", "rangeStart": "10.47.0.200" }],
            [{ "subnet": "fd47::/64", "rangeStart": "fd47::100", "rangeEnd": "fd47::1ff" }],
        ]);
        let list_a = list("ranged", ranges);
        let mut given = Vec::new();
        for number in 0..3 {
            let ns = netns(&format!("a{number}"));
            let result = call("ADD", seat(&format!("c{number}"), &ns), &list_a).fine();
            assert_eq!(result["ips"][0]["gateway"], "10.47.0.254");
            given.push((result["ips"][0]["address"].clone(), result["ips"][1]["address"].clone()));
            assert_eq!(addresses(&ns, "eth0").map(|all| all.len()), Some(2));
        }
        let pair = |v4: &str, v6: &str| (json!(v4), json!(v6));
        assert_eq!(
            given,
            [
                pair("10.47.0.50/24", "fd47::100/64"),
                pair("10.47.0.51/24", "fd47::101/64"),
                pair("10.47.0.200/24", "fd47::102/64")
            ]
        );
        let full =
            json!([[{ "subnet": "10.47.0.0/24", "rangeStart": "10.47.0.50", "rangeEnd": "10.47.0.51" }]]);
        let set = |range: Value| json!([[range]]);
        for (ranges, words) in [
            (full, "no free address left from 10.47.0.50 to 10.47.0.51"),
            (set(json!({ "subnet": "10.99.0.0/24" })), "network ranged has 10.47.0.0/24"),
            (
                set(json!({ "subnet": "10.47.0.0/24", "gateway": "10.47.0.1" })),
                "network ranged has 10.47.0.254",
            ),
            (set(json!({ "subnet": "10.47.0.0/24", "rangeStart": "10.48.0.1" })), "does not lie in it"),
            (
                set(json!({ "subnet": "10.47.0.0/24", "rangeStart": "10.47.0.9", "rangeEnd": "10.47.0.8" })),
                "is behind its end",
            ),
            (set(json!({ "rangeStart": "10.47.0.9" })), "subnet"),
            (json!([[{ "subnet": "10.47.0.0/24" }], [{ "subnet": "10.47.0.0/24" }]]), "second of its family"),
            (json!([[{ "subnet": "10.47.0.0/24" }, { "subnet": "fd47::/64" }]]), "mixes IPv4 and IPv6"),
        ] {
            let ns = netns("b");
            let said = call("ADD", seat("cx", &ns), &list("ranged", ranges));
            assert_eq!(said.code, 1, "{words}");
            assert!(said.json["msg"].as_str().is_some_and(|msg| msg.contains(words)), "{words}: {said:?}");
            assert_eq!(addresses(&ns, "eth0"), None);
        }
    });
}

#[test]
fn lends_addresses_of_both_families() {
    world(|w| {
        // As `bridge` and `macvlan` call an address plugin: their configuration, our section.
        let ipam = json!({ "type": "pontoon", "subnets": ["10.49.0.0/24", "fd49::/64"],
            "routes": [{ "dst": "0.0.0.0/0" }, { "dst": "::/0" }] });
        let list = json!({ "cniVersion": "1.0.0", "name": "lent6", "type": "macvlan", "ipam": ipam });
        let ns = netns("a");
        let result = call("ADD", seat("c1", &ns), &list).fine();
        assert_eq!(result["ips"][0], json!({ "address": "10.49.0.2/24", "gateway": "10.49.0.1" }));
        assert_eq!(result["ips"][1], json!({ "address": "fd49::2/64", "gateway": "fd49::1" }));
        assert_eq!(result["routes"].as_array().map(Vec::len), Some(2));
        assert!(result.get("interfaces").is_none(), "they are the other plugin's");
        assert_eq!(addresses(&ns, "eth0"), None, "nothing is made");
        let mut check = list.clone();
        check["prevResult"] = result;
        call("CHECK", seat("c1", &ns), &check).fine();
        // After a restart it is nobody else's, and one range of each family narrows the choice.
        w.start_daemon();
        let mut narrow = list.clone();
        narrow["runtimeConfig"] = json!({ "ipRanges": [[{ "subnet": "fd49::/64", "rangeStart": "fd49::2", "rangeEnd": "fd49::3" }]] });
        let other = netns("b");
        let result = call("ADD", seat("c2", &other), &narrow).fine();
        assert_eq!(result["ips"][1]["address"], "fd49::3/64");
        let said = call("ADD", seat("c3", &netns("c")), &narrow);
        assert!(said.json["msg"].as_str().is_some_and(|msg| msg.contains("fd49::2 to fd49::3")), "{said:?}");
        // Given back, it is had again; a prevResult with another address is noticed.
        call("DEL", seat("c1", &ns), &list).fine();
        let result = call("ADD", seat("c3", "/run/netns/c"), &narrow).fine();
        assert_eq!(result["ips"][1]["address"], "fd49::2/64");
        check["prevResult"] = result;
        check["prevResult"]["ips"][1]["address"] = json!("fd49::9/64");
        let wrong = call("CHECK", seat("c3", "/run/netns/c"), &check);
        assert!(wrong.json["msg"].as_str().is_some_and(|msg| msg.contains("fd49::2/64")), "{wrong:?}");
    });
}

#[test]
fn ports_of_networks_that_come_at_once() {
    world(|_| {
        for round in 0..5_u16 {
            let ns = netns("a");
            thread::scope(|scope| {
                for i in 0..6_u16 {
                    let ns = &ns;
                    scope.spawn(move || {
                        let port = json!([{ "hostPort": 8_100 + i, "containerPort": 80 + i, "protocol": "tcp" }]);
                        let more = json!({ "subnet": format!("10.50.{i}.0/24"), "runtimeConfig": { "portMappings": port } });
                        let ifname = format!("net{i}");
                        let at = Seat { ifname: &ifname, ..seat("c1", ns) };
                        call("ADD", at, &config("1.0.0", &format!("n{i}"), more)).fine();
                    });
                }
            });
            let sandbox = inspect("c1");
            let ports = sandbox["ports"].as_array().expect("ports");
            let mut ports: Vec<_> = ports.iter().map(|port| port["host_port"].clone()).collect();
            ports.sort_by_key(Value::as_u64);
            assert_eq!(ports, [8100, 8101, 8102, 8103, 8104, 8105], "round {round}");
            for i in 0..6 {
                let ifname = format!("net{i}");
                let at = Seat { ifname: &ifname, ..seat("c1", &ns) };
                call("DEL", at, &config("1.0.0", &format!("n{i}"), json!({}))).fine();
            }
            ip(&["netns", "del", "a"]);
        }
    });
}
