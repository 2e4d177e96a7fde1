//! The threats that all nodes share: each keeps all records in memory and in a file of its own,
//! tells others what changed, and finds what got lost by comparing.
//!
//! Nothing here is agreed on. Records join ([`regions::threats`]), so a node that is cut off goes
//! on folding, and what it knows reaches the others when the link heals. Closed records are kept
//! for a retention, and go once all nodes have them ([`regions::threats::collection`]).

mod answers;
mod collection;
mod disk;
mod fold;
mod gossip;
pub mod limits;
mod peers;
mod query;
mod status;
mod wire;
mod writer;

pub use peers::{Around, Peer};
pub use query::{Page, Query, Rank};
pub use regions::threats::{Record, Said};
pub use status::{PeerStatus, ThreatsStatus};

use crate::consensus::Fatal;
use crate::fabric::{self, Fabric};
use disk::ThreatDisk;
use limits::REPAIRS;
use peers::Links;
use redb::StorageBackend;
use regions::clock::{HybridClock, Replica, Stamp};
use regions::digest;
use regions::peer_time::PeerTime;
use regions::threats::{self, Limits, ThreatState};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;
use threat::{ThreatId, Timestamp, codec};
use tokio::sync::Semaphore;
use tokio::time::Instant;
use writer::{Commits, Writer};

/// The file's name in a node's folder.
pub const FILE: &str = "threats.redb";

/// What time it is, for stamps of what people say.
pub type Wall = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// The other members that are there, and what is agreed on about closed threats.
pub type Peers = Box<dyn Fn() -> Around + Send + Sync>;

