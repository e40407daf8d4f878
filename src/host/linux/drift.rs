//! Notices when somebody else changes our nftables tables, and says so. It repairs nothing.
use super::nft::{Notice, Watch};
use crate::error::{Error, Result};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::{
    os::fd::AsFd,
    time::{Duration, Instant},
};

/// Told what was noticed.
pub type Drifted = Box<dyn Fn(String) + Send>;

/// A flush comes as several transactions: what follows within this time is one drift.
const GATHER: Duration = Duration::from_millis(5);
/// In a fight with another program each round waits twice as long as the one before, up to this.
const LONGEST: Duration = Duration::from_secs(5);

/// Starts the thread, in the calling thread's namespace. `own` is the port number of the socket that we change the
/// tables with.
pub fn start(instance: &str, own: u32, drifted: Drifted) -> Result<()> {
    let watch = Watch::open(instance)?;
    watch.ignore(own)?;
    let thread = std::thread::Builder::new().name("drift".to_owned()).stack_size(128 << 10);
    let thread = thread.spawn(move || listen(watch, own, &drifted));
    thread.map(drop).map_err(|error| Error::os("start the thread that notices drift", &error))
}

fn listen(mut watch: Watch, own: u32, drifted: &Drifted) {
    let (mut pause, mut last) = (Duration::ZERO, None::<Instant>);
    loop {
        let mut ready = [PollFd::new(watch.as_fd(), PollFlags::POLLIN)];
        if poll(&mut ready, PollTimeout::NONE).is_err() {
            continue;
        }
        let Some(cause) = heard(&mut watch, own) else { continue };
        std::thread::sleep(GATHER);
        let _ = heard(&mut watch, own);
        let fight = last.is_some_and(|last| last.elapsed() < LONGEST + pause);
        pause = if fight { (pause * 2).clamp(Duration::from_millis(50), LONGEST) } else { Duration::ZERO };
        if pause >= LONGEST {
            tracing::warn!(
                cause,
                "somebody keeps changing our nftables tables: they are put right less often now"
            );
        }
        std::thread::sleep(pause);
        last = Some(Instant::now());
        drifted(cause);
    }
}

/// Who did what to our tables since the last look, if it was not us.
fn heard(watch: &mut Watch, own: u32) -> Option<String> {
    let notices = match watch.heard() {
        Ok(notices) => notices,
        Err(error) => {
            tracing::warn!(%error, "nftables events cannot be read");
            std::thread::sleep(LONGEST);
            return None;
        }
    };
    notices.into_iter().find_map(|notice| match notice {
        Notice::Commit { author, touched, name, thread, .. } if author != own && touched.any() => {
            Some(format!("{name} (thread {thread}) changed our nftables tables"))
        }
        Notice::Commit { .. } => None,
        Notice::Lost => Some("nftables events were lost".to_owned()),
    })
}
