//! Forwarding, against servers that answer, lie, refuse, cut short or keep silent.
use super::*;
use hickory_proto::rr::rdata::SOA;

#[test]
fn answers_are_cached_for_their_time() {
    let lab = Lab::new(&[1]);
    let server = lab.upstream(1, |query, _| Some(reply(&query, &["192.0.2.1"], 2)));
    let (client, other) = (lab.serve(10), lab.serve(11));
    let first = client.udp(&query("Example.test.", RecordType::A));
    assert_eq!(Message::from_vec(&first).unwrap().queries[0].name().to_string(), "Example.test.");
    thread::sleep(Duration::from_millis(1050));
    let second = other.udp(&query("eXample.test.", RecordType::A));
    let second = Message::from_vec(&second).unwrap();
    assert_eq!((second.answers[0].ttl, second.queries[0].name().to_string()), (1, "eXample.test.".into()));
    assert_eq!(server.udp.load(SeqCst), 1);
    thread::sleep(Duration::from_millis(1000));
    assert_eq!(digest(&client.udp(&query("example.test.", RecordType::A))), "NoError 192.0.2.1");
    assert_eq!((server.udp.load(SeqCst), lab.dns.stats().cache_hits), (2, 1));
}

#[test]
fn negative_answers_live_as_their_soa_says() {
    let lab = Lab::new(&[1]);
    let server = lab.upstream(1, |query, _| {
        let name = query.queries[0].name().clone();
        let mut answer = blank(&query, ResponseCode::NXDomain);
        if name.to_string() == "soa.test." {
            let soa = SOA::new(name.clone(), name.clone(), 1, 2, 3, 4, 60);
            answer.add_authority(Record::from_rdata(name, 60, RData::SOA(soa)));
        }
        Some(answer)
    });
    let client = lab.serve(10);
    for (name, asked) in [("soa.test.", 1), ("soa.test.", 1), ("bare.test.", 2), ("bare.test.", 3)] {
        assert_eq!(client.timed(name).0, "NXDomain");
        assert_eq!(server.udp.load(SeqCst), asked, "{name}");
    }
}

#[test]
fn a_dead_first_server_costs_little() {
    let lab = Lab::new(&[1, 2]);
    let dead = lab.upstream(1, |_, _| None);
    let _alive = lab.upstream(2, |query, _| Some(reply(&query, &["192.0.2.2"], 60)));
    let client = lab.serve(10);
    let (answer, took) = client.timed("n0.test.");
    assert_eq!(answer, "NoError 192.0.2.2");
    assert!(took < Duration::from_millis(400), "the first miss: {took:?}");
    for n in 1..20 {
        let (answer, took) = client.timed(&format!("n{n}.test."));
        assert_eq!(answer, "NoError 192.0.2.2");
        assert!(took < Duration::from_millis(90), "{n}: {took:?}");
    }
    assert!(dead.udp.load(SeqCst) < 4);
    let stats = lab.dns.stats();
    assert_eq!(stats.upstreams.iter().map(|upstream| upstream.healthy).collect::<Vec<_>>(), [false, true]);
}

#[test]
fn a_server_that_comes_back_is_found() {
    let lab = Lab::new(&[1, 2]);
    let awake = Arc::new(AtomicBool::new(false));
    let listens = awake.clone();
    let _first =
        lab.upstream(1, move |query, _| listens.load(SeqCst).then(|| reply(&query, &["192.0.2.1"], 0)));
    let _second = lab.upstream(2, |query, _| Some(reply(&query, &["192.0.2.2"], 0)));
    let client = lab.serve(10);
    assert_eq!(client.timed("a.test.").0, "NoError 192.0.2.2");
    awake.store(true, SeqCst);
    thread::sleep(Duration::from_millis(1100));
    client.timed("b.test.");
    thread::sleep(Duration::from_millis(100));
    assert_eq!(client.timed("c.test.").0, "NoError 192.0.2.1");
}

