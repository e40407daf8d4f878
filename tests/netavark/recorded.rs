//! The recordings, played: what the container has then, what the caller is told, and what is left afterwards.
use crate::world::{World, call, container, dig, interface, ip, names, netns, recorded, world};
use serde_json::{Value, json};
use std::collections::BTreeSet;

fn nothing_is_left() {
    assert_eq!(names("sandbox"), Vec::<String>::new());
    assert_eq!(names("network"), ["bridge", "host", "none"]);
    let links = ip(&["link"]);
    let bridges = links.as_array().expect("links").iter().filter_map(|link| link["ifname"].as_str());
    assert_eq!(bridges.filter(|name| name.starts_with("podman")).count(), 0, "{links}");
}

#[test]
fn podman_run() {
    let addresses = |list: &[&str]| list.iter().map(|a| a.to_string()).collect::<Vec<_>>();
    world(|_| {
        for (name, ifname, wanted, mac, answer) in [
            (
                "default",
                "eth0",
                addresses(&["10.88.0.2/16"]),
                None,
                json!({"dns_search_domains": [], "dns_server_ips": [],
                    "subnets": [{"ipnet": "10.88.0.2/16", "gateway": "10.88.0.1"}]}),
            ),
            (
                "web",
                "eth0",
                addresses(&["10.89.0.77/24"]),
                Some("02:00:00:00:00:77"),
                json!({"dns_search_domains": ["dns.podman"], "dns_server_ips": ["127.0.0.11"],
                    "subnets": [{"ipnet": "10.89.0.77/24", "gateway": "10.89.0.1"}]}),
            ),
        ] {
            let request = recorded(name);
            let network = request["networks"].as_object().expect("a map").keys().next().expect("one").clone();
            for shape in [request.clone(), as_list(&request)] {
                let space = netns(name);
                // Repeated, it is the same seat.
                let said = [(); 2].map(|()| call("setup", &space, &shape).fine());
                assert_eq!(said[0], said[1]);
                let block = &said[0][&network];
                let seat = &block["interfaces"][ifname];
                assert_eq!(block["dns_search_domains"], answer["dns_search_domains"]);
                assert_eq!(block["dns_server_ips"], answer["dns_server_ips"]);
                assert_eq!(seat["subnets"], answer["subnets"]);
                let (found_mac, found) = interface(&space, ifname).expect("an interface");
                assert_eq!((json!(found_mac), found), (seat["mac_address"].clone(), wanted.clone()));
                assert!(mac.is_none_or(|mac| mac == found_mac));
                assert_eq!(names("sandbox"), [request["container_name"].as_str().expect("a name")]);
                // Any number of times, and without the namespace.
                call("teardown", &space, &shape).fine();
                assert_eq!(interface(&space, ifname), None);
                ip(&["netns", "del", name]);
                call("teardown", &space, &shape).fine();
                nothing_is_left();
            }
        }
    });
}

/// As Podman 6 writes it.
fn as_list(request: &Value) -> Value {
    let mut request = request.clone();
    let named = |(name, seat): (&String, &Value)| {
        let mut seat = seat.clone();
        seat["name"] = json!(name);
        seat
    };
    request["networks"] = request["networks"].as_object().expect("a map").iter().map(named).collect();
    request
}

