//! What consensus keeps. `raft.redb` holds the log and the vote, `raft.journal` what was added to
//! them last; each addition is on the disk before anything is answered ([`Stored`]). `state.redb`
//! holds the applied state and the
//! last snapshot.
//!
//! The applied state lives in memory and is checkpointed twice a second, whole: it is small, and
//! what was applied since the last checkpoint is in the log. So the log must keep what the
//! checkpoint lacks: [`LogStore`] purges only up to the durable applied position. openraft purges
//! the log while it installs a snapshot, so without that rule a power cut could leave neither.
//!
//! Two databases, since a commit of the one would wait for the other's writer. The journal takes
//! one sync and one small write for each addition; the log alone took two syncs and eight pages.

#![allow(clippy::result_large_err, reason = "openraft's storage traits give this error by value")]

mod folding;
mod frame;
mod history;
#[cfg(any(test, feature = "sim"))]
mod kept;
mod log_disk;
mod log_store;
mod log_writer;
mod state_disk;
mod state_machine;
mod stored;
mod worker;

pub use history::{History, Logged};
#[cfg(any(test, feature = "sim"))]
pub use kept::Kept;
pub(super) use log_store::LogStore;
pub(super) use state_machine::StateMachine;
pub(super) use stored::Stored;

use super::limits::{JOURNAL_AREA, JOURNAL_AREA_SIMULATED};
use super::types::StorageError;
use log_writer::Place;
pub use log_writer::Slowest;
use openraft::{AnyError, ErrorSubject, ErrorVerb, StorageIOError};
use redb::StorageBackend;
use regions::control_log::{ControlLog, Reply, Request};
use std::path::Path;
use std::sync::Arc;
use store::journal::Journal;
use tokio::sync::mpsc;

/// What ends the process when the disk under consensus fails. A failed write is never tried again:
/// after a failed sync nobody knows what reached the disk.
#[derive(Clone)]
pub struct Fatal(Arc<dyn Fn(&store::Error) + Send + Sync>);

impl Fatal {
    /// `end` is called with the reason; in production it does not return.
    pub fn new(end: impl Fn(&store::Error) + Send + Sync + 'static) -> Self {
        Self(Arc::new(end))
    }

    /// Ends the process.
    pub(crate) fn end(&self, error: &store::Error) {
        (self.0)(error);
    }

    /// Ends the process, and if that returns, tells openraft to stop.
    fn tell(&self, error: &store::Error) -> StorageError {
        self.end(error);
        broken(error)
    }
}

impl std::fmt::Debug for Fatal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Fatal")
    }
}

/// Sees what a node applies, in its order: a journal of what was agreed on. Called while nothing
/// else is applied, so it must be quick.
pub trait Watch: Send + Sync + 'static {
    /// The entry at an index was applied: its requests, their replies and the state after it.
    /// An entry of consensus itself has no requests.
    fn applied(&self, index: u64, requests: &[Request], replies: &[Reply], log: &ControlLog);

    /// A state that another node sent took the place of all entries up to an index.
    fn installed(&self, index: u64, log: &ControlLog);

    /// An answer is about to leave that others rely on.
    fn promises(&self, _: Promise) {}
}

/// What others rely on once they are answered, and so has to survive a power cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Promise {
    /// The log up to an index, as the leader of a term has it.
    Log {
        /// The term.
        term: u64,
        /// The index.
        index: u64,
    },
    /// The vote of a term.
    Vote {
        /// The term.
        term: u64,
        /// For whom.
        candidate: u64,
    },
}

/// What openraft is told.
fn broken(error: &(impl std::error::Error + 'static)) -> StorageError {
    StorageIOError::new(ErrorSubject::Store, ErrorVerb::Write, AnyError::new(error)).into()
}

/// The thread that writes has ended.
#[derive(Debug, thiserror::Error)]
#[error("the storage of consensus is closed")]
struct Closed;

/// The files, open.
pub struct Storage {
    pub(super) log: LogStore,
    pub(super) state: StateMachine,
    pub(super) closed: Closing,
}

/// Tells when they are closed.
pub(super) struct Closing(mpsc::Receiver<()>);

/// Held by whoever holds a file open.
type Alive = mpsc::Sender<()>;

impl Closing {
    /// Waits until nobody holds the files any more.
    pub async fn wait(mut self) {
        while self.0.recv().await.is_some() {}
    }
}

impl Storage {
    /// Opens the files in `folder`, or creates them; each database gets a thread that writes.
    ///
    /// # Errors
    /// As [`store::database::Database::open`].
    pub fn open(folder: &Path, fatal: Fatal) -> store::Result<Self> {
        let (alive, closed) = mpsc::channel(1);
        let log = log_disk::LogDisk::open(&folder.join("raft.redb"), alive.clone())?;
        let path = folder.join("raft.journal");
        if log.journal()?.is_some() && !path.exists() {
            return Err(store::Error::Corrupt { what: format!("{} is gone", path.display()) });
        }
        let journal = Journal::open(&path, JOURNAL_AREA)?;
        let state = state_disk::StateDisk::open(&folder.join("state.redb"), alive)?;
        let log = LogStore::load(log, journal, Place::Thread, fatal.clone())?;
        Self::new(log, worker::Worker::thread(state), fatal, closed)
    }

    /// Opens or creates them on other backends, without threads, for simulations: to write the log
    /// takes up to `slowest`. In a runtime.
    ///
    /// # Errors
    /// As [`store::database::Database::with_backend`].
    pub fn with_backends(
        [log, journal, state]: [impl StorageBackend; 3],
        slowest: impl Into<Slowest>,
        fatal: Fatal,
    ) -> store::Result<Self> {
        let slowest = slowest.into();
        let (alive, closed) = mpsc::channel(1);
        let log = log_disk::LogDisk::with_backend(log, alive.clone())?;
        let state = state_disk::StateDisk::with_backend(state, alive)?;
        let journal = Journal::with_backend(journal, JOURNAL_AREA_SIMULATED)?;
        let log = LogStore::load(log, journal, Place::Task { slowest }, fatal.clone())?;
        Self::new(log, worker::Worker::inline(state), fatal, closed)
    }

    /// Lets somebody see what is applied.
    #[must_use]
    pub fn watched_by(self, watch: Arc<dyn Watch>) -> Self {
        self.state.watched_by(watch);
        self
    }

    /// The index up to which the state is applied when it is opened.
    pub fn applied(&self) -> u64 {
        *self.state.index().borrow()
    }

    fn new(
        log: LogStore,
        state: worker::Worker<state_disk::StateDisk>,
        fatal: Fatal,
        closed: mpsc::Receiver<()>,
    ) -> store::Result<Self> {
        let state = StateMachine::load(state, Some(log.stored()), fatal)?;
        let log = log.kept_for(state.durable());
        Ok(Self { log, state, closed: Closing(closed) })
    }
}

#[cfg(test)]
mod power_tests;
#[cfg(test)]
mod suite_tests;
