//! What happened, for those who listen.
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One change: when, to what, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Event {
    /// RFC 3339 with nanoseconds.
    pub time: String,
    /// `network`, `sandbox`, `volume` or `daemon`
    pub object: String,
    /// `create`, `remove`, `connect`, `disconnect`, `start`, `release`, `repair`, `reload`, `set-aside` ...
    pub action: String,
    pub id: String,
    pub name: String,
    /// What made it happen: a call, a process that ended, drift.
    pub cause: String,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, String>,
}
