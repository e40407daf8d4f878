//! nftables by netlink: the constant tables, their elements, their dump and their events. It never runs `nft`, never
//! decides what should be there, and never touches a table that is not its own.
//!
//! `Nft` is the host's side (`inet` and `bridge` tables of one instance), `install_resolver` the sandbox's. Every
//! change is one transaction: all of it is done or nothing. The layout is reference/nft-layout.md.
mod abi;
mod batch;
mod conntrack;
mod decode;
mod describe;
mod element;
mod engines;
mod guard;
mod inet;
mod lasting;
mod locked;
mod observe;
mod passage;
mod rejudge;
mod resolver;
mod rule;
mod sets;
mod shape;
mod socket;
mod table;
#[cfg(test)]
mod tests;
mod watch;
mod wire;

pub use conntrack::Filter;
pub use passage::{Gate, Passage};
pub use resolver::{Redirect, install_resolver, remove_resolver, resolver_found};
pub use watch::{Notice, Touched, Watch};

use crate::{
    error::{Error, Result},
    model::kernel::Element,
};
use batch::Batch;
use locked::Lock;
use socket::{Refusal, Socket};
use table::Table;

/// Packet mark of a hairpin's first packet between forward and postrouting, and of a packet whose sender is known
/// between the bridge's prerouting and the host's, unless another is chosen. It is cleared there.
pub const HAIRPIN_MARK: u32 = 0x0010_0000;
/// Bytes of elements in one message; a nested attribute ends at 64 KiB.
const MESSAGE_ROOM: usize = 60_000;

/// Our tables in the network namespace where it was opened. Keep it: to close a netfilter socket after something was
/// deleted takes 15 ms (the kernel first finishes what it deletes late, nft_rcv_nl_event).
#[derive(Debug)]
pub struct Nft {
    socket: Socket,
    batch: Batch,
    inet: Table,
    bridge: Table,
    /// What keeps NAT at work when others flush the ruleset.
    lasting: Option<Table>,
    lock: Lock,
    /// The kernel knows DESTROYSETELEM (6.3).
    destroys: bool,
}

/// Which way an element goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Add,
    /// An error if it is missing.
    Delete,
    Destroy,
}

impl Nft {
    /// Opens a socket in the calling thread's network namespace; changes nothing. Errors: Invalid for an instance name
    /// that makes no table name, Denied and others from the kernel.
    pub fn open(instance: &str) -> Result<Nft> {
        Self::open_with_mark(instance, HAIRPIN_MARK)
    }

    /// The same with another packet mark for hairpins (one bit or more that nobody else uses).
    pub fn open_with_mark(instance: &str, mark: u32) -> Result<Nft> {
        let name = table_name(instance)?;
        let mut comment = format!("owner=pontoon instance={} layout=2", plain(instance));
        if mark != HAIRPIN_MARK {
            comment += &format!(" mark={mark:#x}");
        }
        Ok(Nft {
            socket: Socket::open()?,
            batch: Batch::default(),
            inet: inet::table(&name, &comment, mark),
            bridge: guard::table(&name, &comment, mark),
            lasting: None,
            lock: Lock::default(),
            destroys: kernel_at_least(6, 3),
        })
    }

    /// Port number of our socket: the author of our own changes in `Notice::Commit`.
    pub fn port_id(&self) -> u32 {
        self.socket.port()
    }

    /// Name of our tables.
    pub fn table_name(&self) -> &str {
        &self.inet.name
    }

    /// Replaces whatever our tables hold by the constant skeleton and `elements`, atomically. 0.5 ms, and about 1 ms
    /// for each 1,000 elements.
    pub fn rebuild(&mut self, elements: &[Element]) -> Result<()> {
        let flags = self.lock.flags();
        self.batch.start(&self.socket);
        self.inet.replace(&mut self.batch, flags);
        self.bridge.replace(&mut self.batch, flags);
        write_elements(&mut self.batch, &self.inet.name, Way::Add, elements, 0);
        match self.batch.commit(&mut self.socket)? {
            Ok(()) => {
                self.lock.made();
                Ok(())
            }
            Err(refused) => Err(self.refused(refused, "rebuild", &[], elements)),
        }
    }

    /// Removes, then adds, in one transaction. Removing what is missing and adding what is there are no errors; to
    /// add a key that leads elsewhere is (Conflict), unless it is removed in the same call.
    pub fn exchange(&mut self, remove: &[Element], add: &[Element]) -> Result<()> {
        let way = if self.destroys { Way::Destroy } else { Way::Delete };
        match self.try_exchange(way, remove, add)? {
            Ok(()) => Ok(()),
            Err(refused) if way == Way::Delete && refused.errno == libc::ENOENT => {
                let present = self.present(remove)?;
                match self.try_exchange(way, &present, add)? {
                    Ok(()) => Ok(()),
                    Err(refused) => Err(self.refused(refused, "change", &present, add)),
                }
            }
            Err(refused) => Err(self.refused(refused, "change", remove, add)),
        }
    }

