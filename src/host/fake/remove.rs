//! Removing and changing. Removing what is gone is fine.
use super::machine::{File, Machine, is_veth};
use crate::{
    error::{Error, Result},
    host::{Applied, Leaving},
    model::kernel::{Bridge, Item, Link, Namespace, Op},
};
use std::path::Path;

impl Machine {
    /// One operation.
    pub fn carry_out(&mut self, op: &Op, applied: &mut Applied) -> Result<()> {
        match op {
            Op::Add(item) => self.add(item, applied),
            Op::Remove(item) => {
                self.remove(item, applied);
                Ok(())
            }
            Op::Change(Item::Bridge(_), Item::Bridge(wanted)) => match self.bridges.get_mut(&wanted.name) {
                Some((_, there)) => {
                    *there = wanted.clone();
                    Ok(())
                }
                None => Err(Error::not_found(format!(
                    "change bridge {}: there is no such interface",
                    wanted.name
                ))),
            },
            Op::Change(Item::Routes(before), Item::Routes(after)) => self.set_routes(Some(before), after),
            Op::Change(_, after @ Item::Hold(_)) => self.add(after, applied),
            Op::Change(_, Item::Link(link)) if link.kind.is_handed() => {
                let master = link.kind.bridge().map(|(bridge, _)| bridge.clone());
                self.links.entry(link.endpoint).and_modify(|wire| wire.master = master);
                Ok(())
            }
            Op::Change(Item::Link(before), after) => {
                self.delete_link(before.endpoint);
                self.add(after, applied)
            }
            Op::Change(before, after) => {
                self.remove(before, applied);
                self.add(after, applied)
            }
        }
    }

    fn remove(&mut self, item: &Item, applied: &mut Applied) {
        match item {
            // Forwarding stays until we leave; routes go with their interface.
            Item::Forwarding(_) | Item::Routes(_) => {}
            Item::Namespace(gone) => self.remove_namespace(gone),
            Item::VolumeMount(mount) => drop(self.mounts.remove(&mount.volume)),
            Item::Hold(_) => drop(self.daemon.holds.remove(&item.key())),
            Item::Element(element) => self.remove_element(element),
            Item::Bridge(gone) => applied.leaving.extend(self.leaving_bridge(gone)),
            Item::Shaper(gone) => drop(self.shapers.remove(&gone.endpoint)),
            Item::Link(gone) => applied.leaving.extend(self.leaving_link(gone)),
            Item::Resolver(gone) => {
                self.daemon.resolvers.remove(gone);
                self.sweep();
            }
        }
    }

    fn remove_namespace(&mut self, gone: &Namespace) {
        self.daemon.namespaces.remove(&gone.sandbox);
        if gone.made {
            self.files.remove(&gone.path);
        }
        self.sweep();
    }

    fn leaving_bridge(&self, gone: &Bridge) -> Option<Leaving> {
        let (index, there) = self.bridges.get(&gone.name)?;
        let ours = there.network == gone.network;
        ours.then(|| Leaving { index: *index, name: gone.name.clone() })
    }

    /// A veth is on its way out until it is buried; a link without a host end goes at once.
    fn leaving_link(&mut self, gone: &Link) -> Option<Leaving> {
        let wire = self.links.get(&gone.endpoint)?;
        if is_veth(&wire.link) {
            return Some(Leaving { index: wire.index, name: wire.link.host_name() });
        }
        self.delete_link(gone.endpoint);
        None
    }

    /// Inode of the network namespace at a path.
    pub fn namespace_at(&self, path: &Path) -> Result<u64> {
        let shown = path.display();
        match self.files.get(path) {
            Some(File::Namespace { inode, .. }) => Ok(*inode),
            Some(File::Home) => Err(Error::invalid(format!("{shown} is the host's own network namespace"))),
            Some(File::Plain) => Err(Error::invalid(format!("{shown} is not a network namespace"))),
            None => Err(Error::not_found(format!("network namespace {shown}: no such file"))),
        }
    }
}
