//! From promises to the kernel: what it should hold (`network`, `sandbox`, `ports`), and in which order to get there
//! (`diff`). Pure: it reads values and returns values, and never looks at the kernel itself.
pub mod diff;
pub mod files;
pub mod gateway;
pub mod names;
pub mod network;
pub mod ports;
pub mod sandbox;
pub mod volume;
pub mod words;

use crate::model::{Id, Network, Sandbox, Volume, kernel::Item};
use std::sync::Arc;

/// What a plan may look up besides the object that it is made for.
pub trait Lookup {
    fn network(&self, id: Id) -> Option<Arc<Network>>;
    fn volume(&self, name: &str) -> Option<Arc<Volume>>;
    /// The other seats of the same container, where a runtime furnishes it and each seat is a sandbox here.
    fn siblings(&self, sandbox: &Sandbox) -> Vec<Arc<Sandbox>>;
}

/// What is always wanted: [::1] is served by the daemon, since the kernel cannot DNAT it (nft-layout.md section 5).
pub fn constant() -> Vec<Item> {
    vec![Item::Element(crate::model::kernel::Element::Skip6(std::net::Ipv6Addr::LOCALHOST))]
}
