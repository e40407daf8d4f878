//! Removed volumes whose files a power failure could bring back. The ledger has a note of each (`Table::Removed`), so that a
//! start takes them away again; nobody waits for the disk to know it as well. One wait for many ends their notes.
use super::{change::files_gone, writer::Writer};
use crate::{error::Result, model::Name};
use std::collections::BTreeSet;

/// So many notes at the most. (A removal took two waits for the disk, and the second one was for its note alone.)
const MANY: usize = 32;

#[derive(Default)]
pub(super) struct Removals(BTreeSet<Name>);

impl Removals {
    pub fn contains(&self, name: &Name) -> bool {
        self.0.contains(name)
    }
}

impl Writer {
    /// Takes the files of a volume away that is promised no more.
    pub(super) fn remove_files(&mut self, name: &Name) -> Result<()> {
        self.volumes.remove(name)?;
        self.removals.0.insert(name.clone());
        match self.removals.0.len() < MANY {
            true => Ok(()),
            false => self.end_notes(),
        }
    }

    /// Waits until what was removed is gone for good; the notes of it end with the next promise. A volume of that name may
    /// be promised from then on: before, a start would find the old one's files and take them for its own.
    pub(super) fn end_notes(&mut self) -> Result<()> {
        if self.removals.0.is_empty() {
            return Ok(());
        }
        self.volumes.sync_removed()?;
        for name in std::mem::take(&mut self.removals.0) {
            self.promises.owe(files_gone(&name));
        }
        Ok(())
    }
}
