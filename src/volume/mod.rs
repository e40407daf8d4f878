//! The local volume driver: where data lies, how it is made, filled, measured, mounted and removed. It knows no
//! promise (who uses what is the engine's) and never follows a path it did not open.
pub mod layout;
pub mod mounted;
pub mod options;
pub mod trash;

pub use layout::Layout;
pub use options::MountOrder;

#[cfg(test)]
mod race_tests;
#[cfg(test)]
mod tests;
