//! The limits of consensus, each with its why.

use std::time::Duration;

/// Requests in one log entry: applying them takes about a millisecond.
pub const ENTRY_REQUESTS: usize = 512;

/// Bytes of the requests in one log entry, so that one entry delays no heartbeat on a slow link.
/// A single request may be larger by itself.
pub const ENTRY_BYTES: usize = 256 << 10;

/// One entry may be on its way for each such part of a heartbeat, which is at least two round
/// trips: two on a LAN, ten across 80 ms.
pub const ENTRY_EVERY: Duration = Duration::from_millis(25);

/// Bytes of one request: the largest command, a workload with every shard, has about 16 KiB.
pub const REQUEST_BYTES: usize = 64 << 10;

/// Requests that wait for a place in an entry. More are held back at the caller.
pub const WAITING: usize = 4_096;

/// Entries of one append to a follower.
pub const APPEND_ENTRIES: u64 = 64;

/// Bytes of the entries of one append to a follower, beyond the first: a message stays far below
/// what one frame of the fabric takes.
pub const APPEND_BYTES: usize = 2 << 20;

/// Bytes of one piece of a snapshot on its way to a node.
pub const SNAPSHOT_PIECE: u64 = 1 << 20;

/// Entries after which a snapshot is made anew. Applying as many at a restart takes under a second.
pub const SNAPSHOT_EVERY: u64 = 5_000;

/// Entries kept although a snapshot has them, so that a node that was away for a moment needs no
/// snapshot.
pub const ENTRIES_KEPT: u64 = 1_000;

/// Bytes of entries kept in memory for replication. Older ones are read from the disk; those that
/// are not on the disk yet are kept whatever they take.
pub const CACHE_ENTRIES_BYTES: usize = 16 << 20;

/// redb's page cache of each file: the log of the last minutes, and a few snapshots.
pub const CACHE_BYTES: usize = 64 << 20;

/// Bytes of an area of the journal: what is moved into the database at once, and read again at a
/// start. Some seconds of a busy log, thousands of entries of an idle one.
pub const JOURNAL_AREA: u64 = 4 << 20;

/// The same in simulations: it is filled often.
pub const JOURNAL_AREA_SIMULATED: u64 = 16 << 10;

/// Writes that wait for the log's disk: those of the entries on their way and a few others.
pub const WRITES_WAITING: usize = 64;

/// Time between two durable checkpoints of the applied state: what a restart has to apply again.
pub const CHECKPOINT_EVERY: Duration = Duration::from_millis(500);

/// A checkpoint, which is of the whole state, takes no more than this part of the time: a large
/// state on a slow disk is stored less often, so that it does not hold up the log.
pub const CHECKPOINT_PART: u32 = 20;

/// But it is stored this often.
pub const CHECKPOINT_AT_LEAST: Duration = Duration::from_secs(10);

/// Messages without entries that travel to a follower at a time, each telling of a newer commit:
/// those of a busy leader within a round trip in one place. Far ones are told of fewer commits.
pub const BEATS_FLYING: usize = 8;
