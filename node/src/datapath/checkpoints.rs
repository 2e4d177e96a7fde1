//! What is remembered of entities, on this node's disk: of workloads that it owns, and of those
//! whose owners send it checkpoints, so that it can go on with them.
//!
//! A checkpoint of a workload is numbered within the epoch of its owner, and holds what changed
//! since the one before. Where a workload stands here is its mark: the last checkpoint that is here
//! whole. One that does not follow the mark is refused, and its sender, which is told the mark,
//! sends all that is missing; the newest state of each entry stays in whatever order parts come. An
//! older epoch writes nothing: its owner has been replaced.
//!
//! Nothing here is synced by itself, since losing it costs freshness alone. It goes to the disk
//! with the next verdicts.

use super::limits::{COMMIT_STATES, PART_STATE_BYTES, STATES};
use super::message::Checkpoint;
use actors::ports::Threads;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use store::{Commit, EntityState, Error, Store};
use tokio::task::JoinError;

/// What the mark of a workload is kept under.
const NAME: &str = "entities/";

/// Epoch and number of a checkpoint; a greater one is newer.
pub type Mark = (u64, u64);

/// The state of entities by workload.
pub struct Checkpoints {
    store: Arc<Store>,
    threads: Threads,
    known: Mutex<BTreeMap<u32, Known>>,
}

#[derive(Clone, Copy, Default)]
struct Known {
    mark: Mark,
    /// Entries written since the workload's were counted.
    written: usize,
}

impl Checkpoints {
    /// Goes on with what the store has.
    ///
    /// # Errors
    /// When the store fails.
    pub fn open(store: Arc<Store>, threads: Threads) -> Result<Self, Error> {
        let mut known = BTreeMap::new();
        let view = store.view()?;
        for name in view.checkpoint_names(NAME)? {
            let workload = name.strip_prefix(NAME).and_then(|n| n.parse().ok());
            let bytes = view.checkpoint(&name)?.and_then(|b| <[u8; 16]>::try_from(b).ok());
            if let (Some(workload), Some(bytes)) = (workload, bytes) {
                let both = u128::from_le_bytes(bytes);
                let mark = ((both >> 64) as u64, both as u64);
                known.insert(workload, Known { mark, written: STATES });
            }
        }
        Ok(Self { store, threads, known: Mutex::new(known) })
    }

