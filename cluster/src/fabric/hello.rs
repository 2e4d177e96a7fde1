//! The greeting: the first frame of each side, after TLS.

use super::error::Error;
use super::frame;
use super::identity::{Identity, Who};
use super::lane::Lane;
use super::limits::HELLO_BYTES;
use super::transport::Stream;
use serde::{Deserialize, Serialize};
use threat::codec;
use tokio::io::AsyncWriteExt;

/// The version of the protocol. A node refuses another: while nodes are upgraded one after the
/// other, a new version has to speak the old one too.
const PROTOCOL: u16 = 1;

/// The format of a greeting.
const FORMAT: u8 = 1;

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Hello {
    protocol: u16,
    pub lane: Lane,
    /// The node's id in the cluster, 0 for one that has none yet and for operators.
    pub node: u64,
}

/// Who is on the other side of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// What its certificate says.
    pub identity: Identity,
    /// Its id in the cluster, as it says; 0 for none.
    pub node: u64,
    /// What the connection is for.
    pub lane: Lane,
}

impl Caller {
    /// Its region, if it is a node.
    pub fn region(&self) -> Option<&str> {
        match &self.identity.who {
            Who::Node { region, .. } => Some(region),
            Who::Operator { .. } => None,
        }
    }
}

/// Writes this side's greeting.
pub(super) async fn say(to: &mut impl Stream, lane: Lane, node: u64) -> Result<(), Error> {
    let hello = codec::encode(FORMAT, &Hello { protocol: PROTOCOL, lane, node })?;
    frame::write_bytes(to, &hello, HELLO_BYTES).await?;
    Ok(to.flush().await?)
}

/// Reads the other side's greeting.
pub(super) async fn hear(from: &mut impl Stream) -> Result<Hello, Error> {
    let ended = || Error::Io(std::io::ErrorKind::UnexpectedEof.into());
    let bytes = frame::read_bytes(from, HELLO_BYTES).await?.ok_or_else(ended)?;
    let hello: Hello = codec::decode(FORMAT, &bytes)?;
    if hello.protocol != PROTOCOL {
        return Err(Error::Protocol { found: hello.protocol, expected: PROTOCOL });
    }
    Ok(hello)
}
