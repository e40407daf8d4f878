//! The same on a host where bridged packets do not pass the IP rules: hairpin and ICC take other ways there.
use crate::world::{Box, Echo, World, echo, need, world_with_neighbours};
use serde_json::{Value, json};

pub fn without(w: &World) {
    for family in ["iptables", "ip6tables", "arptables"] {
        let path = format!("/proc/sys/net/bridge/bridge-nf-call-{family}");
        // Without the module there is nothing to switch off.
        if std::path::Path::new(&path).exists() {
            std::fs::write(&path, "0").expect("sysctl");
        }
    }
    w.daemon.stop();
    w.daemon.again();
}

fn pair(w: &World, options: Value) -> (Box, Box, Echo) {
    w.dual("n", json!({ "options": options }));
    let ports = json!([{"host_port": 8080, "port": 80}, {"host_port": 8080, "port": 80, "proto": "udp"}]);
    let a = w.sandbox_with("a", json!({"networks": [{"network": "n"}], "ports": ports}));
    let echo = Echo::serve(&a.place, "a", 80);
    (a, w.sandbox("b", &["n"]), echo)
}

const HOST: [&str; 2] = ["192.0.2.1:8080", "[2001:db8:1::1]:8080"];

#[test]
fn hairpin_to_itself_and_to_a_neighbour() {
    need(&["ip", "nft"]);
    world_with_neighbours(|w, lan, _| {
        without(w);
        let (a, b, _echo) = pair(w, json!({}));
        for to in HOST {
            for from in [&a.place, &b.place, &w.host, lan] {
                echo::open(from, to, "a");
            }
        }
        for to in ["127.0.0.1:8080", "[::1]:8080"] {
            echo::open(&w.host, to, "a");
        }
    });
}

#[test]
fn icc_off() {
    need(&["ip", "nft"]);
    world_with_neighbours(|w, _, _| {
        without(w);
        let (a, b, _echo) = pair(w, json!({"icc": "false"}));
        for to in [format!("{}:80", a.ip), format!("[{}]:80", a.ip6)] {
            echo::closed(&b.place, &to);
        }
        for to in HOST {
            echo::open(&b.place, to, "a");
        }
    });
}
