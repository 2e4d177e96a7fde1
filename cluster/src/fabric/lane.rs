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

impl Lane {
    /// Whether operators may ask something there: commands, and events that they send.
    pub(super) const fn is_for_operators(self) -> bool {
        matches!(self, Self::Control | Self::Data)
    }
}
