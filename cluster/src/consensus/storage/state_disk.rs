//! `state.redb`: a checkpoint of the applied state, and the last snapshot.
//!
//! A snapshot is a record here rather than a file of its own: it is replaced in one transaction
//! together with the checkpoint, which a file with its temporary name, its renaming and its folder
//! would do in several steps that a power cut can come between.

use super::Alive;
use crate::consensus::limits::CACHE_BYTES;
use crate::consensus::types::{LogId, SnapshotMeta, StoredMembership};
use redb::{StorageBackend, TableDefinition, WriteTransaction};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::path::Path;
use store::database::{Database, Schema};
use store::{Result, record};

const TABLE: TableDefinition<&str, &[u8]> = TableDefinition::new("state");
const SCHEMA: Schema = Schema { first: 1, steps: &[], create };

/// The version of the records.
const VERSION: u8 = 1;

const CHECKPOINT: &str = "checkpoint";
const SNAPSHOT: &str = "snapshot";

fn create(txn: &WriteTransaction) -> Result<()> {
    txn.open_table(TABLE)?;
    Ok(())
}

/// The applied state as bytes.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Checkpoint {
    pub last: Option<LogId>,
    pub membership: StoredMembership,
    /// The control log, encoded.
    pub log: Vec<u8>,
}

/// The file.
pub(super) struct StateDisk {
    db: Database,
    // After the file: dropped when that is closed.
    _alive: Alive,
}

impl StateDisk {
    pub fn open(path: &Path, alive: Alive) -> Result<Self> {
        Ok(Self { db: Database::open(path, &SCHEMA, CACHE_BYTES)?, _alive: alive })
    }

    pub fn with_backend(backend: impl StorageBackend, alive: Alive) -> Result<Self> {
        Ok(Self { db: Database::with_backend(backend, &SCHEMA)?, _alive: alive })
    }

    /// Stores a checkpoint, and with `snapshot` the same state as the current snapshot; returns
    /// when it is on the disk. What is older than what is stored was overtaken, by a snapshot from
    /// the leader for example, and is left out.
    pub fn store(&self, state: &Checkpoint, snapshot: Option<&SnapshotMeta>) -> Result<()> {
        self.db.write(true, |txn| {
            let mut table = txn.open_table(TABLE)?;
            let stored: Option<Checkpoint> = get(&table, CHECKPOINT)?;
            if stored.is_none_or(|s| s.last <= state.last) {
                put(&mut table, CHECKPOINT, state)?;
            }
            if let Some(meta) = snapshot {
                let stored: Option<(SnapshotMeta, Vec<u8>)> = get(&table, SNAPSHOT)?;
                if stored.is_none_or(|(s, _)| s.last_log_id <= meta.last_log_id) {
                    put(&mut table, SNAPSHOT, &(meta, &state.log))?;
                }
            }
            Ok(())
        })
    }

    /// The last checkpoint.
    pub fn checkpoint(&self) -> Result<Option<Checkpoint>> {
        let txn = self.db.read()?;
        get(&txn.open_table(TABLE)?, CHECKPOINT)
    }

    /// The current snapshot.
    pub fn snapshot(&self) -> Result<Option<(SnapshotMeta, Vec<u8>)>> {
        let txn = self.db.read()?;
        get(&txn.open_table(TABLE)?, SNAPSHOT)
    }
}

fn put<T: Serialize>(table: &mut redb::Table<&str, &[u8]>, name: &str, value: &T) -> Result<()> {
    let sealed = record::seal(VERSION, name.as_bytes(), value)?;
    table.insert(name, sealed.as_slice())?;
    Ok(())
}

fn get<T: DeserializeOwned>(
    table: &impl redb::ReadableTable<&'static str, &'static [u8]>,
    name: &str,
) -> Result<Option<T>> {
    let Some(stored) = table.get(name)? else { return Ok(None) };
    record::open("state", VERSION, name.as_bytes(), stored.value()).map(Some)
}
