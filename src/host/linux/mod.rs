//! The real kernel.
mod apply;
mod attach;
mod claim;
pub mod doctor;
mod drift;
pub mod facts;
pub mod files;
mod foreign;
pub mod forwarding;
pub mod handover;
pub mod hold;
pub mod inside;
mod kernel;
pub mod launch;
mod mend;
pub mod namespace;
pub mod netlink;
pub mod nft;
mod observe;
pub mod privileges;
mod process;
pub mod sysctl;
mod tidy_up;
pub mod traffic;
pub mod watch;

pub use claim::{Claim, claim};
pub use kernel::{Adopted, Linux, MountVolumes, Sockets};
