//! `raft.redb`: the log, the vote, how far the log is committed, how far it is purged; all of it up
//! to where the journal goes on.

use super::Alive;
use crate::consensus::limits::CACHE_BYTES;
use crate::consensus::types::{Entry, LogId, NodeId, Vote};
use redb::{ReadableTable, StorageBackend, TableDefinition, WriteTransaction};
use serde::{Serialize, de::DeserializeOwned};
use std::path::Path;
use store::database::{Database, Schema};
use store::{Result, record};

const ENTRIES: TableDefinition<u64, &[u8]> = TableDefinition::new("entries");
const MARKS: TableDefinition<&str, &[u8]> = TableDefinition::new("marks");
const SCHEMA: Schema = Schema { first: 1, steps: &[], create };

/// The version of the records of either table.
pub(super) const VERSION: u8 = 1;

const VOTE: &str = "vote";
const COMMITTED: &str = "committed";
const PURGED: &str = "purged";
const OWNER: &str = "owner";
/// The generation of the journal from which on what it holds is not here.
const JOURNAL: &str = "journal";

fn create(txn: &WriteTransaction) -> Result<()> {
    txn.open_table(ENTRIES)?;
    txn.open_table(MARKS)?;
    Ok(())
}

/// One change of the log.
#[derive(Debug, PartialEq)]
pub(super) enum Write {
    /// Entries at their index, sealed.
    Append(Vec<(LogId, Vec<u8>)>),
    /// The vote.
    Vote(Vote),
    /// How far it is committed. Needs no sync of its own: it only saves work at a restart.
    Committed(Option<LogId>),
    /// Removes this index and all after it.
    Truncate(u64),
    /// Removes this entry and all before it.
    Purge(LogId),
}

/// What is found at a start.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub owner: Option<NodeId>,
    pub vote: Option<Vote>,
    pub committed: Option<LogId>,
    pub purged: Option<LogId>,
    pub last: Option<LogId>,
}

/// The file.
pub(super) struct LogDisk {
    db: Database,
    // After the file: dropped when that is closed.
    _alive: Alive,
}

/// The record of an entry.
pub(super) fn seal(entry: &Entry) -> Result<Vec<u8>> {
    record::seal(VERSION, &entry.log_id.index.to_be_bytes(), entry)
}

impl LogDisk {
    pub fn open(path: &Path, alive: Alive) -> Result<Self> {
        Ok(Self { db: Database::open(path, &SCHEMA, CACHE_BYTES)?, _alive: alive })
    }

    pub fn with_backend(backend: impl StorageBackend, alive: Alive) -> Result<Self> {
        Ok(Self { db: Database::with_backend(backend, &SCHEMA)?, _alive: alive })
    }

    /// Whose file this is; `id` makes it its own if it is nobody's.
    pub fn owner(&self, id: NodeId) -> Result<NodeId> {
        self.db.write(true, |txn| {
            let mut marks = txn.open_table(MARKS)?;
            if let Some(owner) = get(&marks, OWNER)? {
                return Ok(owner);
            }
            put(&mut marks, OWNER, &id)?;
            Ok(id)
        })
    }

    /// The generation from which on the journal goes on; none before there was a journal.
    pub fn journal(&self) -> Result<Option<u64>> {
        get(&self.db.read()?.open_table(MARKS)?, JOURNAL)
    }

    /// Makes the changes in their order, all or none, and returns when they are on the disk. The
    /// journal goes on with generation `next`.
    pub fn fold(&self, writes: &[Write], next: u64) -> Result<()> {
        self.db.write(true, |txn| {
            let mut entries = txn.open_table(ENTRIES)?;
            let mut marks = txn.open_table(MARKS)?;
            put(&mut marks, JOURNAL, &next)?;
            for write in writes {
                match write {
                    Write::Append(new) => {
                        for (id, sealed) in new {
                            entries.insert(id.index, sealed.as_slice())?;
                        }
                    }
                    Write::Vote(vote) => put(&mut marks, VOTE, vote)?,
                    Write::Committed(upto) => put(&mut marks, COMMITTED, upto)?,
                    Write::Truncate(from) => entries.retain_in(*from.., |_, _| false)?,
                    Write::Purge(upto) => {
                        entries.retain_in(..=upto.index, |_, _| false)?;
                        put(&mut marks, PURGED, &Some(*upto))?;
                    }
                }
            }
            Ok(())
        })
    }

    /// The entries from `from` up to before `to` that are there, up to `bytes` beyond the first.
    pub fn entries(&self, from: u64, to: u64, bytes: usize) -> Result<Vec<Entry>> {
        let txn = self.db.read()?;
        let table = txn.open_table(ENTRIES)?;
        let (mut found, mut size) = (Vec::new(), 0usize);
        for entry in table.range(from..to)? {
            let (index, stored) = entry?;
            size = size.saturating_add(stored.value().len());
            if !found.is_empty() && size > bytes {
                break;
            }
            let key = index.value().to_be_bytes();
            found.push(record::open("entries", VERSION, &key, stored.value())?);
        }
        Ok(found)
    }

    /// What is found at a start.
    pub fn find(&self) -> Result<Found> {
        let txn = self.db.read()?;
        let marks = txn.open_table(MARKS)?;
        let entries = txn.open_table(ENTRIES)?;
        let purged = get::<Option<LogId>>(&marks, PURGED)?.flatten();
        let last = match entries.last()? {
            Some((index, stored)) => {
                let key = index.value().to_be_bytes();
                let entry: Entry = record::open("entries", VERSION, &key, stored.value())?;
                Some(entry.log_id)
            }
            None => purged,
        };
        // One that the log does not reach would make openraft look for entries that are not there;
        // it is never needed.
        let committed = get::<Option<LogId>>(&marks, COMMITTED)?.flatten();
        let committed = committed.filter(|c| last.is_some_and(|l| c.index <= l.index));
        let (owner, vote) = (get(&marks, OWNER)?, get(&marks, VOTE)?);
        Ok(Found { owner, vote, committed, purged, last })
    }
}

fn put<T: Serialize>(marks: &mut redb::Table<&str, &[u8]>, name: &str, value: &T) -> Result<()> {
    let sealed = record::seal(VERSION, name.as_bytes(), value)?;
    marks.insert(name, sealed.as_slice())?;
    Ok(())
}

fn get<T: DeserializeOwned>(
    marks: &impl ReadableTable<&'static str, &'static [u8]>,
    name: &str,
) -> Result<Option<T>> {
    let Some(stored) = marks.get(name)? else { return Ok(None) };
    record::open("marks", VERSION, name.as_bytes(), stored.value()).map(Some)
}
