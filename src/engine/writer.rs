//! The writer's thread: batches of messages in, one commit a batch, one application a change.
use super::{
    Answer, Events, Published, Resolvers, Settings, Volumes,
    books::Books,
    boot,
    change::Change,
    decide::{Decision, State, World},
    ends::Ends,
    network, sandbox, undo,
    view::View,
    volume,
};
use crate::{
    error::{Error, Kind, Result},
    host::{Applied, Host, Sign},
    ipam::Intervals,
    model::{
        Command, Id, Sandbox,
        kernel::{Item, Op},
        names::Names,
        sandbox::Netns,
    },
    plan,
    store::{Contents, Ledger, Write},
};
use std::{
    path::PathBuf,
    sync::{Arc, mpsc},
    time::Instant,
};

/// Commands that share a commit at the most.
const BATCH: usize = 64;
/// How often another host port is tried when a chosen one turns out to be taken.
const PORT_ROUNDS: usize = 10;

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
    pub ledger: Box<dyn Ledger>,
    pub resolvers: Arc<dyn Resolvers>,
    pub volumes: Arc<dyn Volumes>,
    pub published: Arc<Published>,
    pub names: Names,
    pub events: Arc<Events>,
    pub root: PathBuf,
    pub clock: fn() -> String,
    pub ends: Ends,
}

/// A decision that is promised, waiting to be applied.
struct Staged {
    command: Command,
    decision: Decision,
    answer: Answer,
}

