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
use std::{fs::File, path::Path, time::Duration};

/// Of processor time. The ledger of 1,000 sandboxes takes a hundredth of a second.
const WORK: Duration = Duration::from_secs(5);
const WAIT: Duration = Duration::from_secs(60);
/// Bytes for a small ledger; a long one gets several times its length more.
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
    let step = || format!("open the ledger {}", path.display());
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::os(step(), &error)),
    };
    let length = file.metadata().map_err(|error| Error::os(step(), &error))?.len();
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
    let bounds = Bounds { memory: MEMORY + 8 * length, work: WORK + long, wait: WAIT + long };
    match trial("read the ledger", &bounds, || examine(path, &file).map(drop)) {
        Err(error) if error.kind == Kind::Invalid => set_aside(path, &error, now).map(Some),
        // Said once more by the one who opens it in earnest.
        Err(error) if error.kind == Kind::Unsupported => Ok(None),
        tried => tried.map(|()| None),
    }
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
