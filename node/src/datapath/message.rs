//! What is asked on the data lane: a head by the codec, and raw bytes behind it as they are.

use regions::threats::Record;
use serde::{Deserialize, Serialize};
use store::{EntityState, LedgerEntry};
use threat::{Event, EventBatch, IntakeCounts, Text, codec};

/// The format of the messages.
const VERSION: u8 = 1;

/// Bytes before a head: its length.
const LENGTH: usize = 4;

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
    /// Events for the node that owns their entities; their raw bytes follow.
    Part {
        /// Their source.
        source: Text,
        /// What the answer promises.
        durability: Durability,
        /// In the source's order.
        batches: Vec<Batch>,
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
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Batch {
    /// The source's offset before it.
    pub start: u64,
    /// The source's offset after it.
    pub end: u64,
    /// The events; `raw` points into `bytes`.
    pub events: Vec<Event>,
    /// How many raw bytes there are.
    length: u32,
    /// Their raw records.
    #[serde(skip)]
    pub bytes: Vec<u8>,
}

impl Batch {
    /// One without events.
    pub fn new(start: u64, end: u64) -> Self {
        Self { start, end, ..Self::default() }
    }

    /// Takes an event over, with its raw record.
    pub fn push(&mut self, mut event: Event, raw: &[u8]) {
        // Bounded by what a batch holds, far below this.
        event.raw.start = self.bytes.len() as u32;
        event.raw.len = raw.len() as u32;
        self.bytes.extend_from_slice(raw);
        self.events.push(event);
    }

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
}

/// Bytes of a typed event, roughly: so much room is made before a message is written.
const EVENT_BYTES: usize = 384;

/// The bytes of a request; `raw` goes behind it.
pub fn encode(ask: &Ask, raw: &[u8]) -> Result<Vec<u8>, Error> {
    let parts = match ask {
        Ask::Part { batches, .. } => batches.as_slice(),
        _ => &[],
    };
    let behind = raw.len() + parts.iter().map(|b| b.bytes.len()).sum::<usize>();
    let events: usize = parts.iter().map(|b| b.events.len()).sum();
    let mut out = Vec::with_capacity(LENGTH + EVENT_BYTES * (events + 1) + behind);
    out.extend([0; LENGTH]);
    codec::encode_into(VERSION, ask, &mut out)?;
    let head = (out.len() - LENGTH) as u32;
    out[..LENGTH].copy_from_slice(&head.to_le_bytes());
    out.extend(raw);
    parts.iter().for_each(|batch| out.extend(&batch.bytes));
    Ok(out)
}

/// The request of such bytes, and what lies behind it.
pub fn decode(bytes: &[u8]) -> Result<(Ask, &[u8]), Error> {
    let wrong = || Error::Length(bytes.len());
    let (length, rest) = bytes.split_first_chunk::<LENGTH>().ok_or_else(wrong)?;
    let length = u32::from_le_bytes(*length) as usize;
    let (head, mut behind) = rest.split_at_checked(length).ok_or_else(wrong)?;
    let mut ask: Ask = codec::decode(VERSION, head)?;
    if let Ask::Part { batches, .. } = &mut ask {
        for batch in batches {
            let (own, others) = behind.split_at_checked(batch.length as usize).ok_or_else(wrong)?;
            batch.bytes = own.to_vec();
            behind = others;
        }
        if !behind.is_empty() {
            return Err(wrong());
        }
    }
    Ok((ask, behind))
}

/// The request to an owner.
pub fn part(source: Text, durability: Durability, mut batches: Vec<Batch>) -> Ask {
    batches.iter_mut().for_each(|batch| batch.length = batch.bytes.len() as u32);
    Ask::Part { source, durability, batches }
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
    use threat::Timestamp;
    use threat::event::{Body, Origin};

    fn batch(raws: &[Vec<u8>]) -> Batch {
        let mut batch = Batch::new(7, 900);
        for raw in raws {
            let origin = Origin::new("zeek", "conn");
            batch.push(Event::new(Timestamp::from_micros(5), origin, Body::Generic), raw);
        }
        batch
    }

    proptest! {
        #[test]
        fn parts_round_trip_with_their_raw_records(
            raws in prop::collection::vec(prop::collection::vec(any::<Vec<u8>>(), 0..5), 0..4)
        ) {
            let batches: Vec<Batch> = raws.iter().map(|r| batch(r)).collect();
            let ask = part("x".into(), Durability::Global, batches);
            let bytes = encode(&ask, &[]).unwrap();
            let (Ask::Part { batches, .. }, []) = decode(&bytes).unwrap() else { panic!() };
            for (batch, raws) in batches.into_iter().zip(&raws) {
                let batch = batch.into_batch();
                let back: Vec<&[u8]> = batch.events.iter().map(|e| batch.raw(e)).collect();
                prop_assert_eq!(back, raws.iter().map(Vec::as_slice).collect::<Vec<_>>());
            }
        }

        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            let _ = decode(&bytes);
            let _ = decode_told(&bytes);
        }

        #[test]
        fn no_change_of_a_byte_panics(at: prop::sample::Index, to: u8) {
            let ask = part("x".into(), Durability::Local, vec![batch(&[vec![1, 2, 3]])]);
            let mut bytes = encode(&ask, &[]).unwrap();
            let at = at.index(bytes.len());
            bytes[at] = to;
            if let Ok((Ask::Part { batches, .. }, _)) = decode(&bytes) {
                for batch in batches {
                    let batch = batch.into_batch();
                    batch.events.iter().for_each(|e| drop(batch.raw(e).to_vec()));
                }
            }
        }
    }
}