    /// Does something that waits for the disk, beside other tasks.
    ///
    /// # Errors
    /// When it panicked.
    pub async fn aside<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> T + Send + 'static,
    ) -> Result<T, JoinError> {
        let this = Arc::clone(self);
        self.threads.wait(move || work(&this)).await
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<u32, Known>> {
        // Nothing panics while it is held.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where all workloads stand.
    pub fn marks(&self) -> BTreeMap<u32, Mark> {
        self.known().iter().map(|(workload, known)| (*workload, known.mark)).collect()
    }

    /// A part of what is here of a workload, after an entry by kind and key.
    ///
    /// # Errors
    /// When the store fails.
    pub fn part(&self, workload: u32, after: Option<(u8, u64)>) -> Result<Checkpoint, Error> {
        // Before the state is read, which is this new then, or newer.
        let (epoch, sequence) = self.known().get(&workload).copied().unwrap_or_default().mark;
        let view = self.store.view()?;
        let (states, last) = view.entities(workload, after, PART_STATE_BYTES)?;
        Ok(Checkpoint { workload, epoch, after: 0, sequence, last, states })
    }

    /// Begins to own a workload: from now on nothing of an older epoch is taken. What is here is
    /// the first checkpoint of the epoch, so that holders get it although nothing has changed.
    /// Gives what this process does not have in memory, the oldest first: all state, or that of
    /// epochs after `since`, the last one under which it owned the workload.
    ///
    /// # Errors
    /// When the store fails.
    pub fn claim(
        &self,
        workload: u32,
        epoch: u64,
        since: Option<u64>,
    ) -> Result<Vec<EntityState>, Error> {
        {
            let mut all = self.known();
            let known = all.entry(workload).or_default();
            if known.mark.0 < epoch {
                known.mark = (epoch, 1);
                self.commit(workload, known.mark, Vec::new())?;
            }
        }
        let mut states = Vec::new();
        self.store.view()?.each_entity(workload, |state| {
            if since.is_none_or(|since| state.epoch > since) {
                states.push(state);
            }
        })?;
        states.sort_by_key(EntityState::stamp);
        Ok(states)
    }

    /// Keeps what changed of a workload that this node owns, as its next checkpoint. `None` when
    /// another epoch has begun.
    ///
    /// # Errors
    /// When the store fails.
    pub fn keep(
        &self,
        workload: u32,
        epoch: u64,
        states: &mut [EntityState],
    ) -> Result<Option<Mark>, Error> {
        let mut all = self.known();
        let Some(known) = all.get_mut(&workload).filter(|k| k.mark.0 == epoch) else {
            return Ok(None);
        };
        if states.is_empty() {
            return Ok(Some(known.mark));
        }
        let mark = (epoch, known.mark.1 + 1);
        for state in states.iter_mut() {
            (state.epoch, state.sequence) = mark;
        }
        self.write(workload, known, mark, states)?;
        Ok(Some(mark))
    }

    /// A holder has a later checkpoint of this epoch than this node, whose disk forgot its own: the
    /// next one gets a number after it.
    pub fn raise(&self, workload: u32, told: Mark) {
        if let Some(known) = self.known().get_mut(&workload)
            && known.mark.0 == told.0
        {
            known.mark.1 = known.mark.1.max(told.1);
        }
    }

    /// Takes a part of another node's checkpoint, unless something is missing before it or a later
    /// epoch has begun. Says where the workload stands then.
    ///
    /// # Errors
    /// When the store fails, or a state is over its limit.
    pub fn hold(&self, part: &Checkpoint) -> Result<Mark, Error> {
        let mut all = self.known();
        let known = all.entry(part.workload).or_default();
        let (epoch, sequence) = known.mark;
        let follows = part.epoch == epoch && part.after <= sequence;
        let begins = part.epoch > epoch && part.after == 0;
        if follows || begins {
            let before = if follows { sequence } else { 0 };
            let reached = if part.last { part.sequence.max(before) } else { before };
            self.write(part.workload, known, (part.epoch, reached), &part.states)?;
        }
        Ok(known.mark)
    }

    /// What a holder lacks that has the checkpoints of this epoch up to `after`; all state when
    /// that is 0.
    ///
    /// # Errors
    /// When the store fails.
    pub fn after(&self, workload: u32, epoch: u64, after: u64) -> Result<Vec<EntityState>, Error> {
        let mut states = Vec::new();
        self.store.view()?.each_entity(workload, |state| {
            if after == 0 || state.stamp() > (epoch, after) {
                states.push(state);
            }
        })?;
        Ok(states)
    }

    fn write(
        &self,
        workload: u32,
        known: &mut Known,
        mark: Mark,
        states: &[EntityState],
    ) -> Result<(), Error> {
        // In parts: verdicts wait for the same file. The mark comes last; before it, what is
        // written is newer than it says, which is no harm.
        let ours = |state: &&EntityState| state.workload == workload;
        let mut parts = states.chunks(COMMIT_STATES).peekable();
        while let Some(part) = parts.next() {
            let reached = if parts.peek().is_some() { (mark.0, 0) } else { mark };
            let reached = reached.max(known.mark);
            self.commit(workload, reached, part.iter().filter(ours).cloned().collect())?;
            known.mark = reached;
        }
        if states.is_empty() && known.mark != mark {
            self.commit(workload, mark, Vec::new())?;
        }
        known.mark = known.mark.max(mark);
        known.written += states.len();
        if known.written > STATES / 4 {
            known.written = 0;
            self.prune(workload)?;
        }
        Ok(())
    }

    fn commit(&self, workload: u32, mark: Mark, entities: Vec<EntityState>) -> Result<(), Error> {
        let both = u128::from(mark.0) << 64 | u128::from(mark.1);
        let checkpoints = vec![(format!("{NAME}{workload}"), both.to_le_bytes().to_vec())];
        self.store.commit(&Commit { checkpoints, entities, ..Commit::default() })?;
        Ok(())
    }

    /// Forgets the entries that changed longest ago when there are too many.
    fn prune(&self, workload: u32) -> Result<(), Error> {
        let mut all = Vec::new();
        self.store.view()?.each_entity(workload, |s| all.push((s.stamp(), s.kind, s.key)))?;
        let over = all.len().saturating_sub(STATES);
        if over == 0 {
            return Ok(());
        }
        all.sort_unstable();
        let old = all.into_iter().take(over).map(|(_, kind, key)| (workload, kind, key));
        let forget_entities = old.collect();
        tracing::info!("workload {workload}: {over} entries of entities' state make room");
        self.store.commit(&Commit { forget_entities, ..Commit::default() })?;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
