//! What `docker network connect` asks of one seat, and what the kernel then has; configurations to make networks from.
use crate::{
    cli::{fine, refused},
    raw::ask,
    world::{need, world},
};
use serde_json::json;

#[test]
fn link_local_addresses_and_switches() {
    need(&["docker"]);
    world(|w| {
        // With it our rules drop sources that the host has no route to, and it has none to 169.254.0.0/16.
        let _ = std::fs::write("/proc/sys/net/bridge/bridge-nf-call-iptables", "0");
        let web = w.sandbox("web", &["bridge"]);
        w.network("net", json!({}));
        // The program splits options at commas; quotes keep the list together.
        fine(
            w,
            "network connect --link-local-ip 169.254.7.7 --driver-opt com.docker.network.endpoint.ifname=lan0 --driver-opt \"com.docker.network.endpoint.sysctls=net.ipv4.conf.IFNAME.log_martians=1,net.ipv4.neigh.IFNAME.gc_stale_time=33\" net web",
        );
        let addresses = web.place.run("ip", &["-br", "addr", "show", "lan0"]);
        assert!(addresses.contains("169.254.7.7/16"), "{addresses}");
        for (key, value) in [("conf/lan0/log_martians", "1"), ("neigh/lan0/gc_stale_time", "33")] {
            assert_eq!(web.place.run("cat", &[&format!("/proc/sys/net/ipv4/{key}")]).trim(), value);
        }
        // Whoever is on the network reaches it there, past the guard against false addresses.
        let other = w.sandbox("other", &["net"]);
        other.place.run("ip", &["route", "add", "169.254.7.7", "dev", "eth0"]);
        assert!(other.place.ping("169.254.7.7", "2"));
        let seat = "/NetworkSettings/Networks/net";
        let page = ask(w, "GET /containers/web/json", "").json();
        assert_eq!(
            page.pointer(seat).map(|seat| &seat["IPAMConfig"]["LinkLocalIPs"]),
            Some(&json!(["169.254.7.7"]))
        );
        fine(w, "network disconnect net web");
        refused(
            w,
            "network connect --link-local-ip 10.0.0.1 net web",
            "invalid link-local IP address 10.0.0.1",
        );
        refused(w, "network connect --link-local-ip fe80::7 net web", "lacks this family");
        let opt = "network connect --driver-opt com.docker.network.endpoint.sysctls=";
        refused(
            w,
            &format!("{opt}net.ipv4.conf.IFNAME.no_such=1 net web"),
            "sysctl net.ipv4.conf.eth1.no_such cannot be 1",
        );
        refused(w, &format!("{opt}net.ipv4.conf.eth0.log_martians=1 net web"), "IFNAME");
        assert_eq!(web.place.link("eth1"), json!(null), "nothing half-made is left");
        w.dual("six", json!({}));
        fine(w, &format!("{opt}net.ipv6.conf.IFNAME.hop_limit=9 --link-local-ip fe80::7 six web"));
        assert_eq!(web.place.run("cat", &["/proc/sys/net/ipv6/conf/eth1/hop_limit"]).trim(), "9");
        assert!(web.place.run("ip", &["-6", "addr", "show", "eth1"]).contains("fe80::7/64"));
        w.daemon.kill();
        w.daemon.again();
        assert!(web.place.run("ip", &["-6", "addr", "show", "eth1"]).contains("fe80::7/64"));
    });
}

#[test]
fn configurations() {
    need(&["docker"]);
    world(|w| {
        w.sandbox("web", &["bridge"]);
        fine(
            w,
            "network create --config-only --subnet 10.95.0.0/24 --label a=b -o com.docker.network.driver.mtu=1300 conf",
        );
        refused(w, "network connect conf web", "configuration-only network");
        assert!(fine(w, "network prune -f").is_empty(), "a configuration stays");
        fine(w, "network create --config-from conf net");
        let shown = fine(
            w,
            "network inspect -f {{.ConfigFrom.Network}}|{{range.IPAM.Config}}{{.Subnet}}{{end}}|{{.Labels.a}}|{{.Driver}} net",
        );
        assert_eq!(shown, "conf|10.95.0.0/24|b|bridge");
        fine(w, "network connect net web");
        assert_eq!(w.look("web").place.link("eth1")["mtu"], 1300);
        refused(w, "network create --config-from conf again", "Pool overlaps");
        refused(
            w,
            "network create --config-from conf --label x=y again",
            "user specified configurations are not supported",
        );
        refused(w, "network create --config-from net again", "does not exist");
        refused(w, "network rm conf", "is in use");
        w.daemon.kill();
        w.daemon.again();
        refused(w, "network rm conf", "is in use");
        fine(w, "network disconnect net web");
        fine(w, "network rm net");
        fine(w, "network rm conf");
    });
}
