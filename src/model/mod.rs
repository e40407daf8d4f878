//! The nouns: values that cannot be wrong, and the vocabulary spoken between rooms. No I/O, no clock, no log.
//!
//! `Command` goes in, `Reply` comes out, `Event` tells the others; `kernel::Item` is what the kernel should hold.
pub mod address;
pub mod bandwidth;
pub mod command;
pub mod event;
#[cfg(test)]
mod fuzz_tests;
pub mod id;
pub mod kernel;
pub mod mount;
mod mount_text;
pub mod names;
pub mod network;
pub mod options;
pub mod port;
mod port_text;
pub mod reply;
pub mod reservation;
pub mod sandbox;
pub mod volume;
pub mod why;

pub use address::{Family, Mac, Subnet};
pub use bandwidth::Bandwidth;
pub use command::Command;
pub use event::Event;
pub use id::{Id, IfName, Name};
pub use mount::{MountSpec, check_mounts};
pub use network::Network;
pub use options::{BridgeSettings, EndpointSettings, GatewayMode, VlanMode, VlanSettings};
pub use port::{PortSpec, Proto};
pub use reply::Reply;
pub use sandbox::{Endpoint, Sandbox};
pub use volume::Volume;
