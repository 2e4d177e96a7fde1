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

/// The format of a refusal in the place of a greeting: a text.
const REFUSAL: u8 = 2;

/// Bytes of a refusal's text: with its frame it is within a greeting's limit.
const REFUSAL_BYTES: usize = HELLO_BYTES - 64;

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

/// Says whose word is not to be taken, though its certificate is good.
pub trait Judge: Send + Sync + 'static {
    /// Why nothing of the other side is decoded, if so. It is asked at the greeting and again for
    /// each request, so that what is agreed on meanwhile counts at once.
    fn refuses(&self, other: &Caller) -> Option<String>;
}

/// Writes in the place of a greeting why there is none.
pub(super) async fn refuse(to: &mut impl Stream, reason: &str) -> Result<(), Error> {
    let mut end = reason.len().min(REFUSAL_BYTES);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    frame::write_bytes(to, &codec::encode(REFUSAL, &&reason[..end])?, HELLO_BYTES).await?;
    Ok(to.flush().await?)
}

/// Writes this side's greeting.
pub(super) async fn say(to: &mut impl Stream, lane: Lane, node: u64) -> Result<(), Error> {
    let hello = codec::encode(FORMAT, &Hello { protocol: PROTOCOL, lane, node })?;
    frame::write_bytes(to, &hello, HELLO_BYTES).await?;
    Ok(to.flush().await?)
}

/// Reads the other side's greeting, or why it gives none.
pub(super) async fn hear(from: &mut impl Stream) -> Result<Hello, Error> {
    let ended = || Error::Io(std::io::ErrorKind::UnexpectedEof.into());
    let bytes = frame::read_bytes(from, HELLO_BYTES).await?.ok_or_else(ended)?;
    let hello: Hello = match codec::decode(FORMAT, &bytes) {
        Err(codec::Error::Version { found: REFUSAL, .. }) => {
            return Err(Error::Refused(codec::decode(REFUSAL, &bytes)?));
        }
        decoded => decoded?,
    };
    if hello.protocol != PROTOCOL {
        return Err(Error::Protocol { found: hello.protocol, expected: PROTOCOL });
    }
    Ok(hello)
}
