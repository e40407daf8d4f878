//! Ports chosen and refused, in tables and for any sequence.
use super::*;
use crate::{error::Kind, model::Id};
use proptest::prelude::*;
use std::collections::BTreeSet;

fn holder(name: &str) -> Arc<Holder> {
    Arc::new(Holder { sandbox: Id::from_bytes([7; 32]), name: name.to_owned() })
}

fn ip(text: &str) -> Option<IpAddr> {
    (text != "any").then(|| text.parse().unwrap())
}

fn port(host: &str, host_port: u16, count: u16) -> Port {
    Port { host_ip: ip(host), host_port, port: 80, count, proto: Proto::Tcp }
}

fn spec(text: &str) -> PortSpec {
    text.parse().unwrap()
}

fn chosen(table: &mut PortTable, text: &str, ephemeral: &Ephemeral) -> Result<Vec<String>> {
    let ports = table.choose(&spec(text), ephemeral, &Intervals::new())?;
    Ok(ports.iter().map(Port::to_string).collect())
}

#[test]
fn who_excludes_whom() {
    for (one, other, clash) in [
        ("any", "any", true),
        ("any", "0.0.0.0", true),
        ("any", "::", true),
        ("any", "127.0.0.1", true),
        ("any", "::1", true),
        ("0.0.0.0", "::", false),
        ("0.0.0.0", "127.0.0.1", true),
        ("0.0.0.0", "::1", false),
        ("::", "::1", true),
        ("::", "127.0.0.1", false),
        ("127.0.0.1", "127.0.0.1", true),
        ("127.0.0.1", "127.0.0.2", false),
        ("::1", "127.0.0.1", false),
        ("255.255.255.254", "0.0.0.0", true),
    ] {
        for (one, other) in [(one, other), (other, one)] {
            for (first, count, overlap) in
                [(8080, 1, true), (8070, 11, true), (8081, 5, false), (8070, 10, false)]
            {
                let mut table = PortTable::new();
                table.promise(&port(one, 8080, 1), &holder("web")).unwrap();
                let wanted = port(other, first, count);
                let result = table.promise(&wanted, &holder("api"));
                assert_eq!(result.is_err(), clash && overlap, "{one} {other} {first} {count}");
                if let Err(error) = result {
                    assert!(
                        error.message.contains(":8080/tcp is already published by sandbox web"),
                        "{error}"
                    );
                    table.release(&port(one, 8080, 1));
                    table.promise(&wanted, &holder("api")).unwrap();
                }
            }
        }
    }
    let mut table = PortTable::new();
    table.promise(&port("any", 53, 1), &holder("dns")).unwrap();
    assert!(table.holder(Proto::Udp, None, 53).is_none());
    assert_eq!(table.holder(Proto::Tcp, ip("10.0.0.1"), 53).unwrap().name, "dns");
}

#[test]
fn choices() {
    let mut table = PortTable::new();
    table.promise(&port("any", 8000, 3), &holder("a")).unwrap();
    table.promise(&port("127.0.0.1", 8004, 1), &holder("b")).unwrap();
    let ephemeral = Ephemeral::new(100, 109, [(100, 101), (105, 105)]);
    for (text, wanted) in [
        ("8080:80", "8080->80/tcp"),
        ("8000-8010:80", "8003->80/tcp"),
        ("8004-8010:80", "8005->80/tcp"),
        ("10.0.0.1:8004-8010:80", "10.0.0.1:8004->80/tcp"),
        ("8000-8002:80/udp", "8000->80/udp"),
        ("80", "102->80/tcp"),
        ("80", "103->80/tcp"),
        ("80-82", "106-108->80-82/tcp"),
        ("80-82", "102-104->80-82/tcp"),
        ("80-84", "106->80/tcp 107->81/tcp 108->82/tcp 109->83/tcp 102->84/tcp"),
        ("[::1]::80", "[::1]:103->80/tcp"),
    ] {
        assert_eq!(chosen(&mut table, text, &ephemeral).unwrap().join(" "), wanted, "{text}");
    }
    for (text, kind, wanted) in [
        ("8002:80", Kind::Conflict, "0.0.0.0:8002/tcp is already published by sandbox a"),
        ("127.0.0.1:8004:80", Kind::Conflict, "127.0.0.1:8004/tcp is already published by sandbox b"),
        ("8000-8002:80", Kind::Exhausted, "no host port of 8000-8002/tcp is free for port 80"),
        ("1-8", Kind::Exhausted, "no host port of 100-109/tcp"),
    ] {
        let error = chosen(&mut table, text, &ephemeral).unwrap_err();
        assert_eq!(error.kind, kind, "{text}");
        assert!(error.message.contains(wanted), "{error}");
    }
}

