//! Hostile bytes as queries, as streams of queries and as an upstream's answers.
use super::*;
use crate::{
    dns::{
        Talk,
        answer::answer,
        forward::probe,
        query::Over,
        slots::{Key, Slots},
        stream::Stream,
    },
    testbed::fuzz,
};

fn queries() -> Vec<Vec<u8>> {
    let names = ["web.", "app.front.", "10.0.1.10.in-addr.arpa.", "a.b.c.d.example.", "db.back.end.", "."];
    let plain = names.iter().map(|name| query(name, RecordType::A).to_vec().expect("query"));
    let edns =
        names.iter().map(|name| with_edns(query(name, RecordType::ANY), 1232).to_vec().expect("query"));
    plain.chain(edns).collect()
}

#[test]
fn fuzz_dns_queries() {
    let (names, mut out) = (world(), Vec::new());
    fuzz("DNS queries", 20_000, &queries(), |packet| {
        for over in [Over::Udp, Over::Tcp] {
            out.clear();
            answer(packet, over, names.asker(&id(10)), &names, 1, &mut out);
            assert!(out.len() <= 65_535 && (over == Over::Tcp || out.len() <= 4096));
            assert!(out.is_empty() || Message::from_vec(&out).is_ok(), "what we say is readable");
        }
    });
}

#[test]
fn fuzz_dns_streams() {
    let (listener, names) = (TcpListener::bind("127.0.0.1:0").expect("bind"), world());
    let socket = TcpStream::connect(listener.local_addr().expect("address")).expect("connect");
    let seat: Key = Slots::default().insert(());
    let framed = |query: &Vec<u8>| [&(query.len() as u16).to_be_bytes()[..], query].concat();
    let streams: Vec<Vec<u8>> = queries().iter().map(|query| framed(query).repeat(3)).collect();
    let now = Instant::now();
    fuzz("DNS over TCP", 10_000, &streams, |bytes| {
        let stream = socket.try_clone().expect("clone");
        let talk = Talk { stream, input: bytes.to_vec(), output: Vec::new(), closed: false };
        let mut stream = Stream::carried(seat, talk, now).expect("a stream");
        let (mut taken, mut frames) = (0, 0);
        while let Some(frame) = stream.take_frame(now) {
            (taken, frames) = (taken + 2 + frame.len(), frames + 1);
            stream.put_frame(|out| {
                answer(&frame, Over::Tcp, names.asker(&id(10)), &names, 1, out);
            });
        }
        assert!(taken <= bytes.len() && frames <= bytes.len() / 2);
    });
}

#[test]
fn fuzz_upstream_answers() {
    let asked = query("a.b.c.d.example.", RecordType::A);
    let question = asked.to_vec().expect("query");
    let mut seeds = vec![question.clone()];
    for count in [0, 1, 2, 30] {
        let all: Vec<String> = (0..count).map(|n| format!("10.0.0.{n}")).collect();
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        seeds.push(reply(&asked, &all, 60).to_vec().expect("reply"));
    }
    fuzz("answers of upstreams", 20_000, &seeds, |packet| {
        if let Some(out) = probe(&question, packet, 5) {
            assert!(out.len() <= 512);
        }
    });
}