#[test]
fn a_closed_port_or_a_refusal_leads_to_the_next() {
    let lab = Lab::new(&[1, 2, 3]);
    let _refuses = lab.upstream(2, |query, _| Some(blank(&query, ResponseCode::Refused)));
    let _fine = lab.upstream(3, |query, _| Some(reply(&query, &["192.0.2.3"], 60)));
    let (answer, took) = lab.serve(10).timed("example.test.");
    assert_eq!(answer, "NoError 192.0.2.3");
    assert!(took < Duration::from_millis(90), "{took:?}");
}

#[test]
fn nobody_answers_is_servfail() {
    let lab = Lab::new(&[1, 2]);
    let (answer, took) = lab.serve(10).timed("example.test.");
    assert_eq!(
        (answer.as_str(), took < Duration::from_secs(1)),
        ("ServFail", true),
        "closed ports: {took:?}"
    );
    let lab = Lab::new(&[1]);
    let silent = lab.upstream(1, |_, _| None);
    let (answer, took) = lab.serve(10).timed("example.test.");
    assert_eq!(answer, "ServFail");
    assert!(took > Duration::from_secs(4) && took < Duration::from_secs(5), "{took:?}");
    assert!((2..6).contains(&silent.udp.load(SeqCst)), "packets get lost: asked again");
}

#[test]
fn nxdomain_of_the_second_waits_for_a_trusted_first() {
    let lab = Lab::new(&[1, 2]);
    let _office = lab.upstream(1, |query, _| {
        let slow = query.queries[0].name().to_string().starts_with("slow");
        thread::sleep(Duration::from_millis(if slow { 180 } else { 1 }));
        Some(reply(&query, &["192.0.2.1"], 60))
    });
    let _world = lab.upstream(2, |query, _| Some(blank(&query, ResponseCode::NXDomain)));
    let client = lab.serve(10);
    assert_eq!(client.timed("known.test.").0, "NoError 192.0.2.1");
    assert_eq!(client.timed("slow.test.").0, "NoError 192.0.2.1");
}

#[test]
fn truncated_upstream_is_asked_by_tcp() {
    let lab = Lab::new(&[1]);
    let many: Vec<_> = (0..100).map(|n| format!("192.0.2.{n}")).collect();
    let server = lab.upstream(1, move |query, tcp| {
        let mut answer = blank(&query, ResponseCode::NoError);
        answer.metadata.truncation = !tcp;
        let all: Vec<_> = many.iter().map(String::as_str).collect();
        Some(if tcp { reply(&query, &all, 60) } else { answer })
    });
    let client = lab.serve(10);
    let ask = query("big.test.", RecordType::A);
    let counts = |bytes: &[u8]| {
        let answer = Message::from_vec(bytes).unwrap();
        (answer.answers.len(), answer.metadata.truncation)
    };
    let (by_tcp, by_udp) = (client.tcp(&ask), client.udp(&ask));
    assert_eq!(counts(&by_tcp), (100, false));
    assert!(by_udp.len() <= 512 && counts(&by_udp).1);
    assert_eq!(counts(&client.udp(&with_edns(ask, 4096))), (100, false));
    assert_eq!((server.udp.load(SeqCst), server.tcp.load(SeqCst)), (1, 1), "the rest came from the cache");
}

#[test]
fn servers_that_choke_on_edns_are_asked_without() {
    let lab = Lab::new(&[1]);
    let _old = lab.upstream(1, |query, _| match query.edns {
        Some(_) => Some(blank(&query, ResponseCode::FormErr)),
        None => Some(reply(&query, &["192.0.2.1"], 60)),
    });
    assert_eq!(lab.serve(10).timed("example.test.").0, "NoError 192.0.2.1");
}

