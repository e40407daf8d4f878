//! Carries promised changes out in the kernel and the files, undoes what cannot be, and answers.
use super::{
    Answer,
    change::{self, Change, files_gone},
    decide::Decision,
    ends::End,
    repair, undo,
    view::View,
    writer::{Origin, Staged, Writer},
};
use crate::{
    error::{Error, Kind, Result},
    host::{Applied, Begun, Done, Leaving},
    ipam::Intervals,
    model::{
        Command, Id, Name, Sandbox, Volume,
        kernel::{Item, LinkKind, Op},
    },
    plan,
};
use std::sync::Arc;

/// How often another host port is tried when a chosen one turns out to be taken.
const PORT_ROUNDS: usize = 10;

/// A decision that could not be carried out, and was undone.
pub(super) struct Undone {
    pub error: Error,
    /// Links on their way out.
    pub leaving: Vec<Leaving>,
    /// The ledger did not take the batch: nothing of it is promised.
    pub refused: Option<Error>,
}

impl Writer {
    /// Applies decisions one after another and completes each when it is durable. When one fails it is undone, and those
    /// behind it, which may stand on it, are taken back as well: they are returned, to be decided anew.
    ///
    /// The resolver of a new sandbox is made by another thread while the next new one gets its links: of an attach's time on
    /// the one thread that all wait for this is an eighth (benches/LIMITS.md, sixteen callers).
    pub(super) fn carry_out(&mut self, staged: Vec<Staged>) -> Vec<Staged> {
        let mut staged = staged.into_iter();
        let mut nearly: Option<(Staged, Begun)> = None;
        while let Some(one) = staged.next() {
            let more = is_new(&one) && staged.as_slice().first().is_some_and(is_new);
            let mut begun = match &nearly {
                Some((before, _)) => self.apply(&one, &before.view, more),
                None => self.apply_at_last(&one, more),
            };
            if let Some((before, rest)) = nearly.take() {
                match rest.finish() {
                    Ok(applied) => self.complete(before, applied),
                    Err(error) => return self.give_up_both((before, error), (one, begun), staged.collect()),
                }
                if begun.is_err() {
                    // Not before the other one is published, or its things would be taken for nobody's.
                    begun = self.apply_once_more(&one, more, begun);
                }
            }
            match begun {
                Ok(begun) if more => nearly = Some((one, begun)),
                begun => match begun.and_then(Begun::finish) {
                    Ok(applied) => self.complete(one, applied),
                    Err(error) => return self.give_up(one, error, staged.collect()),
                },
            }
        }
        Vec::new()
    }

    /// One could not be carried out: it is undone and answered. Returns those that come after it.
    fn give_up(&mut self, one: Staged, error: Error, rest: Vec<Staged>) -> Vec<Staged> {
        let Staged { origin, decision, answer, .. } = one;
        let later: Vec<Change> = rest.iter().flat_map(|staged| staged.decision.changes.clone()).collect();
        let Undone { error, leaving, refused } = undo::withdraw(self, &decision.changes, &later, error);
        match origin {
            Origin::Call(command) if error.kind == Kind::Conflict && decision.chosen_ports => {
                self.choose_again(command, &decision, error, answer);
            }
            Origin::Call(_) => self.bury(leaving, Box::new(move |_| answer(Err(error)))),
            Origin::End(sandbox, cause) => {
                self.late.push((sandbox, cause));
                self.bury(leaving, Box::new(move |_| answer(Err(error))));
            }
        }
        match refused {
            None => rest,
            Some(refused) => {
                self.answer_refused(rest, &refused);
                Vec::new()
            }
        }
    }

    /// The resolver of `before` could not be made, when the next one was begun already: that is undone first, and comes
    /// again with the rest.
    fn give_up_both(
        &mut self,
        (before, error): (Staged, Error),
        (next, begun): (Staged, Result<Begun>),
        rest: Vec<Staged>,
    ) -> Vec<Staged> {
        // Nobody is at work in its sandbox any more.
        drop(begun.map(Begun::finish));
        let later: Vec<Change> = rest.iter().flat_map(|staged| staged.decision.changes.clone()).collect();
        let undone = undo::withdraw(self, &next.decision.changes, &later, error.clone());
        self.bury(undone.leaving, Box::new(|_| {}));
        let mut again = self.give_up(before, error, Vec::new());
        again.extend(std::iter::once(next).chain(rest));
        again
    }

