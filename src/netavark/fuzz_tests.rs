//! Hostile text on the standard input of `setup` and `teardown`.
use super::{network, wire::Request, wish};
use crate::testbed::fuzz;
use std::path::Path;

#[test]
fn fuzz_podmans_stdin() {
    let network = r#"{"name":"n","id":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","driver":"bridge","network_interface":"podman1","subnets":[{"subnet":"10.89.0.0/24","gateway":"10.89.0.1"}],"ipv6_enabled":false,"internal":false,"dns_enabled":true,"options":{"mtu":"1400","isolate":"true"},"ipam_options":{"driver":"host-local"}}"#;
    let seat = r#"{"static_ips":["10.89.0.7"],"interface_name":"eth0","aliases":["x"],"static_mac":"02:00:00:00:00:01"}"#;
    let ports =
        r#"[{"container_port":80,"host_ip":"127.0.0.1","host_port":8080,"protocol":"tcp,udp","range":3}]"#;
    let request = |networks: String| {
        format!(
            r#"{{"container_id":"c1","container_name":"web","port_mappings":{ports},"dns_servers":["1.1.1.1"],"networks":{networks},"network_info":{{"n":{network}}}}}"#
        )
    };
    let seeds = [
        request(format!(r#"{{"n":{seat}}}"#)),
        request(r#"[{"name":"n","interface_name":"eth1","options":{"metric":"7"}}]"#.to_owned()),
    ];
    fuzz("Podman's stdin", 10_000, &seeds, |stdin| {
        let Ok(request) = serde_json::from_slice::<Request>(stdin) else { return };
        let _ = wish::sandbox(&request, Path::new("/run/netns/c1"));
        for described in request.network_info.values() {
            let _ = (network::id(described), network::described(described));
        }
    });
}
