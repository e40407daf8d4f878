//! The tables of the ledger, and what is written into them and read back: JSON by key.
use super::{Contents, Table, Write};
use crate::error::{Error, Result};
use redb::{Database, Durability, ReadableDatabase, ReadableTable, TableDefinition};
use serde::de::DeserializeOwned;

pub(super) type Records = TableDefinition<'static, &'static str, &'static [u8]>;

impl Table {
    pub(super) const ALL: [Table; 6] =
        [Table::Networks, Table::Sandboxes, Table::Volumes, Table::Reservations, Table::Removed, Table::Boot];

    pub(super) fn definition(self) -> Records {
        TableDefinition::new(match self {
            Table::Networks => "networks",
            Table::Sandboxes => "sandboxes",
            Table::Volumes => "volumes",
            Table::Reservations => "reservations",
            Table::Removed => "removed",
            Table::Boot => "boot",
        })
    }
}

pub(super) fn read_all(database: &Database) -> Result<Contents> {
    Ok(Contents {
        networks: read_table(database, Table::Networks)?,
        sandboxes: read_table(database, Table::Sandboxes)?,
        volumes: read_table(database, Table::Volumes)?,
        reservations: read_table(database, Table::Reservations)?,
        removed: read_table(database, Table::Removed)?,
        boot: read_table(database, Table::Boot)?.pop(),
    })
}

fn read_table<T: DeserializeOwned>(database: &Database, table: Table) -> Result<Vec<T>> {
    let bad = |error: &dyn std::fmt::Display| Error::invalid(format!("{table:?}")).because(error);
    let transaction = database.begin_read().map_err(|e| bad(&e))?;
    let records = transaction.open_table(table.definition()).map_err(|e| bad(&e))?;
    let mut values = Vec::new();
    for record in records.iter().map_err(|e| bad(&e))? {
        let (key, value) = record.map_err(|e| bad(&e))?;
        let value =
            serde_json::from_slice(value.value()).map_err(|e| bad(&format!("{}: {e}", key.value())))?;
        values.push(value);
    }
    Ok(values)
}

/// One durable transaction.
pub(super) fn write(database: &Database, writes: &[Write]) -> Result<(), redb::Error> {
    let mut transaction = database.begin_write()?;
    transaction.set_durability(Durability::Immediate)?;
    for table in Table::ALL {
        let mut of_table = writes.iter().filter(|write| write.table == table).peekable();
        if of_table.peek().is_none() {
            continue;
        }
        let mut records = transaction.open_table(table.definition())?;
        for write in of_table {
            match &write.value {
                Some(value) => records.insert(write.key.as_str(), value.as_slice())?,
                None => records.remove(write.key.as_str())?,
            };
        }
    }
    Ok(transaction.commit()?)
}
