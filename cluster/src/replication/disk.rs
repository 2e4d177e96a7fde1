//! `threats.redb`: each record under its id, and what other nodes are known to have. A commit is on
//! the disk before anything is answered.

use super::Error;
use super::limits::CACHE_BYTES;
use redb::{ReadableTable, StorageBackend, TableDefinition, WriteTransaction};
use regions::clock::Stamp;
use regions::threats::collection::Marks;
use regions::threats::{Handling, Record, ThreatState};
use std::collections::BTreeSet;
use std::path::Path;
use store::database::{Database, Schema};
use store::{Result, record};
use threat::ThreatId;

const THREATS: TableDefinition<u128, &[u8]> = TableDefinition::new("threats");
/// Under [`MARKS_KEY`]: what is known of others, and the floor.
const MARKS: TableDefinition<u8, &[u8]> = TableDefinition::new("marks");
const MARKS_KEY: u8 = 0;
const MARKS_VERSION: u8 = 1;
const SCHEMA: Schema = Schema { first: 1, steps: &[number], create };

/// The version of the records: with the number of their last change.
const VERSION: u8 = 2;
/// The version of those without.
const UNNUMBERED: u8 = 1;

fn create(txn: &WriteTransaction) -> Result<()> {
    txn.open_table(THREATS)?;
    txn.open_table(MARKS)?;
    Ok(())
}

/// 1 → 2: each record gets a number, the least one. No node is known to have any of them.
fn number(txn: &WriteTransaction) -> Result<()> {
    let mut table = txn.open_table(THREATS)?;
    let mut keys = Vec::new();
    for entry in table.iter()? {
        keys.push(entry?.0.value());
    }
    for key in keys {
        let Some(threat) = table.get(key)?.map(|stored| {
            let threat = record::open("threats", UNNUMBERED, &key.to_be_bytes(), stored.value());
            threat.and_then(|threat: Record| seal(&threat, 0))
        }) else {
            continue;
        };
        table.insert(key, threat?.1.as_slice())?;
    }
    Ok(())
}

/// A record as it lies on the disk, and its key.
pub(super) type Sealed = (u128, Vec<u8>);

/// What one commit brings to the disk.
#[derive(Default)]
pub(super) struct Changes {
    /// Removed before anything is stored.
    pub gone: BTreeSet<ThreatId>,
    /// To be stored.
    pub records: Vec<Sealed>,
    /// To be stored, if anything.
    pub marks: Option<Marks>,
}

impl Changes {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.gone.is_empty() && self.records.is_empty() && self.marks.is_none()
    }
}

/// Seals a record.
pub(super) fn seal(threat: &Record, sequence: u64) -> Result<Sealed> {
    let key = threat.id.0;
    Ok((key, record::seal(VERSION, &key.to_be_bytes(), &(sequence, threat))?))
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

    /// Stores all of it or none, and returns when it is on the disk.
    pub fn store(&self, changes: &Changes) -> Result<()> {
        self.0.write(true, |txn| {
            let mut table = txn.open_table(THREATS)?;
            for id in &changes.gone {
                table.remove(id.0)?;
            }
            for (key, sealed) in &changes.records {
                table.insert(key, sealed.as_slice())?;
            }
            if let Some(marks) = &changes.marks {
                let sealed = record::seal(MARKS_VERSION, &[MARKS_KEY], marks)?;
                txn.open_table(MARKS)?.insert(MARKS_KEY, sealed.as_slice())?;
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
            if let Some(stored) = txn.open_table(MARKS)?.get(MARKS_KEY)? {
                let marks: Marks =
                    record::open("marks", MARKS_VERSION, &[MARKS_KEY], stored.value())?;
                state.resume(marks);
            }
            for entry in txn.open_table(THREATS)?.iter()? {
                let (key, stored) = entry?;
                let key = key.value();
                let (sequence, record): (u64, Record) =
                    record::open("threats", VERSION, &key.to_be_bytes(), stored.value())?;
                last = last.max(record.handling().and_then(Handling::last).unwrap_or_default());
                state.restore(record, sequence).map_err(|e| corrupt(e.to_string()))?;
            }
            Ok(last)
        };
        Ok(read()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::member::tests::record as threat;
    use ::threat::Timestamp;
    use regions::threats::Count;
    use store::sim::SimDisk;

    /// Schema 1: records without a number, and no marks.
    fn first(txn: &WriteTransaction) -> Result<()> {
        let mut table = txn.open_table(THREATS)?;
        for n in 0..3 {
            let (key, record) = (threat(n).id.0, threat(n));
            let sealed = record::seal(UNNUMBERED, &key.to_be_bytes(), &record)?;
            table.insert(key, sealed.as_slice())?;
        }
        Ok(())
    }

    #[test]
    fn records_without_numbers_get_one_and_what_others_have_is_kept() {
        let disk = SimDisk::new(1);
        let old = Schema { first: 1, steps: &[], create: first };
        drop(Database::with_backend(disk.backend(), &old).unwrap());
        let open = || {
            let disk = ThreatDisk::with_backend(disk.backend()).unwrap();
            let mut state = ThreatState::new([1; 32]);
            disk.load(&mut state).unwrap();
            (disk, state)
        };
        let (file, mut state) = open();
        assert_eq!((state.len(), state.get(threat(2).id)), (3, Some(&threat(2))));
        // Nobody is known to have any of them until a comparison went through.
        state.told(2, state.mark(Timestamp::from_micros(9)), Timestamp::from_micros(9));
        let mut grown = threat(1);
        grown.count(Count { source: 9, segment: 0, offset: 1, verdicts: 1 });
        state.take(grown.clone()).unwrap();
        let mut changes = Changes { marks: state.take_marks(), ..Changes::default() };
        assert!(changes.marks.is_some());
        state.take_unstored(|r, sequence| changes.records.push(seal(r, sequence).unwrap()));
        changes.gone.insert(threat(0).id);
        file.store(&changes).unwrap();
        drop(file);
        let (_file, mut again) = open();
        assert_eq!((again.len(), again.get(grown.id)), (2, Some(&grown)));
        again.told(3, again.mark(Timestamp::from_micros(9)), Timestamp::from_micros(9));
        assert_ne!(again.take_marks(), Some(Marks::default()));
    }
}