#[test]
fn several_networks_join_and_leave_one_by_one() {
    world(|_| {
        let (one, two) = (netns("one"), netns("two"));
        call("setup", &one, &recorded("web")).fine();
        let three = call("setup", &two, &recorded("three")).fine();
        assert_eq!(three.as_object().expect("an object").len(), 3);
        // Podman forgets the server of a network that is left: each names another, and each answers, by TCP too.
        let servers =
            ["quiet", "web", "dual"].map(|name| three[name]["dns_server_ips"][0].as_str().expect("one"));
        assert_eq!(servers, ["127.0.0.11", WEB, "127.11.172.100"]);
        for server in servers {
            assert_eq!(dig(&two, server, "www"), "10.89.0.77", "{server}");
            assert_eq!(dig(&two, &format!("{server} +tcp"), "www"), "10.89.0.77", "{server}, TCP");
        }
        // Whatever else is on these addresses is the container's own.
        assert_eq!(dig(&two, &format!("{WEB} -p 54"), "www"), "");
        assert_eq!(interface(&two, "eth2").expect("eth2").1, ["10.77.0.2/24", "fd77::2/64"]);
        assert_eq!(ip(&["-n", "two", "link", "show", "eth2"])[0]["mtu"], 1400);
        // No default route through the internal one.
        let routes = ip(&["-n", "two", "route", "show", "default"]);
        assert!(routes.as_array().is_some_and(|r| r.len() == 1 && r[0]["dev"] != "eth0"), "{routes}");
        // network connect, then disconnect: the rest stays as it is.
        assert_eq!(dig(&one, "127.0.0.11", "two.quiet"), "");
        let joined = call("setup", &one, &recorded("connect")).fine();
        assert_eq!(joined["quiet"]["dns_server_ips"], json!(["127.11.72.233"]));
        assert_eq!(interface(&one, "eth1").expect("eth1").1, ["10.89.1.3/24"]);
        assert_eq!(dig(&one, "127.0.0.11", "two.quiet"), "10.89.1.2");
        call("teardown", &one, &recorded("connect")).fine();
        assert_eq!((interface(&one, "eth1"), interface(&one, "eth0").is_some()), (None, true));
        // network reload
        call("teardown", &one, &recorded("web")).fine();
        call("setup", &one, &recorded("web")).fine();
        for name in ["one", "www", "one.dns.podman", "www.dns.podman", "5abbab9b4e74", "WWW.dns.podman"] {
            assert_eq!(dig(&two, "127.0.0.11", name), "10.89.0.77", "{name}");
        }
        // The network of eth0 is left and joined again.
        let mut first = recorded("three");
        first["networks"].as_object_mut().expect("a map").retain(|name, _| name == "quiet");
        call("teardown", &two, &first).fine();
        assert_eq!(interface(&two, "eth0"), None);
        assert_eq!(dig(&two, WEB, "www"), "10.89.0.77");
        let again = call("setup", &two, &first).fine();
        assert_eq!(again["quiet"]["dns_server_ips"], json!(["127.0.0.11"]));
        call("teardown", &two, &recorded("three")).fine();
        call("teardown", &one, &recorded("web")).fine();
        nothing_is_left();
    });
}

/// Where network `web` is told that names are answered, but for the container's eth0: its id's first two bytes.
const WEB: &str = "127.11.140.51";

#[test]
fn sixteen_at_once() {
    world(|_| {
        let requests: Vec<Value> = (0..16).map(|number| container("web", number)).collect();
        let spaces: Vec<String> = (0..16).map(|number| netns(&format!("p{number}"))).collect();
        let all = |verb: &str| {
            std::thread::scope(|scope| {
                for (space, request) in spaces.iter().zip(&requests) {
                    scope.spawn(move || call(verb, space, request).fine());
                }
            });
        };
        // The first makes the network, the last takes it away, and they do not stumble over one another.
        for _ in 0..2 {
            all("setup");
            let found = spaces.iter().flat_map(|space| interface(space, "eth0").expect("eth0").1);
            assert_eq!(found.collect::<BTreeSet<_>>().len(), 16);
            all("teardown");
            nothing_is_left();
        }
    });
}

#[test]
fn what_an_unclean_end_left_is_in_nobodys_way() {
    world(|w: &mut World| {
        let space = netns("a");
        call("setup", &space, &recorded("web")).fine();
        // No teardown came: a restart of the daemon finds no namespace any more.
        w.kill_daemon();
        ip(&["netns", "del", "a"]);
        w.start_daemon();
        assert_eq!(names("sandbox"), Vec::<String>::new());
        // Meanwhile the network was made anew, with the same bridge and subnet, as Podman does.
        let mut anew = recorded("web");
        anew["network_info"]["web"]["id"] = json!("cd".repeat(32));
        let space = netns("b");
        call("setup", &space, &anew).fine();
        assert_eq!(interface(&space, "eth0").expect("eth0").1, ["10.89.0.77/24"]);
        // A second life of the same container elsewhere.
        let other = netns("c");
        call("setup", &other, &anew).fine();
        assert_eq!((interface(&space, "eth0"), interface(&other, "eth0").is_some()), (None, true));
        call("teardown", &other, &anew).fine();
        nothing_is_left();
    });
}
