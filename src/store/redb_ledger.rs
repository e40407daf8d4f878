//! The ledger on disk.
//!
//! A durable commit takes 0.3 to 0.5 ms, half of it the disk's. A thread of the ledger's own can do it meanwhile, and
//! an attach, whose kernel calls take 0.6 ms, no longer waits for it.
use super::{Commits, Contents, Ledger, Table, Write};
use crate::error::{Error, Kind, Result};
use parking_lot::Mutex;
use redb::{Database, Durability, ReadableDatabase, ReadableTable, TableDefinition};
use serde::de::DeserializeOwned;
use std::{
    path::{Path, PathBuf},
    sync::{Arc, mpsc},
    thread::JoinHandle,
    time::Instant,
};

type Records = TableDefinition<'static, &'static str, &'static [u8]>;
const META: Records = TableDefinition::new("meta");

/// Version of the records' shape; a ledger of a later version is refused, never rewritten.
pub const SCHEMA: u32 = 1;
/// Bytes redb may keep in memory.
const CACHE: usize = 1 << 20;

/// One file, one process: redb locks it.
pub struct RedbLedger {
    file: Arc<Mutex<LedgerFile>>,
    /// Commits for the thread; None only while the ledger is being dropped.
    begun: Option<mpsc::Sender<Vec<Write>>>,
    done: mpsc::Receiver<Result<()>>,
    thread: Option<JoinHandle<()>>,
}

struct LedgerFile {
    path: PathBuf,
    /// None after a failed write: opened again at the next one.
    database: Option<Database>,
    commits: Arc<Commits>,
}

impl Table {
    const ALL: [Table; 6] =
        [Table::Networks, Table::Sandboxes, Table::Volumes, Table::Reservations, Table::Removed, Table::Boot];

    fn definition(self) -> Records {
        TableDefinition::new(match self {
            Table::Networks => "networks",
            Table::Sandboxes => "sandboxes",
            Table::Volumes => "volumes",
            Table::Reservations => "reservations",
            Table::Removed => "removed",
            Table::Boot => "boot",
        })
    }
}

impl RedbLedger {
    /// Opens or makes the ledger. If the file cannot be understood it is set aside under another name, and the
    /// message (third value) says so; a file that another daemon holds, or of a later version, is an error.
    pub fn open(path: &Path, now: &str) -> Result<(Self, Contents, Option<String>)> {
        match Self::try_open(path) {
            Ok((ledger, contents)) => Ok((ledger, contents, None)),
            Err(error) if error.kind == Kind::Invalid => {
                let aside = path.with_extension(format!("redb.unreadable-{}", now.replace(':', "")));
                std::fs::rename(path, &aside)
                    .map_err(|e| Error::os(format!("set {} aside", path.display()), &e))?;
                let message = format!(
                    "the ledger {} cannot be read ({error}); it was kept as {} and an empty one was started",
                    path.display(),
                    aside.display()
                );
                let (ledger, contents) = Self::try_open(path)?;
                Ok((ledger, contents, Some(message)))
            }
            Err(error) => Err(error),
        }
    }

    fn try_open(path: &Path) -> Result<(Self, Contents)> {
        let damaged = || unreadable(path, "its pages contradict one another");
        let database = caught(|| open_database(path)).ok_or_else(damaged)??;
        let read = caught(|| {
            prepare(&database).map_err(|error| unreadable(path, error))?;
            check_version(&database, path)?;
            read_all(&database).map_err(|error| unreadable(path, error))
        });
        match read.ok_or_else(damaged).and_then(|contents| contents) {
            Ok(contents) => Ok((Self::over(LedgerFile::new(path, database))?, contents)),
            Err(error) => {
                close(database);
                Err(error)
            }
        }
    }

    /// What was written since the start.
    pub fn commits(&self) -> Arc<Commits> {
        self.file.lock().commits.clone()
    }

