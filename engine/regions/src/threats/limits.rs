//! The limits of the threat state, each with its why.

/// Records that a node keeps. A million take about 540 MB of memory, which is what one process may
/// have; at a thousand new threats an hour they last for six weeks.
pub const RECORDS: usize = 1 << 20;

/// Bytes of all records, encoded: twice what [`RECORDS`] usual ones have, so that whoever chooses
/// long names fills this instead of the memory.
pub const BYTES: usize = 512 << 20;

/// Known records may grow beyond the limit of bytes by one part in so many: a full state must still
/// take what people say of the threats in it.
pub const GROWTH: usize = 8;

/// Bytes of an entity's text. Names of hosts have 255 at most, those of accounts less.
pub const ENTITY_BYTES: usize = 4_096;

/// Bytes of one target, rule or technique. Longer ones are cut before they are added.
pub const TEXT_BYTES: usize = 1_024;

/// Bytes of the name of who works on a threat.
pub const ASSIGNEE_BYTES: usize = 256;

/// Parts of the retention by which a floor moves at least: each move keeps nodes from exchanging
/// records for a moment, and closed records stay for this much longer at most.
pub const FLOOR_STEPS: u32 = 16;
