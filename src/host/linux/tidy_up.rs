//! What is done beside the hot path: forgetting connections of what is gone, and leaving the host as it was found.
use super::{
    forwarding,
    kernel::Linux,
    netlink::{Route, observe},
    nft::{Filter, Nft},
    sysctl,
};
use crate::{
    error::{Error, Result},
    model::{Family, IfName},
};
use std::{
    collections::VecDeque,
    path::PathBuf,
    sync::mpsc::{self, RecvTimeoutError},
    time::{Duration, Instant},
};

/// The kernel's work after a deletion is over by then: one grace period, 2 to 30 ms.
pub const SETTLED: Duration = Duration::from_millis(60);

/// How long a socket is kept at the most, and how many.
const LONGEST: Duration = Duration::from_secs(1);
const MOST: usize = 128;

/// What no caller waits for.
pub enum Chore {
    /// Each filter walks the kernel's whole table of connections, up to 11 ms.
    Forget(Vec<Filter>),
    /// Our tables were gone: those that began meanwhile are judged again.
    JudgeAgain,
    /// A netfilter socket in a sandbox where something was deleted a moment ago. Closed at once it would wait for a grace period
    /// under the lock of its namespace's tables (nft_rcv_nl_event); the deletion of the sandbox's link, which tells those
    /// tables, would wait for that lock with the RTNL in hand, and everybody for the RTNL: 8 ms of each detach.
    Close(Box<dyn Send>),
}

/// The thread that does chores, in the calling thread's namespace.
pub fn sweeper(instance: &str) -> Result<mpsc::Sender<Chore>> {
    let (send, receive) = mpsc::channel::<Chore>();
    let (mut nft, mut route, instance) = (Nft::open(instance)?, Route::open()?, instance.to_owned());
    let work = move || {
        let mut open = Open::default();
        while let Some(chore) = open.next(&receive) {
            match chore {
                Chore::Forget(filters) => {
                    if let Err(error) = nft.forget(&filters) {
                        tracing::debug!(%error, "connections could not be forgotten");
                    }
                }
                Chore::JudgeAgain => {
                    let subnets = observe::subnets(&mut route, &instance);
                    match subnets.and_then(|subnets| nft.judge_again(&subnets)) {
                        Ok(count) => {
                            tracing::debug!(count, "connections that began without rules are judged again")
                        }
                        Err(error) => tracing::warn!(%error, "connections that began without rules go on"),
                    }
                }
                Chore::Close(socket) => open.push(socket),
            }
        }
    };
    let thread = std::thread::Builder::new().name("sweeper".to_owned()).stack_size(128 << 10).spawn(work);
    thread.map_err(|error| Error::os("start the thread that forgets connections", &error))?;
    Ok(send)
}

/// Sockets to be closed when nothing was deleted for a while, since what is deleted meanwhile may be where they are. Each
/// holds its namespace, so none waits for long.
#[derive(Default)]
struct Open {
    sockets: VecDeque<(Instant, Box<dyn Send>)>,
    last: Option<Instant>,
}

impl Open {
    fn push(&mut self, socket: Box<dyn Send>) {
        let now = Instant::now();
        self.last = Some(now);
        self.sockets.push_back((now, socket));
        if self.sockets.len() > MOST {
            self.sockets.pop_front();
        }
    }

    /// When the first one is to be closed.
    fn due(&self) -> Option<Instant> {
        let (since, _) = self.sockets.front()?;
        Some((self.last? + SETTLED).min(*since + LONGEST))
    }

    /// The next chore; meanwhile what is due is closed. None: there will be none any more.
    fn next(&mut self, receive: &mpsc::Receiver<Chore>) -> Option<Chore> {
        while let Some(due) = self.due() {
            match receive.recv_timeout(due.saturating_duration_since(Instant::now())) {
                Ok(chore) => return Some(chore),
                Err(RecvTimeoutError::Timeout) => drop(self.sockets.pop_front()),
                Err(RecvTimeoutError::Disconnected) => return None,
            }
        }
        receive.recv().ok()
    }
}

/// Remembers beside the other files of this boot that we switched forwarding on, since only we may switch it off; a line
/// for each interface that was kept listening to IPv6 routers meanwhile.
pub fn forwarding_note(linux: &Linux, family: Family) -> PathBuf {
    linux.run.join(match family {
        Family::V4 => "forwarding-ipv4",
        Family::V6 => "forwarding-ipv6",
    })
}

/// Takes our tables and the rest of removed bridges away, and switches forwarding off if we switched it on.
pub fn leave(linux: &mut Linux) -> Result<()> {
    linux.left.store(true, std::sync::atomic::Ordering::Relaxed);
    linux.reaper.clear(&mut linux.route)?;
    super::nft::Passage::open(&linux.instance)?.leave()?;
    for (family, key) in [(Family::V4, "ipv4/ip_forward"), (Family::V6, "ipv6/conf/all/forwarding")] {
        let note = forwarding_note(linux, family);
        if note.exists() {
            sysctl::write(key, "0")?;
            let raised = std::fs::read_to_string(&note).unwrap_or_default();
            let raised: Vec<IfName> = raised.lines().filter_map(|name| IfName::parse(name).ok()).collect();
            forwarding::listen_as_before(&raised)?;
            std::fs::remove_file(&note)
                .map_err(|error| Error::os(format!("remove {}", note.display()), &error))?;
        }
    }
    linux.nft.remove()?;
    super::namespace::give_up_folder(&linux.run.join("netns"))
}