    fn over(file: LedgerFile) -> Result<Self> {
        let file = Arc::new(Mutex::new(file));
        let (begun, commits) = mpsc::channel::<Vec<Write>>();
        let (tell, done) = mpsc::channel();
        let theirs = file.clone();
        let work = move || {
            commits.into_iter().try_for_each(|writes| tell.send(theirs.lock().commit(&writes))).unwrap_or(())
        };
        let thread = std::thread::Builder::new().name("ledger".to_owned()).stack_size(256 << 10).spawn(work);
        let thread = thread.map_err(|error| Error::os("start the ledger's thread", &error))?;
        Ok(RedbLedger { file, begun: Some(begun), done, thread: Some(thread) })
    }
}

impl Ledger for RedbLedger {
    fn commit(&mut self, writes: &[Write]) -> Result<()> {
        self.file.lock().commit(writes)
    }

    fn begin(&mut self, writes: Vec<Write>) {
        // If the thread is gone, `wait` says so.
        let _ = self.begun.as_ref().map(|begun| begun.send(writes));
    }

    fn wait(&mut self) -> Result<()> {
        self.done.recv().unwrap_or_else(|_| Err(Error::internal("the ledger's thread has ended")))
    }
}

impl Drop for RedbLedger {
    /// The file is free for another daemon when this returns.
    fn drop(&mut self) {
        self.begun = None;
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

impl LedgerFile {
    fn new(path: &Path, database: Database) -> Self {
        LedgerFile { path: path.to_owned(), database: Some(database), commits: Arc::default() }
    }

    fn commit(&mut self, writes: &[Write]) -> Result<()> {
        let database = match self.database.take() {
            Some(database) => database,
            None => caught(|| open_database(&self.path))
                .ok_or_else(|| unreadable(&self.path, "its pages contradict one another"))?
                .map_err(|error| refused(&self.path, error.to_string()))?,
        };
        let start = Instant::now();
        let written = caught(|| write(&database, writes));
        let fine = written.as_ref().is_some_and(|written| written.is_ok());
        self.commits.count(writes.len(), start.elapsed(), fine);
        let Some(written) = written else {
            close(database);
            let cause = "its pages contradict one another: the next start sets it aside";
            return Err(Error { kind: Kind::Internal, ..refused(&self.path, cause.to_owned()) });
        };
        written.map_err(|error| refused(&self.path, error.to_string()))?;
        self.database = Some(database);
        Ok(())
    }
}

/// A promise could not be written: why, and the way out where there is one. (redb hands on the system's error in words.)
fn refused(path: &Path, why: String) -> Error {
    let (kind, way_out) = match () {
        () if why.contains("os error 28") => (Kind::Exhausted, Some("free some space on its file system")),
        () if why.contains("os error 30") => (Kind::Unavailable, Some("mount its file system for writing")),
        () => (Kind::Unavailable, None),
    };
    let error = Error::new(kind, format!("cannot write the ledger {}, nothing was changed", path.display()));
    way_out.into_iter().fold(error.because(why), Error::because)
}

/// None: redb panicked, as it does over a file that a disk has damaged in the middle. Nothing of it is used any more.
fn caught<T>(work: impl FnOnce() -> T) -> Option<T> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).ok()
}

/// Closing writes too, and may panic as well.
fn close(database: Database) {
    let _ = caught(|| drop(database));
}

fn open_database(path: &Path) -> Result<Database> {
    make_private(path)?;
    Database::builder().set_cache_size(CACHE).create(path).map_err(|error| match error {
        redb::DatabaseError::DatabaseAlreadyOpen => Error::conflict(format!(
            "the ledger {} is in use by another daemon: give this one its own --root",
            path.display()
        )),
        redb::DatabaseError::Storage(redb::StorageError::Io(io)) if io.raw_os_error().is_some() => {
            Error::os(format!("open the ledger {}", path.display()), &io)
        }
        other => unreadable(path, other),
    })
}

/// The promises hold secrets (the password in the mount options of a volume), so root alone may read them.
fn make_private(path: &Path) -> Result<()> {
    use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
    let failed = |error: std::io::Error| Error::os(format!("open the ledger {}", path.display()), &error);
    let mut options = std::fs::OpenOptions::new();
    let file = options.write(true).create(true).truncate(false).mode(0o600).open(path).map_err(failed)?;
    file.set_permissions(std::fs::Permissions::from_mode(0o600)).map_err(failed)
}