#[test]
fn ports_of_other_programs_are_passed_over() {
    let mut elsewhere = Intervals::new();
    elsewhere.insert(8000, 8001);
    let mut table = PortTable::new();
    let ports = table.choose(&spec("8000-8010:80"), &Ephemeral::default(), &elsewhere).unwrap();
    assert_eq!(ports[0].host_port, 8002);
    elsewhere.insert(32_768, 40_000);
    let ports = table.choose(&spec("80"), &Ephemeral::default(), &elsewhere).unwrap();
    assert_eq!(ports[0].host_port, 40_001);
}

#[test]
fn wide_ranges_are_cheap() {
    let mut table = PortTable::new();
    for i in 0..10_000 {
        table.promise(&port("any", 20_000 + i, 1), &holder("s")).unwrap();
    }
    for _ in 0..1_000 {
        let port =
            &table.choose(&spec("20000-30000:80"), &Ephemeral::default(), &Intervals::new()).unwrap()[0];
        assert_eq!(port.host_port, 30_000);
    }
    table.promise(&port("127.0.0.1", 30_000, 10_000), &holder("wide")).unwrap();
    assert!(table.promise(&port("any", 39_999, 1), &holder("x")).is_err());
    table.release(&port("127.0.0.1", 30_000, 10_000));
    table.promise(&port("any", 39_999, 1), &holder("x")).unwrap();
}

const HOSTS: [&str; 6] = ["any", "0.0.0.0", "::", "127.0.0.1", "10.0.0.1", "::1"];

/// Every (address, port) that a promise keeps others from, the plain way.
fn covered(port: &Port) -> BTreeSet<(&'static str, u16)> {
    let hides = |host: &str| match port.host_ip {
        None => true,
        Some(ip) if ip.is_unspecified() => host.contains(':') == ip.is_ipv6(),
        Some(ip) => host == ip.to_string(),
    };
    let hosts = HOSTS.into_iter().filter(|host| *host != "any" && hides(host));
    hosts.flat_map(|host| (port.host_port..=port.host_last()).map(move |n| (host, n))).collect()
}

proptest! {
    #[test]
    fn behaves_like_a_plain_list(
        steps in prop::collection::vec((any::<bool>(), 0..6usize, 1u16..30, 1u16..6), 1..60)
    ) {
        let (mut table, mut model) = (PortTable::new(), Vec::<Port>::new());
        for (add, host, first, count) in steps {
            let wanted = port(HOSTS[host], first, count);
            if add {
                let clash = model.iter().any(|held| !covered(held).is_disjoint(&covered(&wanted)));
                let free = table.choose(
                    &PortSpec { host_ip: wanted.host_ip, host_port: Some(first), host_port_end: None, port: 80, count,
                                proto: Proto::Tcp },
                    &Ephemeral::default(), &Intervals::new()).is_ok();
                prop_assert_eq!(free, !clash);
                prop_assert_eq!(table.promise(&wanted, &holder("s")).is_err(), clash);
                if !clash { model.push(wanted) }
            } else if let Some(at) = model.iter().position(|held| held.host_ip == wanted.host_ip) {
                table.release(&model.swap_remove(at));
            }
        }
        for held in model { table.release(&held) }
        prop_assert!(table.seats.is_empty());
    }

    #[test]
    fn a_chosen_port_is_free(wishes in prop::collection::vec((0..6usize, 1u16..5), 1..40)) {
        let (mut table, mut model) = (PortTable::new(), Vec::<Port>::new());
        let ephemeral = Ephemeral::new(1000, 1063, [(1010, 1012)]);
        for (host, count) in wishes {
            let spec = PortSpec { host_ip: ip(HOSTS[host]), host_port: None, host_port_end: None, port: 80, count,
                                  proto: Proto::Tcp };
            let Ok(ports) = table.choose(&spec, &ephemeral, &Intervals::new()) else { continue };
            prop_assert_eq!(ports.iter().map(|p| p.count).sum::<u16>(), count);
            for port in ports {
                prop_assert!(model.iter().all(|held| covered(held).is_disjoint(&covered(&port))));
                prop_assert!((1000..=1063).contains(&port.host_port) && port.host_last() <= 1063);
                prop_assert!(port.host_last() < 1010 || port.host_port > 1012);
                table.promise(&port, &holder("s")).unwrap();
                model.push(port);
            }
        }
    }
}
