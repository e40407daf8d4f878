//! A sandbox speaks with its own addresses only.
use crate::world::{Box, Echo, World, echo, need, world};
use serde_json::json;

/// a, b, and b's server.
fn pair(w: &World, options: serde_json::Value) -> (Box, Box, Echo) {
    let pools = json!([{"subnet": "10.9.0.0/24"}, {"subnet": "fd09::/64"}]);
    w.dual("n", json!({"pools": pools, "options": options}));
    let (a, b) = (w.sandbox("a", &["n"]), w.sandbox("b", &["n"]));
    let echo = Echo::serve(&b.place, "b", 80);
    (a, b, echo)
}

#[test]
fn another_ip_is_dropped() {
    need(&["ip", "nft"]);
    world(|w| {
        let (a, b, _echo) = pair(w, json!({}));
        let targets = [format!("{}:80", b.ip), format!("[{}]:80", b.ip6)];
        targets.iter().for_each(|to| drop(echo::open(&a.place, to, "b")));
        for (cidr, to, target) in [
            ("10.9.0.99/32", format!("{}/32", b.ip), &targets[0]),
            ("fd09::99/128", format!("{}/128", b.ip6), &targets[1]),
        ] {
            a.place.run("ip", &["addr", "add", cidr, "dev", "eth0", "nodad"]);
            a.place
                .run("ip", &["route", "add", &to, "dev", "eth0", "src", cidr.split('/').next().expect("ip")]);
            echo::closed(&a.place, target);
            a.place.run("ip", &["route", "del", &to, "dev", "eth0"]);
            a.place.run("ip", &["addr", "del", cidr, "dev", "eth0"]);
            echo::open(&a.place, target, "b");
        }
    });
}

#[test]
fn another_mac_is_dropped() {
    need(&["ip", "nft"]);
    world(|w| {
        let (a, b, _echo) = pair(w, json!({}));
        let own = a.place.link("eth0")["address"].as_str().expect("mac").to_owned();
        a.place.run("ip", &["link", "set", "eth0", "address", "02:66:66:66:66:66"]);
        echo::closed(&a.place, &format!("{}:80", b.ip));
        a.place.run("ip", &["link", "set", "eth0", "address", &own]);
        echo::open(&a.place, &format!("{}:80", b.ip), "b");
    });
}

/// A bridge learns where a MAC is from frames that no rule sees: those to 01:80:c2:00:00:00 and up.
#[test]
fn nobody_takes_a_neighbours_place_on_the_bridge() {
    const FRAMES: &str = "import socket,sys\n\
        s=socket.socket(socket.AF_PACKET,socket.SOCK_RAW); s.bind(('eth0',0))\n\
        source=bytes.fromhex(sys.argv[1].replace(':',''))\n\
        for last in range(64):\n  for kind in (0x88cc,0x888e,0x8809,0x0026,0x0800,0x0806,0x86dd):\n    \
        s.send(bytes.fromhex('0180c20000%02x'%last)+source+kind.to_bytes(2,'big')+b'\\0'*50)\n\
        for to in (b'\\xff'*6,b'\\1\\0\\x5e\\0\\0\\1',b'\\x33\\x33\\0\\0\\0\\1'): s.send(to+source+b'\\x90\\0'+b'\\0'*50)";
    need(&["ip", "nft", "bridge", "python3"]);
    world(|w| {
        let (a, b, _echo) = pair(w, json!({}));
        let c = w.sandbox("c", &["n"]);
        let device = w.call("Network.Inspect", json!({"name": "n"}))["device"].clone();
        let device = device.as_str().expect("a device");
        let ports = || {
            let all = w.host.run("bridge", &["fdb", "show", "br", device]);
            let mut of: Vec<String> =
                all.lines().map(|l| l.split_whitespace().take(3).collect::<Vec<_>>().join(" ")).collect();
            of.sort();
            of.dedup();
            of
        };
        let (before, mac) = (ports(), |place: &crate::world::Place, name: &str| {
            place.link(name)["address"].as_str().expect("mac").to_owned()
        });
        for stolen in [mac(&b.place, "eth0"), mac(&w.host, device), "02:66:66:66:66:66".to_owned()] {
            a.place.run("python3", &["-c", FRAMES, &stolen]);
            assert_eq!(ports(), before, "where the bridge sends what is for {stolen}");
            for to in [format!("{}:80", b.ip), format!("[{}]:80", b.ip6)] {
                echo::open(&c.place, &to, "b");
                echo::open(&w.host, &to, "b");
            }
        }
    });
}

