//! The limits of replication, each with its why.

use std::time::Duration;

/// Time between two batches of what changed: others know of a threat within a tenth of a second and
/// the way there, and a busy second makes ten messages to each node instead of thousands.
pub const TELL_EVERY: Duration = Duration::from_millis(100);

/// Bytes of the records in one message that tells or keeps some, beyond the first of them: far
/// below a frame.
pub const TOLD_BYTES: usize = 1 << 20;

/// Records in one such message. Joining as many takes about 10 ms.
pub const TOLD_RECORDS: usize = 4_096;

/// Batches of what changed that are told between two ticks; more wait for the next.
pub const BATCHES: usize = 4;

/// Batches to one node that are on their way. What would be more is not told to it: comparing finds
/// it, and a node that is slow or dead holds nobody back.
pub const IN_FLIGHT: usize = 4;

/// Time for one message and its answer: the widest links, and a disk that is busy.
pub const ASK_TIME: Duration = Duration::from_secs(5);

/// Least and greatest time between two comparisons with a node drawn at random, which find what
/// was lost on the way.
pub const COMPARE_EVERY: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(10));

/// Pause before a node that did not answer is asked again, so that what was missed while a link was
/// down is repaired at once when it heals.
pub const PROBE_EVERY: Duration = Duration::from_millis(200);

/// A node that began to compare with this one so recently repairs both sides; beginning beside it
/// would send all of it twice.
pub const ASKED_LATELY: Duration = Duration::from_secs(1);

/// Nodes with which this one repairs differences at a time.
pub const REPAIRS: usize = 4;

/// Bytes a second of one repair, both ways: after a long cut a million threats pass in about ten
/// seconds, and the links still carry what is new.
pub const REPAIR_BYTES_A_SECOND: usize = 32 << 20;

/// Messages of one comparison: digests, hashes, records and one more, and then as many again. A
/// node that goes on for longer is not honest.
pub const STEPS: usize = 8;

/// Comparisons after one another with one node: a whole state is repaired with about 250.
pub const ROUNDS: usize = 2_048;

/// Who may wait for the disk; more wait before its queue. A commit serves all that wait.
pub const WAITING: usize = 1_024;

/// redb's page cache: commits write pages that were read shortly before.
pub const CACHE_BYTES: usize = 64 << 20;

/// Time for which closed threats are kept, unless a node is told otherwise: a node that is away for
/// less takes nothing anew when it is back, and people look at what was closed for about as long.
pub const RETENTION: Duration = Duration::from_secs(30 * 24 * 3_600);

/// Least and greatest time between two looks whether closed threats are to be collected. A look
/// goes through all records.
pub const COLLECT_AT_LEAST: Duration = Duration::from_millis(200);
/// See [`COLLECT_AT_LEAST`].
pub const COLLECT_AT_MOST: Duration = Duration::from_secs(3_600);

/// Threats of one page for an operator.
pub const PAGE: usize = 1_000;

/// Bytes of the records of one page, beyond the first of them.
pub const PAGE_BYTES: usize = 1 << 20;
