//! The end of an instance that serves one caller's namespace: it goes when its last sandbox has gone, and leaves nothing
//! behind. It never goes while a caller holds the lock.
use super::Config;
use crate::{
    engine::Engine,
    model::{Command, command::Filters},
    store,
};
use std::{
    fs::{self, File, TryLockError},
    io::ErrorKind,
    path::Path,
    time::{Duration, Instant},
};

/// One `podman run` after another finds the same instance.
const GRACE: Duration = Duration::from_secs(3);
const GLANCE: Duration = Duration::from_millis(200);

/// Nobody else comes in; None: nobody could, the folder has gone.
pub struct Closed {
    _lock: Option<File>,
}

/// Returns once nobody needs this instance; never, for one that was not started so.
pub async fn wait(config: &Config, engine: &Engine) -> Closed {
    let Some(lock) = &config.while_used else { return std::future::pending().await };
    let mut since = Instant::now();
    loop {
        tokio::time::sleep(GLANCE).await;
        if !engine.view().sandboxes.is_empty() {
            since = Instant::now();
            continue;
        }
        if since.elapsed() < GRACE {
            continue;
        }
        let Some(closed) = close(lock).filter(|_| engine.view().sandboxes.is_empty()) else { continue };
        let engine = engine.clone();
        // The caller took its networks away itself, unless it died.
        let prune = move || engine.execute(Command::NetworkPrune(Filters::default()), &|_| true).map(drop);
        if let Ok(Err(error)) = tokio::task::spawn_blocking(prune).await {
            tracing::warn!(%error, "networks stay");
        }
        return closed;
    }
}

fn close(lock: &Path) -> Option<Closed> {
    match File::open(lock) {
        Ok(file) => match file.try_lock() {
            Ok(()) => Some(Closed { _lock: Some(file) }),
            Err(TryLockError::WouldBlock | TryLockError::Error(_)) => None,
        },
        Err(error) if error.kind() == ErrorKind::NotFound => Some(Closed { _lock: None }),
        Err(_) => None,
    }
}

/// Takes the ledger and empty folders away; whatever else somebody put there stays.
pub fn vanish(config: &Config) {
    let ledger = store::files(&super::ledger_file(&config.root));
    let log = config.run.join("log");
    for file in ledger.iter().chain([&log]).chain(&super::home::notes(config)).filter(|file| file.exists()) {
        told(file, fs::remove_file(file));
    }
    for folder in [&config.root, &config.run] {
        remove_empty(folder);
    }
    if let Some(folder) = config.root.parent() {
        let _ = fs::remove_dir(folder);
    }
}

fn remove_empty(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
        remove_empty(&entry.path());
    }
    told(folder, fs::remove_dir(folder));
}

fn told(path: &Path, done: std::io::Result<()>) {
    if let Err(error) = done {
        tracing::warn!(%error, path = %path.display(), "it stays");
    }
}
