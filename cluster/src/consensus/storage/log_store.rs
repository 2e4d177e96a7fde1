//! The log as openraft sees it: entries can be read as soon as they are handed over, and count when
//! they are on the disk.

use super::frame;
use super::log_disk::{LogDisk, Write, seal};
use super::log_writer::{Place, Tell, Writer};
use super::state_machine::Durable;
use super::stored::Stored;
use super::{Closed, Fatal, broken};
use crate::consensus::limits::{APPEND_BYTES, CACHE_ENTRIES_BYTES};
use crate::consensus::types::{Entry, LogId, NodeId, StorageError, Types, Vote};
use openraft::storage::{LogFlushed, LogState, RaftLogStorage};
use openraft::{EntryPayload, OptionalSend, RaftLogReader};
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::ops::{Bound, RangeBounds};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use store::journal::Journal;
use threat::mutants::{Mutant, is_live};
use tokio::sync::watch;

struct Cached {
    entry: Entry,
    bytes: usize,
    /// Whether the database has it; until then it is read from here.
    folded: bool,
}

/// What is known of the log without reading it. The cached entries are its end, without a gap.
pub(super) struct Memory {
    /// Whose log it is, once somebody's.
    owner: Option<NodeId>,
    vote: Option<Vote>,
    committed: Option<LogId>,
    purged: Option<LogId>,
    last: Option<LogId>,
    cache: BTreeMap<u64, Cached>,
    cached_bytes: usize,
    stored: Stored,
}

impl Memory {
    /// Whether these are a leader's own commands. It may count them as its own before they are
    /// stored, since what follows waits for [`Stored`]; a change of members is not followed up by
    /// applying it alone, and what a follower says to have must be on its disk.
    fn are_own_commands(&self, entries: &[Entry]) -> bool {
        self.vote.is_some_and(|vote| {
            let own = |e: &Entry| {
                matches!(e.payload, EntryPayload::Normal(_)) && e.log_id.leader_id == vote.leader_id
            };
            vote.is_committed()
                && self.owner == Some(vote.leader_id.node_id)
                && entries.iter().all(own)
        })
    }

    /// The disk has failed.
    pub fn fail(&self) {
        self.stored.fail();
    }

    /// Whether it has: what comes after what failed must not be there without that.
    pub fn failed(&self) -> bool {
        self.stored.failed()
    }

    fn add(&mut self, entry: Entry, bytes: usize) {
        self.last = Some(entry.log_id);
        self.cached_bytes += bytes;
        self.cache.insert(entry.log_id.index, Cached { entry, bytes, folded: false });
    }

    fn forget(&mut self, index: u64) {
        if let Some(cached) = self.cache.remove(&index) {
            self.cached_bytes -= cached.bytes;
        }
    }

    /// The log is on the disk up to this entry, if it is still the one of its index.
    pub fn stored(&mut self, last: Option<LogId>) {
        let there = |id: &LogId| self.cache.get(&id.index).is_some_and(|c| c.entry.log_id == *id);
        self.stored.grow(last.filter(there));
    }

    /// These are in the database now, if they are still the ones of their index.
    pub fn folded(&mut self, ids: &[LogId]) {
        for id in ids {
            if let Some(cached) = self.cache.get_mut(&id.index) {
                cached.folded |= cached.entry.log_id == *id;
            }
        }
        while self.cached_bytes > CACHE_ENTRIES_BYTES
            && let Some((&index, _)) = self.cache.first_key_value().filter(|(_, c)| c.folded)
        {
            self.forget(index);
        }
    }

    fn truncate(&mut self, from: u64, last: Option<LogId>) {
        let gone: Vec<u64> = self.cache.range(from..).map(|(i, _)| *i).collect();
        gone.into_iter().for_each(|index| self.forget(index));
        self.stored.cut(last);
        self.last = last;
    }

    fn purge(&mut self, upto: LogId) {
        let gone: Vec<u64> = self.cache.range(..=upto.index).map(|(i, _)| *i).collect();
        gone.into_iter().for_each(|index| self.forget(index));
        self.purged = Some(upto);
        self.stored.grow(Some(upto));
        self.last = self.last.filter(|l| l.index > upto.index).or(Some(upto));
    }