#[test]
fn forged_answers_are_not_believed() {
    let lab = Lab::new(&[1]);
    let tries = AtomicUsize::new(0);
    let _liar = lab.upstream(1, move |query, _| {
        let mut answer = reply(&query, &["192.0.2.66"], 60);
        match tries.fetch_add(1, SeqCst) {
            0 => answer.metadata.id ^= 1,
            1 => answer.queries[0] = Query::query(Name::from_str("other.test.").unwrap(), RecordType::A),
            _ => answer = reply(&query, &["192.0.2.1"], 60),
        }
        Some(answer)
    });
    assert_eq!(lab.serve(10).timed("example.test.").0, "NoError 192.0.2.1");
}

#[test]
fn equal_questions_share_one_flight() {
    let lab = Lab::new(&[1]);
    let server = lab.upstream(1, |query, _| {
        thread::sleep(Duration::from_millis(60));
        Some(reply(&query, &["192.0.2.1"], 60))
    });
    let (one, two) = (lab.serve(10), lab.serve(11));
    let sockets: Vec<_> = (0..20).map(|n| if n % 2 == 0 { one.socket() } else { two.socket() }).collect();
    for (n, socket) in sockets.iter().enumerate() {
        let mut ask = query("example.test.", RecordType::A);
        ask.metadata.id = n as u16;
        socket.send(&ask.to_vec().unwrap()).unwrap();
    }
    for (n, socket) in sockets.iter().enumerate() {
        assert_eq!(Message::from_vec(&receive(socket)).unwrap().metadata.id, n as u16);
    }
    assert_eq!((server.udp.load(SeqCst), lab.dns.stats().coalesced), (1, 19));
}

#[test]
fn one_who_asks_too_much_starves_nobody() {
    let lab = Lab::with(&[1], |config| config.in_flight = (8, 64));
    let _slow = lab.upstream(1, |query, _| {
        let fine = query.queries[0].name().to_string() == "fine.test.";
        fine.then(|| reply(&query, &["192.0.2.1"], 60))
    });
    let (greedy, modest) = (lab.serve(10), lab.serve(11));
    let socket = greedy.socket();
    for n in 0..50 {
        socket.send(&query(&format!("n{n}.test."), RecordType::A).to_vec().unwrap()).unwrap();
    }
    let refused = (0..42).filter(|_| digest(&receive(&socket)) == "Refused").count();
    assert_eq!(refused, 42);
    assert_eq!(modest.timed("fine.test.").0, "NoError 192.0.2.1");
}

#[test]
fn internal_sandboxes_ask_nobody() {
    let lab = Lab::new(&[1]);
    let server = lab.upstream(1, |query, _| Some(reply(&query, &["192.0.2.1"], 60)));
    lab.publish(|names| names.set_asker(id(10), Asker { upstream: Upstreams::default(), ..asker(&[1]) }));
    let client = lab.serve(10);
    assert_eq!(client.timed("example.test.").0, "ServFail");
    assert_eq!(server.udp.load(SeqCst), 0);
}

#[test]
fn own_servers_are_asked_from_the_sandbox_and_not_shared() {
    let lab = Lab::new(&[1]);
    let _host = lab.upstream(1, |query, _| Some(reply(&query, &["192.0.2.1"], 60)));
    let _own = lab.upstream(2, |query, _| Some(reply(&query, &["192.0.2.2"], 60)));
    let servers = vec![IpAddr::from([127, 0, 0, 11]), lab.address(2)];
    let upstream = Upstreams { servers, ..Upstreams::default() };
    lab.publish(|names| names.set_asker(id(10), Asker { upstream, ..asker(&[1]) }));
    let (own, host) = (lab.serve(10), lab.serve(11));
    assert_eq!(own.timed("example.test.").0, "NoError 192.0.2.2");
    assert_eq!(host.timed("example.test.").0, "NoError 192.0.2.1");
    assert_eq!(own.timed("example.test.").0, "NoError 192.0.2.2");
    assert_eq!(lab.sockets.for_sandboxes.load(SeqCst), 1);
    lab.sockets.dead.store(true, SeqCst);
    assert_eq!(own.timed("another.test.").0, "ServFail", "its namespace is gone");
}