    /// Takes decisions back that were entered and not begun, and says why.
    pub(super) fn refuse(&mut self, staged: Vec<Staged>, error: &Error) {
        for staged in staged.iter().rev() {
            undo::forget(&mut self.state, staged.decision.changes.clone());
        }
        self.answer_refused(staged, error);
    }

    fn answer_refused(&mut self, staged: Vec<Staged>, error: &Error) {
        for Staged { origin, answer, .. } in staged {
            if let Origin::End(sandbox, cause) = origin {
                self.late.push((sandbox, cause));
            }
            answer(Err(error.clone()));
        }
    }

    /// Calls `done` when these links are gone.
    fn bury(&mut self, leaving: Vec<Leaving>, done: Done) {
        match leaving.is_empty() {
            true => done(Ok(())),
            false => self.host.bury(leaving, done),
        }
    }

    /// Publishes what was done and answers; then comes what no caller waits for. A question that reaches the resolver's
    /// sockets before it is served waits in them, and an end before it is watched for is found when the watch begins.
    fn complete(&mut self, done: Staged, applied: Applied) {
        let Staged { decision, view, answer, .. } = done;
        self.publish(&decision.changes, view);
        decision.events.into_iter().for_each(|event| self.events.publish(event));
        let reply = decision.reply;
        // Others may wait for the end of a sandbox that somebody else has removed now.
        let gone = decision.changes.iter().filter_map(sandbox_removed);
        let waiting: Vec<End> = gone.flat_map(|sandbox| self.ends.take(sandbox)).collect();
        let tell = move |gone: Result<()>| {
            let reply = gone.map(|()| reply);
            waiting.into_iter().for_each(|end| (end.answer)(reply.clone()));
            answer(reply);
        };
        self.bury(applied.leaving, Box::new(tell));
        for (sandbox, udp, tcp) in applied.resolvers {
            self.resolvers.serve(sandbox, udp, tcp);
        }
        self.watch(&decision.changes);
    }

