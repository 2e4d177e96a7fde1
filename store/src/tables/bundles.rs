//! `bundles`: version → which blob it is, what it says of itself, when it was made.

use super::blobs;
use crate::error::check;
use crate::limits::METADATA_BYTES;
use crate::{Result, record};
use redb::{ReadTransaction, ReadableTable, TableDefinition, WriteTransaction};
use serde::{Deserialize, Serialize};
use threat::Timestamp;

pub(crate) const TABLE: TableDefinition<u64, &[u8]> = TableDefinition::new("bundles");
/// Version of the record.
pub const VERSION: u8 = 1;

/// A model bundle that this store holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bundle {
    /// Grows with every bundle.
    pub version: u64,
    /// BLAKE3 of its bytes.
    pub hash: [u8; 32],
    /// What its maker says of it (kinds, metrics, training window, seed): JSON text.
    pub metadata: String,
    /// When it was made.
    pub created: Timestamp,
}

pub(crate) fn write(txn: &WriteTransaction, bundle: &Bundle) -> Result<()> {
    check("the metadata of a bundle", bundle.metadata.len(), METADATA_BYTES)?;
    let sealed = record::seal(VERSION, &bundle.version.to_le_bytes(), bundle)?;
    txn.open_table(TABLE)?.insert(bundle.version, sealed.as_slice())?;
    Ok(())
}

/// Removes a bundle, and its blob if no other bundle is the same.
pub(crate) fn remove(txn: &WriteTransaction, version: u64) -> Result<bool> {
    let mut table = txn.open_table(TABLE)?;
    let Some(bundle) = table.remove(version)?.map(|s| decode(version, s.value())).transpose()?
    else {
        return Ok(false);
    };
    for entry in table.iter()? {
        let (key, stored) = entry?;
        if decode(key.value(), stored.value())?.hash == bundle.hash {
            return Ok(true);
        }
    }
    txn.open_table(blobs::TABLE)?.remove(bundle.hash)?;
    Ok(true)
}

fn decode(version: u64, stored: &[u8]) -> Result<Bundle> {
    record::open("bundles", VERSION, &version.to_le_bytes(), stored)
}

pub(crate) fn all(txn: &ReadTransaction) -> Result<Vec<Bundle>> {
    let mut bundles = Vec::new();
    for entry in txn.open_table(TABLE)?.iter()? {
        let (key, stored) = entry?;
        bundles.push(decode(key.value(), stored.value())?);
    }
    Ok(bundles)
}

pub(crate) fn get(txn: &ReadTransaction, version: u64) -> Result<Option<Bundle>> {
    let table = txn.open_table(TABLE)?;
    table.get(version)?.map(|stored| decode(version, stored.value())).transpose()
}

pub(crate) fn latest(txn: &ReadTransaction) -> Result<Option<Bundle>> {
    let table = txn.open_table(TABLE)?;
    table.last()?.map(|(key, stored)| decode(key.value(), stored.value())).transpose()
}
