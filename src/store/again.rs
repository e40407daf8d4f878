//! Opens a ledger again after a failed write, as carefully as at a start: somebody with little to lose reads it first. That is
//! done on a thread of its own, since the disk that has just failed may be slow, and callers want an answer.
use super::open;
use crate::error::{Error, Kind, Result};
use redb::Database;
use std::{
    path::Path,
    sync::{
        Arc,
        mpsc::{self, Receiver, RecvTimeoutError},
    },
    time::{Duration, Instant},
};

/// Reads a ledger that nobody has open, and says whether it may be opened here. `Invalid`: it is damaged.
pub type Reader = Arc<dyn Fn(&Path) -> Result<()> + Send + Sync>;

/// How long a commit waits for it.
const PATIENCE: Duration = Duration::from_secs(2);
/// What was found damaged is looked at again after so long.
const REST: Duration = Duration::from_secs(10);

pub(super) struct Again {
    reader: Reader,
    under_way: Option<Receiver<Result<Database>>>,
    damaged: Option<(Instant, Error)>,
}

impl Again {
    pub(super) fn new(reader: Reader) -> Self {
        Again { reader, under_way: None, damaged: None }
    }

    /// # Errors
    /// `Unavailable`: it is still being read; asked again, it may be there. `Invalid`: it is damaged.
    pub(super) fn open(&mut self, path: &Path) -> Result<Database> {
        if let Some((at, error)) = &self.damaged
            && at.elapsed() < REST
        {
            return Err(error.clone());
        }
        let told = match self.under_way.take() {
            Some(told) => told,
            None => self.begin(path)?,
        };
        match told.recv_timeout(PATIENCE) {
            Ok(Err(error)) if error.kind == Kind::Invalid => {
                self.damaged = Some((Instant::now(), error.clone()));
                Err(error)
            }
            Ok(opened) => opened,
            Err(RecvTimeoutError::Timeout) => {
                self.under_way = Some(told);
                Err(Error::unavailable("a write failed, and it is being looked over: try again in a moment"))
            }
            Err(RecvTimeoutError::Disconnected) => Err(Error::internal("nobody looks it over")),
        }
    }

    fn begin(&self, path: &Path) -> Result<Receiver<Result<Database>>> {
        let (tell, told) = mpsc::channel();
        let (reader, path) = (self.reader.clone(), path.to_owned());
        let work = move || {
            let opened = reader(&path).and_then(|()| open::database_at(&path));
            let _ = tell.send(opened.map(|(database, _)| database));
        };
        let thread = std::thread::Builder::new().name("ledger-again".to_owned()).spawn(work);
        thread.map(|_| told).map_err(|error| Error::os("start a thread to look it over", &error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    #[test]
    fn a_slow_or_damaged_one_keeps_nobody_waiting() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("state.redb");
        let slow: Reader = Arc::new(|_| {
            std::thread::sleep(PATIENCE * 3 / 2);
            Ok(())
        });
        let mut again = Again::new(slow);
        let start = Instant::now();
        assert_eq!(again.open(&path).map(drop).map_err(|error| error.kind), Err(Kind::Unavailable));
        assert!(again.open(&path).is_ok(), "what was begun is waited for, not begun once more");
        assert!(start.elapsed() < PATIENCE * 2, "{:?}", start.elapsed());
        let reads = Arc::new(AtomicUsize::new(0));
        let counted = reads.clone();
        let damaged: Reader = Arc::new(move |_| {
            counted.fetch_add(1, Relaxed);
            Err(Error::invalid("damaged"))
        });
        let mut again = Again::new(damaged);
        for _ in 0..3 {
            assert_eq!(again.open(&path).map(drop).map_err(|error| error.kind), Err(Kind::Invalid));
        }
        assert_eq!(reads.load(Relaxed), 1);
    }
}