    /// A host port that we chose belongs to another program: choose others, a few times.
    fn choose_again(&mut self, command: Command, failed: &Decision, error: Error, mut answer: Answer) {
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
            let view = self.enter(&decision);
            match change::writes(&changes) {
                Ok(writes) => self.promises.ask(writes),
                Err(error) => {
                    undo::forget(&mut self.state, changes);
                    return answer(Err(error));
                }
            }
            let one = Staged { origin: Origin::Call(command.clone()), decision, view, answer };
            let error = match self.apply_at_last(&one, false).and_then(Begun::finish) {
                Ok(applied) => return self.complete(one, applied),
                Err(error) => error,
            };
            answer = one.answer;
            let undone = undo::withdraw(self, &changes, &[], error);
            self.bury(undone.leaving, Box::new(|_| {}));
            last = undone.error;
            if last.kind != Kind::Conflict {
                break;
            }
        }
        answer(Err(last));
    }

    /// Applies; once more if somebody has just taken away what it stands on.
    fn apply_at_last(&mut self, one: &Staged, more: bool) -> Result<Begun> {
        let from = self.published.view.load_full();
        let begun = self.apply(one, &from, more);
        self.apply_once_more(one, more, begun)
    }

    fn apply_once_more(&mut self, one: &Staged, more: bool, begun: Result<Begun>) -> Result<Begun> {
        match begun {
            Err(error) if repair::found_by_a_call(self, &one.decision.changes, &error) => {
                let from = self.published.view.load_full();
                self.apply(one, &from, more)
            }
            begun => begun,
        }
    }

    /// Brings kernel and files from what is done so far, `from`, to what is after this decision, which is durable when this
    /// returns. `more`: somebody waits behind it, so what another thread can do may still be under way.
    ///
    /// What a start finds and sweeps away by itself is done while the ledger is being written (of an attach: all but its
    /// DNS redirect). Everything else waits for it: whatever takes away, whatever bears no mark, and all files. Of a batch
    /// only the first has to: the others find it written, and do their part in one go, with one visit to the sandbox.
    fn apply(&mut self, one: &Staged, from: &View, more: bool) -> Result<Begun> {
        let changes = &one.decision.changes;
        let ops = self.ops(from, &one.view, changes);
        let files = changes.iter().any(|change| matches!(change, Change::Volume { .. }));
        let waits = files || self.promises.settled();
        let ahead = if waits { 0 } else { ops.iter().take_while(|op| is_swept(op)).count() };
        let (ahead, rest) = ops.split_at(ahead);
        if !ahead.is_empty() {
            self.promises.begin();
            // Additions of this kind leave nothing to serve and nothing to bury.
            self.host.apply(ahead)?;
        }
        self.promises.wait()?;
        match more {
            true => self.host.begin(rest),
            false => self.carry(rest, changes).map(Begun::done),
        }
    }

    /// Brings kernel and files back; `from` is the view in which the changes' `before` stands. The writer's own view will
    /// not do: decisions that come later in the batch are in it already.
    pub(super) fn apply_back(&mut self, from: &View, changes: &[Change]) -> Result<Applied> {
        let mut to = from.clone();
        changes.iter().for_each(|change| change.show(&mut to));
        let ops = self.ops(from, &to, changes);
        self.carry(&ops, changes)
    }

    fn carry(&mut self, ops: &[Op], changes: &[Change]) -> Result<Applied> {
        for volume in changes.iter().filter_map(volume_after) {
            // Removed in this very batch: a restart would take the new one's files for the old one's.
            if self.removals.contains(&volume.name) || self.promises.owes(&files_gone(&volume.name)) {
                self.end_notes()?;
                self.promises.withdraw(Vec::new())?;
            }
            self.volumes.create(&volume)?;
        }
        for op in ops {
            if let Op::Remove(Item::Resolver(resolver)) = op {
                self.resolvers.stop(resolver.sandbox);
            }
        }
        let applied = if ops.is_empty() { Applied::default() } else { self.host.apply(ops)? };
        for change in changes {
            if let Change::Volume { before: Some(volume), after: None } = change {
                self.remove_files(&volume.name)?;
            }
        }
        Ok(applied)
    }

    fn ops(&self, from: &View, to: &View, changes: &[Change]) -> Vec<Op> {
        let before = changes.iter().cloned().map(Change::reversed).flat_map(|old| self.items(&old, from));
        let after = changes.iter().flat_map(|change| self.items(change, to));
        let mut ops = plan::diff::diff(before, after);
        ops.retain(|op| match op {
            // Forwarding stays until we leave; a volume stays mounted while others use it.
            Op::Remove(Item::Forwarding(_)) => false,
            Op::Remove(Item::VolumeMount(mount)) => {
                Name::parse(&mount.volume).is_ok_and(|name| !to.is_used(&name))
            }
            _ => true,
        });
        ops
    }

    /// What the `after` of a change wants, seen in `view`.
    fn items(&self, change: &Change, view: &View) -> Vec<Item> {
        let strict = self.state.settings.strict_default_bridge;
        match change {
            Change::Network { after: Some(network), .. } => plan::network::items(network),
            Change::Sandbox { after: Some(sandbox), .. } => plan::sandbox::items(sandbox, view, strict),
            Change::Volume { after: Some(volume), .. } => plan::volume::items(volume),
            _ => Vec::new(),
        }
    }
}

/// Would a start find this and take it away if nobody had promised it? A redirect or a macvlan in a runtime's namespace
/// it would not: it knows no namespace but those of promised sandboxes.
fn is_swept(op: &Op) -> bool {
    match op {
        Op::Add(Item::Link(link)) => matches!(link.kind, LinkKind::Veth { .. }),
        Op::Add(item) => matches!(
            item,
            Item::Forwarding(_)
                | Item::Namespace(_)
                | Item::Hold(_)
                | Item::Element(_)
                | Item::Bridge(_)
                | Item::Routes(_)
                | Item::Shaper(_)
        ),
        Op::Change(..) | Op::Remove(_) => false,
    }
}

/// A new sandbox that nothing else comes with: no two of them meet.
fn is_new(staged: &Staged) -> bool {
    matches!(&staged.decision.changes[..], [Change::Sandbox { before: None, after: Some(_) }])
}

fn sandbox_removed(change: &Change) -> Option<Id> {
    match change {
        Change::Sandbox { before: Some(sandbox), after: None } => Some(sandbox.id),
        _ => None,
    }
}

pub(super) fn volume_after(change: &Change) -> Option<Arc<Volume>> {
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
