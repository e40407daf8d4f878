//! The real kernel.
pub mod files;
pub mod launch;
pub mod netlink;
pub mod nft;
