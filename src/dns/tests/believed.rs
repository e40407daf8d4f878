//! What is believed of an upstream, and who is shown it.
use super::*;
use crate::dns::forward::probe;
use parking_lot::Mutex;
use std::collections::BTreeSet;

#[test]
fn an_answer_to_another_question_is_none() {
    let (asked, other) = (query("bank.test.", RecordType::A), query("other.test.", RecordType::A));
    let told = |question: &Message| {
        let packet = reply(question, &["192.0.2.66"], 60).to_vec().unwrap();
        probe(&asked.to_vec().unwrap(), &packet, 0).map(|answer| digest(&answer))
    };
    assert_eq!((told(&asked).as_deref(), told(&other)), (Some("NoError 192.0.2.66"), None));
    assert_eq!(told(&query("bank.test.", RecordType::TXT)), None);
}

#[test]
fn nobody_can_guess_the_number_of_a_query() {
    let lab = Lab::new(&[1]);
    let numbers = Arc::new(Mutex::new(BTreeSet::new()));
    let seen = numbers.clone();
    let _server = lab.upstream(1, move |query, _| {
        seen.lock().insert(query.metadata.id);
        Some(reply(&query, &["192.0.2.1"], 60))
    });
    let client = lab.serve(10);
    (0..40).for_each(|n| drop(client.timed(&format!("n{n}.test."))));
    let numbers: Vec<u16> = numbers.lock().iter().copied().collect();
    let near = numbers.windows(2).filter(|two| two[1] - two[0] < 8).count();
    assert!(numbers.len() > 36 && near < 8, "{numbers:?}");
}

#[test]
fn what_ones_own_server_says_nobody_else_is_told() {
    let lab = Lab::new(&[3]);
    let servers: Vec<_> = (1..=3)
        .map(|n| lab.upstream(n, move |query, _| Some(reply(&query, &[&format!("192.0.2.{n}")], 600))))
        .collect();
    for (sandbox, server) in [(10, 1), (11, 2)] {
        let upstream = Upstreams { servers: vec![lab.address(server)], ..asker(&[1]).upstream };
        lab.publish(|names| names.set_asker(id(sandbox), Asker { upstream, ..asker(&[1]) }));
    }
    lab.publish(|names| names.set_asker(id(12), asker(&[1])));
    for _ in 0..2 {
        for (sandbox, address) in [(10, "192.0.2.1"), (11, "192.0.2.2"), (12, "192.0.2.3")] {
            let client = lab.serve(sandbox);
            assert_eq!(client.timed("shop.test.").0, format!("NoError {address}"), "sandbox {sandbox}");
        }
    }
    assert!(servers.iter().all(|server| server.udp.load(SeqCst) > 0));
}

#[test]
fn new_servers_of_the_host_are_asked_again() {
    let lab = Lab::new(&[1]);
    for n in 1..=2 {
        lab.upstream(n, move |query, _| Some(reply(&query, &[&format!("192.0.2.{n}")], 600)));
    }
    let client = lab.serve(10);
    assert_eq!(client.timed("vpn.test.").0, "NoError 192.0.2.1");
    std::fs::write(lab.folder.path().join("resolv.conf"), format!("nameserver {}\n", lab.address(2)))
        .unwrap();
    let end = Instant::now() + Duration::from_secs(2);
    while client.timed("vpn.test.").0 != "NoError 192.0.2.2" {
        assert!(Instant::now() < end, "what the old server said is told for ten minutes");
        thread::sleep(Duration::from_millis(5));
    }
}