    /// What of `from..to` there is, and where the cache begins.
    fn bounds(&self, from: u64, to: u64) -> (u64, u64, u64) {
        let from = from.max(self.purged.map_or(0, |p| p.index + 1));
        let end = self.last.map_or(0, |l| l.index + 1);
        let cache = self.cache.first_key_value().map_or(end, |(i, _)| *i);
        (from, to.min(end), cache)
    }
}

/// A leader that starts again is none until it is elected anew: entries that it had sent may have
/// been lost before they were stored, and others must not take their place under the same vote.
fn as_a_follower(vote: Vote, owner: Option<NodeId>) -> Vote {
    let own = owner == Some(vote.leader_id.node_id);
    if own { Vote::new(vote.leader_id.term, vote.leader_id.node_id) } else { vote }
}

/// Reads and writes the log. Clones share it.
#[derive(Clone)]
pub(in crate::consensus) struct LogStore {
    memory: Arc<Mutex<Memory>>,
    disk: Arc<LogDisk>,
    writer: Arc<Writer>,
    /// How many entries the durable applied state has; nothing beyond is purged. None in openraft's
    /// suite, which purges without having applied.
    applied: Option<watch::Receiver<Durable>>,
    fatal: Fatal,
}

impl LogStore {
    pub(super) fn load(
        disk: LogDisk,
        mut journal: Journal,
        place: Place,
        fatal: Fatal,
    ) -> store::Result<Self> {
        // What the journal still had is in the database before anything else is done with it.
        let from = disk.journal()?.unwrap_or_default();
        let mut writes = Vec::new();
        for bytes in journal.replay(from)? {
            writes.append(&mut frame::unpack(&bytes)?);
        }
        disk.fold(&writes, from + 2)?;
        journal.begin(from + 2);
        let found = disk.find()?;
        let memory = Memory {
            owner: found.owner,
            vote: found.vote.map(|vote| as_a_follower(vote, found.owner)),
            committed: found.committed,
            purged: found.purged,
            last: found.last,
            cache: BTreeMap::new(),
            cached_bytes: 0,
            stored: Stored::new(found.last),
        };
        let (memory, disk) = (Arc::new(Mutex::new(memory)), Arc::new(disk));
        let (whose, its) = (Arc::clone(&disk), Arc::clone(&memory));
        let writer = Writer::new(whose, journal, its, place, fatal.clone());
        Ok(Self { memory, disk, writer: Arc::new(writer), applied: None, fatal })
    }

    /// Purges nothing from now on that the durable applied state does not have.
    pub(super) fn kept_for(self, applied: watch::Receiver<Durable>) -> Self {
        Self { applied: Some(applied), ..self }
    }

    /// Whose log this is; `id` makes it its own if it is nobody's.
    pub fn owner(&self, id: NodeId) -> store::Result<NodeId> {
        let owner = self.disk.owner(id)?;
        self.lock().owner = Some(owner);
        Ok(owner)
    }

    /// What the disk would give back: who the last vote was for, and the last index.
    #[cfg(any(test, feature = "sim"))]
    pub fn kept(&self) -> (Option<Vote>, Option<u64>) {
        let memory = self.lock();
        (memory.vote, memory.last.map(|last| last.index))
    }

