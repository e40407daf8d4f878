//! Who is told what: Docker's lookup rules as a table.
use super::*;
use crate::dns::answer::{Action, TTL, answer};
use crate::dns::query::Over;

fn told(names: &Names, asker: u8, query: &Message, over: Over, turn: usize) -> String {
    let (packet, mut out) = (query.to_vec().unwrap(), b"before".to_vec());
    match answer(&packet, over, names.asker(&id(asker)), names, turn, &mut out) {
        Action::Reply => digest(&out[6..]),
        Action::Forward(_) => "forward".into(),
        Action::Drop => "drop".into(),
    }
}

#[test]
fn lookup_rules() {
    let names = world();
    use RecordType as R;
    let cases = [
        (10, "web.", R::A, "NoError 10.1.0.10"),
        (10, "WEB.", R::A, "NoError 10.1.0.10"),
        (10, "www.", R::AAAA, "NoError fd01::10"),
        (10, "0123456789AB.", R::A, "NoError 10.1.0.10"),
        (10, "db.", R::A, "NoError 10.2.0.20"),
        (10, "db.", R::AAAA, "NoError"),
        (10, "db.", R::MX, "NoError"),
        (10, "db.", R::HTTPS, "NoError"),
        (10, "web.", R::ANY, "NoError 10.1.0.10 fd01::10"),
        (10, "db.sql.", R::A, "NoError 10.2.0.20"),
        (10, "db.back.end.", R::A, "NoError 10.2.0.20"),
        (10, "db.sql.back.end.", R::A, "NoError 10.2.0.20"),
        (10, "web.back.end.", R::A, "NoError 10.2.0.10"),
        (10, "web.FRONT.", R::A, "NoError 10.1.0.10"),
        (10, "db.front.", R::A, "forward"),
        (10, "nobody.", R::A, "forward"),
        (10, ".", R::NS, "forward"),
        (11, "db.", R::A, "forward"),
        (11, "db.back.end.", R::A, "forward"),
        (11, "store.", R::A, "NoError 10.1.0.12"),
        (11, "store.front.", R::A, "NoError 10.1.0.12"),
        (10, "store.", R::A, "forward"),
        (10, "10.0.1.10.in-addr.arpa.", R::PTR, "NoError Web.Front."),
        (10, "20.0.2.10.in-addr.arpa.", R::PTR, "NoError db.back.end."),
        (10, "20.0.2.10.in-addr.arpa.", R::TXT, "NoError"),
        (11, "20.0.2.10.in-addr.arpa.", R::PTR, "forward"),
        (10, "0.0.1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.1.0.d.f.ip6.arpa.", R::PTR, "forward"),
        (
            10,
            "0.1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.1.0.D.f.ip6.arpa.",
            R::PTR,
            "NoError Web.Front.",
        ),
        (10, "web.", R::AXFR, "Refused"),
        (99, "web.", R::A, "ServFail"),
    ];
    for (asker, name, kind, expected) in cases {
        assert_eq!(told(&names, asker, &query(name, kind), Over::Udp, 0), expected, "{asker} {name} {kind}");
    }
}

#[test]
fn shared_names_take_turns_and_follow_their_holders() {
    let mut names = world();
    let first = |names: &Names, turn| told(names, 10, &query("app.", RecordType::A), Over::Udp, turn);
    assert_eq!(first(&names, 0), "NoError 10.1.0.11 10.1.0.12");
    assert_eq!(first(&names, 1), "NoError 10.1.0.12 10.1.0.11");
    let before = names.clone();
    names.remove_seat(id(1), id(11));
    assert_eq!(
        (first(&names, 5), first(&before, 0)),
        ("NoError 10.1.0.12".into(), "NoError 10.1.0.11 10.1.0.12".into())
    );
    names.set_seat(id(1), seat(12, &["worker-b"], &["10.1.0.13"]));
    assert_eq!(first(&names, 0), "forward");
    assert_eq!(told(&names, 10, &query("worker-b.", RecordType::A), Over::Udp, 0), "NoError 10.1.0.13");
    names.set_network(id(1), "renamed");
    assert_eq!(told(&names, 10, &query("web.renamed.", RecordType::A), Over::Udp, 0), "NoError 10.1.0.10");
    names.remove_network(id(1));
    names.remove_asker(id(11));
    assert_eq!(told(&names, 10, &query("worker-b.", RecordType::A), Over::Udp, 0), "forward");
    assert!(names.asker(&id(11)).is_none());
}

#[test]
fn single_labels_stay_at_home_when_ndots_is_set() {
    let mut names = world();
    let mut asker = asker(&[1]);
    asker.upstream.ndots_set = true;
    names.set_asker(id(10), asker);
    let say = |name, kind| told(&names, 10, &query(name, kind), Over::Udp, 0);
    assert_eq!(say("nobody.", RecordType::A), "NoError");
    assert_eq!(say("nobody.", RecordType::MX), "forward");
    assert_eq!(say("no.body.", RecordType::A), "forward");
}

