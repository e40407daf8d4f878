//! A kernel in memory that behaves like one: it keeps what it was told, refuses what a kernel refuses, and forgets at
//! the end of a process or of a boot what a kernel forgets. It expects nothing and never looks at the real one.
//!
//! [`Kernel`] is the machine and its surroundings: tests start processes, take ports, cut power. [`Fake`] is the `Host`
//! that one daemon has of it; a second one over the same `Kernel` is a daemon started anew. Every operation is one
//! step, and so is whatever a test counts with [`Kernel::step`]: before any of them the daemon may die.
//!
//! It is stricter than Linux in one respect: elements, one transaction there, are single steps here.
mod add;
mod daemon;
mod element;
mod faults;
mod machine;
mod remove;
mod see;
mod surroundings;

pub use daemon::Fake;
use machine::Machine;

use parking_lot::Mutex;
use std::sync::Arc;

/// The machine, shared by whoever holds a clone.
#[derive(Clone, Default)]
pub struct Kernel(Arc<Mutex<Machine>>);
