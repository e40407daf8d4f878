//! A disk in memory: what a commit put there outlives the daemon. Both sides of a commit are steps at which it may die.
//! It may be quicker than the kernel's work beside it, or slower; any order between these two leaves nothing behind that
//! one of them does not.
use parking_lot::Mutex;
use pontoon::{
    error::{Error, Result},
    host::fake::Kernel,
    store::{Contents, Ledger, Table, Write},
};
use serde::de::DeserializeOwned;
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

type Records = BTreeMap<(Table, String), Vec<u8>>;

#[derive(Clone, Default)]
pub struct Disk {
    records: Arc<Mutex<Records>>,
    full: Arc<Mutex<bool>>,
    slow: Arc<Mutex<bool>>,
    refusals: Arc<AtomicU64>,
    commits: Arc<AtomicU64>,
}

impl Disk {
    /// Every commit fails as it does on a full disk, until it is not.
    pub fn set_full(&self, full: bool) {
        *self.full.lock() = full;
    }
    /// So many commits fail like this, then no more.
    pub fn refuse(&self, commits: u64) {
        self.refusals.store(commits, Ordering::Relaxed);
    }
    /// What is begun is written only when somebody waits for it; or at once again.
    pub fn set_slow(&self, slow: bool) {
        *self.slow.lock() = slow;
    }
    pub fn commits(&self) -> u64 {
        self.commits.load(Ordering::Relaxed)
    }
    pub fn ledger(&self, kernel: &Kernel) -> Box<dyn Ledger> {
        Box::new(FakeLedger { disk: self.clone(), kernel: kernel.clone(), begun: Begun::Nothing })
    }
    pub fn contents(&self) -> Contents {
        Contents {
            networks: self.all(Table::Networks),
            sandboxes: self.all(Table::Sandboxes),
            volumes: self.all(Table::Volumes),
            reservations: self.all(Table::Reservations),
            removed: self.all(Table::Removed),
            boot: self.all(Table::Boot).pop(),
        }
    }
    fn all<T: DeserializeOwned>(&self, table: Table) -> Vec<T> {
        let records = self.records.lock();
        let of_table = records.iter().filter(|((of, _), _)| *of == table);
        of_table.map(|(_, value)| serde_json::from_slice(value).expect("a record")).collect()
    }
}

struct FakeLedger {
    disk: Disk,
    kernel: Kernel,
    begun: Begun,
}

enum Begun {
    Nothing,
    Waiting(Vec<Write>),
    Done(Result<()>),
}

impl Ledger for FakeLedger {
    fn commit(&mut self, writes: &[Write]) -> Result<()> {
        self.kernel.step()?;
        let take = |left: u64| left.checked_sub(1);
        let refused = self.disk.refusals.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok();
        if refused || *self.disk.full.lock() {
            return Err(Error::exhausted("cannot write the ledger, nothing was changed")
                .because("No space left on device (os error 28)"));
        }
        let mut records = self.disk.records.lock();
        for Write { table, key, value } in writes {
            match value {
                Some(value) => drop(records.insert((*table, key.clone()), value.clone())),
                None => drop(records.remove(&(*table, key.clone()))),
            }
        }
        self.disk.commits.fetch_add(1, Ordering::Relaxed);
        self.kernel.step()
    }

    fn begin(&mut self, writes: Vec<Write>) {
        let slow = *self.disk.slow.lock();
        self.begun = match slow {
            true => Begun::Waiting(writes),
            false => Begun::Done(self.commit(&writes)),
        };
    }

    fn wait(&mut self) -> Result<()> {
        match std::mem::replace(&mut self.begun, Begun::Nothing) {
            Begun::Waiting(writes) => self.commit(&writes),
            Begun::Done(outcome) => outcome,
            Begun::Nothing => panic!("waits for a commit that nobody began"),
        }
    }
}
