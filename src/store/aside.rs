//! A ledger that cannot be read is kept under another name, never deleted and never silently emptied.
use crate::error::{Error, Result};
use std::path::{Path, PathBuf};

/// What its name goes on with; then the time.
const UNREADABLE: &str = "redb.unreadable-";

/// Makes room for an empty ledger at `path`. `why`: what is wrong with the one that is there. `now` tells this one from
/// others. Returns what to tell people.
pub fn set_aside(path: &Path, why: &Error, now: &str) -> Result<String> {
    let aside = path.with_extension(format!("{UNREADABLE}{}", now.replace(':', "")));
    std::fs::rename(path, &aside).map_err(|e| Error::os(format!("set {} aside", path.display()), &e))?;
    Ok(format!(
        "the ledger {} cannot be read ({why}); it was kept as {} and an empty one was started: {}",
        path.display(),
        aside.display(),
        remedy(path)
    ))
}

/// The ledgers that were set aside beside `path` and lie there still.
pub fn kept_aside(path: &Path) -> Vec<PathBuf> {
    let Some((folder, stem)) = path.parent().zip(path.file_stem()) else { return Vec::new() };
    let start = format!("{}.{UNREADABLE}", stem.to_string_lossy());
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let ours = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(&start));
    let mut kept: Vec<_> = ours.map(|entry| entry.path()).collect();
    kept.sort();
    kept
}

/// The way out.
pub fn remedy(path: &Path) -> String {
    format!(
        "stop the daemon and put a whole copy in place of {}, or make networks, volumes and sandboxes anew (a volume of \
         the same name finds its files again) and delete what was kept",
        path.display()
    )
}
