//! Networks as a user makes them, and the bridges that come of it.
use crate::world::{World, need, tool::soon, world};
use serde_json::{Value, json};

const JUDGES: &[&str] = &["ip", "nft"];

fn names(list: &Value) -> Vec<&str> {
    list.as_array().expect("list").iter().filter_map(|network| network["name"].as_str()).collect()
}

fn bridge(w: &World, network: &Value) -> Value {
    w.host.link(network["device"].as_str().expect("device"))
}

#[test]
fn three_are_predefined() {
    need(JUDGES);
    world(|w| {
        let list = w.call("Network.List", json!({}));
        let mut all = names(&list);
        all.sort_unstable();
        assert_eq!(all, ["bridge", "host", "none"]);
        let bridge = w.call("Network.Inspect", json!({"name": "bridge"}));
        assert_eq!(bridge["subnets"][0]["subnet"], "172.17.0.0/16");
        assert_eq!(bridge["subnets"][0]["gateway"], "172.17.0.1");
        assert_eq!(w.host.addresses("pontoon0"), ["172.17.0.1/16"]);
        for name in ["bridge", "host", "none"] {
            let (kind, text) = w.refused("Network.Remove", json!({ "name": name }));
            assert!(kind == "denied" && text.contains("pre-defined"), "{kind} {text}");
        }
    });
}

#[test]
fn a_bridge_is_as_promised() {
    need(JUDGES);
    world(|w| {
        let options = json!({"mtu": "1400", "com.docker.network.bridge.name": "mybr"});
        let n = w.dual(
            "n",
            json!({"pools": [{"subnet": "10.9.0.0/24", "gateway": "10.9.0.9"}], "options": options}),
        );
        assert_eq!(n["device"], "mybr");
        let before = bridge(w, &n);
        assert_eq!(before["mtu"], 1400);
        assert_eq!(before["linkinfo"]["info_data"]["stp_state"], 0, "STP is off");
        assert!(before["ifalias"].as_str().is_some_and(|alias| alias.contains("pontoon")), "{before}");
        assert!(w.host.addresses("mybr").contains(&"10.9.0.9/24".to_owned()));
        let six = n["subnets"][1]["subnet"].as_str().expect("ula");
        assert!(six.starts_with("fd"), "a ULA prefix is chosen: {six}");
        assert_eq!(w.host.addresses("mybr").len(), 2);
        // Its MAC stays when ports come and go.
        w.sandbox_with("a", json!({"networks": [{"network": "n", "mac": "02:00:00:00:00:01"}]}));
        assert_eq!(bridge(w, &n)["address"], before["address"]);
        let inside = w.look("a").place.link("eth0");
        assert_eq!((&inside["mtu"], &inside["address"]), (&json!(1400), &json!("02:00:00:00:00:01")));
        w.remove("a");
        assert_eq!(bridge(w, &n)["address"], before["address"]);
        w.call("Network.Remove", json!({"name": "n"}));
        assert_eq!(w.host.link("mybr"), Value::Null, "rm takes the bridge away");
    });
}

/// Removed and made again without a pause, with the same subnet on the same bridge, while the kernel still has the old
/// bridges to delete; the daemon dies in between.
#[test]
fn a_network_is_made_again_at_once() {
    need(JUDGES);
    world(|w| {
        let body = json!({
            "pools": [{"subnet": "10.9.0.0/24"}],
            "options": {"com.docker.network.bridge.name": "mybr"},
        });
        for round in 0..20 {
            let n = w.network("n", body.clone());
            assert!(bridge(w, &n)["flags"].as_array().expect("flags").contains(&json!("UP")), "{n}");
            assert_eq!(w.host.addresses("mybr"), ["10.9.0.1/24"]);
            if round == 19 {
                let a = w.sandbox("a", &["n"]);
                assert!(a.place.ping("10.9.0.1", "1"), "packets pass the newest bridge");
                w.remove("a");
            }
            w.call("Network.Remove", json!({"name": "n"}));
            assert_eq!(w.host.link("mybr"), Value::Null);
            assert!(!w.host.run("ip", &["route"]).contains("10.9.0."), "no route is left");
            if round == 10 {
                w.daemon.kill();
                w.daemon.again();
            }
        }
        soon(20_000, "the old bridges are gone", || !w.host.run("ip", &["link"]).contains("ptx"));
        assert_eq!(w.events("repair"), [""; 0], "nothing of it was taken for drift");
    });
}

