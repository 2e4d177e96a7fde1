//! What nodes say on [`Lane::Gossip`](crate::fabric::Lane::Gossip).

use regions::anti_entropy::Message;
use regions::threats::Record;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use threat::{Timestamp, codec};

/// The format of the messages.
const VERSION: u8 = 3;

/// What a node is told or asked. Each may be lost, repeated and reordered.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Gossip {
    /// Records to join. Answered once they are on the disk.
    Records {
        /// The floor of who tells them.
        floor: Option<Timestamp>,
        /// What is told.
        records: Vec<Record>,
    },
    /// A step of a comparison. Answered once all that is known here is on the disk.
    Compare {
        /// The floor of who asks.
        floor: Option<Timestamp>,
        /// The step.
        message: Message,
    },
}

/// What it answers.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Heard {
    /// The records are on its disk, but for some.
    Stored {
        /// Those for which it had no room.
        no_room: u64,
        /// Those that no honest node makes.
        refused: u64,
    },
    /// The next steps of the comparison.
    Compared {
        /// What to take as if it was asked.
        messages: Vec<Message>,
        /// Records that were new or added something.
        repaired: u64,
        /// Whether a limit left something out.
        cut: bool,
        /// Whether something that the other one has could not be taken.
        lacks: bool,
        /// The time here.
        now: Timestamp,
    },
    /// It does nothing, for this reason.
    Refused(String),
    /// It does nothing: its floor is another. Whose is lower has not read of it in the control log.
    OtherFloor,
}

pub(super) fn encode<T: Serialize>(message: &T) -> Result<Vec<u8>, codec::Error> {
    codec::encode_narrow(VERSION, message)
}

pub(super) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, codec::Error> {
    codec::decode_narrow(VERSION, bytes)
}
