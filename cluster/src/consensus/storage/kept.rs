//! What a power cut leaves of consensus, for checks that nothing is promised before it is durable.

use super::log_disk::LogDisk;
use super::log_store::LogStore;
use super::log_writer::Place;
use super::{Fatal, Promise, Slowest};
use crate::consensus::limits::JOURNAL_AREA_SIMULATED;
use crate::consensus::types::Vote;
use redb::StorageBackend;
use store::journal::Journal;
use tokio::sync::mpsc;

/// What files would give back after a power cut: for whom the last vote is, and the last index.
#[derive(Clone, Copy, Debug)]
pub struct Kept {
    vote: Option<Vote>,
    last: Option<u64>,
}

impl Kept {
    /// Looks into files, which are opened as at a start, so give copies.
    ///
    /// # Errors
    /// As [`store::database::Database::with_backend`].
    pub fn of([log, journal]: [impl StorageBackend; 2]) -> store::Result<Self> {
        let (alive, _closed) = mpsc::channel(1);
        let log = LogDisk::with_backend(log, alive)?;
        let journal = Journal::with_backend(journal, JOURNAL_AREA_SIMULATED)?;
        let slowest = Slowest::default();
        let fatal = Fatal::new(|_| ());
        let (vote, last) = LogStore::load(log, journal, Place::Task { slowest }, fatal)?.kept();
        Ok(Self { vote, last })
    }

    /// Whether a promise can be kept with them.
    #[must_use]
    pub fn keeps(&self, promise: Promise) -> bool {
        let term = self.vote.map_or(0, |vote| vote.leader_id.term);
        match promise {
            // Under a later leader the log may have been cut back since.
            Promise::Log { term: of, index } => term > of || self.last >= Some(index),
            Promise::Vote { term: of, candidate } => {
                let votes = |v: Vote| (term, v.leader_id.node_id) == (of, candidate);
                term > of || self.vote.is_some_and(votes)
            }
        }
    }
}
