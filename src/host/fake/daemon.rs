//! The `Host` that one daemon has of the machine. When its process is over every call says so.
use super::{
    Kernel,
    faults::Faults,
    machine::{File, Machine},
};
use crate::{
    error::{Error, Result},
    host::{Applied, Begun, Done, Extent, Host, Leaving, Rest, Sign},
    model::{
        Id, IfName, Subnet,
        kernel::{Item, Key, Op},
        sandbox::Process,
    },
};
use parking_lot::MutexGuard;
use std::{collections::BTreeSet, path::Path};

/// One daemon's hold of the machine.
pub struct Fake {
    kernel: Kernel,
    generation: u64,
}

impl Kernel {
    /// Starts a daemon's process; the one before, if any, is over. `ended` is told which sandbox has ended.
    pub fn daemon(&self, ended: impl Fn(Id) + Send + Sync + 'static) -> Fake {
        let mut machine = self.0.lock();
        machine.end_daemon();
        machine.faults = Faults::default();
        machine.daemon.tell = Some(std::sync::Arc::new(ended));
        Fake { kernel: self.clone(), generation: machine.daemon.generation }
    }
}

impl Fake {
    fn machine(&self) -> Result<MutexGuard<'_, Machine>> {
        let machine = self.kernel.0.lock();
        match machine.faults.dead || machine.daemon.generation != self.generation {
            true => Err(Faults::gone()),
            false => Ok(machine),
        }
    }
}

impl Host for Fake {
    fn apply(&mut self, ops: &[Op]) -> Result<Applied> {
        let mut machine = self.machine()?;
        let mut applied = Applied::default();
        for op in ops {
            machine.faults.operation()?;
            machine.carry_out(op, &mut applied)?;
            machine.log.push(op.clone());
        }
        Ok(applied)
    }

    /// Resolvers are made as late as they may be: when they are waited for.
    fn begin(&mut self, ops: &[Op]) -> Result<Begun> {
        let is_resolver = |op: &&Op| matches!(op, Op::Add(Item::Resolver(_)));
        let (later, now): (Vec<&Op>, Vec<&Op>) = ops.iter().partition(is_resolver);
        let applied = self.apply(&now.into_iter().cloned().collect::<Vec<_>>())?;
        let rest = later.into_iter().map(|op| -> Rest {
            let (op, mut late) = (op.clone(), Fake { kernel: self.kernel.clone(), ..*self });
            Box::new(move || {
                let lost = || Error::internal("no resolver was made");
                late.apply(&[op])?.resolvers.pop().ok_or_else(lost)
            })
        });
        Ok(Begun::but_for(applied, rest.collect()))
    }

    fn observe(&mut self, wanted: &[Item], extent: Extent) -> Result<Vec<Item>> {
        let mut found = self.machine()?.found(wanted);
        if extent == Extent::Wanted {
            let keys: BTreeSet<Key> = wanted.iter().map(Item::key).collect();
            let tables = wanted.iter().any(|item| matches!(item, Item::Element(_)));
            found.retain(|item| match item {
                Item::Element(_) => tables,
                item => keys.contains(&item.key()),
            });
        }
        Ok(found)
    }

    fn bury(&mut self, leaving: Vec<Leaving>, done: Done) {
        match self.machine() {
            Ok(mut machine) if machine.defer_burials => machine.graves.push((leaving, done)),
            Ok(mut machine) => {
                let result = leaving.iter().try_for_each(|one| {
                    machine.faults.step()?;
                    machine.delete(one);
                    Ok(())
                });
                drop(machine);
                done(result);
            }
            Err(error) => done(Err(error)),
        }
    }

    fn occupied(&mut self) -> Result<Vec<Subnet>> {
        let machine = self.machine()?;
        let addresses = machine.bridges.values().flat_map(|(_, bridge)| &bridge.addresses);
        Ok(addresses.map(|cidr| cidr.subnet()).chain(machine.subnets.iter().copied()).collect())
    }

    fn interfaces(&mut self) -> Result<Vec<IfName>> {
        let machine = self.machine()?;
        let bridges = machine.bridges.keys().chain(&machine.foreign).cloned();
        Ok(bridges.chain(machine.links.values().map(|wire| wire.link.host_name())).collect())
    }

    fn has_interface(&mut self, name: &IfName) -> Result<bool> {
        Ok(self.interfaces()?.contains(name))
    }

    fn namespace(&mut self, path: &Path) -> Result<u64> {
        self.machine()?.namespace_at(path)
    }

    fn boot(&mut self) -> Result<String> {
        Ok(self.machine()?.boot.to_string())
    }

    fn process(&mut self, pid: u32) -> Result<Process> {
        let machine = self.machine()?;
        let started = machine.processes.get(&pid).copied();
        let started = started.ok_or_else(|| Error::not_found(format!("process {pid} is not there")))?;
        Ok(Process { pid, started })
    }

    fn watch(&mut self, sandbox: Id, sign: Sign) -> Result<()> {
        let mut machine = self.machine()?;
        let gone = match &sign {
            Sign::Process(process) => machine.processes.get(&process.pid) != Some(&process.started),
            Sign::Path(path) => !matches!(machine.files.get(path), Some(File::Namespace { .. })),
        };
        machine.daemon.signs.insert(sandbox, sign);
        let tell = machine.daemon.tell.clone().filter(|_| gone);
        drop(machine);
        tell.into_iter().for_each(|tell| tell(sandbox));
        Ok(())
    }

    fn forget(&mut self, sandbox: Id) {
        if let Ok(mut machine) = self.machine() {
            machine.daemon.signs.remove(&sandbox);
        }
    }

    fn end(&mut self, process: Process, force: bool) -> Result<()> {
        let machine = self.machine()?;
        let alive = machine.processes.get(&process.pid) == Some(&process.started);
        let ends = alive && (force || !machine.stubborn.contains(&process.pid));
        drop(machine);
        if ends {
            self.kernel.end_process(process.pid);
        }
        Ok(())
    }

    fn leave(&mut self) -> Result<()> {
        let mut machine = self.machine()?;
        machine.faults.operation()?;
        machine.forwarding.retain(|_, ours| !*ours);
        machine.elements.clear();
        Ok(())
    }
}
