//! Descriptors on their way from a daemon that ends to the one that follows. It moves them and never looks at what they are.
//!
//! Under systemd they wait in its descriptor store ([`store`]). Elsewhere a small process keeps them at work ([`door`],
//! [`keeper`]) and gives them to whoever knocks.
pub mod door;
pub mod keeper;
mod parcel;
pub mod store;
#[cfg(test)]
mod tests;

pub use parcel::{Parcel, number};