#[test]
fn what_only_we_know_is_asked_of_nobody() {
    let mut names = world();
    let mut asker = asker(&[1]);
    asker.upstream.local = vec!["dns.podman".to_owned()];
    names.set_asker(id(10), asker);
    names.set_seat(id(1), seat(60, &["db", "db.dns.podman"], &["10.1.0.60"]));
    let say = |name, kind| told(&names, 10, &query(name, kind), Over::Udp, 0);
    assert_eq!(say("DB.dns.podman.", RecordType::A), "NoError 10.1.0.60");
    assert_eq!(say("db.dns.podman.", RecordType::MX), "NoError");
    for (name, kind) in [
        ("nobody.dns.podman.", RecordType::A),
        ("a.b.DNS.Podman.", RecordType::TXT),
        ("dns.podman.", RecordType::A),
    ] {
        assert_eq!(say(name, kind), "NXDomain", "{name}");
    }
    for name in ["mydns.podman.", "podman.", "dns.podman.example."] {
        assert_eq!(say(name, RecordType::A), "forward", "{name}");
    }
}

#[test]
fn truncation_and_edns() {
    let mut names = world();
    for n in 0..200 {
        let address = format!("10.1.1.{n}");
        names.set_seat(id(1), seat(n + 50, &["many"], &[&address]));
    }
    let ask = |message: &Message, over| {
        let (packet, mut out) = (message.to_vec().unwrap(), Vec::new());
        answer(&packet, over, names.asker(&id(10)), &names, 3, &mut out);
        let answer = Message::from_vec(&out).unwrap();
        let metadata = &answer.metadata;
        assert!(metadata.recursion_available && metadata.recursion_desired && !metadata.authoritative);
        (out.len(), metadata.truncation, answer)
    };
    let plain = query("Many.", RecordType::A);
    for (size, most) in [(None, 512), (Some(100), 512), (Some(1232), 1232), (Some(65535), 4096)] {
        let message = size.map_or(plain.clone(), |size| with_edns(plain.clone(), size));
        let (length, cut, answer) = ask(&message, Over::Udp);
        assert!(length <= most && length > most - 32 || !cut, "{size:?}: {length}");
        assert_eq!((cut, answer.edns.is_some()), (most < 4096, size.is_some()), "{size:?}");
        assert_eq!(answer.queries[0].name().to_string(), "Many.", "the client's own case");
        assert!(answer.answers.iter().all(|record| record.ttl == TTL));
    }
    let (_, cut, answer) = ask(&plain, Over::Tcp);
    assert_eq!((cut, answer.answers.len()), (false, 200));
}

#[test]
fn odd_packets() {
    let names = world();
    let base = query("web.", RecordType::A).to_vec().unwrap();
    let patched = |at: usize, value: u8| {
        let mut packet = base.clone();
        packet[at] = value;
        packet
    };
    let mut version = with_edns(query("web.", RecordType::A), 1232);
    version.edns.as_mut().unwrap().set_version(1);
    let two_opts = {
        let mut packet = with_edns(query("web.", RecordType::A), 1232).to_vec().unwrap();
        let opt = packet[packet.len() - 11..].to_vec();
        packet.extend(opt);
        packet[11] = 2;
        packet
    };
    let cases = [
        ("an answer", patched(2, 0x81), "drop"),
        ("a notify", patched(2, 0x20), "NotImp"),
        ("no question", patched(5, 0), "FormErr"),
        ("two questions", patched(5, 2), "FormErr"),
        ("class chaos", patched(base.len() - 1, 3), "Refused"),
        ("a pointer as name", patched(12, 0xc0), "FormErr"),
        ("cut off", base[..base.len() - 1].to_vec(), "FormErr"),
        ("too short", base[..11].to_vec(), "drop"),
        ("two OPT records", two_opts, "FormErr"),
        ("a dot in a label", patched(14, b'.'), "forward"),
        ("a strange byte", patched(14, 0xff), "forward"),
        ("EDNS version 1", version.to_vec().unwrap(), "BADSIG"), // hickory's word for 16, BADVERS
        ("garbage behind", [&base[..], b"garbage"].concat(), "NoError 10.1.0.10"),
    ];
    for (what, packet, expected) in cases {
        let mut out = Vec::new();
        let told = match answer(&packet, Over::Udp, names.asker(&id(10)), &names, 0, &mut out) {
            Action::Reply => digest(&out),
            Action::Forward(_) => "forward".into(),
            Action::Drop => "drop".into(),
        };
        assert_eq!(told, expected, "{what}");
    }
}
