//! The real kernel.
pub mod facts;
pub mod files;
pub mod forwarding;
pub mod hold;
pub mod launch;
pub mod namespace;
pub mod netlink;
pub mod nft;
pub mod sysctl;
pub mod watch;
mod apply;
mod attach;
mod kernel;
mod observe;
mod process;
mod tidy_up;

pub use kernel::{Linux, MountVolumes, Sockets};
