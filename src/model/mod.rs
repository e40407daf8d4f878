//! The nouns: values that cannot be wrong, and the vocabulary spoken between rooms. No I/O, no clock, no log.
//!
//! `Command` goes in, `Reply` comes out, `Event` tells the others; `kernel::Item` is what the kernel should hold.
pub mod address;
// command
// event
pub mod id;
pub mod kernel;
pub mod mount;
pub mod names;
// network
pub mod port;
// reply
// sandbox
pub mod volume;

pub use address::{Family, Mac, Subnet};
// use command
// use event
pub use id::{Id, IfName, Name};
// use network
pub use port::{PortSpec, Proto};
// use reply
// use sandbox
pub use volume::Volume;
