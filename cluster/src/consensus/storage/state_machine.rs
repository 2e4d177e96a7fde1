//! The control log as openraft applies it: in memory, with checkpoints on the disk.

use super::state_disk::{Checkpoint, StateDisk};
use super::stored::Stored;
use super::worker::Worker;
use super::{Closed, Fatal, Watch, broken};
use crate::consensus::types::{
    Batch, Entry, LogId, Replies, SnapshotMeta, StorageError, StoredMembership, Types,
};
use openraft::storage::{RaftStateMachine, Snapshot};
use openraft::{EntryPayload, OptionalSend, RaftSnapshotBuilder};
use regions::control_log::ControlLog;
use std::io::Cursor;
use std::sync::{Arc, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use threat::mutants::{Mutant, is_live};
use tokio::sync::watch;

/// The control log with its place in the Raft log.
#[derive(Clone, Debug, Default)]
pub(in crate::consensus) struct Applied {
    pub log: ControlLog,
    pub last: Option<LogId>,
    membership: StoredMembership,
}

/// How many entries the state on the disk has; none once the disk has failed.
pub(in crate::consensus) type Durable = Option<u64>;

struct Shared {
    applied: RwLock<Applied>,
    /// The last applied index.
    index: watch::Sender<u64>,
    /// The last one whose command is followed ([`regions::control_log::Command::is_followed`]).
    followed: watch::Sender<u64>,
    durable: watch::Sender<Durable>,
    disk: Worker<StateDisk>,
    /// How far the log is on the disk; nothing beyond is applied. None in openraft's suite, which
    /// applies what it has not appended.
    stored: Option<Stored>,
    watch: OnceLock<Arc<dyn Watch>>,
    fatal: Fatal,
}

/// Applies entries and makes snapshots. Clones share one state.
#[derive(Clone)]
pub(in crate::consensus) struct StateMachine(Arc<Shared>);

fn count(last: Option<LogId>) -> u64 {
    last.map_or(0, |l| l.index + 1)
}

fn decode(bytes: &[u8]) -> store::Result<ControlLog> {
    let corrupt = |e| store::Error::Corrupt { what: format!("{e}") };
    if bytes.is_empty() {
        Ok(ControlLog::default())
    } else {
        ControlLog::decode(bytes).map_err(corrupt)
    }
}

impl StateMachine {
    pub(super) fn load(
        disk: Worker<StateDisk>,
        stored: Option<Stored>,
        fatal: Fatal,
    ) -> store::Result<Self> {
        let Checkpoint { last, membership, log } = disk.disk().checkpoint()?.unwrap_or_default();
        let applied = Applied { log: decode(&log)?, last, membership };
        Ok(Self(Arc::new(Shared {
            index: watch::Sender::new(last.map_or(0, |l| l.index)),
            followed: watch::Sender::new(0),
            durable: watch::Sender::new(Some(count(last))),
            applied: RwLock::new(applied),
            disk,
            stored,
            watch: OnceLock::new(),
            fatal,
        })))
    }

    /// Lets the first that is given see what is applied from now on.
    pub fn watched_by(&self, watch: Arc<dyn Watch>) {
        let _ = self.0.watch.set(watch);
    }

    /// Who sees it.
    pub fn watch(&self) -> Option<Arc<dyn Watch>> {
        self.0.watch.get().cloned()
    }

    /// How many entries the state on the disk has, as it grows.
    pub fn durable(&self) -> watch::Receiver<Durable> {
        self.0.durable.subscribe()
    }

    /// The last applied index, as it grows.
    pub fn index(&self) -> watch::Receiver<u64> {
        self.0.index.subscribe()
    }

    /// The last applied index whose command is followed, as it grows.
    pub fn followed(&self) -> watch::Receiver<u64> {
        self.0.followed.subscribe()
    }

    /// The applied state. Hold it for a moment only: applying waits.
    pub fn read(&self) -> RwLockReadGuard<'_, Applied> {
        // Only a panic while applying leaves it poisoned, and then openraft has stopped.
        self.0.applied.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Applied> {
        self.0.applied.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stores what is applied, if that is more than what is stored.
    pub async fn checkpoint(&self) -> Result<(), StorageError> {
        if Some(count(self.read().last)) <= *self.0.durable.borrow() {
            return Ok(());
        }
        let state = self.capture()?;
        self.store(state, None).await
    }

    fn capture(&self) -> Result<Checkpoint, StorageError> {
        let applied = self.read();
        let log = applied.log.encode().map_err(|e| broken(&e))?;
        Ok(Checkpoint { last: applied.last, membership: applied.membership.clone(), log })
    }

    async fn store(
        &self,
        state: Checkpoint,
        snapshot: Option<SnapshotMeta>,
    ) -> Result<(), StorageError> {
        let reached = count(state.last);
        let job = move |disk: &StateDisk| disk.store(&state, snapshot.as_ref());
        let stored = self.0.disk.run(job).await.map_err(|e| broken(&e))?;
        if let Err(error) = stored {
            // Whoever waits for this state would wait for ever.
            self.0.durable.send_replace(None);
            return Err(self.0.fatal.tell(&error));
        }
        self.0.durable.send_if_modified(|known| {
            let more = known.is_some_and(|k| reached > k);
            if more {
                *known = Some(reached);
            }
            more
        });
        Ok(())
    }
}

/// A change of who votes is followed, too, and what a new leader begins with.
fn is_followed(entry: &Entry) -> bool {
    match &entry.payload {
        EntryPayload::Normal(batch) => batch.0.iter().any(|r| r.command.is_followed()),
        EntryPayload::Blank | EntryPayload::Membership(_) => true,
    }
}

impl Applied {
    fn apply(&mut self, entry: Entry, watch: Option<&Arc<dyn Watch>>) -> Replies {
        let index = entry.log_id.index;
        self.last = Some(entry.log_id);
        let (requests, replies): (Batch, Replies) = match entry.payload {
            EntryPayload::Blank => Default::default(),
            EntryPayload::Normal(batch) => {
                let replies = batch.0.iter().map(|r| self.log.apply(index, r)).collect();
                (batch, replies)
            }
            EntryPayload::Membership(members) => {
                self.membership = StoredMembership::new(Some(entry.log_id), members);
                Default::default()
            }
        };
        if let Some(watch) = watch {
            watch.applied(index, &requests.0, &replies, &self.log);
        }
        replies
    }
}

impl RaftSnapshotBuilder<Types> for StateMachine {
    async fn build_snapshot(&mut self) -> Result<Snapshot<Types>, StorageError> {
        let state = self.capture()?;
        let meta = SnapshotMeta {
            last_log_id: state.last,
            last_membership: state.membership.clone(),
            // The state at an index is one thing, so its place names it.
            snapshot_id: state.last.map_or_else(String::new, |l| l.to_string()),
        };
        let snapshot = Box::new(Cursor::new(state.log.clone()));
        self.store(state, Some(meta.clone())).await?;
        Ok(Snapshot { meta, snapshot })
    }
}

impl RaftStateMachine<Types> for StateMachine {
    type SnapshotBuilder = Self;

    async fn applied_state(&mut self) -> Result<(Option<LogId>, StoredMembership), StorageError> {
        let applied = self.read();
        Ok((applied.last, applied.membership.clone()))
    }

    async fn apply<I>(&mut self, entries: I) -> Result<Vec<Replies>, StorageError>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let entries: Vec<Entry> = entries.into_iter().collect();
        if let Some(stored) =
            self.0.stored.as_ref().filter(|_| !is_live(Mutant::AppliedBeforeStored))
            && !stored.wait(entries.last().map(|e| e.log_id)).await
        {
            return Err(broken(&Closed));
        }
        let followed = entries.iter().rev().find(|e| is_followed(e)).map(|e| e.log_id.index);
        let (replies, last) = {
            let mut applied = self.write();
            let watch = self.0.watch.get();
            let replies = entries.into_iter().map(|e| applied.apply(e, watch)).collect();
            (replies, applied.last)
        };
        self.0.index.send_replace(last.map_or(0, |l| l.index));
        if let Some(index) = followed {
            self.0.followed.send_replace(index);
        }
        Ok(replies)
    }

    async fn get_snapshot_builder(&mut self) -> Self {
        self.clone()
    }

    async fn begin_receiving_snapshot(&mut self) -> Result<Box<Cursor<Vec<u8>>>, StorageError> {
        Ok(Box::new(Cursor::new(Vec::new())))
    }

    async fn install_snapshot(
        &mut self,
        meta: &SnapshotMeta,
        snapshot: Box<Cursor<Vec<u8>>>,
    ) -> Result<(), StorageError> {
        let bytes = snapshot.into_inner();
        let log = decode(&bytes).map_err(|e| broken(&e))?;
        let (last, membership) = (meta.last_log_id, meta.last_membership.clone());
        let state = Checkpoint { last, membership: membership.clone(), log: bytes };
        let index = last.map_or(0, |l| l.index);
        if let Some(watch) = self.0.watch.get() {
            watch.installed(index, &log);
        }
        // Memory first: a checkpoint taken between the two has the new state, not the old one.
        *self.write() = Applied { log, last, membership };
        self.store(state, Some(meta.clone())).await?;
        self.0.index.send_replace(index);
        self.0.followed.send_replace(index);
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<Snapshot<Types>>, StorageError> {
        let read = self.0.disk.run(StateDisk::snapshot).await.map_err(|e| broken(&e))?;
        let found = read.map_err(|e| self.0.fatal.tell(&e))?;
        Ok(found.map(|(meta, bytes)| Snapshot { meta, snapshot: Box::new(Cursor::new(bytes)) }))
    }
}
