//! The ledger: what was promised, durable before anybody hears of it. It keeps records and decides nothing.
//!
//! redb under `<root>/state.redb`; values are JSON, so that `pontoon dump` and a person can read them. Addresses in
//! use, names and nft elements are derived from these records and never stored.
mod again;
mod aside;
mod examine;
mod last;
mod open;
mod overlay;
mod records;
mod redb_ledger;

use crate::{
    error::Result,
    model::{Name, Network, Sandbox, Volume, reservation::Reservation},
};
pub use again::Reader;
pub use aside::{kept_aside, remedy, set_aside};
pub use examine::examine;
pub use last::files;
pub use open::SCHEMA;
pub use redb_ledger::{RedbLedger, Told};
use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

/// Where a record lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Table {
    Networks,
    Sandboxes,
    Volumes,
    Reservations,
    /// Names of volumes that are promised no more and whose files may still be there.
    Removed,
    /// One record: the boot that all promises of the kernel are of.
    Boot,
}

/// One record to be written, or deleted (`value` none).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    pub table: Table,
    pub key: String,
    pub value: Option<Vec<u8>>,
}

/// All promises, as read at start.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Contents {
    pub networks: Vec<Network>,
    pub sandboxes: Vec<Sandbox>,
    pub volumes: Vec<Volume>,
    pub reservations: Vec<Reservation>,
    /// Volumes whose files are to be taken away before anything else happens to their names.
    pub removed: Vec<Name>,
    /// Which boot of the host it was when the last daemon started. None: a ledger of before this was noted.
    pub boot: Option<String>,
}

/// What a ledger did since the daemon started.
#[derive(Debug, Default)]
pub struct Commits {
    pub commits: AtomicU64,
    pub records: AtomicU64,
    pub failures: AtomicU64,
    /// Of all commits together.
    pub nanoseconds: AtomicU64,
}

impl Commits {
    fn count(&self, records: usize, took: Duration, fine: bool) {
        self.commits.fetch_add(1, Relaxed);
        self.records.fetch_add(records as u64, Relaxed);
        self.nanoseconds.fetch_add(took.as_nanos() as u64, Relaxed);
        self.failures.fetch_add(u64::from(!fine), Relaxed);
    }
}

/// Durable, all or nothing. After an error nothing of `writes` counts, and the next call may succeed again.
pub trait Ledger: Send {
    fn commit(&mut self, writes: &[Write]) -> Result<()>;

    /// Begins a commit and returns while it is under way. `wait` must follow before anything else is asked.
    fn begin(&mut self, writes: Vec<Write>);

    /// Waits for what was begun last, and tells what came of it.
    fn wait(&mut self) -> Result<()>;
}
