//! Orders to the mounter: a process in the host's mount namespace that does for a daemon in a smaller one what has to
//! happen on the host's side. Without a mounter nothing is asked, and this process does it itself.
use super::channel::Channel;
use crate::{
    error::{Error, Result},
    model::{Id, Name, reply::Finding},
};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rustix::net::{self, AddressFamily, SocketAddrUnix, SocketFlags, SocketType, sockopt};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    fmt::Display,
    net::IpAddr,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::{Path, PathBuf},
    sync::OnceLock,
    time::{Duration, Instant},
};

/// All that it does. A name is one component that does not begin with a dot: it looks beneath its own root and run folder.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Order {
    /// Are you there?
    Greet {},
    /// Make the folder of namespaces' files.
    Prepare {},
    /// Take it away, if it is empty.
    GiveUp {},
    /// Keep the network namespace whose descriptor comes along alive, under this name.
    Hold {
        name: Name,
    },
    /// Take that file away.
    LetGo {
        name: Name,
    },
    /// The network namespace of a process, by a descriptor with the answer.
    NamespaceOf {
        pid: i32,
    },
    CreateVolume {
        name: Name,
    },
    RemoveVolume {
        name: Name,
    },
    /// Make removals so far durable.
    SyncRemoved {},
    /// `options` are the local driver's; `address` is that of the server they name.
    Mount {
        name: Name,
        options: BTreeMap<String, String>,
        address: Option<IpAddr>,
    },
    Unmount {
        name: Name,
    },
    /// Finish a copy into a volume that was killed in its last step.
    Settle {
        name: Name,
    },
    /// Bytes that a volume takes, as the answer.
    Usage {
        name: Name,
    },
    /// Is the source of a bind there? If not, `make` it.
    BindSource {
        path: PathBuf,
        make: bool,
    },
    /// Delete what `pontoon run` left of this sandbox.
    ForgetRun {
        id: Id,
    },
}

/// A number, where the order asks for one, and maybe a descriptor beside it.
pub type Answer = Result<u64>;

/// A mount may take 30 s (`volume::mounted::PATIENCE`); everything else is done at once, on a disk that may be busy.
const PATIENCE: Duration = Duration::from_secs(40);
/// Between two looks at whether the answer is still wanted.
const GLANCE: u16 = 100;

static SOCKET: OnceLock<PathBuf> = OnceLock::new();

/// From now on, and for as long as this process lives, the mounter at `socket` is asked.
pub fn choose(socket: PathBuf) {
    let _ = SOCKET.set(socket);
}

pub fn is_chosen() -> bool {
    SOCKET.get().is_some()
}

/// Has an order carried out. 0.1 ms.
///
/// # Errors
/// What the mounter says; `Unavailable` if it is not there, or goes away meanwhile.
pub fn ask(order: &Order, with: Option<BorrowedFd<'_>>) -> Result<(u64, Option<OwnedFd>)> {
    ask_while(order, with, &|| true)
}

/// The same, for as long as `go_on` says so.
pub fn ask_while(
    order: &Order,
    with: Option<BorrowedFd<'_>>,
    go_on: &dyn Fn() -> bool,
) -> Result<(u64, Option<OwnedFd>)> {
    let socket = SOCKET.get().ok_or_else(|| Error::internal("no mounter was chosen"))?;
    let channel = Channel(connect(socket).map_err(|error| away(socket, &error))?);
    channel.send(order, with)?;
    let until = Instant::now() + PATIENCE;
    while !readable(&channel) {
        if !go_on() {
            return Err(Error::unavailable("interrupted"));
        }
        if Instant::now() > until {
            return Err(away(socket, &format!("no answer after {} s", PATIENCE.as_secs())));
        }
    }
    match channel.receive::<Answer>() {
        Ok(Some((answer, descriptor))) => Ok((answer?, descriptor)),
        Ok(None) => Err(away(socket, &"it ended before it had answered")),
        Err(error) => Err(away(socket, &error)),
    }
}

/// What `doctor` says of it; nothing without one.
pub fn finding() -> Option<Finding> {
    let socket = SOCKET.get()?;
    let found = |level: &str, message: String, remedy: Option<&str>| Finding {
        level: level.to_owned(),
        check: "mounter".to_owned(),
        message,
        remedy: remedy.map(str::to_owned),
    };
    let way_out = "systemctl restart pontoon-mounter.socket pontoon-mounter, and look at its log";
    Some(match ask(&Order::Greet {}, None) {
        Ok(_) => found("ok", format!("it answers at {}", socket.display()), None),
        Err(error) => found(
            "problem",
            format!("no volume and no namespace can be made or removed: {error}"),
            Some(way_out),
        ),
    })
}

fn readable(channel: &Channel) -> bool {
    let mut wait = [PollFd::new(channel.as_fd(), PollFlags::POLLIN)];
    matches!(poll(&mut wait, PollTimeout::from(GLANCE)), Ok(1..))
}

fn away(socket: &Path, cause: &dyn Display) -> Error {
    Error::unavailable(format!("the mounter at {} is away", socket.display()))
        .because(cause)
        .because("try again, or look at `systemctl status pontoon-mounter`")
}

fn connect(socket: &Path) -> rustix::io::Result<OwnedFd> {
    let own = net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
    // With a full queue of callers connect(2) waits as long (unix(7)).
    sockopt::set_socket_timeout(&own, sockopt::Timeout::Send, Some(Duration::from_secs(5)))?;
    net::connect(&own, &SocketAddrUnix::new(socket)?)?;
    Ok(own)
}

/// A socket for callers, for root alone; a leftover one is replaced.
pub fn listen(socket: &Path) -> Result<OwnedFd> {
    let failed = |e: rustix::io::Errno| Error::os(format!("listen at {}", socket.display()), &e.into());
    let own = net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
        .map_err(failed)?;
    let _ = std::fs::remove_file(socket);
    let old = nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o177));
    let bound = SocketAddrUnix::new(socket).and_then(|address| net::bind(&own, &address));
    nix::sys::stat::umask(old);
    bound.and_then(|()| net::listen(&own, 128)).map_err(failed)?;
    Ok(own)
}

/// The next caller of this process's user, with the order it has sent; others are sent away. It has five seconds to send it.
pub fn accept(listener: BorrowedFd<'_>) -> Result<Option<Channel>> {
    let failed = |e: rustix::io::Errno| Error::os("accept a caller", &e.into());
    let caller = net::accept_with(listener, SocketFlags::CLOEXEC).map_err(failed)?;
    let peer = sockopt::socket_peercred(&caller).map_err(failed)?;
    if peer.uid != rustix::process::geteuid() {
        return Ok(None);
    }
    for timeout in [sockopt::Timeout::Recv, sockopt::Timeout::Send] {
        sockopt::set_socket_timeout(&caller, timeout, Some(Duration::from_secs(5))).map_err(failed)?;
    }
    Ok(Some(Channel(caller)))
}

/// Whether the caller does not wait for the answer any more.
pub fn has_left(caller: &Channel) -> bool {
    let mut look = [PollFd::new(caller.as_fd(), PollFlags::empty())];
    matches!(poll(&mut look, PollTimeout::ZERO), Ok(1..))
}