#[test]
fn the_tutorials_lines_work_as_typed() {
    need(JUDGES);
    world(|w| {
        let pool = json!({"subnet": "182.18.0.1/16", "gateway": "182.18.0.1"});
        let made = w.call("Network.Create", json!({"name": "custom", "driver": "bridge", "pools": [pool]}));
        assert!(made["warnings"][0].as_str().is_some_and(|text| text.contains("182.18.0.0/16")), "{made}");
        let custom = w.call("Network.Inspect", json!({"name": "custom"}));
        assert_eq!(custom["subnets"][0]["subnet"], "182.18.0.0/16");
        let device = custom["device"].as_str().expect("device");
        assert_eq!(w.host.addresses(device), ["182.18.0.1/16"]);
        let wp = w.network("wp-mysql-network", json!({}));
        assert_eq!(wp["subnets"][0]["subnet"], "172.18.0.0/16");
        let a = w.sandbox("a", &["custom"]);
        assert!(a.ip.starts_with("182.18."), "{}", a.ip);
        assert!(a.place.ping("182.18.0.1", "1"));
    });
}

#[test]
fn a_chosen_subnet_overlaps_nothing_of_the_host() {
    need(JUDGES);
    world(|w| {
        std::fs::write("/run/resolv.conf", "nameserver 172.20.1.1\n").expect("resolv.conf");
        w.host.run("ip", &["link", "add", "up0", "type", "veth", "peer", "name", "up1"]);
        w.host.run("ip", &["addr", "add", "172.18.7.7/24", "dev", "up0"]);
        w.host.run("ip", &["link", "set", "up0", "up"]);
        w.host.run("ip", &["route", "add", "172.19.0.0/24", "dev", "up0"]);
        let n = w.network("n", json!({}));
        assert_eq!(
            n["subnets"][0]["subnet"], "172.21.0.0/16",
            "an address, a route and a nameserver are in the way"
        );
        w.host.run("ip", &["link", "del", "up0"]);
    });
}

#[test]
fn inspect_shows_the_members() {
    need(JUDGES);
    world(|w| {
        w.network("n", json!({"pools": [{"subnet": "10.9.0.0/29", "aux": {"printer": "10.9.0.3"}}]}));
        let a = w.sandbox_with(
            "a",
            json!({"networks": [{"network": "n"}], "ports": [{"host_port": 8080, "port": 80}]}),
        );
        let n = w.call("Network.Inspect", json!({"name": "n"}));
        let member = &n["members"][0];
        assert_eq!((&member["name"], &member["addresses"][0]), (&json!("a"), &json!(format!("{}/29", a.ip))));
        assert_eq!(member["mac"], a.place.link("eth0")["address"]);
        assert_eq!(member["ports"][0]["host_port"], 8080);
        // 8 addresses, less network, broadcast, gateway, printer and a.
        assert_eq!((&n["subnets"][0]["used"], &n["subnets"][0]["free"]), (&json!(1), &json!(3)));
        for i in 0..3 {
            w.sandbox(&format!("b{i}"), &["n"]);
        }
        let (kind, text) = w.refused("Sandbox.Create", json!({"name": "c", "networks": [{"network": "n"}]}));
        assert!(kind == "exhausted" && text.contains("n"), "{kind} {text}");
        let (kind, text) = w.refused("Network.Remove", json!({"name": "n"}));
        assert!(kind == "conflict" && text.contains("a, b0, b1, b2"), "{text}");
    });
}

#[test]
fn prune_takes_the_unused() {
    need(JUDGES);
    world(|w| {
        let (n, _) = (w.network("unused", json!({})), w.network("used", json!({})));
        w.sandbox("a", &["used"]);
        let pruned = w.call("Network.Prune", json!({}));
        assert_eq!(pruned["removed"], json!(["unused"]));
        assert_eq!(bridge(w, &n), Value::Null);
        let list = w.call("Network.List", json!({"filters": {"name": ["used"]}}));
        assert_eq!(names(&list), ["used"]);
    });
}
