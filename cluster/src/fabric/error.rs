//! What can go wrong on a link.

/// What can go wrong on a link.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not a name of a node or operator.
    #[error(
        "{0:?} is no name of a node or operator: spiffe://CLUSTER/node/REGION/NAME, or \
             spiffe://CLUSTER/operator/NAME, of lower-case letters, digits and hyphens"
    )]
    Name(String),
    /// A certificate that cannot be used.
    #[error("certificate: {0}")]
    Certificate(String),
    /// A key that cannot be used.
    #[error("key: {0}")]
    Key(String),
    /// TLS did not come about.
    #[error("tls: {0}")]
    Tls(#[from] rustls::Error),
    /// The other side is of another cluster.
    #[error("{found} is not of cluster {expected}")]
    OtherCluster {
        /// Who it is.
        found: String,
        /// The cluster of this node.
        expected: String,
    },
    /// An operator on a lane that is for nodes.
    #[error("{0} is no node, and this lane is for nodes")]
    NotANode(String),
    /// Another node answers than was asked for.
    #[error("node {found} answers where node {expected} should")]
    OtherNode {
        /// Who answers.
        found: u64,
        /// Who was asked for.
        expected: u64,
    },
    /// The other side takes no word of this one.
    #[error("it refuses: {0}")]
    Refused(String),
    /// Who answers is not whom it says, or is barred.
    #[error("what answers there is not listened to: {0}")]
    NotBelieved(String),
    /// Speaks another version of the protocol.
    #[error("it speaks version {found} of the protocol, this node {expected}")]
    Protocol {
        /// Its version.
        found: u16,
        /// This node's.
        expected: u16,
    },
    /// A frame over its limit. Nothing was allocated for it.
    #[error("a frame of {found} bytes is over the limit of {limit}")]
    TooLarge {
        /// Its bytes, as it says.
        found: usize,
        /// The limit.
        limit: usize,
    },
    /// Bytes that are no message.
    #[error("not a message: {0}")]
    Codec(#[from] threat::codec::Error),
    /// The connection ended or failed.
    #[error("connection: {0}")]
    Io(#[from] std::io::Error),
    /// It took too long.
    #[error("no answer in time")]
    Timeout,
    /// There is no connection at the moment, for the reason of the last try.
    #[error("not connected: {0}")]
    NotConnected(String),
    /// More requests wait than may.
    #[error("{0} requests wait already, which is the limit")]
    Full(usize),
}
