//! Signals that would end us between making a sandbox and watching over it: they wait. SIGQUIT still ends us at once.
use nix::sys::signal::{SigSet, SigmaskHow, Signal, sigprocmask};

/// As long as it lives, SIGINT, SIGTERM and SIGHUP wait.
pub struct Shield {
    before: SigSet,
}

impl Shield {
    pub fn raise() -> Self {
        let mut held = SigSet::empty();
        [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP].into_iter().for_each(|signal| held.add(signal));
        let mut before = SigSet::empty();
        // It fails for a wrong `how` only.
        let _ = sigprocmask(SigmaskHow::SIG_BLOCK, Some(&held), Some(&mut before));
        Shield { before }
    }
}

impl Drop for Shield {
    fn drop(&mut self) {
        let _ = sigprocmask(SigmaskHow::SIG_SETMASK, Some(&self.before), None);
    }
}
