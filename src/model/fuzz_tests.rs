//! Hostile text where users and their programs write: specs, options, bodies.
use super::{
    Command, Id, Mac, Name, PortSpec,
    address::{Cidr, Subnet},
    mount::MountSpec,
};
use crate::testbed::fuzz;
use std::path::Path;

#[test]
fn fuzz_ports() {
    let seeds = [
        "80",
        "8080:80",
        "127.0.0.1:8000-8010:80-90/udp",
        "[::1]:53:53/sctp",
        "0.0.0.0::80/tcp",
        "1-65535:1-65535",
    ];
    fuzz("port specs", 20_000, &seeds, |bytes| {
        let text = String::from_utf8_lossy(bytes);
        for port in PortSpec::parse_list(&text).into_iter().flatten().chain(text.parse::<PortSpec>()) {
            let again: PortSpec = port.to_string().parse().expect("what we write we read");
            assert_eq!(again, port);
        }
    });
}

#[test]
fn fuzz_mounts() {
    let seeds = [
        "data:/data:ro,z",
        "/host:/in:rshared",
        "./here:/there",
        "/anonymous",
        "type=volume,src=v,dst=/d,readonly,volume-nocopy",
        "type=tmpfs,dst=/t,tmpfs-size=1m,tmpfs-mode=1777",
        "type=bind,\"src=/a,b\",dst=/c,bind-propagation=rslave",
        "type=volume,dst=/v,volume-driver=local,volume-opt=type=nfs,\"volume-opt=o=addr=1.2.3.4,rw\",volume-subpath=a/../b",
    ];
    let cwd = Path::new("/work");
    fuzz("mount specs", 20_000, &seeds, |bytes| {
        let text = String::from_utf8_lossy(bytes);
        let both =
            [MountSpec::parse_volume_flag(&text, Some(cwd)), MountSpec::parse_mount_flag(&text, Some(cwd))];
        for mount in both.into_iter().flatten() {
            assert!(mount.target.is_absolute(), "{mount:?}");
        }
    });
}

#[test]
fn fuzz_addresses_and_names() {
    let seeds = [
        "10.0.0.0/8",
        "fd00::/64",
        "192.168.1.7/24",
        "::ffff:1.2.3.4/128",
        "02:42:ac:11:00:02",
        "br-0123456789ab",
        "my_net.work-1",
        "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
    ];
    fuzz("addresses and names", 30_000, &seeds, |bytes| {
        let text = String::from_utf8_lossy(bytes);
        let _ = (
            Subnet::parse_lenient(&text),
            Cidr::try_from(text.to_string()),
            Mac::parse(&text),
            Id::parse(&text),
        );
        if let Ok(name) = Name::parse(&text) {
            assert!(!name.as_str().contains(['/', '\0']) && ![".", ".."].contains(&name.as_str()), "{name}");
        }
    });
}

#[test]
fn fuzz_native_bodies() {
    let seeds = [
        r#"{"name":"n","driver":"bridge","pools":[{"subnet":"10.1.0.0/24","gateway":"10.1.0.1"}],"options":{"mtu":"1400"},"ipv6":true}"#,
        r#"{"name":"a","networks":[{"network":"n","addresses":["10.1.0.7"],"aliases":["x"],"priority":5}],"ports":[{"port":80,"host_port":8080,"count":3,"proto":"udp"}]}"#,
        r#"{"name":"a","mounts":[{"kind":"volume","source":"v","target":"/v","read_only":"yes"}],"dns":{"servers":["1.1.1.1"]},"labels":{"a":"b"}}"#,
        r#"{"sandbox":"a","endpoint":{"network":"n"}}"#,
        r#"{"name":"v","options":{"type":"tmpfs"},"all":true,"force":true}"#,
    ];
    fuzz("native bodies", 5_000, &seeds, |body| {
        for method in Command::METHODS {
            if let Some(Ok(command)) = Command::parse(method, body) {
                let text = command.body().expect("what we have read we can write");
                assert_eq!(Command::parse(method, &text).and_then(Result::ok), Some(command));
            }
        }
    });
}
