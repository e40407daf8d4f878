//! Flags of `pontoon daemon` and `pontoon mounter`. Only flags: what they mean is the daemon's business.
use clap::Args;
use std::path::PathBuf;

/// Serve this host: networks, volumes, names, ports
///
/// Needs root. Says READY through sd_notify; the socket answers only once it is ready. Flags win over the file.
/// A second one for the same instance or root is refused. To replace the program, stop it and start it: sandboxes do not
/// notice, their names are answered meanwhile.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:
  sudo pontoon daemon
  sudo pontoon daemon --instance test --root /tmp/t/lib --run /tmp/t/run     a second one, beside the first")]
pub struct DaemonArgs {
    /// Configuration file [default: /etc/pontoon/pontoon.toml, which may be missing]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Where promises and volumes are kept [default: /var/lib/pontoon]
    #[arg(long, value_name = "DIR")]
    pub root: Option<PathBuf>,
    /// Where the socket and namespaces are [default: /run/pontoon]
    #[arg(long, value_name = "DIR")]
    pub run: Option<PathBuf>,
    /// The socket to listen on [default: RUN/pontoon.sock]
    #[arg(long, value_name = "PATH")]
    pub socket: Option<PathBuf>,
    /// A name that keeps several daemons on one host apart
    #[arg(long, value_name = "NAME")]
    pub instance: Option<String>,
    /// Have everything done on the host's side by `pontoon mounter` at this socket, as the systemd unit does
    #[arg(long, value_name = "PATH")]
    pub mounter: Option<PathBuf>,
    /// Serve one caller's namespace, and end with its last sandbox; FILE is locked by whoever calls
    #[arg(long, value_name = "FILE", hide = true)]
    pub while_used: Option<PathBuf>,
}

/// Mount for a daemon that is kept away from the host's mounts and from the files of volumes
///
/// A unit starts it beside `pontoon daemon --mounter PATH`. It needs root, keeps no state and may be restarted at any time.
#[derive(Debug, Clone, Args)]
pub struct MounterArgs {
    /// The daemon's configuration file, for `root` and `run`
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The daemon's root
    #[arg(long, value_name = "DIR")]
    pub root: Option<PathBuf>,
    /// The daemon's run folder
    #[arg(long, value_name = "DIR")]
    pub run: Option<PathBuf>,
    /// The socket to listen on, if none is passed [default: RUN/mounter.sock]
    #[arg(long, value_name = "PATH")]
    pub socket: Option<PathBuf>,
}

/// What runs in this process instead of asking a daemon.
pub enum Server {
    Daemon(DaemonArgs),
    Mounter(MounterArgs),
}
