//! What a connection is for.

use serde::{Deserialize, Serialize};

/// What a connection is for. Each pair of nodes has one for each, so that a large blob delays
/// neither a heartbeat nor an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Lane {
    /// Questions and commands of operators and nodes.
    Control,
    /// Consensus.
    Raft,
    /// The threat state.
    Gossip,
    /// Batches of events, checkpoints.
    Data,
    /// Blobs.
    Bulk,
}
