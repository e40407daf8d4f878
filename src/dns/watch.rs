//! Notices that the host's resolv.conf changed, however that was done: written in place, renamed over, or a symbolic link
//! turned elsewhere. It never writes the file and never polls.
use super::hostconf::HostConf;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, WatchDescriptor};
use std::{
    fs::File,
    io::{self, Read},
    os::fd::{AsFd, BorrowedFd},
    path::{Path, PathBuf},
};

/// More than this is not read of it.
const MOST_BYTES: u64 = 64 * 1024;

pub struct Watch {
    inotify: Inotify,
    path: PathBuf,
    port: u16,
    watched: Vec<WatchDescriptor>,
}

impl Watch {
    /// Watches `path`; servers found there are asked at `port`.
    pub fn new(path: &Path, port: u16) -> io::Result<Self> {
        let inotify = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)?;
        let mut watch = Watch { inotify, path: path.to_owned(), port, watched: Vec::new() };
        watch.follow();
        Ok(watch)
    }

    /// What the file says now. None: it cannot be read or is empty, as happens in the middle of a change; keep what you had.
    pub fn read(&self) -> Option<HostConf> {
        let mut bytes = Vec::new();
        File::open(&self.path).ok()?.take(MOST_BYTES).read_to_end(&mut bytes).ok()?;
        if bytes.is_empty() {
            return None;
        }
        Some(HostConf::parse(&String::from_utf8_lossy(&bytes), self.port))
    }

    /// Takes up what happened; whether it may concern the file.
    pub fn changed(&mut self) -> bool {
        let mut any = false;
        while let Ok(events) = self.inotify.read_events() {
            // IN_IGNORED tells of our own removing of a watch: to act on it would never end
            let mut real = events.iter().filter(|event| !event.mask.contains(AddWatchFlags::IN_IGNORED));
            any |= real.any(|event| event.name.as_ref().is_none_or(|name| self.is_ours(name)));
        }
        if any {
            self.follow();
        }
        any
    }

    /// A name of the way to the file. One name too many costs a read, one too few a change.
    fn is_ours(&self, name: &std::ffi::OsStr) -> bool {
        let target = self.path.canonicalize().ok();
        [Some(&self.path), target.as_ref()].into_iter().flatten().any(|path| path.file_name() == Some(name))
            || target.is_none()
    }

    /// Watches the file, its folder and those of what it links to, as they are now.
    fn follow(&mut self) {
        for old in std::mem::take(&mut self.watched) {
            // the kernel may have dropped it already, with the file
            let _ = self.inotify.rm_watch(old);
        }
        let folder = AddWatchFlags::IN_CLOSE_WRITE
            | AddWatchFlags::IN_CREATE
            | AddWatchFlags::IN_MOVED_TO
            | AddWatchFlags::IN_DELETE;
        let file =
            AddWatchFlags::IN_CLOSE_WRITE | AddWatchFlags::IN_DELETE_SELF | AddWatchFlags::IN_MOVE_SELF;
        let target = self.path.canonicalize().ok();
        let paths = [Some(self.path.clone()), target.clone()];
        let folders = paths.into_iter().flatten().filter_map(|path| path.parent().map(Path::to_owned));
        for (path, flags) in folders.map(|path| (path, folder)).chain(target.map(|path| (path, file))) {
            let path = if path.as_os_str().is_empty() { PathBuf::from(".") } else { path };
            self.watched.extend(self.inotify.add_watch(&path, flags));
        }
        self.watched.sort();
        self.watched.dedup();
    }
}

impl AsFd for Watch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inotify.as_fd()
    }
}
