//! The ledger on disk.
//!
//! A durable commit takes 0.3 to 0.5 ms, half of it the disk's. A thread of the ledger's own can do it meanwhile, and
//! an attach, whose kernel calls take 0.6 ms, no longer waits for it.
use super::{
    Commits, Contents, Ledger, Write, open,
    open::{caught, close},
    records::write,
    set_aside,
};
use crate::error::{Error, Kind, Result};
use parking_lot::Mutex;
use redb::Database;
use std::{
    path::{Path, PathBuf},
    sync::{Arc, mpsc},
    thread::JoinHandle,
    time::Instant,
};

/// One file, one process: redb locks it.
pub struct RedbLedger {
    file: Arc<Mutex<LedgerFile>>,
    /// Commits for the thread; None only while the ledger is being dropped.
    begun: Option<mpsc::Sender<Vec<Write>>>,
    done: mpsc::Receiver<Result<()>>,
    thread: Option<JoinHandle<()>>,
}

struct LedgerFile {
    path: PathBuf,
    /// None after a failed write: opened again at the next one.
    database: Option<Database>,
    commits: Arc<Commits>,
}

impl RedbLedger {
    /// Opens or makes the ledger. If the file cannot be understood it is set aside under another name, and the
    /// message (third value) says so; a file that another daemon holds, or of a later version, is an error.
    pub fn open(path: &Path, now: &str) -> Result<(Self, Contents, Option<String>)> {
        let (opened, message) = match open::at(path) {
            Err(error) if error.kind == Kind::Invalid => {
                let message = set_aside(path, &error, now)?;
                (open::at(path)?, Some(message))
            }
            opened => (opened?, None),
        };
        let (database, contents) = opened;
        Ok((Self::over(LedgerFile::new(path, database))?, contents, message))
    }

    /// What was written since the start.
    pub fn commits(&self) -> Arc<Commits> {
        self.file.lock().commits.clone()
    }

    fn over(file: LedgerFile) -> Result<Self> {
        let file = Arc::new(Mutex::new(file));
        let (begun, commits) = mpsc::channel::<Vec<Write>>();
        let (tell, done) = mpsc::channel();
        let theirs = file.clone();
        let work = move || {
            commits.into_iter().try_for_each(|writes| tell.send(theirs.lock().commit(&writes))).unwrap_or(())
        };
        let thread = std::thread::Builder::new().name("ledger".to_owned()).stack_size(256 << 10).spawn(work);
        let thread = thread.map_err(|error| Error::os("start the ledger's thread", &error))?;
        Ok(RedbLedger { file, begun: Some(begun), done, thread: Some(thread) })
    }
}

impl Ledger for RedbLedger {
    fn commit(&mut self, writes: &[Write]) -> Result<()> {
        self.file.lock().commit(writes)
    }

    fn begin(&mut self, writes: Vec<Write>) {
        // If the thread is gone, `wait` says so.
        let _ = self.begun.as_ref().map(|begun| begun.send(writes));
    }

    fn wait(&mut self) -> Result<()> {
        self.done.recv().unwrap_or_else(|_| Err(Error::internal("the ledger's thread has ended")))
    }
}

impl Drop for RedbLedger {
    /// The file is free for another daemon when this returns.
    fn drop(&mut self) {
        self.begun = None;
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

impl LedgerFile {
    fn new(path: &Path, database: Database) -> Self {
        LedgerFile { path: path.to_owned(), database: Some(database), commits: Arc::default() }
    }

    fn commit(&mut self, writes: &[Write]) -> Result<()> {
        let database = match self.database.take() {
            Some(database) => database,
            None => open::database_at(&self.path).map_err(|error| refused(&self.path, error.to_string()))?,
        };
        let start = Instant::now();
        let written = caught(|| write(&database, writes));
        let fine = written.as_ref().is_some_and(|written| written.is_ok());
        self.commits.count(writes.len(), start.elapsed(), fine);
        let Some(written) = written else {
            close(database);
            let cause = "its pages contradict one another: the next start sets it aside";
            return Err(Error { kind: Kind::Internal, ..refused(&self.path, cause.to_owned()) });
        };
        written.map_err(|error| refused(&self.path, error.to_string()))?;
        self.database = Some(database);
        Ok(())
    }
}

/// A promise could not be written: why, and the way out where there is one. (redb hands on the system's error in words.)
fn refused(path: &Path, why: String) -> Error {
    let (kind, way_out) = match () {
        () if why.contains("os error 28") => (Kind::Exhausted, Some("free some space on its file system")),
        () if why.contains("os error 30") => (Kind::Unavailable, Some("mount its file system for writing")),
        () => (Kind::Unavailable, None),
    };
    let error = Error::new(kind, format!("cannot write the ledger {}, nothing was changed", path.display()));
    way_out.into_iter().fold(error.because(why), Error::because)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_alone_reads_the_ledger() -> Result<()> {
        use std::os::unix::fs::PermissionsExt;
        let failed = |error: std::io::Error| Error::os("prepare the test", &error);
        let path = std::env::temp_dir().join(format!("pontoon-ledger-{}.redb", std::process::id()));
        for _ in ["made", "found"] {
            drop(RedbLedger::open(&path, "2026-01-01T00:00:00Z")?);
            let mode = std::fs::metadata(&path).map_err(failed)?.permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).map_err(failed)?;
        }
        std::fs::remove_file(&path).map_err(failed)
    }
}
