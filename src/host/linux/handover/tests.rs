//! Parcels between threads: everything arrives, and nobody is cut off.
use super::*;
use std::{
    io::Read,
    net::UdpSocket,
    os::{fd::OwnedFd, unix::net::UnixStream},
    thread,
    time::{Duration, Instant},
};

fn parcel(text: &str, count: usize) -> Parcel {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("bind");
    let descriptors = (0..count).map(|_| OwnedFd::from(socket.try_clone().expect("clone"))).collect();
    Parcel { text: text.as_bytes().to_vec(), descriptors }
}

#[test]
fn more_than_one_message_holds_arrives_in_order() {
    let (here, there) = UnixStream::pair().expect("pair");
    let sent = parcel(&"x".repeat(1 << 20), 300);
    let number = number(&sent.descriptors[0]).expect("fstat");
    let sending = thread::spawn(move || sent.send(&here));
    let got = Parcel::receive(&there).expect("receive");
    sending.join().expect("thread").expect("send");
    assert_eq!((got.text.len(), got.descriptors.len()), (1 << 20, 300));
    assert!(got.descriptors.iter().all(|fd| super::number(fd).expect("fstat") == number), "one socket");
}

#[test]
fn the_rest_is_given_only_to_one_who_is_at_work() {
    let folder = tempfile::tempdir().expect("folder");
    let path = door::path(folder.path());
    let door = door::Door::open(path.clone()).expect("door");
    let giving = thread::spawn(move || {
        let mut served = Vec::new();
        for _ in 0..2 {
            let until = Instant::now() + Duration::from_secs(20);
            let stream = door.knocked(until).expect("a knock");
            served.push(door::give(&stream, &parcel("first", 2), || parcel("rest", 1)).expect("give"));
        }
        assert!(door.knocked(Instant::now()).is_none(), "in time");
        served
    });
    let (crashes, first) = door::knock(&path).expect("somebody");
    assert_eq!((first.text.as_slice(), first.descriptors.len()), (&b"first"[..], 2));
    drop(crashes);
    let (giver, _) = door::knock(&path).expect("somebody still");
    let rest = giver.rest().expect("rest");
    assert_eq!((rest.text.as_slice(), rest.descriptors.len()), (&b"rest"[..], 1));
    assert_eq!(giving.join().expect("thread"), [false, true]);
    assert!(!path.exists() && door::knock(&path).is_none(), "the door is gone");
}

#[test]
fn a_stranger_is_no_parcel() {
    let (mut here, there) = UnixStream::pair().expect("pair");
    std::io::Write::write_all(&mut here, &[0xff; 64]).expect("write");
    assert!(Parcel::receive(&there).is_err());
    let mut rest = Vec::new();
    drop(there);
    let _ = here.read_to_end(&mut rest);
}
