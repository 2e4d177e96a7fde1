//! `labels`: threat → what an analyst said of it, with the examples that models learn from.

use crate::error::check;
use crate::limits::LABELS;
use crate::{Result, record};
use redb::{
    ReadTransaction, ReadableTable, ReadableTableMetadata, TableDefinition, WriteTransaction,
};
use threat::{Label, ThreatId};

pub(crate) const TABLE: TableDefinition<u128, &[u8]> = TableDefinition::new("labels");
/// Version of the record.
pub const VERSION: u8 = 1;

/// Puts a label in the place of an earlier one of the same finding.
pub(crate) fn write(txn: &WriteTransaction, label: &Label) -> Result<()> {
    let mut table = txn.open_table(TABLE)?;
    let id = label.finding.0;
    let sealed = record::seal(VERSION, &id.to_le_bytes(), label)?;
    table.insert(id, sealed.as_slice())?;
    check("labels", table.len()? as usize, LABELS)
}

/// False when there is none.
pub(crate) fn remove(txn: &WriteTransaction, finding: ThreatId) -> Result<bool> {
    Ok(txn.open_table(TABLE)?.remove(finding.0)?.is_some())
}

pub(crate) fn all(txn: &ReadTransaction) -> Result<Vec<Label>> {
    let mut labels = Vec::new();
    for entry in txn.open_table(TABLE)?.iter()? {
        let (key, stored) = entry?;
        let key = key.value().to_le_bytes();
        labels.push(record::open("labels", VERSION, &key, stored.value())?);
    }
    Ok(labels)
}
