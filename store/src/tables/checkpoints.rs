//! `checkpoints`: name → bytes of whoever wrote them (a source's position, a shard's state).

use crate::error::check;
use crate::limits::{CHECKPOINT_BYTES, KEY_BYTES};
use crate::{Result, record};
use redb::{ReadTransaction, TableDefinition, WriteTransaction};

pub(crate) const TABLE: TableDefinition<&str, &[u8]> = TableDefinition::new("checkpoints");
/// Version of the record.
pub const VERSION: u8 = 1;

pub(crate) fn write(
    txn: &WriteTransaction,
    put: &[(String, Vec<u8>)],
    remove: &[String],
) -> Result<()> {
    let mut table = txn.open_table(TABLE)?;
    for name in remove {
        table.remove(name.as_str())?;
    }
    for (name, bytes) in put {
        check("the name of a checkpoint", name.len(), KEY_BYTES)?;
        check("a checkpoint", bytes.len(), CHECKPOINT_BYTES)?;
        let sealed = record::seal_bytes(VERSION, name.as_bytes(), bytes);
        table.insert(name.as_str(), sealed.as_slice())?;
    }
    Ok(())
}

pub(crate) fn get(txn: &ReadTransaction, name: &str) -> Result<Option<Vec<u8>>> {
    let Some(stored) = txn.open_table(TABLE)?.get(name)? else { return Ok(None) };
    let bytes = record::open_bytes("checkpoints", VERSION, name.as_bytes(), stored.value())?;
    Ok(Some(bytes.to_vec()))
}

pub(crate) fn names(txn: &ReadTransaction, prefix: &str) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in txn.open_table(TABLE)?.range(prefix..)? {
        let (name, _) = entry?;
        if !name.value().starts_with(prefix) {
            break;
        }
        names.push(name.value().to_owned());
    }
    Ok(names)
}
