//! The ports: the traits through which actors reach everything outside of them.
//!
//! They are implemented by the store, the cluster, the node's host adapters and the simulator, and
//! wired together in `node`. Each is object safe and as small as its users need; what only the
//! cluster needs (ownership, forwarding, the control log) is not here yet.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;
use threat::{SourceId, Threat, ThreatId, Timestamp};

/// A boxed future that may cross threads: what the asynchronous methods of a port return.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Why a port could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The storage failed. The node ends: a failed write is never tried again.
    #[error("storage: {0}")]
    Storage(String),
    /// The bytes are not what their hash or checksum says.
    #[error("corrupt: {0}")]
    Corrupt(String),
    /// More than a named limit allows.
    #[error("{what} of {size} is over the limit of {limit}")]
    TooLarge {
        /// What.
        what: &'static str,
        /// Its size.
        size: usize,
        /// The limit.
        limit: usize,
    },
    /// No answer in time; whether it was done is unknown.
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    /// Whoever stands behind the port has ended.
    #[error("closed")]
    Closed,
    /// The work that was handed over panicked.
    #[error("panicked: {0}")]
    Panicked(String),
}

/// The two clocks.
pub trait Clock: Send + Sync + fmt::Debug {
    /// Time since the node's start; never goes back. Deadlines and ages are made of it.
    fn now(&self) -> Duration;

    /// Wall time, for people and for records. May jump: nothing is decided by it.
    fn wall(&self) -> Timestamp;
}

/// Work for a processor.
pub type Work = Box<dyn FnOnce() + Send>;

/// Runs work that would hold up the runtime's threads: on threads of its own in production, at
/// once in simulation.
pub trait Compute: Send + Sync {
    /// Runs `work`; ready when it is done. Fails with [`Error::Panicked`] when it panics and with
    /// [`Error::Closed`] when it will never run.
    fn run(&self, work: Work) -> BoxFuture<'static, Result<(), Error>>;
}

/// Runs `work` on `compute` and returns what it returns. Fails as [`Compute::run`] does.
pub async fn compute<T: Send + 'static>(
    compute: &dyn Compute,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Error> {
    let (send, receive) = tokio::sync::oneshot::channel();
    compute.run(Box::new(move || drop(send.send(work())))).await?;
    receive.await.map_err(|_| Error::Closed)
}

/// [`Compute`] on the caller's own thread, at once: for simulation and tests.
#[derive(Clone, Copy, Debug, Default)]
pub struct Inline;

impl Compute for Inline {
    fn run(&self, work: Work) -> BoxFuture<'static, Result<(), Error>> {
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work))
            .map_err(|panic| Error::Panicked(crate::worker::panic_text(panic.as_ref())));
        Box::pin(std::future::ready(result))
    }
}

/// Where actors keep what they must find again after a restart. A key is a path
/// (`detection/shard[0]/features`); a later checkpoint replaces an earlier one whole.
pub trait CheckpointStore: Send + Sync {
    /// Keeps `bytes` under `key`; durable when ready.
    fn put(&self, key: &str, bytes: Vec<u8>) -> BoxFuture<'_, Result<(), Error>>;

    /// What was last kept under `key`.
    fn get(&self, key: &str) -> BoxFuture<'_, Result<Option<Vec<u8>>, Error>>;

    /// Forgets `key`; not an error when there is nothing.
    fn delete(&self, key: &str) -> BoxFuture<'_, Result<(), Error>>;
}

/// The blake3 hash that names a blob.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct BlobHash(pub [u8; 32]);

impl BlobHash {
    /// The hash of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }
}

impl fmt::Display for BlobHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for BlobHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BlobHash({self})")
    }
}

/// Immutable bytes by their hash: model artifacts and bundles.
pub trait BlobStore: Send + Sync {
    /// Keeps `bytes`; durable when ready. Keeping the same bytes again changes nothing.
    fn put(&self, bytes: Vec<u8>) -> BoxFuture<'_, Result<BlobHash, Error>>;

    /// The bytes of `hash`, checked against it: [`Error::Corrupt`] when they do not fit.
    fn get(&self, hash: BlobHash) -> BoxFuture<'_, Result<Option<Vec<u8>>, Error>>;

    /// Whether the bytes of `hash` are here, without reading them.
    fn contains(&self, hash: BlobHash) -> BoxFuture<'_, Result<bool, Error>>;
}

/// How far a source has been accounted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SourcePosition {
    /// The source.
    pub source: SourceId,
    /// Its segment: a file of a directory, a partition of a topic.
    pub segment: u64,
    /// Byte offset after the last record accounted for.
    pub offset: u64,
}

/// What a batch did to the threats, with how far its sources were read for it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Fold {
    /// New counts and findings, one entry a threat, to be merged into what is kept.
    pub threats: Vec<Threat>,
    /// Positions of the sources once this is folded.
    pub positions: Vec<SourcePosition>,
}

/// The threats of this node. Positions move in the transaction that folds the threats, so that a
/// source read again from its position counts nothing twice.
pub trait ThreatStore: Send + Sync {
    /// Merges the threats and moves the positions, both or neither; durable when ready. A fold
    /// whose positions are all at or behind the kept ones was folded before and changes nothing.
    fn fold(&self, fold: Fold) -> BoxFuture<'_, Result<(), Error>>;

    /// A threat.
    fn get(&self, id: ThreatId) -> BoxFuture<'_, Result<Option<Threat>, Error>>;

    /// How far every segment of every source is accounted for, in order.
    fn positions(&self) -> BoxFuture<'_, Result<Vec<SourcePosition>, Error>>;
}

/// The proof that a range of a source was judged, benign events included.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerEntry {
    /// The batch's sequence number.
    pub batch: u64,
    /// Where its range ends.
    pub end: SourcePosition,
    /// Where its range begins.
    pub start_offset: u64,
    /// Events judged.
    pub events: u32,
    /// Those of them that were threats.
    pub threats: u32,
    /// Hash of all verdicts, in event order.
    pub verdicts: u64,
}

/// The ledger of judged ranges: appended to, never changed.
pub trait Ledger: Send + Sync {
    /// Appends entries in order; durable when ready.
    fn append(&self, entries: Vec<LedgerEntry>) -> BoxFuture<'_, Result<(), Error>>;
}

/// Faults planted in the code itself, so that chaos runs reach what outside faults cannot.
pub trait Buggify: Send + Sync {
    /// Whether the fault at this named point happens now.
    fn fires(&self, point: &'static str) -> bool;
}

/// No planted fault ever happens: production.
#[derive(Clone, Copy, Debug, Default)]
pub struct Off;

impl Buggify for Off {
    fn fires(&self, _point: &'static str) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn inline_compute_returns_values_and_names_panics() {
        assert_eq!(compute(&Inline, || 6 * 7).await.unwrap(), 42);
        let panicked = compute(&Inline, || -> u8 { panic!("no {}", 1) }).await;
        assert!(matches!(panicked, Err(Error::Panicked(why)) if why == "no 1"));
    }

    #[test]
    fn ports_are_object_safe_and_hashes_print() {
        fn _takes(
            _: &dyn Clock,
            _: &dyn CheckpointStore,
            _: &dyn BlobStore,
            _: &dyn ThreatStore,
            _: &dyn Ledger,
            _: &dyn Buggify,
        ) {
        }
        assert!(BlobHash::of(b"").to_string().starts_with("af1349b9f5f9a1a6"));
        assert!(!Off.fires("anything"));
    }
}
