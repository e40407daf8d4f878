//! Reads a ledger that may be damaged, in a copy of it that lies in memory. Nothing of the file is changed, so whoever
//! runs this may be ended at any moment; and since a damaged page can ask for gigabytes (redb takes a page's order on
//! trust, up to 4 GiB) or for hours, whoever runs this should have little to lose.
use super::{Contents, open};
use crate::error::{Error, Result};
use redb::{StorageBackend, backends::InMemoryBackend};
use std::{fs::File, os::unix::fs::FileExt, path::Path};

/// Bytes of a ledger at the most: a thousand times what 1,000 sandboxes take.
const LONGEST: u64 = 2 << 30;
/// Bytes copied at once.
const PIECE: u64 = 1 << 20;

/// What is in the ledger `file`, and that it can be written to; `path` is its name in errors.
///
/// # Errors
/// `Invalid`: it is damaged. Others: it may be whole.
pub fn examine(path: &Path, file: &File) -> Result<Contents> {
    over(path, copied(path, file)?)
}

fn over(path: &Path, copy: InMemoryBackend) -> Result<Contents> {
    let database = open::database(path, |builder| builder.create_with_backend(copy))?;
    let (database, contents) = open::read(path, database)?;
    match open::caught(|| drop(database)) {
        Some(()) => Ok(contents),
        None => Err(open::unreadable(path, "it cannot be closed")),
    }
}

fn copied(path: &Path, file: &File) -> Result<InMemoryBackend> {
    let failed = |error: std::io::Error| Error::os(format!("read the ledger {}", path.display()), &error);
    let length = file.metadata().map_err(failed)?.len();
    if length > LONGEST {
        return Err(open::unreadable(path, format!("no ledger is {length} bytes long")));
    }
    let copy = InMemoryBackend::new();
    copy.set_len(length).map_err(failed)?;
    let mut piece = vec![0; PIECE.min(length) as usize];
    for at in (0..length).step_by(PIECE as usize) {
        let piece = &mut piece[..PIECE.min(length - at) as usize];
        file.read_exact_at(piece, at).map_err(failed)?;
        copy.write(at, piece).map_err(failed)?;
    }
    Ok(copy)
}

#[cfg(test)]
#[path = "examine_tests.rs"]
mod tests;
