//! The only room that touches the kernel.
pub mod linux;
