//! Namespaces made, opened, told apart and removed, in a private mount namespace.
use super::*;
use crate::{
    error::Kind,
    host::linux::namespace::testbed::{ip, private, run},
};
use std::{
    fs,
    io::{Read, Write},
    net::{TcpListener, TcpStream, UdpSocket},
    path::Path,
    time::Duration,
};

#[test]
fn a_namespace_is_made_seen_by_others_and_taken_away() {
    private(|home| {
        let folder = tempfile::tempdir().expect("folder");
        let folder = folder.path().join("netns");
        prepare_folder(&folder).expect("prepare");
        prepare_folder(&folder).expect("twice");
        let path = folder.join("web");
        let space = make(&path, home).expect("make");
        assert_eq!(identity(Home::here().expect("here").as_fd()).expect("identity"), home.identity());
        assert_ne!(identity(space.as_fd()).expect("identity"), home.identity());
        assert_eq!(make(&path, home).expect_err("twice").kind, Kind::Conflict);
        let seen = run(&format!("nsenter --net={} ip -o link", path.display()));
        assert!(seen.contains("lo: <LOOPBACK,UP"), "{seen}");
        // A copy of our mount namespace sees it come and go.
        let copy = format!("unshare -m --propagation slave nsenter --net={} ip -o link", path.display());
        assert!(run(&copy).contains("LOOPBACK"));
        let again = open(&path, home).expect("open");
        assert_eq!(identity(again.as_fd()).expect("identity"), identity(space.as_fd()).expect("identity"));
        remove(&path).expect("remove");
        remove(&path).expect("twice");
        assert!(!path.exists());
    });
}

#[test]
fn only_a_foreign_network_namespace_can_be_opened() {
    private(|home| {
        let folder = tempfile::tempdir().expect("folder");
        let file = folder.path().join("file");
        fs::write(&file, "").expect("write");
        let cases = [
            (Path::new("/nowhere/x"), Kind::NotFound, "no such file"),
            (file.as_path(), Kind::Invalid, "is not a network namespace"),
            (folder.path(), Kind::Invalid, "is not a network namespace"),
            (Path::new("/dev/null"), Kind::Invalid, "is not a network namespace"),
            (Path::new("/proc/self/ns/mnt"), Kind::Invalid, "is not a network namespace"),
            (Path::new("/proc/thread-self/ns/net"), Kind::Invalid, "is the host's own network namespace"),
        ];
        for (path, kind, text) in cases {
            let error = open(path, home).expect_err(text);
            assert!(error.kind == kind && error.message.contains(text), "{error}");
        }
    });
}

#[test]
fn a_visitor_comes_home_even_from_a_panic() {
    private(|home| {
        let folder = tempfile::tempdir().expect("folder");
        prepare_folder(folder.path()).expect("prepare");
        let space = make(&folder.path().join("a"), home).expect("make");
        let here = || Home::here().expect("here").identity();
        let inside = home.enter(space.as_fd(), here).expect("enter");
        assert_eq!(inside, identity(space.as_fd()).expect("identity"));
        let fall = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            home.enter(space.as_fd(), || panic!("fall"))
        }));
        assert!(fall.is_err());
        assert_eq!(here(), home.identity());
    });
}

#[test]
fn sockets_are_opened_inside_without_going_there() {
    private(|home| {
        let folder = tempfile::tempdir().expect("folder");
        prepare_folder(folder.path()).expect("prepare");
        let space = make(&folder.path().join("a"), home).expect("make");
        let (udp, tcp) = home
            .enter(space.as_fd(), || {
                (UdpSocket::bind("127.0.0.1:53").expect("udp"), TcpListener::bind("[::1]:53").expect("tcp"))
            })
            .expect("enter");
        let opener = Opener::start().expect("start");
        let socket =
            opener.open_in(space.as_fd(), Transport::Udp, udp.local_addr().expect("address")).expect("udp");
        UdpSocket::from(socket).send(b"ask").expect("send");
        udp.set_read_timeout(Some(Duration::from_secs(1))).expect("timeout");
        assert_eq!(udp.recv(&mut [0; 9]).expect("received"), 3);
        let socket =
            opener.open_in(space.as_fd(), Transport::Tcp, tcp.local_addr().expect("address")).expect("tcp");
        let mut stream = TcpStream::from(socket);
        let mut other = tcp.accept().expect("accept").0;
        stream.write_all(b"ask").expect("write");
        other.read_exact(&mut [0; 3]).expect("read");
        let nowhere = opener.open_in(space.as_fd(), Transport::Udp, "192.0.2.1:53".parse().expect("address"));
        assert_eq!(nowhere.expect_err("no route").raw_os_error(), Some(libc::ENETUNREACH));
        ip("link"); // this thread never left
    });
}
