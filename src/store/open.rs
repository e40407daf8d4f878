//! Opens a ledger, wherever it lies, and trusts nothing in it: every checksum is looked at, and what panics over a
//! damaged page ends here. Against what takes all memory or never ends, [`super::examine`] comes first.
use super::{
    Contents, Table,
    records::{META, read_all},
};
use crate::error::{Error, Result};
use redb::{Builder, Database, DatabaseError, ReadableDatabase, ReadableTable, StorageError};
use std::{
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

/// Version of the records' shape; a ledger of a later version is refused, never rewritten.
pub const SCHEMA: u32 = 1;
/// Bytes redb may keep in memory.
const CACHE: usize = 1 << 20;

/// The ledger at `path`, made if there is none, and whether redb had to mend it.
///
/// # Errors
/// `Invalid`: it is damaged. `Unsupported`: of a later version. `Conflict`: another process has it open.
pub(super) fn at(path: &Path) -> Result<(Database, Contents, bool)> {
    let (database, mended) = database_at(path)?;
    read(path, database).map(|(database, contents)| (database, contents, mended))
}

/// The same without its contents.
pub(super) fn database_at(path: &Path) -> Result<(Database, bool)> {
    make_private(path)?;
    database(path, |builder| builder.create(path))
}

/// A ledger that `open` finds or makes, and whether redb had to mend it, as after a crash; `path` is its name in errors.
pub(super) fn database(
    path: &Path,
    open: impl FnOnce(&Builder) -> Result<Database, DatabaseError>,
) -> Result<(Database, bool)> {
    let mended = Arc::new(AtomicBool::new(false));
    let seen = mended.clone();
    let work = || {
        let mut builder = Builder::new();
        builder.set_cache_size(CACHE).set_repair_callback(move |_| seen.store(true, Relaxed));
        let mut database = open(&builder)?;
        // redb looks at checksums after a crash only; a disk may damage what was closed well.
        match database.check_integrity() {
            Ok(whole) => Ok((database, whole)),
            Err(error) => {
                close(database);
                Err(error)
            }
        }
    };
    let (database, whole) =
        caught(work).ok_or_else(|| contradictory(path))?.map_err(|error| match error {
            DatabaseError::DatabaseAlreadyOpen => Error::conflict(format!(
                "the ledger {} is in use by another daemon: give this one its own --root",
                path.display()
            )),
            DatabaseError::Storage(StorageError::Io(io)) if io.raw_os_error().is_some() => {
                Error::os(format!("open the ledger {}", path.display()), &io)
            }
            other => unreadable(path, other),
        })?;
    if !whole {
        tracing::warn!(ledger = %path.display(), "its list of free pages was damaged and has been made anew");
    }
    Ok((database, !whole || mended.load(Relaxed)))
}

/// What is in it. After an error it is closed.
pub(super) fn read(path: &Path, database: Database) -> Result<(Database, Contents)> {
    let read = caught(|| {
        prepare(&database).map_err(|error| unreadable(path, error))?;
        check_version(&database, path)?;
        read_all(&database).map_err(|error| unreadable(path, error))
    });
    match read.unwrap_or_else(|| Err(contradictory(path))) {
        Ok(contents) => Ok((database, contents)),
        Err(error) => {
            close(database);
            Err(error)
        }
    }
}

/// None: redb panicked, as it does over a file that a disk has damaged in the middle. Nothing of it is used any more.
pub(super) fn caught<T>(work: impl FnOnce() -> T) -> Option<T> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).ok()
}

/// Closing writes too, and may panic as well.
pub(super) fn close(database: Database) {
    let _ = caught(|| drop(database));
}

fn contradictory(path: &Path) -> Error {
    unreadable(path, "its pages contradict one another")
}

pub(super) fn unreadable(path: &Path, error: impl std::fmt::Display) -> Error {
    Error::invalid(format!("read the ledger {}", path.display())).because(error)
}

/// The promises hold secrets (the password in the mount options of a volume), so root alone may read them.
fn make_private(path: &Path) -> Result<()> {
    let failed = |error: std::io::Error| Error::os(format!("open the ledger {}", path.display()), &error);
    let mut options = std::fs::OpenOptions::new();
    let file = options.write(true).create(true).truncate(false).mode(0o600).open(path).map_err(failed)?;
    file.set_permissions(std::fs::Permissions::from_mode(0o600)).map_err(failed)
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
