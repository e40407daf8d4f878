//! Links, addresses, neighbours and routes through one blocking NETLINK_ROUTE socket; never starts a process,
//! never waits without a limit, and never touches a link without our mark.
//!
//! The recipes (what is sent, in which order, and why) are measured in `reference/attach-cost.md`.
//! A `Route` speaks to the network namespace its thread was in when it was opened, for ever.
pub mod batch;
pub mod bridge;
mod filter;
pub mod inside;
pub mod listen;
pub mod mark;
mod message;
pub mod observe;
pub mod parent;
mod ready;
pub mod reaper;
mod reply;
pub mod routes;
mod seen;
pub mod shape;
pub mod socket;
#[cfg(test)]
mod tests;
pub mod veth;

pub use seen::{AddressSeen, LinkSeen, RouteSeen};
pub use socket::Route;
