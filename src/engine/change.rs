//! A change of one promise: what was there before and what is after. Undoing it is the same thing turned round.
use super::{books::Books, view::View};
use crate::{
    error::{Error, Result},
    model::{Name, Network, Sandbox, Volume, reservation::Reservation},
    store::{Table, Write},
};
use std::sync::Arc;

#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    Network { before: Option<Arc<Network>>, after: Option<Arc<Network>> },
    Sandbox { before: Option<Arc<Sandbox>>, after: Option<Arc<Sandbox>> },
    Volume { before: Option<Arc<Volume>>, after: Option<Arc<Volume>> },
    Reservation { before: Option<Arc<Reservation>>, after: Option<Arc<Reservation>> },
}

impl Change {
    pub fn reversed(self) -> Change {
        match self {
            Change::Network { before, after } => Change::Network { before: after, after: before },
            Change::Sandbox { before, after } => Change::Sandbox { before: after, after: before },
            Change::Volume { before, after } => Change::Volume { before: after, after: before },
            Change::Reservation { before, after } => Change::Reservation { before: after, after: before },
        }
    }

    /// The record that makes it durable.
    fn write(&self) -> Result<Write> {
        fn one<T: serde::Serialize>(
            table: Table,
            key: impl Fn(&T) -> String,
            before: &Option<Arc<T>>,
            after: &Option<Arc<T>>,
        ) -> Result<Write> {
            let key = after.as_ref().or(before.as_ref()).map(|record| key(record)).unwrap_or_default();
            Ok(Write { table, key, value: after.as_ref().map(|record| json(&**record)).transpose()? })
        }
        Ok(match self {
            Change::Network { before, after } => {
                one(Table::Networks, |network| network.id.to_string(), before, after)?
            }
            Change::Sandbox { before, after } => {
                one(Table::Sandboxes, |sandbox| sandbox.id.to_string(), before, after)?
            }
            Change::Volume { before, after } => {
                one(Table::Volumes, |volume| volume.name.to_string(), before, after)?
            }
            Change::Reservation { before, after } => {
                one(Table::Reservations, |reservation| reservation.id.to_string(), before, after)?
            }
        })
    }

    pub fn show(&self, view: &mut View) {
        match self {
            Change::Network { before, after } => {
                before.iter().for_each(|network| view.drop_network(network));
                after.iter().for_each(|network| view.put_network(network));
            }
            Change::Sandbox { before, after } => {
                before.iter().for_each(|sandbox| view.drop_sandbox(sandbox));
                after.iter().for_each(|sandbox| view.put_sandbox(sandbox));
            }
            Change::Volume { before, after } => {
                before.iter().for_each(|volume| view.drop_volume(volume));
                after.iter().for_each(|volume| view.put_volume(volume));
            }
            Change::Reservation { before, after } => {
                before.iter().for_each(|gone| view.drop_reservation(gone.id));
                after.iter().for_each(|new| view.reservations.insert_mut(new.id, new.clone()));
            }
        }
    }

    /// Strikes the old and enters the new in the derived tables.
    pub fn book(&self, books: &mut Books) {
        match self {
            Change::Network { before, after } => {
                before.iter().for_each(|network| books.strike_network(network));
                after.iter().for_each(|network| books.enter_network(network));
            }
            Change::Sandbox { before, after } => {
                before.iter().for_each(|sandbox| books.strike_sandbox(sandbox));
                after.iter().for_each(|sandbox| books.enter_sandbox(sandbox));
            }
            Change::Reservation { before, after } => {
                books.change_reservation(before.as_deref(), after.as_deref());
            }
            Change::Volume { .. } => {}
        }
    }
}

/// A record's value.
pub fn json(value: &impl serde::Serialize) -> Result<Vec<u8>> {
    serde_json::to_vec(value).map_err(|error| Error::internal("write a record").because(error))
}

/// The files of this volume are gone.
pub fn files_gone(name: &Name) -> Write {
    Write { table: Table::Removed, key: name.to_string(), value: None }
}

/// All records of these changes, in order. The name of a removed volume stays noted until its files are gone as well,
/// also if a new volume gets that name in the same commit.
pub fn writes<'a>(changes: impl IntoIterator<Item = &'a Change>) -> Result<Vec<Write>> {
    let (mut all, mut removed) = (Vec::new(), Vec::new());
    for change in changes {
        all.push(change.write()?);
        match change {
            Change::Volume { before: Some(volume), after: None } => {
                let value = Some(json(&volume.name)?);
                all.push(Write { table: Table::Removed, key: volume.name.to_string(), value });
                removed.push(&volume.name);
            }
            Change::Volume { before: None, after: Some(volume) } if !removed.contains(&&volume.name) => {
                all.push(files_gone(&volume.name));
            }
            _ => {}
        }
    }
    Ok(all)
}

/// The same for changes that are taken back: what was begun is undone already.
pub fn withdrawals<'a>(changes: impl IntoIterator<Item = &'a Change>) -> Result<Vec<Write>> {
    let mut all = writes(changes)?;
    all.iter_mut().filter(|write| write.table == Table::Removed).for_each(|write| write.value = None);
    Ok(all)
}
