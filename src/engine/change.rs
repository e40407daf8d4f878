//! A change of one promise: what was there before and what is after. Undoing it is the same thing turned round.
use super::{books::Books, view::View};
use crate::{
    error::{Error, Result},
    model::{Network, Sandbox, Volume},
    store::{Table, Write},
};
use std::sync::Arc;

#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    Network { before: Option<Arc<Network>>, after: Option<Arc<Network>> },
    Sandbox { before: Option<Arc<Sandbox>>, after: Option<Arc<Sandbox>> },
    Volume { before: Option<Arc<Volume>>, after: Option<Arc<Volume>> },
}

impl Change {
    pub fn reversed(self) -> Change {
        match self {
            Change::Network { before, after } => Change::Network { before: after, after: before },
            Change::Sandbox { before, after } => Change::Sandbox { before: after, after: before },
            Change::Volume { before, after } => Change::Volume { before: after, after: before },
        }
    }

    /// The record that makes it durable.
    pub fn write(&self) -> Result<Write> {
        fn json<T: serde::Serialize>(value: &Option<Arc<T>>) -> Result<Option<Vec<u8>>> {
            let encode =
                |v: &Arc<T>| serde_json::to_vec(v).map_err(|e| Error::internal("write a record").because(e));
            value.as_ref().map(encode).transpose()
        }
        let either = |key: Option<String>| key.unwrap_or_default();
        Ok(match self {
            Change::Network { before, after } => Write {
                table: Table::Networks,
                key: either(after.as_ref().or(before.as_ref()).map(|network| network.id.to_string())),
                value: json(after)?,
            },
            Change::Sandbox { before, after } => Write {
                table: Table::Sandboxes,
                key: either(after.as_ref().or(before.as_ref()).map(|sandbox| sandbox.id.to_string())),
                value: json(after)?,
            },
            Change::Volume { before, after } => Write {
                table: Table::Volumes,
                key: either(after.as_ref().or(before.as_ref()).map(|volume| volume.name.to_string())),
                value: json(after)?,
            },
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
            Change::Volume { .. } => {}
        }
    }
}
