//! Files and mounts by descriptor: opens, copies, measures, removes and mounts beneath a directory that is already
//! open. It never resolves a path from outside as a string, and never follows a symlink out of its root.
pub mod copy;
mod copy_file;
pub mod fill;
pub mod mount;
pub mod mountinfo;
pub mod patient;
pub mod remove;
pub mod resolve;
pub mod target;
pub mod usage;
pub mod walk;

pub use copy::copy_tree;
pub use fill::{Fill, fill, settle};
pub use mount::{Attributes, Fresh, Tree};
pub use remove::remove_tree;
pub use usage::{Usage, measure};
pub use walk::{Tally, Watch};

#[cfg(test)]
mod tests;
