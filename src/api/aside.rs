//! Slow calls on threads of their own, so that no doorway waits for them: a few at once, the others wait for their turn.
//! (tokio's pool for this panics when the system gives it no thread, and a caller would get no answer.)
use crate::error::{Error, Result};
use tokio::sync::{Semaphore, oneshot};

/// Slow calls that are done at the same time.
const AT_ONCE: usize = 16;
static TURNS: Semaphore = Semaphore::const_new(AT_ONCE);

/// Starts `work` when it is its turn; the answer comes by what is returned.
///
/// # Errors
/// `Exhausted`: the system starts no thread. `work` is not done then, nor later.
pub async fn begin<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<oneshot::Receiver<T>> {
    let turn = TURNS.acquire().await.map_err(|_| Error::unavailable("the daemon is stopping"))?;
    let (tell, told) = oneshot::channel();
    let work = move || {
        let _turn = turn;
        // Whoever asked may have gone.
        let _ = tell.send(work());
    };
    let thread = std::thread::Builder::new().name("slow-call".to_owned()).spawn(work);
    thread.map(|_| told).map_err(|error| {
        Error::exhausted("no thread can be started for this call")
            .because(error)
            .because("raise TasksMax= of pontoon.service, or pids.max of the daemon's control group")
    })
}
