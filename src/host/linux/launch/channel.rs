//! The words between caller, supervisor and init. Nobody waits for ever on a dead peer: its end of the pair closes with it.
use super::Failure;
pub(super) use crate::host::linux::channel::Channel;
use serde::{Deserialize, Serialize};

/// One message.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Word {
    /// From init: all is mounted (with a terminal: its master comes along). From the supervisor: this is init's pid.
    Ready(i32),
    /// Run the command now.
    Go,
    /// The command runs.
    Started,
    Failed(Failure),
}
