//! Type `loopback`, which containerd asks for beside every pod's network, whoever made that: `lo` is brought up here and
//! now, in the namespace that the runtime names, with no daemon needed.
use super::{
    call::{Call, Seat, Verb},
    config::Config,
    failure::{ENVIRONMENT, Failure, MISSING, Outcome},
    version::Version,
};
use crate::host::linux::inside::{self, Inside};
use serde_json::{Value, json};

/// The program's name for this face.
pub const NAME: &str = "loopback";
/// The only interface that it is about, whatever CNI_IFNAME says.
const LO: &str = "lo";

pub fn serve(call: &Call, config: &Config) -> Outcome<Option<Value>> {
    match call.verb {
        Verb::Add => add(config, &call.seat()?).map(Some),
        Verb::Check => check(&call.seat()?).map(|()| None),
        // It ends with its namespace.
        Verb::Del | Verb::Gc | Verb::Status | Verb::Version => Ok(None),
    }
}

fn add(config: &Config, seat: &Seat) -> Outcome<Value> {
    inside::bring_loopback_up(&seat.netns).map_err(|error| unusable(seat, error))?;
    if let Some(previous) = config.previous() {
        return Ok(previous.clone());
    }
    let seen = look(seat)?;
    let own = seen.interfaces.iter().filter(|interface| interface.name.as_str() == LO);
    let ip = |address: &crate::model::address::Cidr| {
        let mut ip = json!({ "address": address.to_string(), "interface": 0 });
        if config.version < Version::V1_0_0 {
            ip["version"] = json!(if address.address.is_ipv6() { "6" } else { "4" });
        }
        ip
    };
    let ips: Vec<Value> = own.flat_map(|lo| &lo.addresses).map(ip).collect();
    let lo = json!({ "name": LO, "mac": "00:00:00:00:00:00", "sandbox": seat.netns });
    Ok(json!({ "cniVersion": config.version.as_str(), "interfaces": [lo], "ips": ips }))
}

fn check(seat: &Seat) -> Outcome<()> {
    let up = look(seat)?.interfaces.iter().any(|interface| interface.name.as_str() == LO && interface.up);
    match up {
        true => Ok(()),
        false => Err(Failure::new(MISSING, format!("lo of {} is down", seat.netns.display()))),
    }
}

fn look(seat: &Seat) -> Outcome<Inside> {
    inside::look(&seat.netns).map_err(|error| unusable(seat, error))
}

/// The namespace that the runtime named is none.
pub fn unusable(seat: &Seat, error: crate::error::Error) -> Failure {
    Failure::new(ENVIRONMENT, format!("invalid CNI_NETNS {}", seat.netns.display())).because(error)
}
