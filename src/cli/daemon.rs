//! Flags of `pontoon daemon`. Only flags: what they mean is the daemon's business.
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
    /// Serve one caller's namespace, and end with its last sandbox; FILE is locked by whoever calls
    #[arg(long, value_name = "FILE", hide = true)]
    pub while_used: Option<PathBuf>,
}
