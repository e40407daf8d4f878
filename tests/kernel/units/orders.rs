//! What the mounter does with orders that no honest daemon gives.
use super::TOOLS;
use crate::world::{need, tool::try_run, units::under_units};
use rustix::{
    io::read,
    net::{
        AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags,
        SocketType, connect, sendmsg, socket_with,
    },
};
use serde_json::{Value, json};
use std::{
    fs::{self, File},
    io::IoSlice,
    mem::MaybeUninit,
    os::{
        fd::AsFd,
        unix::fs::{MetadataExt, symlink},
    },
    path::Path,
    process::{Command, Stdio},
};

const SOCKET: &str = "/run/pontoon/mounter.sock";

/// The answer to these bytes, sent with this file.
fn send(bytes: &[u8], with: Option<&Path>) -> Value {
    let socket =
        socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).expect("socket");
    connect(&socket, &SocketAddrUnix::new(SOCKET).expect("address")).expect("connect");
    let file = with.map(|path| File::open(path).expect("a file"));
    let files: Vec<_> = file.iter().map(AsFd::as_fd).collect();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !files.is_empty() {
        ancillary.push(SendAncillaryMessage::ScmRights(&files));
    }
    sendmsg(&socket, &[IoSlice::new(bytes)], &mut ancillary, SendFlags::NOSIGNAL).expect("send");
    let mut answer = [0; 4096];
    let length = read(&socket, &mut answer[..]).expect("an answer");
    serde_json::from_slice(&answer[..length]).expect("JSON")
}

fn order(order: &Value, with: Option<&str>) -> Value {
    send(order.to_string().as_bytes(), with.map(Path::new))
}

#[test]
fn the_mounter_believes_nobody() {
    need(TOOLS);
    under_units(|units| {
        let w = &units.world;
        let fine = json!({"Ok": 0});
        assert_eq!(order(&json!({"Greet": {}}), None), fine);
        w.call("Volume.Create", json!({"name": "data"}));
        fs::create_dir_all("/home/anna/_data").expect("a home");
        fs::write("/home/anna/_data/file", "x").expect("a file");
        let before = fs::metadata("/etc/passwd").expect("passwd");
        // Planted by whoever took the daemon over.
        symlink("/etc/passwd", "/run/pontoon/netns/evil").expect("link");
        symlink("/home/anna", "/var/lib/pontoon/volumes/link").expect("link");
        symlink("/home", "/var/lib/pontoon/root").expect("link");
        let pid = i64::from(std::process::id());
        let ram = json!({"type": "tmpfs", "device": "tmpfs"});
        let space = Some("/proc/thread-self/ns/net");
        for (what, given, said) in [
            (json!({"Hold": {"name": "../x"}}), space, "invalid name"),
            (json!({"Hold": {"name": "."}}), space, "invalid name"),
            (json!({"Hold": {"name": "x"}}), None, "no descriptor"),
            (json!({"Hold": {"name": "x"}}), Some("/etc/passwd"), "is not a network namespace"),
            (json!({"Hold": {"name": "x"}}), Some("/proc/self/ns/mnt"), "is not a network namespace"),
            (json!({"Hold": {"name": "x"}}), space, "the host's own"),
            (json!({"Hold": {"name": "evil"}}), Some("/run/netns/theirs"), "exists already"),
            (json!({"LetGo": {"name": "../mounter.sock"}}), None, "invalid name"),
            (json!({"NamespaceOf": {"pid": -1}}), None, "no such file"),
            (json!({"NamespaceOf": {"pid": pid, "more": 1}}), None, "unknown field"),
            (json!({"CreateVolume": {"name": "../../../etc/x"}}), None, "invalid name"),
            (json!({"RemoveVolume": {"name": ".trash"}}), None, "invalid name"),
            (json!({"Mount": {"name": "link", "options": ram, "address": null}}), None, "is not a directory"),
            (json!({"Mount": {"name": "data", "options": {"color": "red"}, "address": null}}), None, "color"),
            (json!({"Usage": {"name": "link"}}), None, "is not a directory"),
            (json!({"BindSource": {"path": "x/y", "make": true}}), None, "not absolute"),
            (json!({"ForgetRun": {"id": "../../home"}}), None, "read a message"),
            (json!({"Mkfs": {"name": "data"}}), None, "unknown variant"),
            (json!([]), None, "read a message"),
        ] {
            if given == Some("/run/netns/theirs") {
                crate::world::run("ip", &["netns", "add", "theirs"]);
            }
            let answer = order(&what, given);
            assert!(answer["Err"].to_string().contains(said), "{what}: {answer}");
        }
        assert!(send(&[b'['; 100_000], None)["Err"]["message"].is_string());
        assert_eq!(
            order(&json!({"LetGo": {"name": "evil"}}), None),
            fine,
            "the link goes, not what it names"
        );
        let after = fs::metadata("/etc/passwd").expect("passwd");
        assert_eq!((before.ino(), before.len(), before.dev()), (after.ino(), after.len(), after.dev()));
        assert!(Path::new("/home/anna/_data/file").exists());
        assert_eq!(order(&json!({"RemoveVolume": {"name": "link"}}), None), fine);
        crate::world::tool::soon(5_000, "what was trashed is deleted", || {
            fs::read_dir("/var/lib/pontoon/volumes/.trash").expect("trash").next().is_none()
        });
        assert!(Path::new("/home/anna/_data/file").exists(), "the link went, not what it names");
        let ask = "import socket; socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET).connect('/run/pontoon/mounter.sock')";
        let (let_in, said) =
            try_run("setpriv", &["--reuid=1000", "--clear-groups", "/usr/bin/python3", "-c", ask]);
        assert!(!let_in && said.contains("PermissionError"), "{said}");
        crate::world::run("ip", &["netns", "del", "theirs"]);
        w.call("Volume.Remove", json!({"name": "data"}));
    });
}

#[test]
fn a_socket_that_is_passed_is_used() {
    need(&["systemd-socket-activate"]);
    crate::world::bare_world(|| {
        fs::create_dir("/run/pontoon").expect("folder");
        let mut activate = Command::new("systemd-socket-activate");
        activate.args([
            "--seqpacket",
            "-l",
            SOCKET,
            env!("CARGO_BIN_EXE_pontoon"),
            "mounter",
            "--root",
            "/run/root",
        ]);
        let mut child = activate.stderr(Stdio::null()).spawn().expect("start");
        crate::world::tool::soon(5_000, "the socket", || Path::new(SOCKET).exists());
        assert_eq!(order(&json!({"CreateVolume": {"name": "data"}}), None), json!({"Ok": 0}));
        assert!(Path::new("/run/root/volumes/data/_data").is_dir());
        let _ = (child.kill(), child.wait());
    });
}
