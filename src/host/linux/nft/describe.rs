//! Says an element in nft's words, for errors and logs.
use super::element::set_of;
use crate::model::{
    Family,
    kernel::{Element, IntoVerdict, PairVerdict},
};
use std::net::IpAddr;

/// `any4 { tcp . 8080 : 172.30.1.11 . 80 }`
pub fn text(element: &Element) -> String {
    format!("{} {{ {} }}", set_of(element).name(), inside(element))
}

fn inside(element: &Element) -> String {
    match element {
        Element::Net(name)
        | Element::Back(name)
        | Element::Sealed(name)
        | Element::Foreign(name)
        | Element::GuardedPort(name) => name.to_string(),
        Element::Strict(f, name) | Element::Masq(f, name) => format!("{} . {name}", family(*f)),
        Element::Snat(name, to) => format!("{name} : {to}"),
        Element::Pair { from, to, verdict } => format!("{from} . {to} : {}", pair(*verdict)),
        Element::Into { family: f, bridge, verdict } => {
            format!("{} . {bridge} : {}", family(*f), into(*verdict))
        }
        Element::Port { host, proto, port, to } => {
            format!("{}{proto} . {port} : {} . {}", prefix(host), to.ip(), to.port())
        }
        Element::Range { host, proto, first, last, to } => {
            format!("{}{proto} . {first}-{last} : {to}", prefix(host))
        }
        Element::Twin(name, address) => format!("{name} . {address}"),
        Element::Open { to, proto, port } => format!("{to} . {proto} . {port}"),
        Element::OpenRange { to, proto, first, last } => format!("{to} . {proto} . {first}-{last}"),
        Element::Skip6(address) => address.to_string(),
        Element::Gateway(address) => address.to_string(),
        Element::Guard(f) => family(*f).to_owned(),
        Element::Mac(name, mac) => format!("{name} . {mac}"),
        Element::Src4(name, mac, address) => format!("{name} . {mac} . {address}"),
        Element::Src6(name, mac, address) => format!("{name} . {mac} . {address}"),
        Element::Nd6(name, address) => format!("{name} . {address}"),
    }
}

fn prefix(host: &Option<IpAddr>) -> String {
    host.map_or(String::new(), |host| format!("{host} . "))
}
fn family(family: Family) -> &'static str {
    if family == Family::V4 { "ipv4" } else { "ipv6" }
}
fn pair(verdict: PairVerdict) -> &'static str {
    match verdict {
        PairVerdict::Within => "goto within",
        PairVerdict::Apart => "goto apart",
        PairVerdict::Accept => "accept",
    }
}
fn into(verdict: IntoVerdict) -> &'static str {
    match verdict {
        IntoVerdict::Nat => "goto into_nat",
        IntoVerdict::Open => "goto into_open",
        IntoVerdict::Routed => "goto into_routed",
    }
}
