//! The writer's thread: batches of messages in, one commit a batch; `carry` applies what was promised.
use super::{
    Answer, Events, Published, Resolvers, Settings, Volumes,
    books::Books,
    boot,
    carry::volume_after,
    change,
    decide::{Decision, State, World},
    ends::Ends,
    fights::Repairs,
    network, ports,
    promises::Promises,
    removals::Removals,
    repair, reservation, sandbox, update,
    view::View,
    volume,
};
use crate::{
    error::{Error, Result},
    host::{Host, Suspect},
    ipam::Intervals,
    model::{Command, Id, command::SandboxRemove, names::Names},
    store::{Contents, Ledger},
};
use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, mpsc},
    time::{Duration, Instant},
};

/// Commands that share a commit at the most.
const BATCH: usize = 64;
/// How soon the release of an ended sandbox is tried again.
const TRY_AGAIN: Duration = Duration::from_secs(1);

/// What the writer is told.
#[expect(clippy::large_enum_variant, reason = "nearly all are calls, and a message is moved twice")]
pub enum Message {
    Call {
        command: Command,
        answer: Answer,
    },
    /// A sandbox's process has ended, or its namespace has gone.
    Ended {
        sandbox: Id,
        cause: String,
    },
    /// Somebody else may have changed what is ours in the kernel: where to look, and what was noticed.
    Drifted {
        suspects: BTreeMap<Suspect, String>,
    },
    Stop,
}

/// All that the writer works with.
pub struct Parts {
    pub queue: (mpsc::Sender<Message>, mpsc::Receiver<Message>),
    pub host: Box<dyn Host>,
    pub ledger: Box<dyn Ledger>,
    pub contents: Contents,
    pub resolvers: Arc<dyn Resolvers>,
    pub volumes: Arc<dyn Volumes>,
    pub published: Arc<Published>,
    pub events: Arc<Events>,
    pub root: PathBuf,
    pub settings: Settings,
    /// RFC 3339 with nanoseconds.
    pub clock: fn() -> String,
}

pub(super) struct Writer {
    pub state: State,
    pub host: Box<dyn Host>,
    pub promises: Promises,
    pub resolvers: Arc<dyn Resolvers>,
    pub volumes: Arc<dyn Volumes>,
    pub published: Arc<Published>,
    pub names: Names,
    pub events: Arc<Events>,
    pub root: PathBuf,
    pub clock: fn() -> String,
    pub ends: Ends,
    /// Ends of sandboxes that could not be promised or carried out yet, and their causes: tried again and again.
    pub late: Vec<(Id, String)>,
    pub repairs: Repairs,
    pub removals: Removals,
}

/// What a decision came from: given again, it may be decided otherwise.
#[expect(clippy::large_enum_variant, reason = "nearly all are calls")]
pub(super) enum Origin {
    Call(Command),
    /// Sandbox and cause.
    End(Id, String),
}

/// A decision that is promised, waiting to be applied.
pub(super) struct Staged {
    pub origin: Origin,
    pub decision: Decision,
    /// What will be published when it is done.
    pub view: View,
    pub answer: Answer,
}

pub(super) fn run(parts: Parts, ready: mpsc::Sender<Result<()>>) {
    let inbox = parts.queue.1;
    let mut writer = Writer {
        state: State { view: View::default(), books: Books::default(), settings: parts.settings },
        host: parts.host,
        promises: Promises::new(parts.ledger),
        resolvers: parts.resolvers,
        volumes: parts.volumes,
        published: parts.published,
        names: Names::default(),
        events: parts.events,
        root: parts.root,
        clock: parts.clock,
        ends: Ends::default(),
        late: Vec::new(),
        repairs: Repairs::default(),
        removals: Removals::default(),
    };
    let started = boot::start(&mut writer, parts.contents);
    let failed = started.is_err();
    let _ = ready.send(started);
    if failed {
        return;
    }
    while let Some(batch) = next_batch(&inbox, &mut writer) {
        if !writer.turn(batch) {
            break;
        }
    }
    boot::stop(&mut writer);
}

