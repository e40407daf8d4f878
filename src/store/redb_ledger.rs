//! The ledger on disk.
//!
//! A durable commit takes 0.3 to 0.5 ms, half of it the disk's. A thread of the ledger's own can do it meanwhile, and
//! an attach, whose kernel calls take 0.6 ms, no longer waits for it.
use super::{
    Commits, Contents, Ledger, Reader, Write,
    again::Again,
    last::{self, Acknowledged, Last},
    open::{self, caught, close},
    records::{self, read_all, write},
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
    again: Again,
    /// How many commits it has.
    number: u64,
    last: Last,
    commits: Arc<Commits>,
}

/// What people are to be told of a ledger, and what the event is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    pub action: &'static str,
    pub message: String,
}

impl RedbLedger {
    /// Opens or makes the ledger. If the file cannot be understood it is set aside under another name, and if it has less
    /// than was acknowledged that is brought back or said: the third value. A file that another daemon holds, or of a later
    /// version, is an error. `reader` looks at it when it has to be opened again.
    pub fn open(path: &Path, now: &str, reader: Reader) -> Result<(Self, Contents, Option<Told>)> {
        let (opened, aside) = match open::at(path) {
            Err(error) if error.kind == Kind::Invalid => {
                let message = set_aside(path, &error, now)?;
                (open::at(path)?, Some(Told { action: "set-aside", message }))
            }
            opened => (opened?, None),
        };
        let (database, contents, mended) = opened;
        let (last, acknowledged) = Last::open(path);
        let number = records::number(&database)?;
        let mut file = LedgerFile {
            path: path.to_owned(),
            database: Some(database),
            again: Again::new(reader),
            number,
            last,
            commits: Arc::default(),
        };
        // An empty one was begun: that is said, or what somebody wanted.
        let fresh = aside.is_some() || number == 0 && contents == Contents::default();
        let missing = acknowledged.filter(|known| known.number > number);
        let told = match missing {
            Some(_) if fresh => None,
            Some(missing) => Some(file.catch_up(missing, mended)?),
            None => None,
        };
        let contents = match (&told, &file.database) {
            (Some(_), Some(database)) => read_all(database)?,
            _ => contents,
        };
        Ok((Self::over(file)?, contents, aside.or(told)))
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
    fn commit(&mut self, writes: &[Write]) -> Result<()> {
        if self.database.is_none() {
            self.open_again().map_err(|error| refused(&self.path, error.to_string()))?;
        }
        let Some(database) = self.database.take() else { return Err(Error::internal("no ledger is open")) };
        let start = Instant::now();
        let written = caught(|| write(&database, writes, self.number + 1));
        let fine = written.as_ref().is_some_and(|written| written.is_ok());
        self.commits.count(writes.len(), start.elapsed(), fine);
        let Some(written) = written else {
            close(database);
            let cause = "its pages contradict one another: the next start sets it aside";
            return Err(Error { kind: Kind::Internal, ..refused(&self.path, cause.to_owned()) });
        };
        written.map_err(|error| refused(&self.path, error.to_string()))?;
        self.database = Some(database);
        self.number += 1;
        self.last.note(self.number, writes);
        Ok(())
    }

    /// What was acknowledged must still be in it.
    fn open_again(&mut self) -> Result<()> {
        let database = self.again.open(&self.path)?;
        let (acknowledged, number) = (self.number, records::number(&database)?);
        self.number = number;
        self.database = Some(database);
        if number < acknowledged {
            let known = Last::open(&self.path).1.filter(|known| known.number == acknowledged);
            let missing = known.unwrap_or(Acknowledged { number: acknowledged, records: None });
            tracing::error!("{}", self.catch_up(missing, true)?.message);
        }
        Ok(())
    }

    /// Writes the one commit that is missing, if it is one and known and the ledger had been `mended`; else somebody may have
    /// put an older copy in its place. Says which.
    fn catch_up(&mut self, missing: Acknowledged, mended: bool) -> Result<Told> {
        let Acknowledged { number, records } = missing;
        let writes = records.and_then(|all| all.into_iter().map(last::write).collect::<Option<Vec<_>>>());
        let path = self.path.display();
        if let Some(writes) = writes.filter(|_| mended && number == self.number + 1) {
            let message = format!(
                "the disk had lost the last commit of the ledger {path}, number {number}: it was brought back from {}; \
                 look after the disk",
                last::beside(&self.path).display()
            );
            self.commit(&writes)?;
            return Ok(Told { action: "brought-back", message });
        }
        let message = format!(
            "the ledger {path} has {} commits, and {number} were acknowledged: an older copy was put in its place, or the disk \
             lost the last ones; make anew what is missing",
            self.number
        );
        self.last.note(self.number, &[]);
        Ok(Told { action: "stepped-back", message })
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
            drop(RedbLedger::open(&path, "2026-01-01T00:00:00Z", Arc::new(|_| Ok(())))?);
            let mode = std::fs::metadata(&path).map_err(failed)?.permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).map_err(failed)?;
        }
        std::fs::remove_file(&path).map_err(failed)
    }
}
