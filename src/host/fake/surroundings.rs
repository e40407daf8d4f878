//! What a test does to the machine from outside: other programs, runtimes, a power cut, faults. None of it is a `Host`'s.
use super::{
    Kernel,
    add::clash,
    faults::Faults,
    machine::{File, Inside, Machine, Stranger},
};
use crate::{
    error::{Error, Result},
    host::Sign,
    model::{
        Id, IfName, Proto, Subnet,
        kernel::{Item, Op},
        sandbox::Process,
    },
};
use std::{
    net::IpAddr,
    path::{Path, PathBuf},
};

impl Kernel {
    /// Everything of ours that is there, sorted.
    pub fn items(&self) -> Vec<Item> {
        self.0.lock().items()
    }
    /// Operations carried out since the last call.
    pub fn take_log(&self) -> Vec<Op> {
        std::mem::take(&mut self.0.lock().log)
    }
    /// What tells of the end of a sandbox.
    pub fn sign(&self, sandbox: Id) -> Option<Sign> {
        self.0.lock().daemon.signs.get(&sandbox).cloned()
    }

    /// The daemon dies before the step that comes after `steps` others.
    pub fn crash_after(&self, steps: u64) {
        self.0.lock().faults.crash_in = Some(steps);
    }
    /// The operation that comes after `operations` others fails, once.
    pub fn fail_after(&self, operations: u64, error: Error) {
        self.0.lock().faults.fail_in = Some((operations, error));
    }
    /// No faults any more; true if the one that was asked for has not come.
    pub fn calm(&self) -> bool {
        let faults = &mut self.0.lock().faults;
        faults.crash_in.take().is_some() | faults.fail_in.take().is_some()
    }
    pub fn crashed(&self) -> bool {
        self.0.lock().faults.dead
    }
    /// Steps done since the daemon started.
    pub fn steps(&self) -> u64 {
        self.0.lock().faults.steps
    }
    /// Counts something that is done beside the kernel (a durable write) as a step.
    ///
    /// # Errors
    /// The daemon is dead: it must not be done.
    pub fn step(&self) -> Result<()> {
        self.0.lock().faults.step()
    }
    /// `kill -9`: whatever the daemon still does is refused.
    pub fn kill(&self) {
        let mut machine = self.0.lock();
        machine.faults.dead = true;
        machine.end_daemon();
    }
    /// A power cut: only disks and other programs' configuration stay.
    pub fn reboot(&self) {
        let mut machine = self.0.lock();
        let (foreign, subnets) = (std::mem::take(&mut machine.foreign), std::mem::take(&mut machine.subnets));
        // Numbers of the last boot do not come back.
        let (generation, last_number) = (machine.daemon.generation + 1, machine.number());
        let faults = Faults { dead: true, ..Faults::default() };
        let boot = machine.boot + 1;
        *machine = Machine { foreign, subnets, faults, last_number, boot, ..Machine::default() };
        machine.daemon.generation = generation;
    }

    /// Another boot of the host, in which everything happens to be there again.
    pub fn next_boot(&self) {
        self.0.lock().boot += 1;
    }

    /// From now on links leave only when [`Kernel::dig`] is called; or at once again.
    pub fn defer_burials(&self, defer: bool) {
        self.0.lock().defer_burials = defer;
    }
    /// Buries what waits for it; says how many calls were waiting.
    pub fn dig(&self) -> usize {
        let mut machine = self.0.lock();
        let graves = std::mem::take(&mut machine.graves);
        graves.iter().flat_map(|(leaving, _)| leaving).for_each(|one| machine.delete(one));
        drop(machine);
        let waiting = graves.len();
        graves.into_iter().for_each(|(_, done)| done(Ok(())));
        waiting
    }

    /// The namespace that a runtime had moved an interface into is gone, and the interface with it.
    pub fn lose_link(&self, endpoint: Id) {
        self.0.lock().delete_link(endpoint);
    }

