//! How it is with the replicated threats of a node.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use threat::Timestamp;

/// How it is with the replicated threats of a node, as it sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ThreatsStatus {
    /// Threats known.
    pub records: u64,
    /// Their bytes, encoded.
    pub bytes: u64,
    /// The digest of all, in hexadecimal: equal on nodes that know the same.
    pub digest: String,
    /// Records, or growth of known ones, for which there was no room.
    pub turned_away: u64,
    /// Records of others that no honest node makes, and messages that are none or of strangers.
    pub refused: u64,
    /// Below what closed threats are gone, as all nodes agree; nothing before any was.
    pub floor: Option<Timestamp>,
    /// Closed threats that were removed since the start, since all nodes have them.
    pub collected: u64,
    /// Those that were kept for one more floor, since not all nodes are known to have them.
    pub kept: u64,
    /// Threats that were taken anew from others, since this node was away for too long.
    pub thrown_away: u64,
    /// Threats of others that lie below the floor, and were refused.
    pub below_floor: u64,
    /// Messages under another floor, which were refused.
    pub other_floor: u64,
    /// Changed here and not yet told to others.
    pub untold: u64,
    /// Changed and not yet on the disk.
    pub unstored: u64,
    /// Records of others that were new or added something, since the start.
    pub taken: u64,
    /// Bytes sent to others since the start, answers included.
    pub sent_bytes: u64,
    /// The other members, by id.
    pub peers: BTreeMap<u64, PeerStatus>,
}

/// How it is with one other node, as this one sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerStatus {
    /// Whether it answered when it was last asked.
    pub answers: bool,
    /// Milliseconds since the two last compared what they know; nothing until they did.
    pub compared_ms_ago: Option<u64>,
    /// Whether they then knew the same.
    pub equal: bool,
    /// Batches that were not told to it, since others were on their way or got lost. Comparing
    /// finds what was in them.
    pub untold_batches: u64,
    /// Why it does not answer, if it does not.
    pub trouble: Option<String>,
}
