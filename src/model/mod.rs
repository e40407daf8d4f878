//! The nouns: values that cannot be wrong, and the vocabulary spoken between rooms. No I/O, no clock, no log.
//!
//! `Command` goes in, `Reply` comes out, `Event` tells the others; `kernel::Item` is what the kernel should hold.
pub mod address;
// command
// event
pub mod id;
pub mod kernel;
pub mod mount;
mod mount_text;
pub mod names;
// network
pub mod options;
pub mod port;
mod port_text;
// reply
// sandbox
// volume

pub use address::{Family, Mac, Subnet};
// use command
// use event
pub use id::{Id, IfName, Name};
// use network
pub use options::{BridgeSettings, EndpointSettings, GatewayMode, VlanMode, VlanSettings};

pub use mount::{MountSpec, check_mounts};
pub use port::{PortSpec, Proto};
// use reply
// use sandbox
// use volume
