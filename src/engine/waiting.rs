//! What the writer has put off: messages that must not share a commit with those before them, and ends that the ledger
//! could not take yet. And the rule of who may share one.
use super::{
    decide::State,
    writer::{Message, Staged},
};
use crate::model::{Command, Sandbox};
use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// After this long an end is tried again that the ledger refused.
const AGAIN: Duration = Duration::from_secs(1);

#[derive(Default)]
pub(super) struct Waiting {
    next: VecDeque<Message>,
    later: Vec<(Instant, Message)>,
}

impl Waiting {
    /// To be done next, in this order.
    pub fn put_off(&mut self, rest: VecDeque<Message>) {
        self.next.extend(rest);
    }
    pub fn later(&mut self, message: Message) {
        self.later.push((Instant::now() + AGAIN, message));
    }
    pub fn next_deadline(&self) -> Option<Instant> {
        self.later.iter().map(|(at, _)| *at).min()
    }
    pub fn take_due(&mut self) -> Vec<Message> {
        let mut due: Vec<Message> = self.next.drain(..).collect();
        let now = Instant::now();
        let (ripe, unripe) = std::mem::take(&mut self.later).into_iter().partition(|(at, _)| *at <= now);
        self.later = unripe;
        let ripe: Vec<(Instant, Message)> = ripe;
        due.extend(ripe.into_iter().map(|(_, message)| message));
        due
    }
}

/// May this message be decided while `staged` are promised but not applied? Only what touches nothing but a sandbox
/// of its own may: should one of the others fail, nothing of it was built on that.
pub(super) fn shares_a_commit(message: &Message, state: &State, staged: &[Staged]) -> bool {
    let own =
        |sandbox: &Sandbox| sandbox.mounts.is_empty() && state.books.sharing(sandbox.id).next().is_none();
    let name = match message {
        Message::Call { command: Command::SandboxCreate(request), .. } => {
            let plain =
                request.mounts.is_empty() && request.networks.iter().all(|n| !n.network.contains(':'));
            request.name.clone().filter(|_| plain)
        }
        Message::Call { command: Command::SandboxRemove(request), .. } => {
            let found = state.view.find_sandbox(&request.name).ok().filter(|sandbox| own(sandbox));
            found.map(|sandbox| sandbox.name.to_string())
        }
        Message::Ended { sandbox, .. } => state
            .view
            .sandboxes
            .get(sandbox)
            .filter(|sandbox| own(sandbox))
            .map(|sandbox| sandbox.name.to_string()),
        Message::Call { .. } | Message::Drifted { .. } | Message::Stop => None,
    };
    let taken = |name: &str| {
        staged.iter().any(|staged| staged.decision.sandboxes().any(|other| other.name.as_str() == name))
    };
    name.is_some_and(|name| !taken(&name))
}