fn unreadable(path: &Path, error: impl std::fmt::Display) -> Error {
    Error::invalid(format!("read the ledger {}", path.display())).because(error)
}

/// Makes sure that all tables exist.
fn prepare(database: &Database) -> Result<(), redb::Error> {
    let transaction = database.begin_write()?;
    for table in Table::ALL {
        transaction.open_table(table.definition())?;
    }
    {
        let mut meta = transaction.open_table(META)?;
        if meta.get("schema")?.is_none() {
            meta.insert("schema", SCHEMA.to_string().as_bytes())?;
        }
    }
    Ok(transaction.commit()?)
}

fn check_version(database: &Database, path: &Path) -> Result<()> {
    let read = || -> Result<Option<u32>, redb::Error> {
        let meta = database.begin_read()?.open_table(META)?;
        let value = meta.get("schema")?.map(|value| String::from_utf8_lossy(value.value()).into_owned());
        Ok(value.and_then(|text| text.parse().ok()))
    };
    match read().map_err(|error| unreadable(path, error))? {
        Some(version) if version <= SCHEMA => Ok(()),
        Some(version) => Err(Error::unsupported(format!(
            "the ledger {} has schema {version}, this program knows up to {SCHEMA}: run a newer pontoon",
            path.display()
        ))),
        None => Err(Error::invalid("the schema version is missing")),
    }
}

fn read_all(database: &Database) -> Result<Contents> {
    Ok(Contents {
        networks: read_table(database, Table::Networks)?,
        sandboxes: read_table(database, Table::Sandboxes)?,
        volumes: read_table(database, Table::Volumes)?,
        reservations: read_table(database, Table::Reservations)?,
        removed: read_table(database, Table::Removed)?,
        boot: read_table(database, Table::Boot)?.pop(),
    })
}

fn read_table<T: DeserializeOwned>(database: &Database, table: Table) -> Result<Vec<T>> {
    let bad = |error: &dyn std::fmt::Display| Error::invalid(format!("{table:?}")).because(error);
    let transaction = database.begin_read().map_err(|e| bad(&e))?;
    let records = transaction.open_table(table.definition()).map_err(|e| bad(&e))?;
    let mut values = Vec::new();
    for record in records.iter().map_err(|e| bad(&e))? {
        let (key, value) = record.map_err(|e| bad(&e))?;
        let value =
            serde_json::from_slice(value.value()).map_err(|e| bad(&format!("{}: {e}", key.value())))?;
        values.push(value);
    }
    Ok(values)
}

fn write(database: &Database, writes: &[Write]) -> Result<(), redb::Error> {
    let mut transaction = database.begin_write()?;
    transaction.set_durability(Durability::Immediate)?;
    for table in Table::ALL {
        let mut of_table = writes.iter().filter(|write| write.table == table).peekable();
        if of_table.peek().is_none() {
            continue;
        }
        let mut records = transaction.open_table(table.definition())?;
        for write in of_table {
            match &write.value {
                Some(value) => records.insert(write.key.as_str(), value.as_slice())?,
                None => records.remove(write.key.as_str())?,
            };
        }
    }
    Ok(transaction.commit()?)
}

#[cfg(test)]
#[path = "redb_ledger_tests.rs"]
mod fuzz_tests;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_alone_reads_the_ledger() -> Result<()> {
        use std::os::unix::fs::PermissionsExt;
        let failed = |error: std::io::Error| Error::os("prepare the test", &error);
        let path = std::env::temp_dir().join(format!("pontoon-ledger-{}.redb", std::process::id()));
        for _ in ["made", "found"] {
            drop(RedbLedger::open(&path, "2026-01-01T00:00:00Z")?);
            let mode = std::fs::metadata(&path).map_err(failed)?.permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).map_err(failed)?;
        }
        std::fs::remove_file(&path).map_err(failed)
    }
}
