//! The schema: one file per table, with its key, its record and its version byte.
//!
//! To change a record: raise the version in its file and add a step to `migrate.rs`.

pub mod blobs;
pub mod bundles;
pub mod checkpoints;
pub mod counts;
pub mod entities;
pub mod examples;
pub mod hours;
pub mod labels;
pub mod ledger;
pub mod meta;
pub mod threats;

use crate::Result;
use redb::WriteTransaction;

/// Creates every table, so that reads of an empty store find them.
pub(crate) fn create(txn: &WriteTransaction) -> Result<()> {
    txn.open_table(checkpoints::TABLE)?;
    txn.open_table(ledger::TABLE)?;
    txn.open_table(ledger::HEADS)?;
    txn.open_table(threats::TABLE)?;
    txn.open_table(threats::INDEX)?;
    txn.open_table(counts::TABLE)?;
    txn.open_table(entities::TABLE)?;
    txn.open_table(examples::TABLE)?;
    txn.open_table(hours::TABLE)?;
    txn.open_table(labels::TABLE)?;
    txn.open_table(blobs::TABLE)?;
    txn.open_table(bundles::TABLE)?;
    Ok(())
}