    fn try_exchange(&mut self, way: Way, remove: &[Element], add: &[Element]) -> Result<Result<(), Refusal>> {
        if remove.is_empty() && add.is_empty() {
            return Ok(Ok(()));
        }
        self.batch.start(&self.socket);
        write_elements(&mut self.batch, &self.inet.name, way, remove, 0);
        write_elements(&mut self.batch, &self.inet.name, Way::Add, add, remove.len());
        self.batch.commit(&mut self.socket)
    }

    /// Deletes our tables; no error if they are not there.
    pub fn remove(&mut self) -> Result<()> {
        self.batch.start(&self.socket);
        if let Some(lasting) = self.lasting.take() {
            lasting.delete(&mut self.batch);
        }
        self.inet.erase(&mut self.batch);
        self.bridge.erase(&mut self.batch);
        match self.batch.commit(&mut self.socket)? {
            Ok(()) => Ok(()),
            Err(refused) => Err(self.refused(refused, "delete", &[], &[])),
        }
    }

    /// Names what was refused: the element if the kernel said which, else what the message was about.
    fn refused(&self, refused: Refusal, verb: &str, remove: &[Element], add: &[Element]) -> Error {
        let element = self.batch.element_of(&refused);
        let (at, subject) = match element.and_then(|i| remove.iter().chain(add).nth(i).map(|e| (i, e))) {
            Some((i, element)) if i < remove.len() => ("remove ", describe::text(element)),
            Some((_, element)) => ("add ", describe::text(element)),
            None => ("", self.batch.subject_of(&refused)),
        };
        refused.into_error(format!("{verb} nft tables {}: {at}{subject}", self.inet.name))
    }
}

/// Writes elements set by set, each set's in as few messages as fit; `first` is the number of the first element.
fn write_elements(batch: &mut Batch, table: &str, way: Way, elements: &[Element], first: usize) {
    let mut order: Vec<(sets::Set, usize)> =
        elements.iter().map(element::set_of).enumerate().map(|(i, set)| (set, i)).collect();
    order.sort_unstable();
    let mut rest = order.as_slice();
    while let Some((set, _)) = rest.first() {
        let run = rest.iter().take_while(|(other, _)| other == set).count();
        let written = write_message(batch, table, way, &rest[..run], |i| (&elements[i], first + i));
        rest = &rest[written..];
    }
}

/// One message with elements of one set, up to its room; the answer is how many.
fn write_message<'a>(
    batch: &mut Batch,
    table: &str,
    way: Way,
    run: &[(sets::Set, usize)],
    element: impl Fn(usize) -> (&'a Element, usize),
) -> usize {
    let set = run[0].0;
    let (kind, flags) = match way {
        Way::Add => (abi::NEWSETELEM, abi::CREATE),
        Way::Delete => (abi::DELSETELEM, 0),
        Way::Destroy => (abi::DESTROYSETELEM, 0),
    };
    let start = batch.open(kind, flags, set.family());
    batch.out().text(abi::LIST_TABLE, table);
    batch.out().text(abi::LIST_SET, set.name());
    let list = batch.out().open_nest(abi::LIST_ELEMENTS);
    let mut written = 0;
    for (_, i) in run {
        if batch.out().len() - list > MESSAGE_ROOM {
            break;
        }
        let (element, number) = element(*i);
        batch.mark(number);
        element::encode(element).write(batch.out(), way != Way::Add);
        written += 1;
    }
    batch.out().close_nest(list);
    batch.close(start);
    written
}

/// `pontoon` for the default instance, else `pontoon_<instance>`.
fn table_name(instance: &str) -> Result<String> {
    if instance.is_empty() || instance.len() > 64 {
        return Err(Error::invalid(format!("invalid instance name {instance:?}: 1 to 64 bytes are needed")));
    }
    Ok(match instance {
        "default" => "pontoon".to_owned(),
        other => format!("pontoon_{}", plain(other)),
    })
}

/// With `_` for every byte that nft's own words cannot have.
fn plain(instance: &str) -> String {
    let fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    instance.chars().map(|c| if fine(c) { c } else { '_' }).collect()
}

fn kernel_at_least(major: u32, minor: u32) -> bool {
    let Ok(name) = nix::sys::utsname::uname() else { return false };
    let release = name.release().to_string_lossy().into_owned();
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map_while(|n| n.parse::<u32>().ok());
    (numbers.next(), numbers.next()) >= (Some(major), Some(minor))
}
