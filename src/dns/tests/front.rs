//! Queries through real sockets on loopback.
use super::*;
use std::net::Shutdown;

#[test]
fn udp_and_tcp() {
    let lab = Lab::new(&[]);
    let client = lab.serve(10);
    let ask = query("web.", RecordType::A);
    assert_eq!(digest(&client.udp(&ask)), "NoError 10.1.0.10");
    assert_eq!(digest(&client.tcp(&ask)), "NoError 10.1.0.10");
    assert_eq!(
        digest(&client.udp(&query("example.test.", RecordType::A))),
        "ServFail",
        "no server: not silence"
    );
    let stats = lab.dns.stats();
    assert_eq!((stats.queries, stats.hits, stats.misses, stats.failures, stats.connections), (3, 2, 1, 1, 1));
}

#[test]
fn a_published_change_is_seen_at_once() {
    let lab = Lab::new(&[]);
    let client = lab.serve(11);
    lab.publish(|names| names.set_seat(id(1), seat(13, &["fresh"], &["10.1.0.13"])));
    assert_eq!(digest(&client.udp(&query("fresh.", RecordType::A))), "NoError 10.1.0.13");
}

#[test]
fn pipelined_and_split_frames() {
    let lab = Lab::new(&[]);
    let client = lab.serve(10);
    let frame = |name| {
        let message = query(name, RecordType::A).to_vec().unwrap();
        [&(message.len() as u16).to_be_bytes()[..], &message].concat()
    };
    let bytes = [frame("web."), frame("db."), frame("app.")].concat();
    let mut stream = client.stream();
    stream.set_nodelay(true).unwrap();
    for byte in &bytes[..40] {
        stream.write_all(&[*byte]).unwrap();
    }
    stream.write_all(&bytes[40..]).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let answers: Vec<_> =
        std::iter::from_fn(|| read_frame(&mut stream)).map(|frame| digest(&frame)).collect();
    assert_eq!(answers.len(), 3, "{answers:?}");
    assert_eq!(answers[..2], ["NoError 10.1.0.10", "NoError 10.2.0.20"]);
}

#[test]
fn many_queries_in_a_row_are_all_answered() {
    let lab = Lab::new(&[]);
    let client = lab.serve(10);
    let mut stream = client.stream();
    let message = query("web.", RecordType::A).to_vec().unwrap();
    let frame = [&(message.len() as u16).to_be_bytes()[..], &message].concat();
    let mut writer = stream.try_clone().unwrap();
    let thread = thread::spawn(move || writer.write_all(&frame.repeat(20_000)).unwrap());
    for n in 0..20_000 {
        assert!(read_frame(&mut stream).is_some(), "{n}");
    }
    thread.join().unwrap();
}

/// CVE-2026-35406: a query cut short and a reset made a resolver spin.
#[test]
fn a_broken_client_costs_nothing() {
    let lab = Lab::with(&[], |config| config.idle_seconds = 1);
    let client = lab.serve(10);
    for (bytes, reset) in [(&b"\0"[..], true), (b"\0\x30abc", true), (b"\0\x30abc", false), (b"", true)] {
        let mut stream = client.stream();
        stream.write_all(bytes).unwrap();
        thread::sleep(Duration::from_millis(20));
        if reset {
            let linger = Some(Duration::ZERO);
            socket2::SockRef::from(&stream).set_linger(linger).unwrap();
        } else {
            stream.shutdown(Shutdown::Write).unwrap();
            thread::sleep(Duration::from_millis(50));
        }
    }
    let (mut idle, mut garbage) = (client.stream(), client.stream());
    garbage.write_all(&[0, 3, 1, 2, 3]).unwrap();
    assert!(read_frame(&mut garbage).is_none(), "garbage ends the connection");
    let cpu = lab.cpu();
    assert!(read_frame(&mut idle).is_none(), "idle is closed");
    assert!(lab.cpu() - cpu < Duration::from_millis(50), "the thread spins");
    assert_eq!(digest(&client.tcp(&query("web.", RecordType::A))), "NoError 10.1.0.10");
}

#[test]
fn connections_are_bounded() {
    let lab = Lab::with(&[], |config| config.connections = (4, 100));
    let client = lab.serve(10);
    let mut streams: Vec<_> = (0..20).map(|_| client.stream()).collect();
    assert_eq!(
        digest(&client.tcp(&query("web.", RecordType::A))),
        "NoError 10.1.0.10",
        "a newcomer is served"
    );
    let closed = streams.iter_mut().take(15).filter_map(read_frame).count();
    assert_eq!(closed, 0, "the idlest made room");
}

#[test]
fn stop_closes_everything() {
    let lab = Lab::new(&[1]);
    let _silent = lab.upstream(1, |_, _| None);
    let client = lab.serve(10);
    let mut stream = client.stream();
    write_frame(&mut stream, &query("example.test.", RecordType::A).to_vec().unwrap());
    let socket = client.socket();
    socket.send(&query("other.test.", RecordType::A).to_vec().unwrap()).unwrap();
    thread::sleep(Duration::from_millis(50));
    lab.dns.stop(id(10));
    assert!(read_frame(&mut stream).is_none());
    let rebound = UdpSocket::bind(client.at).expect("the port is free again");
    drop(rebound);
    assert!(TcpStream::connect(client.at).is_err());
    let again = lab.serve(10);
    assert_eq!(digest(&again.udp(&query("web.", RecordType::A))), "NoError 10.1.0.10");
}
