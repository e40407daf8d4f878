//! Says on disk which network namespace is served here, so that callers elsewhere are told from callers who miss a daemon
//! that is down.
use super::Config;
use crate::{
    error::{Error, Result},
    host::linux::namespace,
};
use std::{fs, path::PathBuf};

/// Beside the socket, and in the root, which outlives a service's run folder.
pub fn notes(config: &Config) -> Vec<PathBuf> {
    let folders = [Some(config.root.as_path()), config.socket.parent()];
    folders.into_iter().flatten().map(|folder| folder.join("home")).collect()
}

/// The inode of the namespace and the boot in which it means something.
pub fn note(config: &Config) -> Result<()> {
    let (home, _) = namespace::inodes(None);
    let text = format!("{home} {}\n", namespace::boot());
    notes(config).iter().try_for_each(|path| {
        fs::write(path, &text).map_err(|error| Error::os(format!("write {}", path.display()), &error))
    })
}
