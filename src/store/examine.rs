//! Reads a ledger that may be damaged. What redb would change of it stays in memory, so whoever runs this may be ended at any
//! moment; and since a damaged page can ask for gigabytes (redb takes a page's order on trust, up to 4 GiB) or for hours,
//! whoever runs this should have little to lose.
use super::{Contents, open, overlay::Overlay};
use crate::error::{Error, Result};
use redb::StorageBackend;
use std::{fs::File, path::Path};

/// What is in the ledger `file`, and that it can be written to; `path` is its name in errors.
///
/// # Errors
/// `Invalid`: it is damaged. Others: it may be whole.
pub fn examine(path: &Path, file: &File) -> Result<Contents> {
    let failed = |error: std::io::Error| Error::os(format!("read the ledger {}", path.display()), &error);
    over(path, file.try_clone().and_then(Overlay::over).map_err(failed)?)
}

fn over(path: &Path, copy: impl StorageBackend) -> Result<Contents> {
    let database = open::database(path, |builder| builder.create_with_backend(copy))?;
    let (database, contents) = open::read(path, database)?;
    match open::caught(|| drop(database)) {
        Some(()) => Ok(contents),
        None => Err(open::unreadable(path, "it cannot be closed")),
    }
}

#[cfg(test)]
#[path = "examine_tests.rs"]
mod tests;
