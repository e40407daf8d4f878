//! Addresses, subnets and host ports: which are free, which one is next. It never asks the host and never remembers
//! a promise: the engine tells it what is taken, at start and with every change.
//!
//! | module | answers |
//! |---|---|
//! | [`Intervals`] | which numbers are taken; the next one that is not |
//! | [`Leases`] | the next address of one subnet |
//! | [`check_pool`], [`default_gateway`] | whether a requested subnet can be a network, and its gateway |
//! | [`pick`], [`Taken`] | the next subnet that overlaps with nothing |
//! | [`PortTable`] | the next host port, and who has one |
mod check;
mod intervals;
mod leases;
mod pools;
mod ports;

pub use check::{AddressUse, address_use, check_pool, default_gateway};
pub use intervals::Intervals;
pub use leases::Leases;
pub use pools::{Pool, Taken, check_pools, default_pools, pick, ula, wanted_size};
pub use ports::{Ephemeral, PortTable};
