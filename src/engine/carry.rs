//! Carries promised changes out in the kernel and the files, undoes what cannot be, and answers.
use super::{
    Answer,
    change::Change,
    decide::Decision,
    undo,
    writer::{Staged, Writer},
};
use crate::{
    error::{Error, Kind, Result},
    host::Applied,
    ipam::Intervals,
    model::{
        Command, Name, Sandbox, Volume,
        kernel::{Item, Op},
    },
    plan,
    store::Write,
};
use std::sync::Arc;

/// How often another host port is tried when a chosen one turns out to be taken.
const PORT_ROUNDS: usize = 10;

impl Writer {
    /// Applies a promised decision; on failure undoes it and withdraws the promise.
    pub(super) fn carry_out(&mut self, staged: Staged) {
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
    pub(super) fn apply(&mut self, changes: &[Change]) -> Result<Applied> {
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
                let name = Name::parse(&mount.volume);
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
}

fn volume_after(change: &Change) -> Option<Arc<Volume>> {
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
