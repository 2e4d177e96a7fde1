//! What operators ask a node about bundles and playbooks.

use super::limits::PIECE_BYTES;
use super::message::{self, Ask, Standing, Told, decode, encode};
use crate::host::cluster_files::random;
use cluster::control;
use cluster::fabric::Fabric;
use regions::control_log::Hash;
use std::time::Duration;

/// Time for one question; a bundle is tested, and agreed on, within it.
pub const ASK_TIME: Duration = Duration::from_secs(15);

/// Why there is no answer, or not the one that was wanted.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The node could not be asked.
    #[error(transparent)]
    Control(#[from] control::Error),
    /// Its answer, or the question, is no message.
    #[error("not a message: {0}")]
    Message(#[from] message::Error),
    /// It was not done.
    #[error("{0}")]
    Refused(String),
}

/// Asks the node at an address.
///
/// # Errors
/// Any [`Error`].
pub async fn ask(fabric: &Fabric, address: &str, asked: &Ask, raw: &[u8]) -> Result<Told, Error> {
    let body = control::Ask::Models(encode(asked, raw)?);
    match control::ask(fabric, address, &body, ASK_TIME).await? {
        control::Told::Models(bytes) => match decode(&bytes)?.0 {
            Told::Refused(reason) => Err(Error::Refused(reason)),
            told => Ok(told),
        },
        control::Told::Refused(reason) | control::Told::Unknown(reason) => {
            Err(Error::Refused(reason))
        }
        other => Err(Error::Refused(format!("{other:?}"))),
    }
}

/// What a bundle or playbook is named by: the hash of its bytes, in hexadecimal.
pub fn hash_of(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_string()
}

/// Hands bytes over, piece by piece; gives what to name them by.
///
/// # Errors
/// Any [`Error`].
pub async fn hand(fabric: &Fabric, address: &str, bytes: &[u8]) -> Result<(u64, Hash), Error> {
    let upload = random();
    let mut offset = 0;
    for piece in bytes.chunks(PIECE_BYTES) {
        ask(fabric, address, &Ask::Hand { upload, offset }, piece).await?;
        offset += piece.len() as u64;
    }
    Ok((upload, *blake3::hash(bytes).as_bytes()))
}

/// Makes a bundle known through the node at an address; gives its version.
///
/// # Errors
/// Any [`Error`].
pub async fn register(
    fabric: &Fabric,
    address: &str,
    bytes: &[u8],
    auto: bool,
) -> Result<u64, Error> {
    let (upload, hash) = hand(fabric, address, bytes).await?;
    match ask(fabric, address, &Ask::Register { upload, hash, auto }, &[]).await? {
        Told::Version(version) => Ok(version),
        other => Err(Error::Refused(format!("{other:?}"))),
    }
}

/// Makes a playbook known through the node at an address; gives its name and version.
///
/// # Errors
/// Any [`Error`].
pub async fn publish(fabric: &Fabric, address: &str, bytes: &[u8]) -> Result<(String, u64), Error> {
    let (upload, hash) = hand(fabric, address, bytes).await?;
    match ask(fabric, address, &Ask::Publish { upload, hash }, &[]).await? {
        Told::Published(name, version) => Ok((name, version)),
        other => Err(Error::Refused(format!("{other:?}"))),
    }
}

/// What the node at an address knows, holds and uses.
///
/// # Errors
/// Any [`Error`].
pub async fn standing(fabric: &Fabric, address: &str) -> Result<Standing, Error> {
    match ask(fabric, address, &Ask::Standing, &[]).await? {
        Told::Standing(standing) => Ok(*standing),
        other => Err(Error::Refused(format!("{other:?}"))),
    }
}
