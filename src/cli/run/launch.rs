//! From a sandbox to a running command. To be filled once `host::linux::launch` is merged.
use super::{FAILED, RunArgs, Sandbox};
use crate::error::{Error, Result};
use std::ffi::OsString;

/// What is wrong with the request whatever the daemon says.
pub fn check(_: &RunArgs) -> Result<()> {
    Ok(())
}

/// Starts the command in the sandbox and waits for it, unless detached. An error comes with the exit code.
pub fn launch(
    _: &RunArgs,
    _env: Vec<(OsString, OsString)>,
    sandbox: &Sandbox<'_>,
) -> Result<u8, (Error, u8)> {
    let failed = |error| (error, FAILED);
    sandbox.inspect().map_err(failed)?;
    Err(failed(Error::unsupported("pontoon run cannot start commands yet")))
}
