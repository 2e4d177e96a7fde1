//! What is asked on the data lane: a head by the codec, and raw bytes behind it as they are.

use super::events;
use super::limits::PART_EVENTS;
use super::split::Portion;
use actors::response::forecaster::Wanted;
use forecast::Outlook;
use regions::threats::Record;
use serde::{Deserialize, Serialize};
use store::{EntityState, LedgerEntry};
use threat::{Event, EventBatch, HourCounts, IntakeCounts, Text, codec};

/// The format of the messages.
const VERSION: u8 = 2;

/// Bytes before a head: its length.
const LENGTH: usize = 4;

/// Bytes of most heads.
const HEAD_BYTES: usize = 256;

/// What has to be true before a sender hears that its events are taken.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Durability {
    /// Their verdicts are on the disk of the node that judged them. The loss of that disk loses
    /// them.
    #[default]
    Local,
    /// They are on the disks of a majority of its region's nodes. The loss of the region loses
    /// them.
    Region,
    /// They are in another region, too.
    Global,
}

impl Durability {
    /// All, the weakest first.
    pub const ALL: [Self; 3] = [Self::Local, Self::Region, Self::Global];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Region => "region",
            Self::Global => "global",
        }
    }
}

impl std::str::FromStr for Durability {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|d| d.name() == text);
        found.ok_or_else(|| format!("{text:?} is none of local, region and global"))
    }
}

/// What is asked.
#[derive(Debug, Serialize, Deserialize)]
pub enum Ask {
    /// Bytes of a source, which follow.
    Append {
        /// The source: the same name is the same log.
        source: Text,
        /// What an acknowledgement promises.
        durability: Durability,
        /// How to read it; a node has no year of its own for dates that have none.
        options: intake::Options,
        /// Where the former answer says that it stands; nothing at its beginning.
        at: Option<Box<intake::Checkpoint>>,
        /// No bytes come after these.
        last: bool,
    },
    /// Events for the node that owns their entities, which follow (see [`super::events`]).
    Part {
        /// Their source.
        source: Text,
        /// What the answer promises.
        durability: Durability,
    },
    /// Copies of verdicts of another node.
    Keep(Copies),
    /// What is known of a source.
    Ledger {
        /// Its name.
        source: Text,
    },
    /// A part of what an owner remembers of the entities of a workload.
    Checkpoint(Box<Checkpoint>),
    /// Which checkpoints the node has.
    Held,
    /// A part of the checkpoint that the node has of a workload.
    Fetch {
        /// The workload.
        workload: u32,
        /// After this entry, by kind and key; from the beginning without.
        after: Option<(u8, u64)>,
    },
    /// Which hours of which nodes the node knows counts of.
    HourHeads {
        /// After this hour of this node; from the beginning without.
        after: Option<(i64, u64)>,
    },
    /// What is known of these hours of these nodes.
    Hours(Vec<(i64, u64)>),
    /// What comes next.
    Forecasts(Wanted),
}

/// A part of what an owner remembers of the entities of a workload.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// The workload.
    pub workload: u32,
    /// Under which epoch it is owned.
    pub epoch: u64,
    /// It holds what changed since this checkpoint of the epoch; all state when it is 0.
    pub after: u64,
    /// Its own number; with an equal one it only says that nothing changed.
    pub sequence: u64,
    /// No more parts of it come.
    pub last: bool,
    /// The entries that changed.
    pub states: Vec<EntityState>,
}

/// Copies of what a node judged.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Copies {
    /// Ranges of sources, by source and workload, each of whose events has a verdict.
    pub ledger: Vec<LedgerEntry>,
    /// The threats that their verdicts are part of.
    pub threats: Vec<Record>,
}

/// Events of one batch whose entities have one owner.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    /// The source's offset before it.
    pub start: u64,
    /// The source's offset after it.
    pub end: u64,
    /// The events; `raw` points into `bytes`.
    pub events: Vec<Event>,
    /// Their raw records.
    pub bytes: Vec<u8>,
}

impl Batch {
    /// The batch that detection takes.
    pub fn into_batch(self) -> EventBatch {
        EventBatch {
            events: self.events,
            bytes: self.bytes,
            end_offset: self.end,
            ..EventBatch::default()
        }
    }
}