    pub fn start_process(&self, pid: u32) -> Process {
        let mut machine = self.0.lock();
        let started = machine.number();
        machine.processes.insert(pid, started);
        Process { pid, started }
    }
    /// One that ignores SIGTERM.
    pub fn start_stubborn_process(&self, pid: u32) -> Process {
        self.0.lock().stubborn.insert(pid);
        self.start_process(pid)
    }
    pub fn end_process(&self, pid: u32) {
        let mut machine = self.0.lock();
        machine.stubborn.remove(&pid);
        let Some(started) = machine.processes.remove(&pid) else { return };
        drop(machine);
        self.tell(&Sign::Process(Process { pid, started }));
    }
    /// It ends, and the news has not come yet.
    pub fn end_unseen(&self, pid: u32) {
        self.0.lock().processes.remove(&pid);
    }
    /// A runtime makes a network namespace.
    pub fn make_namespace(&self, path: impl Into<PathBuf>) -> u64 {
        let mut machine = self.0.lock();
        let inode = machine.number();
        machine.namespaces.insert(inode, Inside::default());
        machine.files.insert(path.into(), File::Namespace { inode, ours: false });
        inode
    }
    /// A runtime takes its namespace away, or somebody one of ours.
    pub fn remove_namespace(&self, path: &Path) {
        let mut machine = self.0.lock();
        machine.files.remove(path);
        machine.sweep();
        drop(machine);
        self.tell(&Sign::Path(path.to_owned()));
    }
    /// A file that is no namespace.
    pub fn make_file(&self, path: impl Into<PathBuf>) {
        self.0.lock().files.insert(path.into(), File::Plain);
    }
    /// A file that is the host's own namespace.
    pub fn make_home(&self, path: impl Into<PathBuf>) {
        self.0.lock().files.insert(path.into(), File::Home);
    }
    fn tell(&self, sign: &Sign) {
        let machine = self.0.lock();
        let those = machine.daemon.signs.iter().filter(|(_, other)| *other == sign);
        let those: Vec<Id> = those.map(|(id, _)| *id).collect();
        let tell = machine.daemon.tell.clone();
        drop(machine);
        tell.into_iter().for_each(|tell| those.iter().for_each(|id| tell(*id)));
    }

    /// Routes and interfaces of the host.
    pub fn set_surroundings(&self, subnets: &[Subnet], interfaces: &[IfName]) {
        let mut machine = self.0.lock();
        machine.subnets = subnets.to_vec();
        machine.foreign = interfaces.iter().cloned().collect();
    }
    /// Another program binds a port, unless it is held.
    pub fn bind(&self, program: &str, proto: Proto, host: Option<IpAddr>, port: u16) -> bool {
        let mut machine = self.0.lock();
        let held = machine.daemon.holds.values();
        let free = !held.into_iter().any(|h| (h.proto, h.port) == (proto, port) && clash(h.host, host));
        if free {
            machine.strangers.push(Stranger { program: program.to_owned(), proto, host, port });
        }
        free
    }
    pub fn unbind(&self, port: u16) {
        self.0.lock().strangers.retain(|stranger| stranger.port != port);
    }

    /// Somebody deletes an interface of the host, whosever it is.
    pub fn delete_interface(&self, name: &IfName) {
        let mut machine = self.0.lock();
        machine.delete_bridge(name);
        machine.foreign.remove(name);
        let links = machine.links.iter().find(|(_, wire)| wire.link.host_name() == *name).map(|(id, _)| *id);
        links.into_iter().for_each(|endpoint| machine.delete_link(endpoint));
    }
    /// Somebody takes an address off a sandbox's interface.
    pub fn strip_link(&self, endpoint: Id) {
        if let Some(wire) = self.0.lock().links.get_mut(&endpoint) {
            wire.link.addresses.clear();
        }
    }
    /// Somebody flushes the ruleset.
    pub fn flush_elements(&self) {
        self.0.lock().elements.clear();
    }
}
