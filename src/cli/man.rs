//! `pontoon man DIR`: man pages from the definition of the command line, for `make install`. It asks no daemon.
use super::page::Done;
use crate::error::Error;
use clap::Args;
use std::path::PathBuf;

/// Write the man pages into a directory
#[derive(Args)]
pub struct ManArgs {
    dir: PathBuf,
}

pub fn run(args: &ManArgs) -> Done {
    let failed = |error| Error::os(format!("write man pages to {}", args.dir.display()), &error);
    std::fs::create_dir_all(&args.dir).map_err(failed)?;
    clap_mangen::generate_to(super::definition(), &args.dir).map_err(failed)?;
    Ok(0)
}
