//! A subnet that a runtime's address management has of us before, or without, a network of ours.
use super::{Id, Subnet};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, net::IpAddr};

/// A reserved subnet, and the addresses of it that the runtime was given. A network may be made upon it; its endpoints
/// and the runtime then choose from the same addresses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Reservation {
    pub id: Id,
    /// RFC 3339.
    pub created: String,
    pub subnet: Subnet,
    /// Where addresses are chosen from; none: the whole subnet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub range: Option<Subnet>,
    #[serde(default)]
    pub addresses: BTreeSet<IpAddr>,
}