    /// How far it is on the disk.
    pub fn stored(&self) -> Stored {
        self.lock().stored.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Memory> {
        // No code that holds it can leave it half changed.
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Up to `bytes` of the entries from `from` up to before `to`, beyond the first.
    fn read(&self, from: u64, to: u64, bytes: usize) -> Result<Vec<Entry>, StorageError> {
        let (from, to, cache) = self.lock().bounds(from, to);
        if from >= to {
            return Ok(Vec::new());
        }
        let mut found = Vec::new();
        if from < cache {
            let disk = self.disk.entries(from, to.min(cache), bytes);
            found = disk.map_err(|e| self.fatal.tell(&e))?;
            // It was enough, or the log was purged meanwhile.
            if found.last().is_some_and(|e| e.log_id.index + 1 < to.min(cache)) {
                return Ok(found);
            }
        }
        let memory = self.lock();
        let mut size = 0usize;
        for cached in memory.cache.range(from.max(cache)..to.max(from.max(cache))) {
            size = size.saturating_add(cached.1.bytes);
            if !found.is_empty() && size > bytes {
                break;
            }
            found.push(cached.1.entry.clone());
        }
        Ok(found)
    }
}

impl RaftLogReader<Types> for LogStore {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: RB,
    ) -> Result<Vec<Entry>, StorageError> {
        let from = match range.start_bound() {
            Bound::Included(i) => *i,
            Bound::Excluded(i) => i.saturating_add(1),
            Bound::Unbounded => 0,
        };
        let to = match range.end_bound() {
            Bound::Included(i) => i.saturating_add(1),
            Bound::Excluded(i) => *i,
            Bound::Unbounded => u64::MAX,
        };
        self.read(from, to, usize::MAX)
    }

    async fn limited_get_log_entries(
        &mut self,
        start: u64,
        end: u64,
    ) -> Result<Vec<Entry>, StorageError> {
        self.read(start, end, APPEND_BYTES)
    }
}

impl RaftLogStorage<Types> for LogStore {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> Result<LogState<Types>, StorageError> {
        let memory = self.lock();
        Ok(LogState { last_purged_log_id: memory.purged, last_log_id: memory.last })
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> Result<(), StorageError> {
        if is_live(Mutant::VoteNotStored) {
            self.writer.send(Write::Vote(*vote), Tell::Nobody).await?;
        } else {
            self.writer.wait(Write::Vote(*vote)).await?;
        }
        self.lock().vote = Some(*vote);
        Ok(())
    }

    async fn read_vote(&mut self) -> Result<Option<Vote>, StorageError> {
        Ok(self.lock().vote)
    }

    async fn save_committed(&mut self, committed: Option<LogId>) -> Result<(), StorageError> {
        self.lock().committed = committed;
        self.writer.send(Write::Committed(committed), Tell::Nobody).await
    }

    async fn read_committed(&mut self) -> Result<Option<LogId>, StorageError> {
        Ok(self.lock().committed)
    }

    async fn append<I>(
        &mut self,
        entries: I,
        callback: LogFlushed<Types>,
    ) -> Result<(), StorageError>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let entries: Vec<Entry> = entries.into_iter().collect();
        let own = self.lock().are_own_commands(&entries);
        let mut sealed = Vec::new();
        for entry in entries {
            let bytes = seal(&entry).map_err(|e| self.fatal.tell(&e))?;
            let id = entry.log_id;
            self.lock().add(entry, bytes.len());
            sealed.push((id, bytes));
        }
        if !own {
            return self.writer.send(Write::Append(sealed), Tell::Raft(callback)).await;
        }
        if self.stored().failed() {
            return Err(broken(&Closed));
        }
        self.writer.send(Write::Append(sealed), Tell::Watchers).await?;
        callback.log_io_completed(Ok(()));
        Ok(())
    }

    async fn truncate(&mut self, since: LogId) -> Result<(), StorageError> {
        let before = match since.index.checked_sub(1) {
            None => None,
            Some(i) => self.read(i, since.index, usize::MAX)?.pop().map(|e| e.log_id),
        };
        {
            let mut memory = self.lock();
            let last = before.or(memory.purged);
            memory.truncate(since.index, last);
        }
        self.writer.wait(Write::Truncate(since.index)).await
    }

    async fn purge(&mut self, upto: LogId) -> Result<(), StorageError> {
        if let Some(applied) = &mut self.applied {
            let there = applied.wait_for(|d| d.is_none_or(|count| count > upto.index)).await;
            if there.map_or(true, |d| d.is_none()) {
                return Err(broken(&Closed));
            }
        }
        if self.lock().purged >= Some(upto) {
            return Ok(());
        }
        self.lock().purge(upto);
        self.writer.wait(Write::Purge(upto)).await
    }
}
