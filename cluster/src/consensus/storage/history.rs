//! The log of a node that has ended, read from its files: for those who check afterwards what was
//! agreed on.

use super::{Fatal, log_disk, state_disk};
use crate::consensus::storage::log_store::LogStore;
use crate::consensus::storage::log_writer::Place;
use crate::consensus::types::Entry;
use openraft::{EntryPayload, RaftLogReader as _};
use regions::control_log::Request;
use std::path::Path;
use store::journal::Journal;
use tokio::sync::mpsc;

/// What a node's files say of the log.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct History {
    /// The last index that its stored state has: everything up to there was agreed on.
    pub applied: u64,
    /// The entries that are kept, in order.
    pub entries: Vec<Logged>,
}

/// An entry of the log.
#[derive(Clone, Debug, PartialEq)]
pub struct Logged {
    /// Its index.
    pub index: u64,
    /// The term in which it was made.
    pub term: u64,
    /// Its commands; none of an entry that begins a term or changes the members.
    pub requests: Vec<Request>,
}

impl From<Entry> for Logged {
    fn from(entry: Entry) -> Self {
        let requests = match entry.payload {
            EntryPayload::Normal(batch) => batch.0,
            EntryPayload::Blank | EntryPayload::Membership(_) => Vec::new(),
        };
        Self { index: entry.log_id.index, term: entry.log_id.leader_id.term, requests }
    }
}

impl History {
    /// Reads the files in the folder of a node that does not run.
    ///
    /// # Errors
    /// As [`Storage::open`](super::Storage::open).
    pub async fn read(folder: &Path) -> store::Result<Self> {
        let (alive, _closed) = mpsc::channel(1);
        let log = log_disk::LogDisk::open(&folder.join("raft.redb"), alive.clone())?;
        let journal = Journal::open(&folder.join("raft.journal"), super::JOURNAL_AREA)?;
        let state = state_disk::StateDisk::open(&folder.join("state.redb"), alive)?;
        let last = state.checkpoint()?.unwrap_or_default().last;
        let mut log = LogStore::load(log, journal, Place::Thread, Fatal::new(|_| ()))?;
        let corrupt = |e| store::Error::Corrupt { what: format!("{e}") };
        let entries = log.try_get_log_entries(0..).await.map_err(corrupt)?;
        let applied = last.map_or(0, |id| id.index);
        Ok(Self { applied, entries: entries.into_iter().map(Logged::from).collect() })
    }
}
