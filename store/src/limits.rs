//! The limits of the store, each with its why.

/// Page cache. Threats and indexes of a busy day fit; redb's own default of 1 GiB would be more
/// than the whole process may use.
pub const CACHE_BYTES: usize = 64 << 20;

/// Page cache on a backend that is not a file: simulations hold many stores at once.
pub const CACHE_BYTES_SIMULATED: usize = 8 << 20;

/// Ledger entries kept one by one per source; older ones are folded into a sum. At 256 events a
/// batch these are the last million events of a source, about 1 MB of disk.
pub const LEDGER_KEPT: u64 = 4_096;

/// Entries folded at once, so that folding is rare and its cost is spread.
pub const LEDGER_FOLD: u64 = 256;

/// Bytes of one checkpoint: the state of a shard's hot entities stays under it.
pub const CHECKPOINT_BYTES: usize = 256 << 20;

/// Bytes of one entry of what is remembered of entities: the largest has about 1,100.
pub const ENTITY_BYTES: usize = 4_096;

/// Bytes of a checkpoint's, source's or segment's name.
pub const KEY_BYTES: usize = 4_096;

/// Hours of nodes that are kept, the latest ones: ten weeks of a hundred nodes, with an hour of a
/// few sources some 200 bytes.
pub const HOURS: u64 = 1 << 18;

/// Bytes of a page of hours that is read at once, about: it fits into a frame between nodes.
pub const HOURS_PAGE_BYTES: usize = 1 << 20;

/// Bytes of one model bundle.
pub const BLOB_BYTES: usize = 256 << 20;

/// Bytes of a bundle's metadata text.
pub const METADATA_BYTES: usize = 1 << 20;

/// Labels of analysts. Each has up to three examples that every new bundle is taught, which takes
/// about a millisecond a label.
pub const LABELS: usize = 4_096;

/// Threats that one query gives at most; go on from the last one's key.
pub const LIST_THREATS: usize = 10_000;

/// Ids that a search by prefix gives at most: enough to say that it is ambiguous, and among what.
pub const FIND_IDS: usize = 16;

/// Bytes that a disk writes at once or not at all, at least.
pub const SECTOR: u64 = 512;
