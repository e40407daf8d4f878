//! Work that may hang in the kernel (a dead NFS server) on a thread of its own, with a limit on how long we wait.
//! It never kills the thread: what it does too late is undone by it.
use crate::error::{Error, Result};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::Duration;

/// Runs `work`, waiting `limit` at most. If it succeeds after that, `undo` takes its result back.
///
/// The thread inherits the mount namespace of the caller's thread.
///
/// # Errors
/// What `work` returns, or `Unavailable` naming `what` when time is up.
pub fn within<T: Send + 'static>(
    limit: Duration,
    what: &str,
    work: impl FnOnce() -> Result<T> + Send + 'static,
    undo: impl FnOnce(T) + Send + 'static,
) -> Result<T> {
    // No buffer: a result is either taken or comes back to the sender, never lost in between.
    let (sender, receiver) = sync_channel(0);
    let run = move || {
        if let Err(late) = sender.send(work())
            && let Ok(result) = late.0
        {
            undo(result);
        }
    };
    std::thread::Builder::new()
        .name("patient".into())
        .spawn(run)
        .map_err(|e| Error::os(format!("{what}: start a thread"), &e))?;
    match receiver.recv_timeout(limit) {
        Ok(result) => result,
        Err(RecvTimeoutError::Timeout) => Err(Error::unavailable(format!(
            "{what}: no answer after {} s: is the server reachable?",
            limit.as_secs_f32()
        ))),
        Err(RecvTimeoutError::Disconnected) => Err(Error::internal(format!("{what}: its thread died"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;

    #[test]
    fn a_late_success_is_undone() {
        let (sender, undone) = channel();
        let slow = || {
            std::thread::sleep(Duration::from_millis(150));
            Ok(7)
        };
        let undo = move |n| sender.send(n).unwrap_or_default();
        let error = within(Duration::from_millis(20), "mount x", slow, undo).unwrap_err();
        assert!(error.message.starts_with("mount x: no answer"), "{error}");
        assert_eq!(undone.recv_timeout(Duration::from_secs(5)), Ok(7));
        assert_eq!(within(Duration::from_secs(5), "y", || Ok(1), |_| ()).ok(), Some(1));
    }
}
