//! Opens the ledger. A file that a disk has damaged may take all memory, all time or the process of whoever reads it, and
//! would do so at every start: a child reads it first, and what the child does not survive is set aside.
use crate::{
    error::{Error, Kind, Result},
    host::linux::{
        lock_holder,
        trial::{Bounds, trial},
    },
    model::reply::Finding,
    store::{Contents, RedbLedger, examine, kept_aside, remedy, set_aside},
};
use std::{
    fs::{File, FileType},
    os::unix::fs::FileTypeExt,
    path::Path,
    time::Duration,
};

/// Of processor time. The ledger of 1,000 sandboxes takes a hundredth of a second.
const WORK: Duration = Duration::from_secs(5);
const WAIT: Duration = Duration::from_secs(60);
/// Bytes for a small ledger; a long one gets several times its length more, as far as that is sane.
const MEMORY: u64 = 64 << 20;

/// The ledger at `path`, what is in it, and what to tell people if another one was set aside.
pub(super) fn open(path: &Path, now: &str) -> Result<(RedbLedger, Contents, Option<String>)> {
    let found = try_out(path, now)?;
    let opened = RedbLedger::open(path, now);
    let (ledger, contents, aside) = opened.map_err(|error| match lock_holder(path) {
        Some(pid) if error.kind == Kind::Conflict => error.because(format!("pid {pid} has it open")),
        _ => error,
    })?;
    Ok((ledger, contents, found.or(aside)))
}

/// Sets the ledger aside if a child cannot read it. One that another daemon has open is left alone.
fn try_out(path: &Path, now: &str) -> Result<Option<String>> {
    let failed = |error: std::io::Error| Error::os(format!("open the ledger {}", path.display()), &error);
    // To open a FIFO would wait for its other end, and a device may do anything.
    let length = match std::fs::metadata(path) {
        Ok(found) if found.is_file() => found.len(),
        Ok(found) => return Err(no_file(path, found.file_type())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let file = File::open(path).map_err(failed)?;
    // The lock that redb takes: nobody writes meanwhile.
    if file.try_lock().is_err() {
        return Ok(None);
    }
    if length == 0 {
        let empty = format!(
            "the ledger {} has no bytes at all: a first start was killed at once, or a disk lost them; a new one is begun, \
             and the files of volumes stay",
            path.display()
        );
        return Ok(Some(empty));
    }
    let long = Duration::from_secs(length >> 20);
    let bounds = Bounds { memory: MEMORY + 4 * length.min(1 << 30), work: WORK + long, wait: WAIT + long };
    match trial("read the ledger", &bounds, || examine(path, &file).map(drop)) {
        Err(error) if error.kind == Kind::Invalid => set_aside(path, &error, now).map(Some),
        // Said once more by the one who opens it in earnest.
        Err(error) if error.kind == Kind::Unsupported => Ok(None),
        tried => tried.map(|()| None),
    }
}

/// Somebody put it there, and nothing of a ledger's is lost by it: to begin an empty one would take every sandbox's network
/// away, so that is left to a person.
fn no_file(path: &Path, kind: FileType) -> Error {
    let kind = match () {
        () if kind.is_dir() => "a directory",
        () if kind.is_fifo() => "a FIFO",
        () if kind.is_socket() => "a socket",
        () => "a device",
    };
    Error::invalid(format!(
        "the ledger {} is {kind} and not a file: put the ledger there, or nothing for an empty one",
        path.display()
    ))
}

/// What `doctor` says of it.
pub(super) fn finding(root: &Path) -> Finding {
    let path = super::ledger_file(root);
    let kept: Vec<_> = kept_aside(&path).iter().map(|path| path.display().to_string()).collect();
    let fine = kept.is_empty();
    Finding {
        level: if fine { "ok" } else { "warning" }.to_owned(),
        check: "ledger".to_owned(),
        message: match fine {
            true => format!("{} is whole", path.display()),
            false => format!("could not be read at a start and was kept: {}", kept.join(", ")),
        },
        remedy: (!fine).then(|| remedy(&path)),
    }
}
