//! Why consensus could not do it.

use super::types::NodeId;

/// Why consensus could not do it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another node leads, or none does at the moment. Ask that one, with the same request.
    #[error("this node does not lead, {}", leader_text(*.leader))]
    NotLeader {
        /// Who leads, if known.
        leader: Option<NodeId>,
        /// Where it listens.
        address: Option<String>,
    },
    /// No answer in time. **It may have been done**: repeat it with the same client and sequence.
    #[error("no agreement in time; repeat the same request")]
    Timeout,
    /// This node is about to end. It may have been done, as with [`Self::Timeout`].
    #[error("consensus on this node has stopped")]
    Stopped,
    /// Something that is under way at the end holds the files. Nothing is lost: the next start
    /// applies what the last checkpoint lacks.
    #[error("something that is under way holds the files: the last checkpoint was not stored")]
    Held,
    /// The leader does not hear from a majority.
    #[error("the leader does not hear from a majority")]
    NoMajority,
    /// The request is over its limit; it was not proposed.
    #[error("a request of {found} bytes is over the limit of {limit}")]
    TooLarge {
        /// Its bytes.
        found: usize,
        /// The limit.
        limit: usize,
    },
    /// The change of members cannot be made now.
    #[error("the members cannot be changed: {0}")]
    Members(String),
    /// The profile does not make sense.
    #[error("the timeouts: {0}")]
    Profile(String),
    /// The files are another node's: with its votes this one could vote twice.
    #[error("the files are of node {owner}, not of node {id}")]
    OtherNode {
        /// Whose they are.
        owner: NodeId,
        /// Who was started with them.
        id: NodeId,
    },
    /// The files could not be opened or closed.
    #[error(transparent)]
    Store(#[from] store::Error),
}

fn leader_text(leader: Option<NodeId>) -> String {
    leader.map_or_else(|| "no leader is known".into(), |l| format!("node {l} does"))
}