/// ARP with a neighbour's address: nobody may take over another's seat.
#[test]
fn a_false_arp_answer_is_not_believed() {
    need(&["ip", "nft", "python3"]);
    world(|w| {
        let (a, b, _echo) = pair(w, json!({}));
        let c = w.sandbox("c", &["n"]);
        echo::open(&c.place, &format!("{}:80", b.ip), "b");
        let code = "import socket,struct,sys\n\
            s=socket.socket(socket.AF_PACKET,socket.SOCK_RAW); s.bind(('eth0',0x806)); m=s.getsockname()[4]\n\
            ip=socket.inet_aton(sys.argv[1]); t=socket.inet_aton(sys.argv[2])\n\
            for op in (1,2):\n  s.send(b'\\xff'*6+m+struct.pack('!HHHBBH',0x806,1,0x800,6,4,op)+m+ip+b'\\xff'*6+(t if op==2 else ip))";
        for _ in 0..3 {
            a.place.run("python3", &["-c", code, &b.ip, &c.ip]);
            a.place.run("python3", &["-c", code, "10.9.0.1", &c.ip]);
        }
        let bad = a.place.link("eth0")["address"].as_str().expect("mac").to_owned();
        let known = c.place.run("ip", &["neigh"]);
        let lies =
            known.lines().filter(|line| line.contains(&bad) && !line.starts_with(&format!("{} ", a.ip)));
        assert_eq!(lies.count(), 0, "{known}");
        echo::open(&c.place, &format!("{}:80", b.ip), "b");
    });
}

#[test]
fn the_guard_can_be_switched_off() {
    need(&["ip", "nft"]);
    world(|w| {
        let (a, b, _echo) = pair(w, json!({"guard": "false"}));
        a.place.run("ip", &["addr", "add", "10.9.0.99/24", "dev", "eth0"]);
        a.place.run("ip", &["route", "add", &format!("{}/32", b.ip), "dev", "eth0", "src", "10.9.0.99"]);
        assert_eq!(echo::open(&a.place, &format!("{}:80", b.ip), "b"), "10.9.0.99");
    });
}

/// The host asks its routing table about senders whom the guard has not vouched for. It vouches by a packet mark, which
/// a sandbox may set as it likes, and which nobody sees behind the host's first hook.
#[test]
fn a_mark_vouches_for_nobody_and_is_not_left_behind() {
    const BIT: &str = "0x00100000";
    need(&["ip", "nft", "ping"]);
    world(|w| {
        let (guarded, ..) = pair(w, json!({}));
        let pools = json!([{"subnet": "10.10.0.0/24"}, {"subnet": "fd10::/64"}]);
        w.dual("open", json!({"pools": pools, "options": {"guard": "false"}}));
        let open = w.sandbox("c", &["open"]);
        let (foreign4, foreign6) = ("198.51.100.7", "2001:db8:7::7");
        // Behind the hooks at -300: what came, from where, marked or not.
        let watch = format!(
            "table inet watch {{\nchain seen {{ type filter hook prerouting priority -290; policy accept;\n\
             meta mark & {BIT} != 0 counter comment \"marked\"\n\
             ip saddr {foreign4} counter comment \"foreign4\"\nip6 saddr {foreign6} counter comment \"foreign6\"\n\
             ip saddr {} icmp type echo-request counter comment \"guarded4\"\n\
             ip6 saddr {} icmpv6 type echo-request counter comment \"guarded6\"\n\
             ip saddr {} icmp type echo-request counter comment \"open4\"\n}}\n}}",
            guarded.ip, guarded.ip6, open.ip
        );
        std::fs::write("/run/watch.nft", watch).expect("a file");
        w.host.run("nft", &["-f", "/run/watch.nft"]);
        let mark = format!(
            "table inet m {{\nchain o {{ type filter hook output priority mangle; policy accept;\n\
             meta mark set {BIT}\n}}\n}}"
        );
        std::fs::write("/run/mark.nft", mark).expect("a file");
        let ping =
            |from: &Box, more: &[&str]| from.place.try_run("ping", &[&["-c1", "-W0.3"], more].concat()).0;
        for sender in [&guarded, &open] {
            sender.place.run("nft", &["-f", "/run/mark.nft"]);
            for cidr in [format!("{foreign4}/32"), format!("{foreign6}/128")] {
                sender.place.run("ip", &["addr", "add", &cidr, "dev", "eth0", "nodad"]);
            }
        }
        assert!(ping(&open, &["10.10.0.1"]), "its own address is no false sender");
        assert!(ping(&guarded, &["10.9.0.1"]) && ping(&guarded, &["fd09::1"]), "to its gateway");
        for (sender, v4, v6) in [(&guarded, "10.9.0.1", "fd09::1"), (&open, "10.10.0.1", "fd10::1")] {
            assert!(!ping(sender, &["-I", foreign4, v4]) && !ping(sender, &["-I", foreign6, v6]));
        }
        let seen = w.host.run("nft", &["list", "table", "inet", "watch"]);
        w.host.run("nft", &["delete", "table", "inet", "watch"]);
        for (what, came) in [
            ("marked", false),
            ("foreign4", false),
            ("foreign6", false),
            ("guarded4", true),
            ("guarded6", true),
            ("open4", true),
        ] {
            let line = seen.lines().find(|line| line.contains(&format!("\"{what}\""))).expect("a counter");
            assert_eq!(!line.contains("packets 0 "), came, "{what}: {line}");
        }
    });
}
