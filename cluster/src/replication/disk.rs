//! `threats.redb`: each record under its id. A commit is on the disk before anything is answered.

use super::Error;
use super::limits::CACHE_BYTES;
use redb::{ReadableTable, StorageBackend, TableDefinition, WriteTransaction};
use regions::clock::Stamp;
use regions::threats::{Handling, Record, ThreatState};
use std::path::Path;
use store::database::{Database, Schema};
use store::{Result, record};

const THREATS: TableDefinition<u128, &[u8]> = TableDefinition::new("threats");
const SCHEMA: Schema = Schema { first: 1, steps: &[], create };

/// The version of the records.
const VERSION: u8 = 1;

fn create(txn: &WriteTransaction) -> Result<()> {
    txn.open_table(THREATS)?;
    Ok(())
}

/// A record as it lies on the disk, and its key.
pub(super) type Sealed = (u128, Vec<u8>);

/// Seals a record.
pub(super) fn seal(threat: &Record) -> Result<Sealed> {
    let key = threat.id.0;
    Ok((key, record::seal(VERSION, &key.to_be_bytes(), threat)?))
}

/// The file.
pub(super) struct ThreatDisk(Database);

impl ThreatDisk {
    pub fn open(path: &Path) -> Result<Self> {
        Ok(Self(Database::open(path, &SCHEMA, CACHE_BYTES)?))
    }

    pub fn with_backend(backend: impl StorageBackend) -> Result<Self> {
        Ok(Self(Database::with_backend(backend, &SCHEMA)?))
    }

    /// Stores records, all or none, and returns when they are on the disk.
    pub fn store(&self, records: &[Sealed]) -> Result<()> {
        self.0.write(true, |txn| {
            let mut table = txn.open_table(THREATS)?;
            for (key, sealed) in records {
                table.insert(key, sealed.as_slice())?;
            }
            Ok(())
        })
    }

    /// Puts all that is stored into a state; the latest stamp therein.
    pub fn load(&self, state: &mut ThreatState) -> std::result::Result<Stamp, Error> {
        let corrupt = |what: String| store::Error::Corrupt { what };
        let mut read = || -> Result<Stamp> {
            let txn = self.0.read()?;
            let mut last = Stamp::default();
            for entry in txn.open_table(THREATS)?.iter()? {
                let (key, stored) = entry?;
                let key = key.value();
                let record: Record =
                    record::open("threats", VERSION, &key.to_be_bytes(), stored.value())?;
                last = last.max(record.handling().and_then(Handling::last).unwrap_or_default());
                state.restore(record).map_err(|e| corrupt(e.to_string()))?;
            }
            Ok(last)
        };
        Ok(read()?)
    }
}
