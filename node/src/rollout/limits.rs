//! The limits of a rollout on a node, each with its why.

use std::time::Duration;

/// Bytes of a blob that are asked for or handed over at once: an eighth of a frame, so that what
/// shares the machine's link with it waits for some milliseconds at most.
pub const PIECE_BYTES: usize = 512 << 10;

/// Bytes of a bundle: what one encoded value may have.
pub const BUNDLE_BYTES: usize = threat::limits::CODEC_BYTES;

/// Bytes of a playbook: a document that people write and review.
pub const PLAYBOOK_BYTES: usize = 1 << 20;

/// Hand-overs under way at a node; they are in its memory. The oldest makes room.
pub const UPLOADS: usize = 2;

/// A hand-over that nothing came for so long is given up.
pub const UPLOAD_TIME: Duration = Duration::from_secs(60);

/// Pieces that a node reads for others at a time. More wait, which holds those who pull back: a
/// rollout to many nodes leaves disk and processors to events.
pub const SERVING: usize = 2;

/// Time for a piece: less than the silence after which a connection is given up.
pub const PIECE_TIME: Duration = Duration::from_secs(4);

/// Nodes that are asked at once who holds a blob: one that is gone holds nobody up, and those that
/// do not give it have not read it for nothing.
pub const ASKED: usize = 3;

/// Time to say whether a node holds a blob, which it reads for it.
pub const HAS_TIME: Duration = Duration::from_secs(2);

/// Pause before what could not be had is tried again: what nobody holds comes with its first
/// holder.
pub const AGAIN: Duration = Duration::from_millis(500);

/// How long another node may take to hear a report.
pub const REPORT_TIME: Duration = Duration::from_secs(2);

/// How often a node reports: what goes wrong in a canary is known to the leader this long after.
pub const REPORT_EVERY: Duration = Duration::from_millis(500);

/// How often the leader looks at reports.
pub const STEP_EVERY: Duration = Duration::from_millis(250);

/// A report that is older counts no more: its node may be gone.
pub const STALE: Duration = Duration::from_secs(5);

/// Bundles that a node has on trial at a time: the one in a canary region, the one activated last,
/// and two in shadow. More in shadow wait for their turn, so that samples stay large.
pub const TRIALS: usize = 4;

/// Parts of batches that wait to be judged a second time; more are left out.
pub const SAMPLES: usize = 2;

/// After each second judging a pause of so many times its length: it takes a tenth of one
/// processor at most.
pub const PAUSE: u32 = 9;

/// Rows judged a second time at which a node says anew that it is ready, with what it saw.
pub const TOLD_AT: [u64; 3] = [0, 500, 5_000];
