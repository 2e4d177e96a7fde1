//! `meta`: name → number. The schema of the file and the incarnation of its owner.

use crate::{Error, Result, record};
use redb::{ReadableTable, TableDefinition};

pub(crate) const TABLE: TableDefinition<&str, &[u8]> = TableDefinition::new("meta");
const VERSION: u8 = 1;

/// The schema of the whole file; see `migrate.rs`.
pub(crate) const SCHEMA: &str = "schema";

/// How often this state was opened for writing.
pub(crate) const INCARNATION: &str = "incarnation";

pub(crate) fn get(
    table: &impl ReadableTable<&'static str, &'static [u8]>,
    name: &str,
) -> Result<Option<u64>> {
    let Some(stored) = table.get(name)? else { return Ok(None) };
    record::open("meta", VERSION, name.as_bytes(), stored.value()).map(Some)
}

pub(crate) fn put(table: &mut redb::Table<&str, &[u8]>, name: &str, value: u64) -> Result<()> {
    let sealed = record::seal(VERSION, name.as_bytes(), &value)?;
    table.insert(name, sealed.as_slice())?;
    Ok(())
}

/// A name that must be there.
pub(crate) fn need(
    table: &impl ReadableTable<&'static str, &'static [u8]>,
    name: &str,
) -> Result<u64> {
    get(table, name)?.ok_or_else(|| Error::Corrupt { what: format!("meta has no {name}") })
}
