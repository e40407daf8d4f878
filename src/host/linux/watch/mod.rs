//! Notices that a sandbox's process has ended or its namespace's file is gone; it never polls and never decides what follows.
//!
//! A namespace stays alive while we hold a socket in it, so the file or the process is the only sign (inotify(7), pidfd_open(2)).
#[cfg(test)]
mod tests;

use crate::{
    error::{Error, Result},
    model::Id,
};
use nix::sys::{
    epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout},
    eventfd::{EfdFlags, EventFd},
    inotify::{AddWatchFlags, InitFlags, Inotify, WatchDescriptor},
};
use parking_lot::Mutex;
use std::{
    collections::{HashMap, HashSet},
    ffi::OsString,
    os::fd::{FromRawFd, OwnedFd},
    path::{Path, PathBuf},
    sync::Arc,
    thread,
};

const FILES: u64 = 0;
const BELL: u64 = 1;
/// Tokens of processes start here.
const FIRST_PROCESS: u64 = 2;

/// Told once which sandbox has ended; it is forgotten then. Runs on the watching thread: hand it on, do not work.
pub type Ended = Box<dyn Fn(Id) + Send>;

/// The watching thread, which ends when this is dropped.
pub struct Watch {
    shared: Arc<Shared>,
}

struct Shared {
    epoll: Epoll,
    inotify: Inotify,
    bell: EventFd,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    next: u64,
    processes: HashMap<u64, (Id, OwnedFd)>,
    folders: HashMap<WatchDescriptor, Folder>,
    /// Signs that were there before anybody watched; the bell tells.
    early: Vec<Id>,
    closed: bool,
}

struct Folder {
    files: HashMap<OsString, HashSet<Id>>,
}

impl Watch {
    pub fn start(ended: Ended) -> Result<Self> {
        let failed = |e: nix::Error| Error::os("start watching sandboxes", &e.into());
        let shared = Shared {
            epoll: Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).map_err(failed)?,
            inotify: Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK).map_err(failed)?,
            bell: EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK).map_err(failed)?,
            state: Mutex::new(State { next: FIRST_PROCESS, ..State::default() }),
        };
        shared.epoll.add(&shared.inotify, EpollEvent::new(EpollFlags::EPOLLIN, FILES)).map_err(failed)?;
        shared.epoll.add(&shared.bell, EpollEvent::new(EpollFlags::EPOLLIN, BELL)).map_err(failed)?;
        let shared = Arc::new(shared);
        let watching = shared.clone();
        thread::Builder::new()
            .name("pontoon-watch".into())
            .stack_size(128 << 10)
            .spawn(move || while watching.round(&ended) {})
            .map_err(|e| Error::os("start watching sandboxes", &e))?;
        Ok(Watch { shared })
    }

    /// Tells when the file at `path` is deleted or moved. `/proc/PID/...`: when that process ends. Gone already: told at once.
    pub fn path(&self, sandbox: Id, path: &Path) -> Result<()> {
        if let Some(pid) = process_of(path) {
            return self.pid(sandbox, pid);
        }
        let step = || format!("watch {}", path.display());
        let (Some(folder), Some(file)) = (path.parent(), path.file_name()) else {
            return Err(Error::invalid(format!("{}: it names no file", step())));
        };
        let signs = AddWatchFlags::IN_DELETE
            | AddWatchFlags::IN_MOVED_FROM
            | AddWatchFlags::IN_DELETE_SELF
            | AddWatchFlags::IN_MOVE_SELF
            | AddWatchFlags::IN_ONLYDIR;
        let mut state = self.shared.state.lock();
        match self.shared.inotify.add_watch(folder, signs) {
            Ok(descriptor) => {
                let folder =
                    state.folders.entry(descriptor).or_insert_with(|| Folder { files: HashMap::new() });
                folder.files.entry(file.to_owned()).or_default().insert(sandbox);
                // Looked at after the watch stands, so that nothing falls in between.
                if !path.exists() {
                    state.early.push(sandbox);
                }
            }
            Err(nix::Error::ENOENT | nix::Error::ENOTDIR) => state.early.push(sandbox),
            Err(e) => return Err(Error::os(step(), &e.into())),
        }
        if !state.early.is_empty() {
            let _ = self.shared.bell.write(1);
        }
        Ok(())
    }

    /// Tells when process `pid` ends. Gone already: told at once.
    pub fn pid(&self, sandbox: Id, pid: i32) -> Result<()> {
        let step = || format!("watch process {pid}");
        // SAFETY: pidfd_open takes two integers and returns a new descriptor or -1.
        let raw = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
        let mut state = self.shared.state.lock();
        if raw < 0 {
            let error = std::io::Error::last_os_error();
            if error.raw_os_error() != Some(libc::ESRCH) {
                return Err(Error::os(step(), &error));
            }
            state.early.push(sandbox);
            let _ = self.shared.bell.write(1);
            return Ok(());
        }
        // SAFETY: the kernel just returned this descriptor and nobody else knows it.
        let fd = unsafe { OwnedFd::from_raw_fd(raw as i32) };
        let token = state.next;
        state.next += 1;
        self.shared
            .epoll
            .add(&fd, EpollEvent::new(EpollFlags::EPOLLIN, token))
            .map_err(|e| Error::os(step(), &e.into()))?;
        state.processes.insert(token, (sandbox, fd));
        Ok(())
    }

    /// Watches nothing more for this sandbox.
    pub fn forget(&self, sandbox: Id) {
        self.shared.forget(&mut self.shared.state.lock(), sandbox);
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.shared.state.lock().closed = true;
        let _ = self.shared.bell.write(1);
    }
}