/// Waits for a message, or until something is due; takes what else is there.
fn next_batch(inbox: &mpsc::Receiver<Message>, writer: &mut Writer) -> Option<Vec<Message>> {
    let again = (!writer.late.is_empty()).then(|| Instant::now() + TRY_AGAIN);
    let due = writer.ends.next_deadline().into_iter().chain(again).chain(writer.repairs.due()).min();
    let first = match due {
        None => Some(inbox.recv().ok()?),
        Some(due) => match inbox.recv_timeout(due.saturating_duration_since(Instant::now())) {
            Ok(message) => Some(message),
            Err(mpsc::RecvTimeoutError::Disconnected) => return None,
            Err(mpsc::RecvTimeoutError::Timeout) => None,
        },
    };
    writer.ends.kill_overdue(&mut *writer.host);
    let late = std::mem::take(&mut writer.late).into_iter();
    let late = late.map(|(sandbox, cause)| Message::Ended { sandbox, cause });
    Some(late.chain(first).chain(waiting(inbox)).collect())
}

/// What else is there: so many commands, and all notices. (A bridge with a thousand ports that goes is told of in more than
/// seventy; those that were left for the next batch cost another look at every link, 25 ms.)
fn waiting(inbox: &mpsc::Receiver<Message>) -> impl Iterator<Item = Message> {
    let mut room = BATCH - 1;
    std::iter::from_fn(move || {
        let message = if room > 0 { inbox.try_recv().ok()? } else { return None };
        room -= usize::from(!matches!(message, Message::Drifted { .. }));
        Some(message)
    })
}

impl Writer {
    /// One batch. False: it is over.
    fn turn(&mut self, batch: Vec<Message>) -> bool {
        let mut staged = Vec::new();
        let mut go_on = true;
        // First of all, so that the calls of this batch find the kernel as it should be.
        repair::repair(self, &batch);
        for message in batch {
            match message {
                Message::Call { command, answer } => self.stage_call(command, answer, &mut staged),
                Message::Ended { sandbox, cause } => {
                    self.stage_end(sandbox, &cause, Box::new(|_| {}), &mut staged);
                }
                Message::Drifted { .. } => {}
                Message::Stop => go_on = false,
            }
        }
        while !staged.is_empty() {
            staged = self.settle(staged);
        }
        go_on
    }

    /// Promises decisions together and carries them out. What has to be decided anew is, and comes back.
    fn settle(&mut self, staged: Vec<Staged>) -> Vec<Staged> {
        let changes = || staged.iter().flat_map(|staged| &staged.decision.changes);
        let mut anew = Vec::new();
        // The promise of a volume ends the note of the one that had its name.
        let again = changes().filter_map(volume_after).any(|volume| self.removals.contains(&volume.name));
        let noted = if again { self.end_notes() } else { Ok(()) };
        match noted.and_then(|()| change::writes(changes())) {
            Ok(writes) => {
                self.promises.ask(writes);
                for Staged { origin, answer, .. } in self.carry_out(staged) {
                    match origin {
                        Origin::Call(command) => self.stage_call(command, answer, &mut anew),
                        Origin::End(sandbox, cause) => self.stage_end(sandbox, &cause, answer, &mut anew),
                    }
                }
            }
            Err(error) => self.refuse(staged, &error),
        }
        anew
    }

    fn stage_call(&mut self, command: Command, answer: Answer, staged: &mut Vec<Staged>) {
        let answer = match &command {
            Command::SandboxRemove(request) => match self.end_first(request, answer) {
                Some(answer) => answer,
                None => return,
            },
            _ => answer,
        };
        match self.decide(&command, &Intervals::new()) {
            Err(error) => answer(Err(error)),
            // With others before it in the batch even an answer that changes nothing waits: it may tell of their promises.
            Ok(decision) if decision.changes.is_empty() && staged.is_empty() => answer(Ok(decision.reply)),
            Ok(decision) => {
                let view = self.enter(&decision);
                staged.push(Staged { origin: Origin::Call(command), decision, view, answer });
            }
        }
    }

    /// Enters a decision into the writer's own state, so that the next one of the batch sees it. What this one leads to is
    /// kept: those before it are done when its turn comes, so it can be published as it is. (To build that view three times,
    /// here, to plan and to publish, took 15 us of an attach.)
    pub(super) fn enter(&mut self, decision: &Decision) -> View {
        for change in &decision.changes {
            change.show(&mut self.state.view);
            change.book(&mut self.state.books);
        }
        self.state.view.clone()
    }

