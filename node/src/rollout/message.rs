//! What is asked about bundles and playbooks: a head by the codec, and raw bytes behind it.

use regions::control_log::Hash;
use regions::rollout::Report;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::collections::BTreeMap;
use threat::codec;

/// The format of the messages.
const VERSION: u8 = 1;

/// Bytes before a head: its length.
const LENGTH: usize = 4;

/// What is asked.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub enum Ask {
    /// Whether the node holds a blob. Between nodes.
    Has(Hash),
    /// A piece of a blob. Between nodes.
    Piece {
        /// Its hash.
        hash: Hash,
        /// Where the piece begins.
        offset: u64,
    },
    /// The next bytes of something that is handed over, which follow.
    Hand {
        /// Drawn at random by who hands it over.
        upload: u64,
        /// Bytes that came before.
        offset: u64,
    },
    /// What was handed over is a bundle: test it, keep it, make it known.
    Register {
        /// What was handed over.
        upload: u64,
        /// Its hash.
        hash: Hash,
        /// Whether it goes on by itself.
        auto: bool,
    },
    /// What was handed over is a playbook: check it, keep it, make it known.
    Publish {
        /// What was handed over.
        upload: u64,
        /// Its hash.
        hash: Hash,
    },
    /// What the node knows, holds and uses.
    Standing,
    /// What a node measured, to who leads. Between nodes.
    Report(Vec<Report>),
}

/// What is said.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub enum Told {
    /// It holds the blob, of so many bytes.
    Holds(u64),
    /// A piece, which follows.
    Piece,
    /// It does not hold that.
    NotHere,
    /// It is taken.
    Taken,
    /// The version that a bundle has.
    Version(u64),
    /// The name and version that a playbook has.
    Published(String, u64),
    /// What it knows, holds and uses.
    Standing(Box<Standing>),
    /// It was not done, for this reason.
    Refused(String),
}

/// A bundle as the control log has it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct BundleView {
    /// BLAKE3 of its bytes, in hexadecimal.
    pub hash: String,
    /// `registered`, `shadow`, `canary`, `active`, `former` or `rolled back`.
    pub stage: String,
    /// Its canary region.
    pub region: Option<String>,
    /// Whether it goes on by itself.
    pub auto: bool,
    /// Its steps in order, with their evidence.
    pub steps: Vec<(String, String)>,
    /// Nodes that are ready, with what their test gave.
    pub ready: BTreeMap<u64, String>,
}

/// A playbook as the control log has it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PlaybookView {
    /// Hash of each version, in hexadecimal.
    pub versions: BTreeMap<u64, String>,
    /// The version that holds.
    pub active: Option<u64>,
}

/// What a node knows, holds and uses.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Standing {
    /// Its id.
    pub node: u64,
    /// Its name.
    pub name: String,
    /// Its region.
    pub region: String,
    /// Up to where it has applied the log.
    pub applied: u64,
    /// The bundle of the cluster that it uses; none when it uses what it learnt itself.
    pub uses: Option<u64>,
    /// The bundle that is meant for it.
    pub meant: Option<u64>,
    /// The id of what it uses, as verdicts name it; empty while it learns.
    pub bundle: String,
    /// What it has of each bundle: `ready`, `stored`, or why it has none.
    pub held: BTreeMap<u64, String>,
    /// What it measured of bundles on trial.
    pub reports: Vec<Report>,
    /// The bundle that all regions use.
    pub active: Option<u64>,
    /// Since when.
    pub epoch: u64,
    /// All bundles, by version.
    pub bundles: BTreeMap<u64, BundleView>,
    /// All playbooks, by name.
    pub playbooks: BTreeMap<String, PlaybookView>,
}

/// Why bytes are no message.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The head.
    #[error(transparent)]
    Codec(#[from] codec::Error),
    /// The head does not fit.
    #[error("{0} bytes, of which the head says otherwise")]
    Length(usize),
}

/// The bytes of a head with `raw` behind it.
///
/// # Errors
/// [`Error::Codec`] when the head is over the codec's limit.
pub fn encode(head: &impl Serialize, raw: &[u8]) -> Result<Vec<u8>, Error> {
    let head = codec::encode(VERSION, head)?;
    let mut out = Vec::with_capacity(LENGTH + head.len() + raw.len());
    out.extend((head.len() as u32).to_le_bytes());
    out.extend(head);
    out.extend(raw);
    Ok(out)
}

/// The head of such bytes, and what lies behind it.
///
/// # Errors
/// Any [`Error`].
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<(T, &[u8]), Error> {
    let wrong = || Error::Length(bytes.len());
    let (length, rest) = bytes.split_first_chunk::<LENGTH>().ok_or_else(wrong)?;
    let length = u32::from_le_bytes(*length) as usize;
    let (head, behind) = rest.split_at_checked(length).ok_or_else(wrong)?;
    Ok((codec::decode(VERSION, head)?, behind))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn messages_come_back_whole_and_no_bytes_panic(
            upload: u64, raw: Vec<u8>, junk: Vec<u8>, at: prop::sample::Index, to: u8
        ) {
            let ask = Ask::Hand { upload, offset: 7 };
            let mut bytes = encode(&ask, &raw).unwrap();
            let (back, behind) = decode::<Ask>(&bytes).unwrap();
            prop_assert_eq!((back, behind), (ask, &raw[..]));
            let at = at.index(bytes.len());
            bytes[at] = to;
            let _ = decode::<Ask>(&bytes);
            let _ = decode::<Told>(&junk);
        }
    }
}
