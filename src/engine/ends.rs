//! Removals that wait for a sandbox's process to end: asked first, killed when it takes too long.
use super::Answer;
use crate::{
    host::Host,
    model::{Id, command::SandboxRemove, sandbox::Process},
};
use std::time::{Duration, Instant};

/// How long a process may take after SIGTERM, as with `docker stop`.
const GRACE: Duration = Duration::from_secs(10);

/// One call that waits.
pub struct End {
    sandbox: Id,
    process: Process,
    pub volumes: bool,
    pub answer: Answer,
    /// None: it was killed, nothing more is to be done.
    deadline: Option<Instant>,
}

#[derive(Default)]
pub struct Ends(Vec<End>);

impl Ends {
    pub fn wait(&mut self, sandbox: Id, process: Process, request: &SandboxRemove, answer: Answer) {
        let deadline = (!request.force).then(|| Instant::now() + GRACE);
        self.0.push(End { sandbox, process, volumes: request.volumes, answer, deadline });
    }

    /// Those that waited for this sandbox.
    pub fn take(&mut self, sandbox: Id) -> Vec<End> {
        let (ended, waiting) =
            std::mem::take(&mut self.0).into_iter().partition(|end| end.sandbox == sandbox);
        self.0 = waiting;
        ended
    }

    pub fn next_deadline(&self) -> Option<Instant> {
        self.0.iter().filter_map(|end| end.deadline).min()
    }

    pub fn kill_overdue(&mut self, host: &mut dyn Host) {
        for end in self.0.iter_mut().filter(|end| end.deadline.is_some_and(|d| d <= Instant::now())) {
            end.deadline = None;
            if let Err(error) = host.end(end.process, true) {
                tracing::warn!(pid = end.process.pid, %error, "cannot kill the process of a sandbox");
            }
        }
    }
}
