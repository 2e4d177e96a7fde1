//! `blobs`: BLAKE3 of the bytes → the bytes. Model bundles, and what else is named by its hash.

use crate::error::check;
use crate::limits::BLOB_BYTES;
use crate::{Error, Result, record};
use redb::{ReadTransaction, TableDefinition, WriteTransaction};

pub(crate) const TABLE: TableDefinition<[u8; 32], &[u8]> = TableDefinition::new("blobs");
/// Version of the record.
pub const VERSION: u8 = 1;

pub(crate) fn write(txn: &WriteTransaction, bytes: &[u8]) -> Result<[u8; 32]> {
    check("a blob", bytes.len(), BLOB_BYTES)?;
    let hash = *blake3::hash(bytes).as_bytes();
    let sealed = record::seal_bytes(VERSION, &hash, bytes);
    txn.open_table(TABLE)?.insert(hash, sealed.as_slice())?;
    Ok(hash)
}

/// The bytes, whose hash is checked again.
pub(crate) fn get(txn: &ReadTransaction, hash: [u8; 32]) -> Result<Option<Vec<u8>>> {
    let Some(stored) = txn.open_table(TABLE)?.get(hash)? else { return Ok(None) };
    let bytes = record::open_bytes("blobs", VERSION, &hash, stored.value())?;
    if blake3::hash(bytes).as_bytes() != &hash {
        return Err(Error::Corrupt { what: "a blob is not what its hash says".into() });
    }
    Ok(Some(bytes.to_vec()))
}
