//! Published ports and the host's own programs: each refuses the other, in words.
use crate::world::{Echo, Place, echo, need, world};
use serde_json::{Value, json};
use std::{
    io::{BufRead, BufReader},
    net::{TcpListener, UdpSocket},
    process::{Child, Command, Stdio},
};

fn body(name: &str, port: Value) -> Value {
    json!({"name": name, "networks": [{"network": "bridge"}], "ports": [port]})
}

#[test]
fn the_holder_is_named() {
    need(&["ip", "nft", "python3"]);
    world(|w| {
        w.call("Sandbox.Create", body("web", json!({"host_port": 8080, "port": 80})));
        let (kind, text) = w.refused("Sandbox.Create", body("b", json!({"host_port": 8080, "port": 81})));
        assert!(kind == "conflict" && text.contains("8080") && text.contains("web"), "{kind}: {text}");
        let (kind, text) =
            w.refused("Sandbox.Create", body("b", json!({"host_port": 8070, "port": 81, "count": 20})));
        assert!(kind == "conflict" && text.contains("8080") && text.contains("web"), "{kind}: {text}");
        // The other protocol is another port.
        w.call("Sandbox.Create", body("udp", json!({"host_port": 8080, "port": 80, "proto": "udp"})));
        let mut program = listener(&w.host, 9090);
        let (kind, text) = w.refused("Sandbox.Create", body("b", json!({"host_port": 9090, "port": 80})));
        assert!(kind == "conflict" && text.contains("9090") && text.contains("python"), "{kind}: {text}");
        assert!(text.contains(&program.id().to_string()), "the process is named: {text}");
        program.kill().and_then(|()| program.wait()).expect("end it");
        w.call("Sandbox.Create", body("b", json!({"host_port": 9090, "port": 80})));
    });
}

/// A program of the host that listens on a port.
fn listener(host: &Place, port: u16) -> Child {
    let code = format!(
        "import socket,time\ns=socket.create_server(('',{port}))\nprint('up',flush=True)\ntime.sleep(60)"
    );
    let mut child = host
        .enter(|| Command::new("python3").args(["-c", &code]).stdout(Stdio::piped()).spawn())
        .expect("python3");
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().expect("pipe")).read_line(&mut line).expect("read");
    child
}

#[test]
fn a_later_program_is_told_that_the_port_is_taken() {
    need(&["ip", "nft"]);
    world(|w| {
        w.network("six", json!({"ipv6": true}));
        let ports = json!([{"host_port": 8080, "port": 80}, {"host_port": 8080, "port": 80, "proto": "udp"}, {"host_ip": "127.0.0.1", "host_port": 8081, "port": 80}]);
        w.sandbox_with("a", json!({"networks": [{"network": "six"}], "ports": ports}));
        let taken = |address: &str| w.host.enter(|| TcpListener::bind(address).err().map(|e| e.kind()));
        let used = Some(std::io::ErrorKind::AddrInUse);
        for address in
            ["0.0.0.0:8080", "[::]:8080", "127.0.0.1:8080", "172.17.0.1:8080", "[::1]:8080", "127.0.0.1:8081"]
        {
            assert_eq!(taken(address), used, "{address}");
        }
        let udp = w.host.enter(|| UdpSocket::bind("0.0.0.0:8080").err().map(|e| e.kind()));
        assert_eq!(udp, used);
        assert_eq!(taken("172.17.0.1:8081"), None, "published on 127.0.0.1 only");
        w.remove("a");
        for address in ["0.0.0.0:8080", "[::]:8080", "127.0.0.1:8081"] {
            assert_eq!(taken(address), None, "{address} is free again");
        }
    });
}

#[test]
fn a_refused_sandbox_keeps_no_port() {
    need(&["ip", "nft"]);
    world(|w| {
        let held = w.host.enter(|| TcpListener::bind("127.0.0.1:8085").expect("bind"));
        let (kind, text) =
            w.refused("Sandbox.Create", body("b", json!({"host_port": 8080, "port": 80, "count": 10})));
        assert!(kind == "conflict" && text.contains("8085"), "{kind}: {text}");
        drop(held);
        let _servers: Vec<Echo> = (8080..8090).map(|port| Echo::serve(&w.host, "host", port)).collect();
        echo::open(&w.host, "127.0.0.1:8084", "host");
        assert!(w.call("Sandbox.List", json!({})).as_array().is_some_and(Vec::is_empty));
    });
}
