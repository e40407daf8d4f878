//! No bytes from anyone make us panic, and what we say is always readable.
use super::*;
use crate::dns::answer::{Action, answer};
use crate::dns::forward::probe;
use crate::dns::query::{Over, Query as Asked};
use proptest::prelude::*;

/// A well-formed query with a few bytes changed, or anything at all.
fn packets() -> impl Strategy<Value = Vec<u8>> {
    let damaged = (any::<u8>(), prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6))
        .prop_map(|(kind, changes)| {
            let names = ["web.", "app.front.", "10.0.1.10.in-addr.arpa.", "a.b.c.d.example.", "db.back.end."];
            let name = names[usize::from(kind) % names.len()];
            let mut packet =
                with_edns(query(name, RecordType::from(u16::from(kind))), 1232).to_vec().unwrap();
            for (at, value) in changes {
                let at = at.index(packet.len());
                packet[at] = value;
            }
            packet
        });
    prop_oneof![damaged, prop::collection::vec(any::<u8>(), 0..600)]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn any_packet_is_safe(packet in packets(), turn in any::<usize>()) {
        let names = world();
        for over in [Over::Udp, Over::Tcp] {
            let mut out = Vec::new();
            let action = answer(&packet, over, names.asker(&id(10)), &names, turn, &mut out);
            match action {
                Action::Reply => {
                    let reply = Message::from_vec(&out).expect("readable");
                    prop_assert_eq!(reply.metadata.id.to_be_bytes(), [packet[0], packet[1]]);
                    prop_assert!(over == Over::Tcp || out.len() <= 4096);
                }
                _ => prop_assert!(out.is_empty()),
            }
        }
    }

    /// What hickory reads as a plain query, we read too, and see the same name.
    #[test]
    fn hickory_agrees(labels in prop::collection::vec("[a-zA-Z0-9_][a-zA-Z0-9_-]{0,61}[a-zA-Z0-9]", 1..4), kind in any::<u16>(), edns in any::<bool>()) {
        let name = labels.join(".");
        let mut message = query(&format!("{name}."), RecordType::from(kind));
        if edns { message = with_edns(message, 4096) }
        let packet = message.to_vec().unwrap();
        let asked = Asked::parse(&packet, Over::Udp).unwrap();
        let lower = name.to_lowercase();
        prop_assert_eq!(asked.name.as_str(), Some(lower.as_str()));
        prop_assert_eq!((asked.qtype, asked.ask.edns.is_some()), (kind, edns));
    }

    #[test]
    fn any_upstream_is_safe(body in packets(), edns in any::<bool>(), age in any::<u32>(), tail in prop::collection::vec(any::<u8>(), 0..64)) {
        let mut message = query("a.b.c.d.example.", RecordType::A);
        if edns { message = with_edns(message, 512) }
        let mut answer = reply(&message, &["10.0.0.1", "10.0.0.2"], 60).to_vec().unwrap();
        answer.truncate(answer.len().saturating_sub(tail.len() / 2));
        answer.extend(&tail);
        for packet in [&body, &answer] {
            if let Some(out) = probe(&message.to_vec().unwrap(), packet, u64::from(age)) {
                prop_assert!(out.len() <= 512);
                let reply = Message::from_vec(&out);
                prop_assert!(reply.is_ok() || packet != &answer || !tail.is_empty());
            }
        }
    }
}
