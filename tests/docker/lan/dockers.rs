//! The same ground under a real dockerd, in its own namespace with neighbours of its own. Its IPv6 is filtered
//! (`ip6tables`, an experiment in 20.10): without that every sandbox's IPv6 address is open to the LAN.
use super::ground::{Ground, PUBLISHED, Seat};
use crate::{
    dockerd::Dockerd,
    world::{LAN, Place, WAN, neighbour},
};
use serde_json::Value;

const CONFIGURATION: &str =
    r#"{"experimental": true, "ip6tables": true, "ipv6": true, "fixed-cidr-v6": "fd17::/64"}"#;

pub fn start() -> Dockerd {
    let dockerd = Dockerd::bare(CONFIGURATION);
    dockerd.import();
    dockerd
}

/// Made before the engine starts, as a host is; `ground` comes after.
pub fn neighbours() -> (Place, Place) {
    let host = Place::named("dockerd");
    host.enter(|| (neighbour("dlan", LAN), neighbour("dwan", WAN)))
}

pub fn ground(dockerd: &Dockerd, (lan, wan): (Place, Place)) -> Ground {
    let network = |name: &str, n: u8, more: &[&str]| {
        let (four, six) = (format!("172.{n}.0.0/16"), format!("fd{n}::/64"));
        let args = ["network", "create", "--ipv6", "--subnet", &four, "--subnet", &six];
        dockerd.docker(&[&args[..], more, &[name]].concat());
        [format!("172.{n}.0.1"), format!("fd{n}::1")]
    };
    let (n, other) = (network("n", 41, &[]), network("other", 42, &[]));
    let inner = network("inner", 43, &["--internal"]);
    let spec = |(ip, host_port, port): &(&str, u16, u16)| {
        let ip = match *ip {
            "" => String::new(),
            ip if ip.contains(':') => format!("[{ip}]:"),
            ip => format!("{ip}:"),
        };
        ["tcp", "udp"].map(|proto| format!("{ip}{host_port}:{port}/{proto}"))
    };
    let ports: Vec<String> = PUBLISHED.iter().flat_map(spec).collect();
    let ports: Vec<&str> = ports.iter().flat_map(|spec| ["-p", spec.as_str()]).collect();
    Ground {
        host: Place::named("dockerd"),
        lan,
        wan,
        a: seat(dockerd, "a", "n", &ports),
        other: seat(dockerd, "other", "other", &[]),
        sealed: seat(dockerd, "sealed", "inner", &[]),
        gateway: n,
        other_gateway: other,
        sealed_gateway: inner,
    }
}

fn seat(dockerd: &Dockerd, name: &str, network: &str, more: &[&str]) -> Seat {
    // Docker's names have two letters at least.
    let name = format!("lan-{name}");
    let args = ["run", "-d", "--name", &name, "--network", network];
    dockerd.docker(&[&args[..], more, &["sandbox", "busybox", "sleep", "1000"]].concat());
    let info: Value = serde_json::from_str(&dockerd.docker(&["inspect", &name])).expect("JSON");
    let seat = &info[0]["NetworkSettings"]["Networks"][network];
    let text = |key: &str| seat[key].as_str().unwrap_or_default().to_owned();
    Seat {
        place: Place::at(format!("/proc/{}/ns/net", info[0]["State"]["Pid"])),
        ip: text("IPAddress"),
        ip6: text("GlobalIPv6Address"),
    }
}