    /// A sandbox that has ended by itself is released, and whoever waits for its end is answered.
    fn stage_end(&mut self, id: Id, cause: &str, answer: Answer, staged: &mut Vec<Staged>) {
        let Some(sandbox) = self.state.view.sandboxes.get(&id).cloned() else {
            // Somebody removed it, in this batch or before.
            return answer(Ok(sandbox::removed(&id.short())));
        };
        let waiting = self.ends.take(id);
        let action = if waiting.is_empty() { "release" } else { "remove" };
        let volumes = sandbox.auto_remove || waiting.iter().any(|end| end.volumes);
        let decision = self.with_world(&Intervals::new(), |state, world| {
            sandbox::release(state, world, &sandbox, volumes, action, cause)
        });
        let name = sandbox.name.to_string();
        let answer: Answer = Box::new(move |reply| {
            if let Err(error) = &reply {
                tracing::error!(sandbox = name, %error, "the sandbox has ended but could not be released yet");
            }
            waiting.into_iter().for_each(|end| (end.answer)(reply.clone()));
            answer(reply);
        });
        let view = self.enter(&decision);
        staged.push(Staged { origin: Origin::End(id, cause.to_owned()), decision, view, answer });
    }

    fn with_world<T>(
        &mut self,
        elsewhere: &Intervals,
        decide: impl FnOnce(&mut State, &mut World<'_>) -> T,
    ) -> T {
        let mut world = World {
            host: &mut *self.host,
            volumes: &*self.volumes,
            now: (self.clock)(),
            elsewhere,
            resolvers: &*self.resolvers,
        };
        decide(&mut self.state, &mut world)
    }

    pub(super) fn decide(&mut self, command: &Command, elsewhere: &Intervals) -> Result<Decision> {
        let root = self.root.clone();
        self.with_world(elsewhere, |state, world| match command {
            Command::NetworkCreate(request) => network::create(state, world, request),
            Command::NetworkRemove(which) => network::remove(state, world, which),
            Command::NetworkConnect(request) => sandbox::connect(state, world, request),
            Command::NetworkDisconnect(request) => sandbox::disconnect(state, world, request),
            Command::SandboxCreate(request) => sandbox::create(state, world, request),
            Command::SandboxStart(request) => sandbox::start(state, world, request),
            Command::SandboxUpdate(request) => update::update(state, world, request),
            Command::SandboxPublish(request) => ports::publish(state, world, request),
            Command::SandboxRemove(request) => sandbox::remove(state, world, request),
            Command::PoolReserve(request) => reservation::reserve(state, world, request),
            Command::PoolRelease(request) => reservation::release(state, request),
            Command::PoolTake(request) => reservation::take(state, request),
            Command::PoolGiveBack(request) => reservation::give_back(state, request),
            Command::VolumeCreate(request) => volume::create(state, world, request, &root),
            Command::VolumeRemove(request) => volume::remove(state, world, request),
            Command::VolumeMount(request) => volume::mount(state, world, request, true, &root),
            Command::VolumeUnmount(request) => volume::mount(state, world, request, false, &root),
            other => Err(Error::internal(format!("{} is not for the writer", other.method()))),
        })
    }

    /// If the sandbox's process is alive it is asked to end, and the call waits for that. Gives the answer back
    /// when there is nothing to wait for.
    fn end_first(&mut self, request: &SandboxRemove, answer: Answer) -> Option<Answer> {
        let Ok(sandbox) = self.state.view.find_sandbox(&request.name) else { return Some(answer) };
        let Some(process) = sandbox.process else { return Some(answer) };
        if !self.host.process(process.pid).is_ok_and(|now| now == process) {
            return Some(answer);
        }
        if let Err(refused) = sandbox::may_go(&self.state, &sandbox) {
            answer(Err(refused));
            return None;
        }
        match self.host.end(process, request.force) {
            Ok(()) => {
                self.ends.wait(sandbox.id, process, request, answer);
                None
            }
            Err(error) => {
                answer(Err(error));
                None
            }
        }
    }
}
