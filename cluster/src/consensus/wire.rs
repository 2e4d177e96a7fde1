//! How consensus reaches other nodes: bytes there, bytes back. What carries them knows nothing of
//! Raft.

use super::types::NodeId;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

/// A node to be reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its id.
    pub id: NodeId,
    /// Where it listens, as it was given when it was added.
    pub address: String,
}

/// Why no answer came. Whether the request arrived is unknown.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// Nothing came in time.
    #[error("no answer in time")]
    Timeout,
    /// There is no way to the node; trying again at once is of no use.
    #[error("not reachable: {0}")]
    Unreachable(String),
}

/// An answer on its way.
pub type Answering<'a> = Pin<Box<dyn Future<Output = Result<Vec<u8>, WireError>> + Send + 'a>>;

/// Carries requests to other nodes, whose [`Responder`](super::Responder) answers them.
pub trait Wire: Send + Sync + 'static {
    /// Sends `request` and gives the answer, or an error after `timeout`. Requests may be lost,
    /// repeated and reordered.
    fn send<'a>(&'a self, to: &'a Peer, request: Vec<u8>, timeout: Duration) -> Answering<'a>;
}