impl Shared {
    fn forget(&self, state: &mut State, sandbox: Id) {
        for (_, (_, fd)) in state.processes.extract_if(|_, (of, _)| *of == sandbox) {
            let _ = self.epoll.delete(&fd);
        }
        state.early.retain(|of| *of != sandbox);
        state.folders.retain(|descriptor, folder| {
            folder.files.retain(|_, sandboxes| {
                sandboxes.remove(&sandbox);
                !sandboxes.is_empty()
            });
            if folder.files.is_empty() {
                let _ = self.inotify.rm_watch(*descriptor);
            }
            !folder.files.is_empty()
        });
    }

    /// Waits for signs and tells them. False: the watch was dropped.
    fn round(&self, ended: &Ended) -> bool {
        let mut events = [EpollEvent::empty(); 64];
        let count = match self.epoll.wait(&mut events, EpollTimeout::NONE) {
            Ok(count) => count,
            Err(nix::Error::EINTR) => return true,
            Err(error) => {
                tracing::error!("watching sandboxes ends: {error}");
                return false;
            }
        };
        let mut gone = HashSet::new();
        for event in &events[..count] {
            match event.data() {
                FILES => self.read_files(&mut gone),
                BELL => {
                    let _ = self.bell.read();
                }
                token => gone.extend(self.state.lock().processes.remove(&token).map(|(sandbox, _)| sandbox)),
            }
        }
        let mut state = self.state.lock();
        gone.extend(state.early.drain(..));
        // Told once, whatever other sign would follow.
        gone.iter().for_each(|sandbox| self.forget(&mut state, *sandbox));
        let open = !state.closed;
        drop(state);
        gone.into_iter().for_each(ended);
        open
    }

    fn read_files(&self, gone: &mut HashSet<Id>) {
        let Ok(events) = self.inotify.read_events() else { return };
        let mut state = self.state.lock();
        for event in events {
            if event.mask.contains(AddWatchFlags::IN_Q_OVERFLOW) {
                // What was lost is unknown: everything watched is looked at by whoever is told.
                gone.extend(state.folders.values().flat_map(|f| f.files.values().flatten()));
                continue;
            }
            match event.name {
                Some(name) => {
                    let folder = state.folders.get_mut(&event.wd);
                    gone.extend(folder.and_then(|f| f.files.remove(&name)).into_iter().flatten());
                }
                None => {
                    let folder = state.folders.remove(&event.wd);
                    gone.extend(folder.into_iter().flat_map(|f| f.files.into_values().flatten()));
                }
            }
        }
    }
}

/// The process in `/proc/PID/...`.
fn process_of(path: &Path) -> Option<i32> {
    let rest: PathBuf = path.strip_prefix("/proc").ok()?.into();
    rest.components().next()?.as_os_str().to_str()?.parse().ok()
}
