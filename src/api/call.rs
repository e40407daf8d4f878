//! Carries a `Command` to the engine and brings the answer, for every doorway. It knows no field of any command.
use super::{Doorways, aside};
use crate::{
    engine::Engine,
    error::{Error, Result},
    model::{Command, Reply},
};
use std::{
    sync::{Arc, atomic::AtomicBool, atomic::Ordering},
    time::Instant,
};
use tokio::sync::oneshot;

impl Doorways {
    /// Does `command` without blocking a worker, and counts it.
    pub async fn run(&self, command: Command) -> Result<Reply> {
        let (name, started) = (command.method(), Instant::now());
        let result = carry(command, &self.engine).await;
        self.metrics.count(name, started.elapsed(), result.as_ref().err());
        result
    }
}

/// Clients that may listen to events at once: half of all places, so that others are served.
const LISTENERS: usize = 512;

/// `Unavailable` if too many listen to events already.
pub fn may_listen(engine: &Engine) -> Result<()> {
    match engine.events.listeners() < LISTENERS {
        true => Ok(()),
        false => Err(Error::unavailable(format!(
            "{LISTENERS} clients listen to events already: wait until one of them ends"
        ))),
    }
}

async fn carry(command: Command, engine: &Engine) -> Result<Reply> {
    let lost = || Error::unavailable("the daemon is stopping");
    if engine.is_slow(&command) {
        // If the client goes away this future is dropped, and the work is told to stop.
        let gone = Arc::new(AtomicBool::new(false));
        let _told = OnDrop(gone.clone());
        let engine = engine.clone();
        let work = move || engine.execute(command, &|_| !gone.load(Ordering::Relaxed));
        return aside::begin(work).await?.await.unwrap_or_else(|_| Err(lost()));
    }
    let (send, receive) = oneshot::channel();
    engine.submit(command, Box::new(move |reply| drop(send.send(reply))));
    receive.await.unwrap_or_else(|_| Err(lost()))
}

struct OnDrop(Arc<AtomicBool>);

impl Drop for OnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
