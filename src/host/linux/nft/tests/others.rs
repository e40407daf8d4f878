//! Beside strangers: drift, events, other instances, conntrack.
use super::*;
use std::net::UdpSocket;

#[test]
fn drift_is_seen_in_a_reading() {
    in_namespace(|| {
        let mut nft = Nft::open("default").unwrap();
        assert_eq!(nft.elements().unwrap(), None, "nothing there");
        for harm in [
            "flush ruleset",
            "flush chain inet pontoon outward",
            "delete table bridge pontoon",
            "add rule inet pontoon forward accept",
            "add element inet pontoon pair { a . b : drop }",
            "add table inet pontoon { comment \"layout=0\"; }",
        ] {
            if harm.contains("layout=0") {
                nft.remove().unwrap();
            } else {
                nft.rebuild(&ports(1)).unwrap();
                assert_eq!(nft.elements().unwrap(), Some(ports(1)));
            }
            let before = nft.generation().unwrap();
            nft_load(harm);
            assert_ne!(nft.generation().unwrap(), before);
            assert_eq!(nft.elements().unwrap(), None, "{harm}");
        }
        nft.rebuild(&ports(1)).unwrap();
        run("nft flush map inet pontoon any4");
        assert_eq!(nft.elements().unwrap(), Some(vec![]));
    });
}

#[test]
fn instances_live_side_by_side() {
    in_namespace(|| {
        run("nft add table inet stranger");
        let mut one = Nft::open("default").unwrap();
        let mut two = Nft::open("te st!").unwrap();
        assert_eq!(two.table_name(), "pontoon_te_st_");
        one.rebuild(&ports(1)).unwrap();
        two.rebuild(&ports(2)).unwrap();
        assert_eq!(one.elements().unwrap(), Some(ports(1)));
        one.remove().unwrap();
        one.remove().unwrap();
        assert_eq!(two.elements().unwrap().map(sorted), Some(ports(2)));
        two.remove().unwrap();
        assert_eq!(run("nft list ruleset"), "table inet stranger {\n}\n");
        assert!(Nft::open("").is_err());
    });
}

#[test]
fn events_tell_ours_from_theirs() {
    in_namespace(|| {
        let mut watch = Watch::open("default").unwrap();
        let mut nft = Nft::open("default").unwrap();
        let one = |watch: &mut Watch| match watch.heard().unwrap().as_slice() {
            [Notice::Commit { author, name, touched, .. }] => (*author, name.clone(), *touched),
            other => panic!("{other:?}"),
        };
        nft.rebuild(&ports(1)).unwrap();
        let (author, _, touched) = one(&mut watch);
        assert_eq!(author, nft.port_id());
        // created, deleted, created: the two deletions are those of empty tables
        assert!(touched.added > 100 && touched.structure == 2, "{touched:?}");
        let cases = [
            ("add table inet stranger", Touched::default()),
            (
                "delete element inet pontoon any4 { tcp . 1024 }",
                Touched { elements: 1, ..Touched::default() },
            ),
            ("flush chain inet pontoon outward", Touched { structure: 3, ..Touched::default() }),
            ("add element bridge pontoon port { a }", Touched { added: 1, ..Touched::default() }),
        ];
        for (text, wanted) in cases {
            nft_load(text);
            let (author, name, touched) = one(&mut watch);
            assert_ne!(author, nft.port_id());
            assert_eq!((name.as_str(), touched), ("nft", wanted), "{text}");
        }
        nft_load("flush ruleset");
        assert!(one(&mut watch).2.structure > 100);
        assert_eq!(watch.heard().unwrap(), []);
    });
}

#[test]
fn connections_are_forgotten() {
    in_namespace(|| {
        run("ip link set lo up");
        run("ip addr add 10.0.0.1/32 dev lo");
        let mut nft = Nft::open("default").unwrap();
        let to = "127.0.0.1:7001".parse().unwrap();
        nft.rebuild(&[Element::Port { host: None, proto: Proto::Udp, port: 7000, to }]).unwrap();
        let server = UdpSocket::bind("127.0.0.1:7001").unwrap();
        let server6 = UdpSocket::bind("[::1]:7002").unwrap();
        let speak = || {
            UdpSocket::bind("127.0.0.1:6000").unwrap().send_to(b"x", "127.0.0.1:7000").unwrap();
            UdpSocket::bind("10.0.0.1:6001").unwrap().send_to(b"x", "127.0.0.1:7001").unwrap();
            UdpSocket::bind("[::1]:6002").unwrap().send_to(b"x", "[::1]:7002").unwrap();
        };
        let count = || {
            let v4 = conntrack_count("ipv4");
            (v4, conntrack_count("ipv6"))
        };
        let (proto, v4, v6) = (Proto::Udp, Family::V4, Family::V6);
        let cases = [
            (Filter::Unpublished { family: v4, proto, port: 7000 }, (1, 1)),
            (Filter::Unpublished { family: v4, proto, port: 7001 }, (2, 1)),
            (Filter::Published { family: v4, proto, port: 7001 }, (1, 1)),
            (Filter::Published { family: v6, proto, port: 7002 }, (2, 0)),
            (Filter::Gone("10.0.0.1".parse().unwrap()), (1, 1)),
            (Filter::Gone("127.0.0.1".parse().unwrap()), (0, 1)),
        ];
        for (filter, left) in cases {
            speak();
            assert_eq!(count(), (2, 1));
            nft.forget(&[filter]).unwrap();
            assert_eq!(count(), left, "{filter:?}");
        }
        drop((server, server6));
    });
}

/// Flows that `conntrack` lists.
fn conntrack_count(family: &str) -> usize {
    run(&format!("conntrack -L -p udp -f {family}")).lines().filter(|l| l.starts_with("udp")).count()
}
