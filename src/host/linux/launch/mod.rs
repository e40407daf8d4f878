//! `pontoon run`: a command in namespaces of its own, on a copy-on-write view of the host or on a directory, with its
//! mounts. It runs in the command line's process (root), never in the daemon, and knows no image and no cgroup.
//!
//! [`Launch::start`] makes everything and stops before the first instruction, [`Running::go`] releases it,
//! [`Running::wait`] relays signals, terminal and exit code. Processes: the *supervisor* (the caller, or with `detach` a
//! child in its own session) - *init*, PID 1 inside, ours, which reaps and passes signals on - the *command*.
//! The caller must be single-threaded: init goes on allocating after fork(2).
pub mod bundle;
mod channel;
mod command;
mod detach;
mod exec;
mod fork;
mod init;
mod inside;
mod masks;
mod mounts;
mod privileges;
mod relay;
mod scratch;
mod signals;
mod stdio;
mod supervise;
mod system;
mod terminal;
mod user;
mod view;

use crate::error::Error;
use crate::model::mount::{Propagation, ReadOnly};
use std::ffi::OsString;
use std::path::PathBuf;

pub use detach::Running;
pub use scratch::{LOG, clean};

/// What to run, and in what.
#[derive(Debug, Clone, Default)]
pub struct Launch {
    /// The network namespace to join; none: the caller's.
    pub netns: Option<PathBuf>,
    /// A directory to run on, written to as it is; none: a throw-away copy-on-write view of the host.
    pub rootfs: Option<PathBuf>,
    pub read_only_root: bool,
    /// Host directories that must look empty in the view: the daemon's root and run folders.
    pub hide: Vec<PathBuf>,
    /// A directory for this sandbox alone (made if missing): what the view's writer leaves, resolv.conf, hosts,
    /// hostname, log. Deleted at the end, but for the log of a detached one.
    pub scratch: PathBuf,
    pub mounts: Vec<ResolvedMount>,
    pub hostname: String,
    /// Contents of the files bound over /etc/resolv.conf and /etc/hosts.
    pub resolv_conf: String,
    pub hosts: String,
    /// Program and arguments; a program without `/` is looked up in the PATH of `env`.
    pub command: Vec<OsString>,
    /// The whole environment; PATH, HOME, HOSTNAME and (with `tty`) TERM are added if missing.
    pub env: Vec<(OsString, OsString)>,
    /// Absolute, made if missing; none: `/`.
    pub workdir: Option<PathBuf>,
    /// `USER[:GROUP]`, names (of the root's /etc/passwd and /etc/group) or numbers; none: root.
    pub user: Option<String>,
    /// A terminal of its own (`-t`).
    pub tty: bool,
    /// Standard input is passed on (`-i`).
    pub interactive: bool,
    /// In the background (`-d`): output goes to `<scratch>/log`.
    pub detach: bool,
    /// The log of a detached one goes as well at the end (`--rm`).
    pub forget_log: bool,
}

/// One mount, everything looked up but the place inside.
#[derive(Debug, Clone)]
pub struct ResolvedMount {
    pub source: Source,
    /// Absolute, inside the root.
    pub target: PathBuf,
    pub read_only: ReadOnly,
    pub propagation: Propagation,
    /// Without the mounts below the source.
    pub non_recursive: bool,
    /// What errors call it, e.g. `volume data at /data`.
    pub label: String,
}

/// What is mounted.
#[derive(Debug, Clone)]
pub enum Source {
    /// A file or directory of the host; `create`: a missing directory is made (`-v`), not refused (`--mount`).
    Bind { path: PathBuf, create: bool },
    /// A volume: its data directory, perhaps a directory inside it. `copy_up`: an empty one is filled from the root.
    /// `home`: the volume's own directory around the data, for a local one.
    Volume { data: PathBuf, subpath: Option<PathBuf>, home: Option<PathBuf>, copy_up: bool },
    /// Memory: bytes, mode (default 1777), further words (`exec`, `uid=1000`, ...); noexec, nosuid, nodev by default.
    Tmpfs { size: Option<u64>, mode: Option<u32>, options: Vec<String> },
}

/// Why nothing ran, with Docker's exit code: 125 ours, 126 the command cannot be executed, 127 it is not there,
/// 128+signal interrupted by the user.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct Failure {
    pub code: i32,
    pub error: Error,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure { code: 125, error }
    }
}
