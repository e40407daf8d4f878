//! The kernel's and nft's word on what this folder builds. Each test has a network namespace of its own.
mod elements;
mod fuzz;
mod layout;
mod others;

use super::*;
use crate::model::{Family, IfName, Mac, Proto, kernel::*};
use std::{
    io::Write,
    process::{Command, Stdio},
};

/// Runs `test` on a thread in a fresh network namespace. Without root or nft it is skipped, aloud.
fn in_namespace(test: impl FnOnce() + Send + 'static) {
    if !able() {
        return;
    }
    let result = std::thread::spawn(|| {
        nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET).unwrap();
        test();
    })
    .join();
    if let Err(panic) = result {
        std::panic::resume_unwind(panic);
    }
}

fn able() -> bool {
    let nft = Command::new("nft").arg("--version").output().is_ok();
    if nix::unistd::geteuid().is_root() && nft {
        return true;
    }
    println!("skipped: needs root and nft");
    assert!(std::env::var_os("PONTOON_TEST_REQUIRE").is_none_or(|v| v != "1"), "skipped, but required");
    false
}

/// Runs a program in the thread's namespace; its output.
fn run(line: &str) -> String {
    let words: Vec<&str> = line.split(' ').collect();
    let out = Command::new(words[0]).args(&words[1..]).output().unwrap();
    assert!(out.status.success(), "{line}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).unwrap()
}

fn nft_load(text: &str) {
    let mut child = Command::new("nft").args(["-f", "-"]).stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success(), "nft refuses {text}");
}

fn name(text: &str) -> IfName {
    IfName::parse(text).unwrap()
}

/// At least one of every kind, set and verdict.
fn one_of_each() -> Vec<Element> {
    let (br, va) = (|| name("br-a"), || name("va"));
    let mac = Mac([2, 0, 0, 0, 1, 0x11]);
    let port = |host: &str, proto, port, to: &str| Element::Port {
        host: host.parse().ok(),
        proto,
        port,
        to: to.parse().unwrap(),
    };
    let range = |host: &str, proto, first, last, to: &str| Element::Range {
        host: host.parse().ok(),
        proto,
        first,
        last,
        to: to.parse().unwrap(),
    };
    let pair = |from: &str, to: &str, verdict| Element::Pair { from: name(from), to: name(to), verdict };
    let into = |family, bridge: &str, verdict| Element::Into { family, bridge: name(bridge), verdict };
    let open = |to: &str, proto, port| Element::Open { to: to.parse().unwrap(), proto, port };
    let opens = |to: &str, first, last| Element::OpenRange {
        to: to.parse().unwrap(),
        proto: Proto::Tcp,
        first,
        last,
    };
    vec![
        Element::Net(br()),
        Element::Net(name("fifteen-letters")),
        Element::Back(br()),
        Element::Sealed(br()),
        Element::Strict(Family::V4, br()),
        Element::Strict(Family::V6, br()),
        Element::Masq(Family::V4, br()),
        Element::Snat(br(), "10.99.0.1".parse().unwrap()),
        Element::Snat(br(), "fd99::1".parse().unwrap()),
        pair("br-a", "br-a", PairVerdict::Within),
        pair("br-b", "br-b", PairVerdict::Apart),
        pair("up0", "br-a", PairVerdict::Accept),
        into(Family::V4, "br-a", IntoVerdict::Nat),
        into(Family::V6, "br-a", IntoVerdict::Open),
        into(Family::V4, "br-b", IntoVerdict::Routed),
        port("10.99.0.1", Proto::Tcp, 8081, "172.30.1.12:80"),
        port("fd99::1", Proto::Udp, 8081, "[fd30:1::12]:80"),
        port("", Proto::Tcp, 8080, "172.30.1.11:80"),
        port("", Proto::Sctp, 65535, "172.30.1.11:1"),
        port("", Proto::Udp, 8080, "[fd30:1::11]:80"),
        range("", Proto::Tcp, 9000, 9099, "172.30.1.11"),
        range("", Proto::Tcp, 9100, 9199, "172.30.1.12"),
        range("", Proto::Tcp, 60000, 65535, "172.30.1.12"),
        range("", Proto::Udp, 1, 1, "172.30.1.11"),
        range("", Proto::Tcp, 9000, 9099, "fd30:1::11"),
        range("", Proto::Udp, 9000, 9099, "fd30:1::11"),
        range("10.99.0.11", Proto::Udp, 9000, 9099, "172.30.1.12"),
        range("", Proto::Sctp, 37000, 37009, "172.30.1.11"),
        range("fd99::11", Proto::Tcp, 9000, 65535, "fd30:1::12"),
        range("", Proto::Sctp, 37000, 37009, "fd30:1::11"),
        Element::Twin(br(), "172.30.1.13".parse().unwrap()),
        Element::Twin(br(), "fd30:1::13".parse().unwrap()),
        open("172.30.4.11", Proto::Tcp, 80),
        open("fd30:4::11", Proto::Udp, 80),
        opens("172.30.4.11", 9000, 9001),
        opens("fd30:4::11", 9000, 65535),
        Element::Skip6("::1".parse().unwrap()),
        Element::Foreign(name("docker0")),
        Element::Guard(Family::V4),
        Element::Guard(Family::V6),
        Element::Gateway("172.30.1.1".parse().unwrap()),
        Element::Gateway("fd30:1::1".parse().unwrap()),
        Element::GuardedPort(va()),
        Element::Mac(va(), mac),
        Element::Src4(va(), mac, "172.30.1.11".parse().unwrap()),
        Element::Src6(va(), mac, "fd30:1::11".parse().unwrap()),
        Element::Nd6(va(), mac.link_local()),
    ]
}

/// `count` published TCP ports.
fn ports(count: u16) -> Vec<Element> {
    (0..count)
        .map(|i| Element::Port {
            host: None,
            proto: Proto::Tcp,
            port: 1024 + i,
            to: "172.30.1.11:80".parse().unwrap(),
        })
        .collect()
}

fn sorted(mut elements: Vec<Element>) -> Vec<Element> {
    elements.sort();
    elements
}
