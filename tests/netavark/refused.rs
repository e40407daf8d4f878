//! Errors: exactly one key on stdout, exit code 1, a silent stderr, and nothing half-made.
use crate::world::{CONFIG, call, interface, names, netns, recorded, run, world};
use serde_json::{Value, json};
use std::{path::Path, time::Duration};

#[test]
fn bad_requests() {
    world(|_| {
        let space = netns("a");
        let with = |pointer: &str, value: Value| {
            let mut request = recorded("web");
            *request.pointer_mut(pointer).expect("it is there") = value;
            request
        };
        for (request, wanted) in [
            (json!({}), "invalid network options on stdin"),
            (with("/networks/web/static_ips", json!(["10.99.0.1"])), "10.99.0.1"),
            (with("/networks/web/interface_name", json!("lo")), "interface name lo"),
            (with("/network_info/web/driver", json!("vxlan")), "driver \"vxlan\" is not served"),
            (with("/network_info/web/id", json!("7")), "invalid id \"7\""),
            (with("/network_info/web/network_interface", json!("lo")), "bridge name lo is taken"),
            (with("/port_mappings/0/protocol", json!("dccp")), "port 18080->80: protocol \"dccp\""),
        ] {
            let said = call("setup", &space, &request).refused();
            assert!(said.contains(wanted), "{said}");
            assert_eq!(interface(&space, "eth0"), None, "{said}");
        }
        assert!(call("setup", "/run/netns/none", &recorded("web")).refused().contains("/run/netns/none"));
        assert!(call("setup", "/proc/self/ns/net", &recorded("web")).refused().contains("host's own"));
        assert!(call("fetch", &space, &json!({})).refused().contains("unknown command fetch"));
        assert_eq!(names("sandbox"), Vec::<String>::new());
        let update = ["update", "web", "--network-dns-servers", "192.0.2.53"];
        run(Path::new("/run/netavark"), update, "").fine();
        // A network whose making failed is no obstacle, nor is one whose first container was refused.
        call("setup", &space, &recorded("web")).fine();
        run(Path::new("/run/netavark"), update, "").fine();
        let wrong = ["update", "web", "--network-dns-servers", "192.0.2.53,nonsense"];
        assert!(
            run(Path::new("/run/netavark"), wrong, "").refused().contains("invalid DNS server \"nonsense\"")
        );
    });
}

#[test]
fn without_a_daemon() {
    world(|w| {
        let space = netns("a");
        call("setup", &space, &recorded("web")).fine();
        w.kill_daemon();
        for verb in ["setup", "teardown"] {
            let said = call(verb, &space, &recorded("web"));
            assert!(said.took < Duration::from_secs(2), "{verb} took {:?}", said.took);
            assert!(said.refused().contains("is it running?"), "{verb}");
        }
        assert!(!Path::new(CONFIG).join("pontoon.lock").exists(), "nobody takes the daemon's place");
        w.start_daemon();
        assert!(interface(&space, "eth0").is_some());
        call("teardown", &space, &recorded("web")).fine();
        assert_eq!(interface(&space, "eth0"), None);
    });
}

#[test]
fn what_needs_no_daemon() {
    world(|w| {
        w.kill_daemon();
        let program = Path::new("/run/netavark");
        assert_eq!(run(program, ["version"], "").fine()["version"].as_str().map(|v| &v[..2]), Some("2."));
        assert!(run(program, ["--version"], "").text.starts_with("netavark 2."));
        let asked = json!({
            "network": {"name": "web", "id": "ab".repeat(32), "driver": "bridge", "dns_enabled": true},
            "used": {"interfaces": ["podman0"], "names": {}, "subnets": ["10.88.0.0/16", "10.89.0.0/24"]},
            "options": {"subnet_pools": [{"base": "10.89.0.0/16", "size": 24}], "default_interface_name": "podman"},
        });
        let made = run(program, ["create"], &asked.to_string()).fine();
        assert_eq!(made["subnets"], json!([{"subnet": "10.89.1.0/24", "gateway": "10.89.1.1"}]));
        assert_eq!(made["network_interface"], "podman1");
        let plugin = Path::new("/run/lib/netavark/pontoon");
        std::fs::create_dir_all("/run/lib/netavark").expect("a folder");
        std::os::unix::fs::symlink(crate::world::PROGRAM, plugin).expect("a link");
        assert_eq!(run(plugin, ["info"], "").fine()["api_version"], "1.0.0");
        w.start_daemon();
        let network = json!({"name": "p", "id": "cd".repeat(32), "driver": "pontoon", "dns_enabled": true});
        let network = run(plugin, ["create"], &network.to_string()).fine();
        let subnet = network["subnets"][0]["subnet"].as_str().expect("a subnet").to_owned();
        assert_eq!(names("network"), ["bridge", "host", "none"]);
        let space = netns("a");
        let request = json!({"container_id": "c1", "container_name": "one", "port_mappings": null, "network": network,
            "network_options": {"interface_name": "eth0", "aliases": ["www"]}});
        let block = run(plugin, ["setup", &space], &request.to_string()).fine();
        let ipnet =
            block["interfaces"]["eth0"]["subnets"][0]["ipnet"].as_str().expect("an address").to_owned();
        assert_eq!(interface(&space, "eth0").expect("eth0").1, std::slice::from_ref(&ipnet));
        assert_eq!(
            subnet.split_once('.').map(|(first, _)| first),
            ipnet.split_once('.').map(|(first, _)| first)
        );
        assert_eq!(block["dns_server_ips"], json!(["127.0.0.11"]));
        run(plugin, ["teardown", &space], &request.to_string()).fine();
        assert_eq!((interface(&space, "eth0"), names("network").len()), (None, 3));
    });
}