pub(super) fn run(parts: Parts, ready: mpsc::Sender<Result<()>>) {
    let inbox = parts.queue.1;
    let mut writer = Writer {
        state: State { view: View::default(), books: Books::default(), settings: parts.settings },
        host: parts.host,
        ledger: parts.ledger,
        resolvers: parts.resolvers,
        volumes: parts.volumes,
        published: parts.published,
        names: Names::default(),
        events: parts.events,
        root: parts.root,
        clock: parts.clock,
        ends: Ends::default(),
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

/// Waits for a message, or until a process that was asked to end has to be killed; takes what else is there.
fn next_batch(inbox: &mpsc::Receiver<Message>, writer: &mut Writer) -> Option<Vec<Message>> {
    let first = match writer.ends.next_deadline() {
        None => inbox.recv().ok()?,
        Some(deadline) => match inbox.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(message) => message,
            Err(mpsc::RecvTimeoutError::Disconnected) => return None,
            Err(mpsc::RecvTimeoutError::Timeout) => {
                let (ends, host) = (&mut writer.ends, &mut *writer.host);
                ends.kill_overdue(host);
                return Some(Vec::new());
            }
        },
    };
    Some(std::iter::once(first).chain(inbox.try_iter().take(BATCH - 1)).collect())
}

impl Writer {
    /// One batch. False: it is over.
    fn turn(&mut self, batch: Vec<Message>) -> bool {
        let mut staged = Vec::new();
        let mut go_on = true;
        for message in batch {
            match message {
                Message::Call { command, answer } => self.stage_call(command, answer, &mut staged),
                Message::Ended { sandbox, cause } => self.stage_end(sandbox, &cause, &mut staged),
                Message::Stop => go_on = false,
            }
        }
        let writes: Result<Vec<Write>> =
            staged.iter().flat_map(|staged: &Staged| &staged.decision.changes).map(Change::write).collect();
        let committed = writes.and_then(|writes| match writes.is_empty() {
            true => Ok(()),
            false => self.ledger.commit(&writes),
        });
        match committed {
            Ok(()) => staged.into_iter().for_each(|staged| self.carry_out(staged)),
            Err(error) => {
                for staged in staged.into_iter().rev() {
                    undo::forget(&mut self.state, staged.decision.changes);
                    (staged.answer)(Err(error.clone()));
                }
            }
        }
        go_on
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
            Ok(decision) if decision.changes.is_empty() => answer(Ok(decision.reply)),
            Ok(decision) => staged.push(self.stage(command, decision, answer)),
        }
    }

    /// Enters a decision into the writer's own state, so that the next one of the batch sees it.
    fn stage(&mut self, command: Command, decision: Decision, answer: Answer) -> Staged {
        for change in &decision.changes {
            change.show(&mut self.state.view);
            change.book(&mut self.state.books);
        }
        Staged { command, decision, answer }
    }

    /// A sandbox that has ended by itself is released, and whoever waits for its end is answered.
    fn stage_end(&mut self, id: Id, cause: &str, staged: &mut Vec<Staged>) {
        let waiting = self.ends.take(id);
        let Some(sandbox) = self.state.view.sandboxes.get(&id).cloned() else {
            return;
        };
        let action = if waiting.is_empty() { "release" } else { "remove" };
        let volumes = sandbox.auto_remove || waiting.iter().any(|end| end.volumes);
        let decision = self.with_world(&Intervals::new(), |state, world| {
            sandbox::release(state, world, &sandbox, volumes, action, cause)
        });
        let name = sandbox.name.to_string();
        let answer: Answer = Box::new(move |reply| {
            if let Err(error) = &reply {
                tracing::error!(sandbox = name, %error, "the sandbox has ended but could not be released");
            }
            waiting.into_iter().for_each(|end| (end.answer)(reply.clone()));
        });
        match decision {
            Ok(decision) => {
                let command =
                    Command::SandboxInspect(crate::model::command::Which::new(sandbox.name.as_str()));
                let staging = self.stage(command, decision, answer);
                staged.push(staging);
            }
            Err(error) => answer(Err(error)),
        }
    }

    fn with_world<T>(
        &mut self,
        elsewhere: &Intervals,
        decide: impl FnOnce(&mut State, &mut World<'_>) -> Result<T>,
    ) -> Result<T> {
        let mut world = World {
            host: &mut *self.host,
            volumes: &*self.volumes,
            now: (self.clock)(),
            elsewhere,
            resolvers: &*self.resolvers,
        };
        decide(&mut self.state, &mut world)
    }

    fn decide(&mut self, command: &Command, elsewhere: &Intervals) -> Result<Decision> {
        let root = self.root.clone();
        self.with_world(elsewhere, |state, world| match command {
            Command::NetworkCreate(request) => network::create(state, world, request),
            Command::NetworkRemove(which) => network::remove(state, world, which),
            Command::NetworkConnect(request) => sandbox::connect(state, world, request),
            Command::NetworkDisconnect(request) => sandbox::disconnect(state, world, request),
            Command::SandboxCreate(request) => sandbox::create(state, world, request),
            Command::SandboxStart(request) => sandbox::start(state, world, request),
            Command::SandboxRemove(request) => sandbox::remove(state, world, request),
            Command::VolumeCreate(request) => volume::create(state, world, request, &root),
            Command::VolumeRemove(request) => volume::remove(state, world, request),
            other => Err(Error::internal(format!("{} is not for the writer", other.method()))),
        })
    }

    /// Applies a promised decision; on failure undoes it and withdraws the promise.
    fn carry_out(&mut self, staged: Staged) {
        let Staged { command, decision, answer } = staged;
        match self.apply(&decision.changes) {
            Ok(applied) => self.complete(decision, applied, answer),
            Err(error) => {
                let error = undo::withdraw(self, &decision.changes, error);
                match error.kind == Kind::Conflict && decision.chosen_ports {
                    true => self.choose_again(command, &decision, error, answer),
                    false => answer(Err(error)),
                }
            }
        }
    }

    fn complete(&mut self, decision: Decision, applied: Applied, answer: Answer) {
        self.publish(&decision.changes);
        for (sandbox, udp, tcp) in applied.resolvers {
            self.resolvers.serve(sandbox, udp, tcp);
        }
        self.watch(&decision.changes);
        decision.events.into_iter().for_each(|event| self.events.publish(event));
        let reply = decision.reply;
        match applied.leaving.is_empty() {
            true => answer(Ok(reply)),
            false => self.host.bury(applied.leaving, Box::new(move |gone| answer(gone.map(|()| reply)))),
        }
    }

    /// A host port that we chose belongs to another program: choose others, a few times.
    fn choose_again(&mut self, command: Command, failed: &Decision, error: Error, answer: Answer) {
        let mut elsewhere = Intervals::new();
        let (mut changes, mut last) = (failed.changes.clone(), error);
        for _ in 0..PORT_ROUNDS {
            for port in changes.iter().filter_map(sandbox_after).flat_map(|sandbox| sandbox.ports.clone()) {
                elsewhere.insert(port.host_port.into(), (port.host_port + (port.count - 1)).into());
            }
            let decision = match self.decide(&command, &elsewhere) {
                Ok(decision) => decision,
                Err(_) => return answer(Err(last)),
            };
            changes = decision.changes.clone();
            let staged = self.stage(command.clone(), decision, Box::new(|_| {}));
            let writes: Result<Vec<Write>> = changes.iter().map(Change::write).collect();
            if let Err(error) = writes.and_then(|writes| self.ledger.commit(&writes)) {
                undo::forget(&mut self.state, changes);
                return answer(Err(error));
            }
            match self.apply(&changes) {
                Ok(applied) => return self.complete(staged.decision, applied, answer),
                Err(error) => last = undo::withdraw(self, &changes, error),
            }
            if last.kind != Kind::Conflict {
                break;
            }
        }
        answer(Err(last));
    }

    /// Brings kernel and files from before to after.
    pub fn apply(&mut self, changes: &[Change]) -> Result<Applied> {
        for volume in changes.iter().filter_map(volume_after) {
            self.volumes.create(&volume)?;
        }
        let ops = self.ops(changes);
        for op in &ops {
            if let Op::Remove(Item::Resolver(resolver)) = op {
                self.resolvers.stop(resolver.sandbox);
            }
        }
        let applied = if ops.is_empty() { Applied::default() } else { self.host.apply(&ops)? };
        for change in changes {
            if let Change::Volume { before: Some(volume), after: None } = change {
                self.volumes.remove(&volume.name)?;
            }
        }
        Ok(applied)
    }

    fn ops(&self, changes: &[Change]) -> Vec<Op> {
        let (mut before, mut after) = (Vec::new(), Vec::new());
        for change in changes {
            let (old, new) = self.items(change);
            before.extend(old);
            after.extend(new);
        }
        let mut ops = plan::diff::diff(before, after);
        ops.retain(|op| match op {
            // Forwarding stays until we leave; a volume stays mounted while others use it.
            Op::Remove(Item::Forwarding(_)) => false,
            Op::Remove(Item::VolumeMount(mount)) => {
                let name = crate::model::Name::parse(&mount.volume);
                name.is_ok_and(|name| self.state.view.users(&name).is_empty())
            }
            _ => true,
        });
        ops
    }

    fn items(&self, change: &Change) -> (Vec<Item>, Vec<Item>) {
        let strict = self.state.settings.strict_default_bridge;
        let view = &self.state.view;
        let of = |sandbox: &Arc<Sandbox>| plan::sandbox::items(sandbox, view, strict);
        match change {
            Change::Network { before, after } => (
                before.as_ref().map(|network| plan::network::items(network)).unwrap_or_default(),
                after.as_ref().map(|network| plan::network::items(network)).unwrap_or_default(),
            ),
            Change::Sandbox { before, after } => {
                (before.as_ref().map(of).unwrap_or_default(), after.as_ref().map(of).unwrap_or_default())
            }
            Change::Volume { .. } => (Vec::new(), Vec::new()),
        }
    }

    /// Lets everybody see it, DNS first.
    pub fn publish(&mut self, changes: &[Change]) {
        let mut view = View::clone(&self.published.view.load());
        for change in changes {
            change.show(&mut view);
            match change {
                Change::Network { before, after } => {
                    before.iter().for_each(|network| self.names.remove_network(network.id));
                    after.iter().for_each(|n| self.names.set_network(n.id, n.name.as_str()));
                }
                Change::Sandbox { before, after } => {
                    if let Some(sandbox) = before {
                        sandbox.endpoints.iter().for_each(|e| self.names.remove_seat(e.network, sandbox.id));
                        self.names.remove_asker(sandbox.id);
                    }
                    after.iter().for_each(|sandbox| self.name(sandbox));
                }
                Change::Volume { .. } => {}
            }
        }
        self.published.names.store(Arc::new(self.names.clone()));
        self.published.view.store(Arc::new(view));
    }

    fn name(&mut self, sandbox: &Sandbox) {
        for (network, seat) in plan::names::seats(sandbox) {
            self.names.set_seat(network, seat);
        }
        self.names.set_asker(sandbox.id, plan::names::asker(sandbox, &self.state.view));
    }

    /// From now on the end of a sandbox is noticed; or no longer, when it has been removed.
    pub fn watch(&mut self, changes: &[Change]) {
        for change in changes {
            let Change::Sandbox { before, after } = change else { continue };
            match (before, after) {
                (Some(before), None) => self.host.forget(before.id),
                (_, Some(sandbox)) => {
                    let sign = match (&sandbox.netns, sandbox.process) {
                        (_, Some(process)) => Sign::Process(process),
                        (Netns::Made(path) | Netns::Given { path, .. }, None) => Sign::Path(path.clone()),
                        (Netns::Host | Netns::Shared(_), None) => continue,
                    };
                    if let Err(error) = self.host.watch(sandbox.id, sign) {
                        tracing::warn!(sandbox = %sandbox.name, %error, "its end will not be noticed by itself");
                    }
                }
                (None, None) => {}
            }
        }
    }
}

fn volume_after(change: &Change) -> Option<Arc<crate::model::Volume>> {
    match change {
        Change::Volume { before: None, after: Some(volume) } => Some(volume.clone()),
        _ => None,
    }
}

fn sandbox_after(change: &Change) -> Option<&Arc<Sandbox>> {
    match change {
        Change::Sandbox { after, .. } => after.as_ref(),
        _ => None,
    }
}

impl Writer {
    /// If the sandbox's process is alive it is asked to end, and the call waits for that. Gives the answer back
    /// when there is nothing to wait for.
    fn end_first(
        &mut self,
        request: &crate::model::command::SandboxRemove,
        answer: Answer,
    ) -> Option<Answer> {
        let Ok(sandbox) = self.state.view.find_sandbox(&request.name) else { return Some(answer) };
        let Some(process) = sandbox.process else { return Some(answer) };
        if !self.host.process(process.pid).is_ok_and(|now| now == process) {
            return Some(answer);
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
