//! What one sandbox can take from all others: the memory in which the host puts datagrams together. No rule can tell a part
//! that will never be whole from an honest one, so the settings of the host decide; here is what they do.
use crate::world::{Box, World, need, world};
use serde_json::json;
use std::{fs, net::UdpSocket, thread, time::Duration};

/// First parts of datagrams whose rest never comes, of 1,500 bytes each, as fast as they go.
const FLOOD: &str = "
import socket, struct, sys
own, to = map(socket.inet_aton, sys.argv[1:3])
out = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
for n in range(int(sys.argv[3])):
    head = struct.pack('!BBHHHBBH4s4s', 0x45, 0, 1500, n, 0x2000, 64, 17, 0, own, to)
    out.sendto(head + bytes(1480), (sys.argv[2], 0))
";

/// How many of ten datagrams of so many bytes are answered.
fn answered(asker: &Box, to: &str, bytes: usize) -> usize {
    asker.place.enter(|| {
        let socket = UdpSocket::bind("0.0.0.0:0").expect("socket");
        socket.set_read_timeout(Some(Duration::from_millis(200))).expect("timeout");
        let ask = |_: &usize| {
            socket.send_to(&vec![7; bytes], (to, 900)).expect("send");
            socket.recv(&mut [0; 16]).is_ok()
        };
        (0..10).filter(ask).count()
    })
}

fn serve(b: &Box) {
    let socket = b.place.enter(|| UdpSocket::bind("0.0.0.0:900").expect("socket"));
    socket.set_read_timeout(Some(Duration::from_secs(20))).expect("timeout");
    thread::spawn(move || {
        let mut bytes = [0; 4096];
        while let Ok((_, from)) = socket.recv_from(&mut bytes) {
            let _ = socket.send_to(b"ok", from);
        }
    });
}

fn set(w: &World, name: &str, value: u32) {
    w.host.enter(|| fs::write(format!("/proc/sys/net/ipv4/{name}"), value.to_string()).expect(name));
}

#[test]
fn parts_that_are_never_whole() {
    need(&["ip", "python3"]);
    world(|w| {
        w.network("n", json!({}));
        let [a, b, c] = ["a", "b", "c"].map(|name| w.sandbox(name, &["n"]));
        let (gateway, _) = a.place.default_route(false).expect("a default route");
        serve(&c);
        assert_eq!(answered(&b, &c.ip, 3000), 10);
        let flood = |count: &str| a.place.run("python3", &["-c", FLOOD, &a.ip, &gateway, count]);
        flood("4000");
        println!("with the host's defaults {} of 10 large datagrams are answered", answered(&b, &c.ip, 3000));
        assert_eq!(answered(&b, &c.ip, 1000), 10, "what fits into a packet does not notice");
        // What the README recommends.
        set(w, "ipfrag_high_thresh", 64 << 20);
        set(w, "ipfrag_time", 3);
        flood("8000");
        assert_eq!(answered(&b, &c.ip, 3000), 10);
    });
}
