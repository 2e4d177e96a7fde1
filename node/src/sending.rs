//! Sending a log to a cluster: in chunks, each acknowledged when all of its events have verdicts
//! as durable as was asked. Where it stands comes back with each answer, so that it goes on after
//! any interruption, also at another node.

use crate::datapath::limits::{AGAIN, APPEND_BYTES, CHUNK_BYTES};
use crate::datapath::message::{Appended, Ask, Durability, Told, decode_told, encode};
use cluster::fabric::{Fabric, Lane};
use intake::{Checkpoint, Options};
use std::collections::BTreeMap;
use std::time::Duration;
use threat::{IntakeCounts, Text};
use tokio::time::sleep;

/// How long a node may take to say how far it got.
const ANSWER_TIME: Duration = Duration::from_secs(6);

/// What is sent, to whom.
pub struct Sending<'a> {
    /// The way to the nodes.
    pub fabric: &'a Fabric,
    /// Their addresses; the first that answers is used until it does not.
    pub nodes: Vec<String>,
    /// The source: the same name is the same log.
    pub source: String,
    /// What an acknowledgement promises.
    pub durability: Durability,
    /// How to read it.
    pub options: Options,
    /// How often in a row nothing may move before it is given up.
    pub tries: usize,
}

/// What became of a log.
#[derive(Clone, Debug, Default)]
pub struct Sent {
    /// Where it stands; everything before it is acknowledged.
    pub at: Option<Checkpoint>,
    /// Counts of this log up to there, of former sendings too.
    pub counts: IntakeCounts,
    /// Events by the node that judged them.
    pub judged_by: BTreeMap<u64, u64>,
    /// Some records that were set aside: line, reason, beginning.
    pub quarantined: Vec<(u64, String, String)>,
    /// Requests that had to be repeated.
    pub repeated: u64,
}

/// Why not all of a log is acknowledged.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It cannot be read on.
    #[error(transparent)]
    Read(#[from] crate::host::ReadError),
    /// The cluster does not want it.
    #[error("the cluster refuses it: {0}")]
    Refused(String),
    /// Nothing moved for too long.
    #[error("nothing was acknowledged for {tries} tries in a row: {reason}")]
    Stuck {
        /// How many.
        tries: usize,
        /// What was said last.
        reason: String,
    },
    /// A request that cannot be made.
    #[error(transparent)]
    Message(#[from] crate::datapath::message::Error),
}

impl Sending<'_> {
    /// Sends what `read` gives, which begins at `sent.at`, to its end. `told` hears of each
    /// acknowledgement. What was acknowledged stands in `sent`, whatever comes back.
    ///
    /// # Errors
    /// Any [`Error`].
    pub async fn send(
        mut self,
        sent: &mut Sent,
        mut read: impl FnMut(&mut Vec<u8>) -> Result<usize, crate::host::ReadError>,
        mut told: impl FnMut(&Sent, Option<&str>),
    ) -> Result<(), Error> {
        let (mut held, mut ended, mut wanted) = (Vec::new(), false, CHUNK_BYTES);
        let mut stuck = 0;
        loop {
            while !ended && held.len() < wanted {
                ended = read(&mut held)? == 0;
            }
            let bytes = &held[..held.len().min(wanted)];
            let last = ended && bytes.len() == held.len();
            let before = offset(sent.at.as_ref());
            let reason = match self.ask(sent.at.clone(), bytes, last).await? {
                Ok(appended) => {
                    let waits = appended.waits.clone();
                    note(sent, appended);
                    if waits.is_none() && last {
                        told(sent, None);
                        return Ok(());
                    }
                    waits
                }
                Err(reason) => {
                    // Another node may know better.
                    self.nodes.rotate_left(1);
                    Some(reason)
                }
            };
            let moved = offset(sent.at.as_ref()).saturating_sub(before);
            held.drain(..(moved as usize).min(held.len()));
            told(sent, reason.as_deref());
            match reason {
                Some(reason) if moved == 0 => {
                    stuck += 1;
                    sent.repeated += 1;
                    if stuck >= self.tries {
                        return Err(Error::Stuck { tries: stuck, reason });
                    }
                    sleep(AGAIN).await;
                }
                // Not one batch is whole: more has to be seen.
                None if moved == 0 => wanted = (2 * wanted).min(APPEND_BYTES),
                _ => (stuck, wanted) = (0, CHUNK_BYTES),
            }
        }
    }

    /// Asks the node at the head of the list; why there is no answer is no end of it.
    async fn ask(
        &self,
        at: Option<Checkpoint>,
        bytes: &[u8],
        last: bool,
    ) -> Result<Result<Appended, String>, Error> {
        let ask = Ask::Append {
            source: Text::from(&*self.source),
            durability: self.durability,
            options: self.options.clone(),
            at: at.map(Box::new),
            last,
        };
        let Some(address) = self.nodes.first() else {
            return Err(Error::Refused("no node was named".into()));
        };
        let body = encode(&ask, bytes)?;
        let failed = |reason: String| Ok(Err(format!("{address}: {reason}")));
        match self.fabric.ask(address, 0, Lane::Data, body, ANSWER_TIME).await {
            Err(error) => failed(error.to_string()),
            Ok(answer) => match decode_told(&answer) {
                Ok(Told::Appended(appended)) => Ok(Ok(*appended)),
                Ok(Told::Refused(reason)) => Err(Error::Refused(reason)),
                Ok(Told::Waits(reason)) => failed(reason),
                Ok(other) => failed(format!("it says {other:?}")),
                Err(error) => failed(error.to_string()),
            },
        }
    }
}

fn offset(at: Option<&Checkpoint>) -> u64 {
    at.map_or(0, |at| at.offset)
}

fn note(sent: &mut Sent, appended: Appended) {
    sent.counts = appended.counts;
    sent.at = appended.at;
    for (node, events) in appended.judged_by {
        *sent.judged_by.entry(node).or_default() += events;
    }
    sent.quarantined.extend(appended.quarantined);
    sent.quarantined.truncate(crate::datapath::limits::SHOWN);
}
