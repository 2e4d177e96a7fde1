//! Every limit that more than one crate needs, with its why. A limit that one crate alone needs
//! stands there.

/// Events in a batch: 256 keep a batch's vectors in the second-level cache and a batch's scoring
/// under 3 ms, so that the 10 ms latency target leaves room for queueing.
pub const BATCH_EVENTS: usize = 256;

/// Seconds of event time that a batch may span. Sources are merged by the first events of their
/// batches: a batch of a quiet log that spanned hours would carry windows into the future, and
/// hold back what the same entity does in another log until then.
pub const BATCH_SPAN_SECS: f64 = 30.0;

/// A longer record is quarantined, not buffered: the largest real records seen (process events with
/// command lines) stay under 64 KiB, and a source must not make us hold its whole line.
pub const RECORD_BYTES: usize = 1 << 20;

/// Bytes of one encoded value, checked before anything is allocated (see `codec`).
pub const CODEC_BYTES: usize = 64 << 20;

/// Levels of values inside of values that are read from bytes: the parsers of logs stop at 32, and
/// this many take a few kilobytes of stack.
pub const VALUE_DEPTH: usize = 40;

/// Quarantined records kept with position and reason; further ones are only counted.
pub const QUARANTINE_KEPT: usize = 1_000;

/// Bytes of a quarantined record that are kept to show what it looked like.
pub const QUARANTINE_EXCERPT: usize = 200;

/// Entities with compact state per node: at 256 bytes each they fill a quarter of the 600 MB budget
/// twice over.
pub const ENTITIES_COMPACT: usize = 1_000_000;

/// Entities with full windows and sequence state; the least recently seen falls back to compact.
pub const ENTITIES_HOT: usize = 50_000;

/// An event this much older than the newest of its source is scored but moves no window.
pub const LATE_SECONDS: f64 = 60.0;

/// Batches on their way through one shard before its sources are held back: enough to keep every
/// stage busy, few enough that a batch waits under 10 ms.
pub const SHARD_CREDITS: usize = 8;

/// Indicators (peers, ports, names) kept in one threat; more are counted.
pub const THREAT_INDICATORS: usize = 32;

/// Example verdicts kept with a threat, each replayable.
pub const THREAT_EXAMPLES: usize = 3;