/// Why replication could not do it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// What is stored is not what was written.
    #[error(
        "{path} is corrupt ({what}), and this node does not start with it. Move it away and start \
         the node again: it takes the threats from the other nodes. What this node alone knew is \
         in the file that was moved",
        path = .path.display()
    )]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// The file.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The disk failed, or the node is about to end. What was asked may have been stored.
    #[error("the threats of this node are closed")]
    Stopped,
    /// Some records were not taken; the others were, and are on the disk.
    #[error("{no_room} threats found no room, {refused} were refused{}", reason(.first))]
    NotTaken {
        /// Those that found no room.
        no_room: u64,
        /// Those that are none.
        refused: u64,
        /// What is wrong with the first of these.
        first: Option<threats::Error>,
    },
    /// Too few other nodes have it on their disks. This one has.
    #[error("{} of {need} nodes have it on disk within {within:?}", .durable.len())]
    NotEnough {
        /// Those that have.
        durable: Vec<u64>,
        /// How many were to.
        need: usize,
        /// How long they had.
        within: Duration,
    },
    /// What a person said cannot be written.
    #[error(transparent)]
    Record(#[from] threats::Error),
    /// The link failed.
    #[error(transparent)]
    Link(#[from] fabric::Error),
    /// Bytes that are no message.
    #[error("not a message: {0}")]
    Codec(#[from] codec::Error),
    /// A node refuses.
    #[error("it refuses: {0}")]
    Refused(String),
    /// Two nodes are about to move to another floor, one after the other; they ask again soon.
    #[error("its floor for closed threats is another one: one of both has not read of it yet")]
    OtherFloor,
    /// A node answers something else than it was asked, or could not take all of it.
    #[error("it answers something else")]
    Answer,
}

fn reason(first: &Option<threats::Error>) -> String {
    first.as_ref().map_or_else(String::new, |e| format!(": {e}"))
}

/// A node's file, open, and what was in it.
pub struct Storage {
    disk: ThreatDisk,
    state: ThreatState,
    last: Stamp,
    on_thread: bool,
    fatal: Fatal,
    retention: Duration,
    compare_every: (Duration, Duration),
}

impl Storage {
    /// Opens the file in `folder`, or creates it, and reads all of it. `cluster` is the cluster's
    /// name, `fatal` is called when the disk fails later.
    ///
    /// # Errors
    /// [`Error::Corrupt`], [`Error::Store`].
    pub fn open(folder: &Path, cluster: &str, fatal: Fatal) -> Result<Self, Error> {
        let path = folder.join(FILE);
        let read = || Self::load(ThreatDisk::open(&path)?, cluster, true, fatal);
        read().map_err(|error| match error {
            Error::Store(store::Error::Corrupt { what }) => Error::Corrupt { path, what },
            other => other,
        })
    }

    /// Opens or creates it on another backend, which is written by whoever calls.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn with_backend(
        backend: impl StorageBackend,
        cluster: &str,
        fatal: Fatal,
    ) -> Result<Self, Error> {
        Self::load(ThreatDisk::with_backend(backend)?, cluster, false, fatal)
    }

    fn load(disk: ThreatDisk, cluster: &str, on_thread: bool, fatal: Fatal) -> Result<Self, Error> {
        let mut state = ThreatState::with_limits(digest::key_of(cluster), Limits::default());
        let last = disk.load(&mut state)?;
        let (retention, compare_every) = (limits::RETENTION, limits::COMPARE_EVERY);
        Ok(Self { disk, state, last, on_thread, fatal, retention, compare_every })
    }

    /// Keeps closed threats for so long. That of the node that leads counts.
    #[must_use]
    pub fn retaining(mut self, retention: Duration) -> Self {
        self.retention = retention;
        self
    }

    /// Compares with another node once in a time drawn between these.
    #[must_use]
    pub const fn comparing_every(mut self, least: Duration, greatest: Duration) -> Self {
        self.compare_every = (least, greatest);
        self
    }
}

/// What a node knows, and its clock.
struct Held {
    state: ThreatState,
    clock: HybridClock,
}

#[derive(Debug, Default)]
struct Counters {
    refused: AtomicU64,
    taken: AtomicU64,
    sent: AtomicU64,
    other_floor: AtomicU64,
}

/// The threats of one node, as it shares them with others.
pub struct Replication {
    name: String,
    replica: Replica,
    fabric: Arc<Fabric>,
    wall: Wall,
    held: Arc<Mutex<Held>>,
    writer: Writer,
    links: Mutex<Links>,
    times: Mutex<PeerTime>,
    /// Steady time counts from here.
    started: Instant,
    repairs: Semaphore,
    retention: Duration,
    compare_every: (Duration, Duration),
    counters: Counters,
    peers: OnceLock<Peers>,
}

fn lock<T>(held: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing panics while one is held.
    held.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Replication {
    /// The threats of the node of this name, in this life of it.
    pub fn new(
        name: String,
        replica: Replica,
        storage: Storage,
        wall: Wall,
        fabric: Arc<Fabric>,
    ) -> Arc<Self> {
        let Storage { disk, state, last, on_thread, fatal, retention, compare_every } = storage;
        let held = Arc::new(Mutex::new(Held { state, clock: HybridClock::new(replica, last) }));
        let commits = Commits { disk, held: Arc::clone(&held), fatal };
        let writer = if on_thread { Writer::thread(commits) } else { Writer::inline(commits) };
        Arc::new(Self {
            name,
            replica,
            fabric,
            wall,
            held,
            writer,
            links: Mutex::default(),
            times: Mutex::default(),
            started: Instant::now(),
            repairs: Semaphore::new(REPAIRS),
            retention,
            compare_every,
            counters: Counters::default(),
            peers: OnceLock::new(),
        })
    }

    /// Says who the other members are. Until then nothing of others is taken.
    pub fn know(&self, peers: Peers) {
        // Who is first is right: members are told of by one place.
        let _ = self.peers.set(peers);
    }

    /// Tells others and compares with them until the task is ended.
    pub async fn run(self: Arc<Self>, seed: u64) {
        gossip::run(self, seed).await;
    }

    const fn id(&self) -> u64 {
        self.replica.node
    }

    /// The time to reckon with: the wall clock's, as far as others agree with it.
    fn time(&self) -> Timestamp {
        lock(&self.times).bound((self.wall)(), self.started.elapsed())
    }

    fn around(&self) -> Around {
        let mut around = self.peers.get().map(|peers| peers()).unwrap_or_default();
        around.peers.remove(&self.id());
        around
    }

    fn peers(&self) -> BTreeMap<u64, Peer> {
        self.around().peers
    }

    /// What is known of a threat.
    pub fn get(&self, id: ThreatId) -> Option<Record> {
        // What is given may be told to others.
        self.settle(&self.around());
        lock(&self.held).state.get(id).cloned()
    }

    /// How it is.
    pub fn status(&self) -> ThreatsStatus {
        let peers = lock(&self.links).status(Instant::now());
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let held = lock(&self.held);
        let (state, collected) = (&held.state, held.state.collected());
        ThreatsStatus {
            records: state.len() as u64,
            bytes: state.bytes() as u64,
            digest: format!("{:016x}", state.digests().all()),
            turned_away: state.turned_away(),
            refused: read(&self.counters.refused),
            floor: state.floor(),
            collected: collected.collected,
            kept: collected.kept,
            thrown_away: collected.thrown_away,
            below_floor: collected.below,
            other_floor: read(&self.counters.other_floor),
            untold: state.changed() as u64,
            unstored: state.unstored() as u64,
            taken: read(&self.counters.taken),
            sent_bytes: read(&self.counters.sent),
            peers,
        }
    }

    /// Stores what is not stored yet and closes the file. Whatever is asked later is refused.
    ///
    /// # Errors
    /// [`Error::Stopped`] when the disk has failed.
    pub async fn close(&self) -> Result<(), Error> {
        self.writer.close().await
    }
}

impl std::fmt::Debug for Replication {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Replication").field("replica", &self.replica).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