/// What is said.
#[derive(Debug, Serialize, Deserialize)]
pub enum Told {
    /// What became of bytes.
    Appended(Box<Appended>),
    /// The events of a part are judged, and as durable as was asked.
    Judged,
    /// They may be judged, and are not as durable as was asked, for this reason.
    Waits(String),
    /// This node may not act for all of them now; nothing was done.
    NotOwner,
    /// Copies are stored.
    Kept,
    /// What is known of a source, by workload.
    Ledger(Vec<LedgerEntry>),
    /// It was not done, and will not be.
    Refused(String),
    /// Up to which checkpoint, by epoch and number, the workload's state is here now.
    Stands(u64, u64),
    /// The same of all workloads of which there is any.
    Held(Vec<(u32, (u64, u64))>),
    /// A part of a checkpoint.
    Part(Box<Checkpoint>),
    /// Hours of nodes, in order, with the sums of their counts.
    HourHeads(Vec<(i64, u64, u64)>),
    /// What nodes counted.
    Hours(Vec<HourCounts>),
    /// What comes next.
    Forecasts {
        /// Of each subject that is wanted.
        outlooks: Vec<Outlook>,
        /// What an event has cost here so far, in microseconds of one core; nothing before there
        /// were enough.
        core_micros: Option<f64>,
        /// Minutes that people worked on a threat; nothing before there were enough.
        minutes_per_threat: Option<f64>,
    },
}

/// What became of bytes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Appended {
    /// Everything before this is acknowledged; to be handed back with the next bytes.
    pub at: Option<intake::Checkpoint>,
    /// The source's counts up to there.
    pub counts: IntakeCounts,
    /// Some records that were set aside: line, reason, beginning.
    pub quarantined: Vec<(u64, String, String)>,
    /// Events of these bytes by the node that judged them.
    pub judged_by: Vec<(u64, u64)>,
    /// Why not everything is acknowledged that could be.
    pub waits: Option<String>,
}

/// Why bytes are no message.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The head.
    #[error(transparent)]
    Codec(#[from] codec::Error),
    /// The head does not fit, or the bytes behind it are others than it says.
    #[error("{0} bytes, of which the head says otherwise")]
    Length(usize),
    /// More events than a message has.
    #[error("{0} events, and a message has at most {PART_EVENTS}")]
    Events(usize),
}

/// Bytes of a typed event, roughly: so much room is made before a message is written.
const EVENT_BYTES: usize = 160;

/// The bytes of a request; `raw` goes behind it.
pub fn encode(ask: &Ask, raw: &[u8]) -> Result<Vec<u8>, Error> {
    let mut out = head(ask, raw.len())?;
    out.extend(raw);
    Ok(out)
}

/// The bytes of the request to an owner.
pub fn encode_part(
    source: &Text,
    durability: Durability,
    portions: &[Portion<'_>],
) -> Result<Vec<u8>, Error> {
    let room = portions.iter().map(|p| p.len() * EVENT_BYTES + p.bytes()).sum();
    let mut out = head(&Ask::Part { source: source.clone(), durability }, room)?;
    events::write(portions, &mut out)?;
    Ok(out)
}

/// A head, and room for what goes behind it.
fn head(ask: &Ask, room: usize) -> Result<Vec<u8>, Error> {
    let mut out = Vec::with_capacity(LENGTH + HEAD_BYTES + room);
    out.extend([0; LENGTH]);
    codec::encode_into(VERSION, ask, &mut out)?;
    let length = (out.len() - LENGTH) as u32;
    out[..LENGTH].copy_from_slice(&length.to_le_bytes());
    Ok(out)
}

/// The request of such bytes, and what lies behind it.
pub fn decode(bytes: &[u8]) -> Result<(Ask, &[u8]), Error> {
    let wrong = || Error::Length(bytes.len());
    let (length, rest) = bytes.split_first_chunk::<LENGTH>().ok_or_else(wrong)?;
    let length = u32::from_le_bytes(*length) as usize;
    let (head, behind) = rest.split_at_checked(length).ok_or_else(wrong)?;
    Ok((codec::decode(VERSION, head)?, behind))
}

/// The bytes of an answer.
pub fn encode_told(told: &Told) -> Vec<u8> {
    // Only a value over the limit has none, and an answer never is.
    codec::encode(VERSION, told).unwrap_or_default()
}

/// The answer of such bytes.
pub fn decode_told(bytes: &[u8]) -> Result<Told, Error> {
    Ok(codec::decode(VERSION, bytes)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_request_is_read_with_what_is_behind_it(source: String, raw: Vec<u8>) {
            let bytes = encode(&Ask::Ledger { source: source.clone().into() }, &raw).unwrap();
            let (ask, behind) = decode(&bytes).unwrap();
            let Ask::Ledger { source: back } = ask else { panic!() };
            prop_assert_eq!(back, source);
            prop_assert_eq!(behind, raw);
        }

        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            let _ = decode(&bytes);
            let _ = decode_told(&bytes);
        }
    }
}
