//! Publishes what was done: the view everybody reads, the names of the resolvers, and whose end is watched for.
use super::{change::Change, view::View, writer::Writer};
use crate::{
    host::Sign,
    model::{Sandbox, sandbox::Netns},
    plan,
};
use std::sync::Arc;

impl Writer {
    /// Lets everybody see it, DNS first. `view`: after these changes.
    pub(super) fn publish(&mut self, changes: &[Change], view: View) {
        for change in changes {
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
                    after.iter().for_each(|sandbox| self.name(sandbox, &view));
                }
                Change::Volume { .. } | Change::Reservation { .. } => {}
            }
        }
        self.published.names.store(Arc::new(self.names.clone()));
        self.published.view.store(Arc::new(view));
    }

    fn name(&mut self, sandbox: &Sandbox, view: &View) {
        for (network, seat) in plan::names::seats(sandbox) {
            self.names.set_seat(network, seat);
        }
        self.names.set_asker(sandbox.id, plan::names::asker(sandbox, view));
    }

    /// From now on the end of a sandbox is noticed; or no longer, when it has been removed. Each watch takes a descriptor:
    /// what changes something else watches nothing anew, and a process that another takes the place of is let go.
    pub(super) fn watch(&mut self, changes: &[Change]) {
        for change in changes {
            let Change::Sandbox { before, after } = change else { continue };
            match (before, after) {
                (Some(before), Some(after)) if before.process == after.process => continue,
                (Some(before), after) if after.is_none() || before.process.is_some() => {
                    self.host.forget(before.id);
                }
                _ => {}
            }
            let Some(sandbox) = after else { continue };
            let sign = match (&sandbox.netns, sandbox.process) {
                (_, Some(process)) => Sign::Process(process),
                (Netns::Made(path) | Netns::Given { path, .. } | Netns::Leased { path, .. }, None) => {
                    Sign::Path(path.clone())
                }
                (Netns::Host | Netns::Shared(_) | Netns::Handed, None) => continue,
            };
            if let Err(error) = self.host.watch(sandbox.id, sign) {
                tracing::warn!(sandbox = %sandbox.name, %error, "its end will not be noticed by itself");
            }
        }
    }
}
