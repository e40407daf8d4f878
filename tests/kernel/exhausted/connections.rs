//! The kernel's table of connections is full.
use super::Running;
use crate::world::{World, need, tool::soon, world};
use serde_json::{Value, json};
use std::{
    io::{Read, Write},
    net::{Ipv4Addr, TcpStream, UdpSocket},
    time::{Duration, Instant},
};

fn number(w: &World, name: &str) -> u32 {
    let key = format!("net.netfilter.nf_conntrack_{name}");
    w.host.run("sysctl", &["-n", &key]).trim().parse().expect("a number")
}

/// One datagram to each of so many addresses of the loopback: so many connections.
fn fill(w: &World, count: u32) {
    w.host.enter(|| {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("bind");
        for n in 0..count {
            // Nobody listens there, and is said so; a refused one was sent all the same.
            let _ = socket.send_to(b"x", (Ipv4Addr::from(0x7f01_0000 + n), 9));
        }
    });
}

fn finding(w: &World) -> Value {
    let all = w.call("System.Doctor", json!({}));
    let mut all = all.as_array().expect("findings").iter();
    all.find(|finding| finding["check"] == "connections").expect("connections").clone()
}

fn echoes(stream: &mut TcpStream, text: &str) {
    stream.write_all(text.as_bytes()).expect("write");
    let mut bytes = vec![0; text.len()];
    stream.read_exact(&mut bytes).expect("an echo");
    assert_eq!(bytes, text.as_bytes());
}

#[test]
fn connections() {
    need(&["ip", "nft", "ss", "dig", "sysctl", "conntrack"]);
    world(|w| {
        let running = Running::new(w);
        // Nothing of what fills it is forgotten meanwhile, on the slowest machine.
        w.host.run("sysctl", &["-qw", "net.netfilter.nf_conntrack_udp_timeout=300"]);
        let mut stream = w.host.enter(|| TcpStream::connect("127.0.0.1:8080")).expect("connect");
        stream.set_read_timeout(Some(Duration::from_secs(5))).expect("timeout");
        let mut byte = [0];
        while byte != *b"\n" {
            stream.read_exact(&mut byte).expect("a greeting");
        }
        assert_eq!(finding(w)["level"], "ok");
        let limit = number(w, "max");
        assert!(limit <= 1 << 20, "{limit} connections are too many to fill in a test");
        fill(w, limit + 1000);
        let found = finding(w);
        assert_eq!(found["level"], "warning", "{found}");
        assert!(found["remedy"].as_str().is_some_and(|text| text.contains("nf_conntrack_max")), "{found}");
        // What runs goes on, others come and go, and no sooner or later than with an empty table.
        echoes(&mut stream, "with a full table");
        running.goes_on(w);
        let start = Instant::now();
        let ports = json!([{"host_port": 9000, "port": 80}, {"host_port": 9000, "port": 80, "proto": "udp"}]);
        let b = w.sandbox_with("b", json!({"networks": [{"network": "n"}], "ports": ports}));
        assert!(b.place.ping(&running.a.ip, "2"));
        w.remove("b");
        assert!(start.elapsed() < Duration::from_secs(4), "{:?}", start.elapsed());
        echoes(&mut stream, "and afterwards");
        w.host.run("conntrack", &["-D", "-p", "udp", "--orig-port-dst", "9"]);
        soon(5_000, "there is room again", || finding(w)["level"] == "ok");
        running.goes_on(w);
    });
}
