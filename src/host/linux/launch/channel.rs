//! The words between caller, supervisor and init. Nobody waits for ever on a dead peer: its end of the pair closes with it.
use super::Failure;
pub(super) use crate::host::linux::channel::Channel;
use serde::{Deserialize, Serialize};

/// One message.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Word {
    /// From the supervisor: init's pid, of which nothing is ready yet.
    Born(i32),
    /// To init: somebody watches over it, so it may begin what lasts.
    Known,
    /// From init: all is mounted (with a terminal: its master comes along). From the supervisor: this is init's pid.
    Ready(i32),
    /// Run the command now.
    Go,
    /// The command runs.
    Started,
    Failed(Failure),
}
