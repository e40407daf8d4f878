//! Type `loopback`, which containerd asks for beside every pod's network. The daemon brings `lo` up in each sandbox, so
//! there is nothing to do but to say so; it never enters a namespace itself.
use super::{
    call::{Call, Verb},
    config::Config,
    failure::Outcome,
    version::Version,
};
use serde_json::{Value, json};

/// The program's name for this face.
pub const NAME: &str = "loopback";

pub fn serve(call: &Call, config: &Config) -> Outcome<Option<Value>> {
    if call.verb != Verb::Add {
        return Ok(None);
    }
    let seat = call.seat()?;
    if let Some(previous) = config.previous() {
        return Ok(Some(previous.clone()));
    }
    let mut ip = json!({ "address": "127.0.0.1/8", "interface": 0 });
    if config.version < Version::V1_0_0 {
        ip["version"] = json!("4");
    }
    let lo = json!({ "name": seat.ifname, "mac": "00:00:00:00:00:00", "sandbox": seat.netns });
    Ok(Some(json!({ "cniVersion": config.version.as_str(), "interfaces": [lo], "ips": [ip] })))
}
