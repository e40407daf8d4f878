//! The tables of the ledger, and what is written into them and read back: JSON by key.
use super::{Contents, Table, Write};
use crate::error::{Error, Result};
use redb::{Database, Durability, ReadableDatabase, ReadableTable, TableDefinition};
use serde::de::DeserializeOwned;

pub(super) type Records = TableDefinition<'static, &'static str, &'static [u8]>;

impl Table {
    pub(super) const ALL: [Table; 6] =
        [Table::Networks, Table::Sandboxes, Table::Volumes, Table::Reservations, Table::Removed, Table::Boot];

    pub(super) fn name(self) -> &'static str {
        match self {
            Table::Networks => "networks",
            Table::Sandboxes => "sandboxes",
            Table::Volumes => "volumes",
            Table::Reservations => "reservations",
            Table::Removed => "removed",
            Table::Boot => "boot",
        }
    }

    pub(super) fn definition(self) -> Records {
        TableDefinition::new(self.name())
    }
}

pub(super) const META: Records = TableDefinition::new("meta");
/// In `META`: how many commits there were; a ledger of before this was counted has none.
const COMMITS: &str = "commits";

/// How many commits are in it.
pub(super) fn number(database: &Database) -> Result<u64> {
    let read = || -> Result<u64, redb::Error> {
        let meta = database.begin_read()?.open_table(META)?;
        let text = meta.get(COMMITS)?.map(|value| String::from_utf8_lossy(value.value()).into_owned());
        Ok(text.and_then(|text| text.parse().ok()).unwrap_or_default())
    };
    read().map_err(|error| Error::invalid("count the commits").because(error))
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

/// One durable transaction, the commit with this number.
pub(super) fn write(database: &Database, writes: &[Write], number: u64) -> Result<(), redb::Error> {
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
    transaction.open_table(META)?.insert(COMMITS, number.to_string().as_bytes())?;
    Ok(transaction.commit()?)
}
