//! Opens the ledger. A file that a disk has damaged may take all memory, all time or the process of whoever reads it, and
//! would do so at every start: a child reads it first, and what the child does not survive is set aside.
use crate::{
    error::{Error, Kind, Result},
    host::linux::{
        lock_holder,
        trial::{Bounds, be_tried, trial, trial_apart},
    },
    model::reply::Finding,
    store::{Contents, RedbLedger, Told, examine, kept_aside, remedy, set_aside},
};
use std::{
    ffi::OsString,
    fs::{File, FileType},
    os::unix::fs::FileTypeExt,
    path::Path,
    sync::Arc,
    time::Duration,
};

/// Of processor time. The ledger of 1,000 sandboxes takes a hundredth of a second.
const WORK: Duration = Duration::from_secs(5);
const WAIT: Duration = Duration::from_secs(60);
/// Bytes for a small ledger; a long one gets several times its length more, as far as that is sane.
const MEMORY: u64 = 64 << 20;

/// The ledger at `path`, what is in it, and what to tell people if another one was set aside or it has less than it had.
pub(super) fn open(path: &Path, now: &str) -> Result<(RedbLedger, Contents, Option<Told>)> {
    let found = try_out(path, now)?;
    let opened = RedbLedger::open(path, now, Arc::new(read_apart));
    let (ledger, contents, told) = opened.map_err(|error| match lock_holder(path) {
        Some(pid) if error.kind == Kind::Conflict => error.because(format!("pid {pid} has it open")),
        _ => error,
    })?;
    Ok((ledger, contents, found.map(|message| Told { action: "set-aside", message }).or(told)))
}

fn bounds(length: u64) -> Bounds {
    let long = Duration::from_secs(length >> 20);
    Bounds { memory: MEMORY + 4 * length.min(1 << 30), work: WORK + long, wait: WAIT + long }
}

/// Reads the ledger ahead while this process has many threads.
fn read_apart(path: &Path) -> Result<()> {
    let found = std::fs::metadata(path).map_err(|error| Error::os("look at the ledger", &error))?;
    trial_apart("read the ledger", &bounds(found.len()), &[path.as_os_str()])
}

/// The child that does: the ledger is its argument.
pub fn read_ahead(arguments: &[OsString]) -> Result<()> {
    be_tried(arguments, |rest| {
        let path = Path::new(rest.first().ok_or_else(|| Error::invalid("which ledger?"))?);
        let file = File::open(path).map_err(|error| Error::os("open the ledger", &error))?;
        examine(path, &file).map(drop)
    })
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
    match trial("read the ledger", &bounds(length), || examine(path, &file).map(drop)) {
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

/// What `doctor` says of it; `told` is what was said at the start.
pub(super) fn finding(root: &Path, told: Option<&Told>) -> Finding {
    let path = super::ledger_file(root);
    let kept: Vec<_> = kept_aside(&path).iter().map(|path| path.display().to_string()).collect();
    let less = told.filter(|told| told.action != "set-aside").map(|told| told.message.clone());
    let fine = kept.is_empty() && less.is_none();
    Finding {
        level: if fine { "ok" } else { "warning" }.to_owned(),
        check: "ledger".to_owned(),
        message: match (kept.is_empty(), less) {
            (true, None) => format!("{} is whole", path.display()),
            (true, Some(less)) => less,
            (false, _) => format!("could not be read at a start and was kept: {}", kept.join(", ")),
        },
        remedy: (!kept.is_empty()).then(|| remedy(&path)),
    }
}
