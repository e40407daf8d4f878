//! Elements to the kernel and back.
use super::*;

#[test]
fn what_is_built_is_read_back() {
    in_namespace(|| {
        let mut nft = Nft::open("default").unwrap();
        nft.rebuild(&one_of_each()).unwrap();
        let found = nft.elements().unwrap().expect("our layout");
        assert_eq!(sorted(found), sorted(one_of_each()));
    });
}

#[test]
fn exchange_forgives_what_is_done_already() {
    for destroys in [true, false] {
        in_namespace(move || {
            let mut nft = Nft::open("default").unwrap();
            nft.destroys &= destroys;
            nft.rebuild(&[]).unwrap();
            let all = one_of_each();
            nft.exchange(&all[..3], &all).unwrap();
            nft.exchange(&[], &all).unwrap();
            assert_eq!(sorted(nft.elements().unwrap().unwrap()), sorted(all.clone()));
            nft.exchange(&all, &all).unwrap();
            assert_eq!(sorted(nft.elements().unwrap().unwrap()), sorted(all.clone()));
            nft.exchange(&all[..10], &[]).unwrap();
            nft.exchange(&all, &all[20..22]).unwrap();
            assert_eq!(sorted(nft.elements().unwrap().unwrap()), sorted(all[20..22].to_vec()));
            nft.exchange(&[], &[]).unwrap();
        });
    }
}

#[test]
fn a_port_moves_in_one_transaction() {
    in_namespace(|| {
        let mut nft = Nft::open("default").unwrap();
        let at =
            |to: &str| Element::Port { host: None, proto: Proto::Udp, port: 53, to: to.parse().unwrap() };
        nft.rebuild(&[at("10.0.0.1:53")]).unwrap();
        nft.exchange(&[at("10.0.0.1:53")], &[at("10.0.0.2:53")]).unwrap();
        assert_eq!(nft.elements().unwrap().unwrap(), [at("10.0.0.2:53")]);
    });
}

#[test]
fn a_refusal_names_the_element_and_changes_nothing() {
    in_namespace(|| {
        let mut nft = Nft::open("default").unwrap();
        nft.rebuild(&ports(3)).unwrap();
        let mut wrong = ports(6);
        wrong.reverse();
        wrong[4] =
            Element::Port { host: None, proto: Proto::Tcp, port: 1025, to: "10.0.0.9:1".parse().unwrap() };
        let error = nft.exchange(&[], &wrong).unwrap_err();
        assert!(error.to_string().contains("add any4 { tcp . 1025 : 10.0.0.9 . 1 }"), "{error}");
        assert_eq!(error.kind, crate::error::Kind::Conflict, "{error}");
        assert_eq!(sorted(nft.elements().unwrap().unwrap()), ports(3));
        nft.exchange(&ports(1), &[]).unwrap();
    });
}

#[test]
fn a_refusal_without_a_table_says_so() {
    in_namespace(|| {
        let mut nft = Nft::open("default").unwrap();
        let error = nft.exchange(&[], &ports(1)).unwrap_err();
        assert_eq!(error.kind, crate::error::Kind::NotFound, "{error}");
        assert!(error.to_string().contains("any4"), "{error}");
    });
}

/// A dump may miss elements, or give some twice, while the kernel still grows its hash table (lib/rhashtable.c says so of
/// every walk); adding them again, as a repair would, is harmless. So: read until all are there, 10 s at most.
fn holds_all(nft: &mut Nft, wanted: &[Element]) -> bool {
    (0..200).any(|_| {
        let mut found = sorted(nft.elements().unwrap().unwrap_or_default());
        found.dedup();
        let all = found == wanted;
        if !all {
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        all
    })
}

#[test]
fn ten_thousand_in_one_transaction() {
    in_namespace(|| {
        let mut nft = Nft::open("default").unwrap();
        nft.rebuild(&ports(10_000)).unwrap();
        assert!(holds_all(&mut nft, &ports(10_000)), "not all are there");
        nft.exchange(&ports(10_000), &one_of_each()).unwrap();
        nft.exchange(&one_of_each(), &ports(10_000)).unwrap();
        assert!(holds_all(&mut nft, &ports(10_000)), "not all came back");
        nft.rebuild(&ports(10)).unwrap();
        assert_eq!(nft.elements().unwrap().unwrap().len(), 10);
    });
}
