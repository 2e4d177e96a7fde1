//! The limits of the data path, each with its why.

use std::time::Duration;

/// Bytes of a source that are sent at once: hundreds of batches' worth of round trips are saved,
/// and what a lost answer costs is scored again in under a tenth of a second.
pub const CHUNK_BYTES: usize = 512 << 10;

/// Bytes that one request may append: a chunk behind what was left of a record of full length.
pub const APPEND_BYTES: usize = 2 << 20;

/// Longest record of a source that is sent over the network: a portion with one has to fit into a
/// frame twice, raw and typed.
pub const RECORD_BYTES: usize = 512 << 10;

/// Raw bytes of one message to an owner: with the typed events it stays under a frame.
pub const PART_BYTES: usize = 1 << 20;

/// Events of one message to an owner: a typed event takes about as much as its record, and up to
/// some hundred bytes more.
pub const PART_EVENTS: usize = 4_096;

/// Bytes of a source's name.
pub const SOURCE_BYTES: usize = 1_024;

/// Sources that a node has seen since it started; their names and watermarks stay in memory.
pub const SOURCES: usize = 16_384;

/// Jobs that wait for a node's detection, at most a frame each. One more waits at its sender.
pub const JOBS: usize = 16;

/// Jobs that are judged and wait for their verdicts to be stored.
pub const JUDGED: usize = 64;

/// Messages to one owner that wait for their answers; half of what a connection may have under
/// way, so that copies of verdicts always get through and no two nodes wait for each other.
pub const PARTS_IN_FLIGHT: usize = 32;

/// Appends that a node works on at a time; more stay unanswered, which holds their senders back.
pub const APPENDS: usize = 32;

/// How long an append is worked on before its sender hears how far it got: less than the silence
/// after which a connection is given up.
pub const APPEND_TIME: Duration = Duration::from_secs(3);

/// Pause before a part is offered again whose owner did not take it.
pub const AGAIN: Duration = Duration::from_millis(100);

/// How long another node may take to store a copy.
pub const KEEP_TIME: Duration = Duration::from_secs(2);

/// Messages with copies that one node has not answered yet. Further ones count as not kept, so
/// that a node that is slow or gone holds neither memory nor the others.
pub const KEEPS_UNDER_WAY: usize = 2;

/// Threats in one message of copies, of a few hundred bytes each and two kilobytes at most.
pub const KEPT_THREATS: usize = 1_500;

/// Entries of the ledger in one message of copies, each with the name of a source.
pub const KEPT_ENTRIES: usize = 2_000;

/// How often an owner takes what changed of its entities and sends it on: what a takeover forgets.
/// More often would cost more than it saves, since the shortest windows span a minute.
pub const CHECKPOINT_EVERY: Duration = Duration::from_secs(10);

/// Checkpoints that are taken and wait for the one before to be sent. While there is one, no other
/// is taken: what changes meanwhile stays in detection's tables, which are bounded.
pub const TAKEN: usize = 1;

/// How often a node looks whether it has begun to own a workload. Events do not wait for it: what
/// they need is claimed with them.
pub const CLAIM_EVERY: Duration = Duration::from_millis(250);

/// Entries of entities' state that are kept of a workload: more than detection's own tables hold of
/// one when a node has a third of all. At about 150 bytes each they take 10 MB; those that changed
/// longest ago make room.
pub const STATES: usize = 65_536;

/// Entries that are written at once: some milliseconds, for which verdicts may have to wait.
pub const COMMIT_STATES: usize = 1_024;

/// Bytes of the states in one part of a checkpoint: a node's checkpoint of ten seconds is a few
/// such, and events that share the connection pass in between.
pub const PART_STATE_BYTES: usize = 256 << 10;

/// Entries of state that one message hands to a shard.
pub const RESTORED: usize = 4_096;

/// Nodes of one region that are sent the checkpoints of a workload. One is enough, since whoever
/// takes over asks the others of its region.
pub const HOLDERS: usize = 1;

/// How long the other nodes of the region may take to say what they hold before a node that takes
/// over begins without: events wait for it.
pub const ASK_HOLDERS_TIME: Duration = Duration::from_secs(1);

/// How long all checkpoints may take to come from other nodes of the region.
pub const FETCH_TIME: Duration = Duration::from_secs(5);

/// Records set aside that an answer shows.
pub const SHOWN: usize = 5;

/// Hours of nodes whose sums are told at once, of some 15 bytes each.
pub const HEADS: usize = 16_384;

/// Hours of nodes that are asked for at once; the store gives about a megabyte of them.
pub const ROWS: usize = 1_024;

/// How long another node may take to tell what it counted.
pub const HOURS_TIME: Duration = Duration::from_secs(2);

/// Nodes that are asked what they counted in a minute: if none of them answers, the forecaster is
/// held up for some seconds.
pub const TEACHERS: usize = 4;

/// Questions for forecasts that wait at a time: one of the past fits hundreds of models.
pub const FORECASTS: usize = 4;

/// Events that were judged before their cost is told: until then it is the cost of starting.
pub const PRICED: u64 = 10_000;

/// Threats, the gravest, of which is told how long people worked on them.
pub const HANDLED: usize = 5_000;

/// Fewer threats that were worked on say nothing of the next.
pub const HANDLED_LEAST: usize = 5;

/// What took longer than a shift was not worked on all the time.
pub const HANDLED_MOST: Duration = Duration::from_secs(8 * 3_600);
