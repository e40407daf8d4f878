//! Options of networks and endpoints, `-o KEY=VALUE`, as typed settings. It never ignores a key it does not know.
//!
//! Every setting has Docker's key and a short one of ours; `options/keys.rs` has the rules they share.
mod bridge;
mod endpoint;
mod keys;
mod vlan;

pub use bridge::{BridgeSettings, GatewayMode};
pub use endpoint::{EndpointSettings, Sysctl};
pub use vlan::{VlanMode, VlanSettings};

use super::IfName;
use crate::error::Result;
use keys::Given;

/// The interfaces of a sandbox are called `eth0`, `eth1`, ... unless the network says otherwise.
const IFNAME_PREFIX: &str = "eth";

/// MTU in bytes; 0 leaves it to the kernel. 68 is IPv4's least (RFC 791); IPv6 needs 1280.
fn mtu(given: &Given<'_>) -> Result<Option<u32>> {
    let mtu: Option<u32> = given.parse("mtu", "a number of bytes from 68 to 65535")?;
    match mtu {
        None | Some(0) => Ok(None),
        Some(68..=65_535) => Ok(mtu),
        Some(_) => Err(given.bad("mtu", "a number of bytes from 68 to 65535")),
    }
}

/// A prefix that makes an interface name with a digit behind it.
fn ifname_prefix(given: &Given<'_>) -> Result<String> {
    let prefix = given.text("ifprefix").unwrap_or(IFNAME_PREFIX);
    match !prefix.is_empty() && IfName::parse(&format!("{prefix}0")).is_ok() {
        true => Ok(prefix.to_owned()),
        false => Err(given.bad("ifprefix", "1 to 14 characters that an interface name may have")),
    }
}
