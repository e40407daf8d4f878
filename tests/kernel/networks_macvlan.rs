//! macvlan works, ipvlan is refused where the kernel has none.
use crate::world::{echo, echo::Echo, need, world_with_neighbours};
use serde_json::{Value, json};

#[test]
fn a_macvlan_sandbox_lives_on_the_lan() {
    need(&["ip", "nft"]);
    world_with_neighbours(|w, lan, _| {
        let pool = json!({"subnet": "192.0.2.0/24", "gateway": "192.0.2.2", "range": "192.0.2.128/25"});
        w.call(
            "Network.Create",
            json!({"name": "m", "driver": "macvlan", "pools": [pool], "options": {"parent": "lan0"}}),
        );
        let a = w.sandbox("a", &["m"]);
        let (b, _served) = (w.sandbox("b", &["m"]), Echo::serve(&a.place, "a", 80));
        assert_eq!(a.place.link("eth0")["linkinfo"]["info_kind"], "macvlan");
        assert_eq!(a.place.default_route(false), Some(("192.0.2.2".to_owned(), "eth0".to_owned())));
        assert_eq!(echo::open(lan, &format!("{}:80", a.ip), "a"), "192.0.2.2");
        assert_eq!(echo::open(&b.place, &format!("{}:80", a.ip), "a"), b.ip);
        w.call("Network.Disconnect", json!({"network": "m", "sandbox": "a"}));
        assert_eq!(w.look("a").place.link("eth0"), Value::Null);
    });
}

#[test]
fn ipvlan_is_refused_where_the_kernel_has_none() {
    need(&["ip", "nft"]);
    world_with_neighbours(|w, _, _| {
        let (has, _) = w.host.try_run("ip", &["link", "add", "try0", "link", "lan0", "type", "ipvlan"]);
        let body = json!({"name": "i", "driver": "ipvlan", "pools": [{"subnet": "192.0.2.0/24"}], "options": {"parent": "lan0"}});
        match has {
            true => {
                w.host.run("ip", &["link", "del", "try0"]);
                w.call("Network.Create", body);
            }
            false => {
                let refused = w.daemon.try_call("Network.Create", &body);
                let (kind, text) = match refused {
                    Err(_) => w.refused("Network.Create", body),
                    Ok(_) => {
                        w.refused("Sandbox.Create", json!({"name": "a", "networks": [{"network": "i"}]}))
                    }
                };
                assert!(kind == "unsupported" && text.contains("ipvlan"), "{kind}: {text}");
            }
        }
    });
}
