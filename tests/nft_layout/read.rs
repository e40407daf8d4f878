//! Reads `add element inet pontoon SET { ... }` lines as elements, for the packet checks.
use pontoon::model::{
    Family, IfName, Proto,
    kernel::{Element, IntoVerdict, PairVerdict},
};

fn name(text: &str) -> IfName {
    IfName::parse(text).unwrap()
}

pub fn line(line: &str) -> Vec<Element> {
    let Some(rest) = line.strip_prefix("add element inet pontoon ") else { return vec![] };
    let (set, list) = rest.split_once(" { ").unwrap();
    list.trim_end_matches(" }").split(", ").map(|text| element(set, text)).collect()
}

fn element(set: &str, text: &str) -> Element {
    let (key, value) = text.split_once(" : ").unwrap_or((text, ""));
    let key: Vec<&str> = key.split(" . ").collect();
    let family = |text: &str| if text == "ipv4" { Family::V4 } else { Family::V6 };
    let proto =
        |text: &str| [Proto::Tcp, Proto::Udp, Proto::Sctp].into_iter().find(|p| p.as_str() == text).unwrap();
    let ends = |text: &str| {
        let (first, last) = text.split_once('-').unwrap();
        (first.parse().unwrap(), last.parse().unwrap())
    };
    let target = || {
        let (address, port) = value.split_once(" . ").unwrap();
        std::net::SocketAddr::new(address.parse().unwrap(), port.parse().unwrap())
    };
    let tree = |proto| {
        let (first, last) = ends(key[0]);
        Element::Range { host: None, proto, first, last, to: value.parse().unwrap() }
    };
    match set {
        "net" => Element::Net(name(key[0])),
        "back" => Element::Back(name(key[0])),
        "sealed" => Element::Sealed(name(key[0])),
        "strict" => Element::Strict(family(key[0]), name(key[1])),
        "masq" => Element::Masq(family(key[0]), name(key[1])),
        "pair" => {
            let verdict = if value == "goto within" { PairVerdict::Within } else { PairVerdict::Apart };
            Element::Pair { from: name(key[0]), to: name(key[1]), verdict }
        }
        "into" => {
            let verdict = match value {
                "goto into_nat" => IntoVerdict::Nat,
                "goto into_open" => IntoVerdict::Open,
                _ => IntoVerdict::Routed,
            };
            Element::Into { family: family(key[0]), bridge: name(key[1]), verdict }
        }
        "port4" | "port6" | "any4" | "any6" => {
            let rest = &key[key.len() - 2..];
            let host = (key.len() == 3).then(|| key[0].parse().unwrap());
            Element::Port { host, proto: proto(rest[0]), port: rest[1].parse().unwrap(), to: target() }
        }
        "tcp4" | "tcp6" => tree(Proto::Tcp),
        "udp4" | "udp6" => tree(Proto::Udp),
        "range4" | "range6" => {
            let (first, last) = ends(key[2]);
            let to = value.parse().unwrap();
            Element::Range { host: key[0].parse().ok(), proto: proto(key[1]), first, last, to }
        }
        "open4" | "open6" => {
            Element::Open { to: key[0].parse().unwrap(), proto: proto(key[1]), port: key[2].parse().unwrap() }
        }
        "openr4" | "openr6" => {
            let (first, last) = ends(key[2]);
            Element::OpenRange { to: key[0].parse().unwrap(), proto: proto(key[1]), first, last }
        }
        other => panic!("no set {other}"),
    }
}
