//! The types that openraft is told to work with.

use regions::control_log::{Reply, Request};
use serde::{Deserialize, Serialize};

/// The number of a node; never used again after the node has left.
pub type NodeId = u64;

/// The data of one log entry: several requests, since the leader waits for its disk once per entry.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Batch(pub Vec<Request>);

/// The replies to a [`Batch`], in its order; none for an entry without requests.
pub type Replies = Vec<Reply>;

openraft::declare_raft_types!(
    /// What openraft is told to work with.
    pub Types:
        D = Batch,
        R = Replies,
        NodeId = NodeId,
        Node = openraft::BasicNode,
        SnapshotData = std::io::Cursor<Vec<u8>>,
        AsyncRuntime = super::runtime::Runtime,
);

/// A log entry.
pub type Entry = openraft::Entry<Types>;
/// The place of an entry: the term and leader that made it, and its index.
pub type LogId = openraft::LogId<NodeId>;
/// A vote or the leader that was agreed to.
pub type Vote = openraft::Vote<NodeId>;
/// Who votes and who only learns, as stored with its place in the log.
pub type StoredMembership = openraft::StoredMembership<NodeId, openraft::BasicNode>;
/// What openraft is told when the disk fails.
pub type StorageError = openraft::StorageError<NodeId>;
/// What a snapshot is up to.
pub type SnapshotMeta = openraft::SnapshotMeta<NodeId, openraft::BasicNode>;
/// A running Raft.
pub type Raft = openraft::Raft<Types>;
