//! Finding and repairing what two nodes know differently of the threats, in three round trips.
//!
//! Digests of partitions, then of buckets, then hashes of records, then records: each message is an
//! answer to the one before and to nothing else, so that no side keeps a session, and a message
//! that is lost costs one exchange. (Digest reconciliation as in Dynamo: DeCandia et al., SOSP
//! 2007; with two levels instead of a tree, since the sets are bounded.) Whoever begins sends
//! [`begin`]'s message, and both sides hand what arrives to [`answer`] until there is nothing more
//! to send.
//!
//! An exchange is bounded: what it does not reach differs still, and is found by the next one.

use crate::clock::HybridClock;
use crate::digest::{FAN, Place};
use crate::threats::{Error, Record, Taken, ThreatState};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use threat::{ThreatId, Timestamp};

/// Records that one message compares, by 8 bytes each: 2 MB. A region that was away for a day
/// differs in more; it is repaired in steps, so that no node has to hold all of it in a message.
pub const COMPARED: usize = 262_144;

/// Records in one message: about a megabyte, under a transport's frame.
pub const RECORDS_SENT: usize = 4_096;

/// Records asked for in one message.
pub const WANTED: usize = 65_536;

/// What one node tells another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Message {
    /// The digests of all partitions.
    Partitions(Vec<u64>),
    /// The digests of the buckets of the partitions that differ.
    Buckets(Vec<(u8, Vec<u64>)>),
    /// Hashes of all records of buckets that differ. A record's hash covers its id, so that it
    /// names the record as it is.
    Hashes(Vec<(Place, Vec<u64>)>),
    /// Records, and the hashes of those that are wanted in return.
    Records {
        /// What the receiver lacks.
        records: Vec<Record>,
        /// What the sender lacks.
        wanted: Vec<(Place, u64)>,
    },
}

/// What a message led to.
#[derive(Debug, Default)]
pub struct Answer {
    /// What to send back, in this order.
    pub messages: Vec<Message>,
    /// Records that were new or added something.
    pub repaired: usize,
    /// Records that no honest node makes; the others of the message were taken.
    pub refused: Vec<Error>,
}

/// The message that begins an exchange.
pub fn begin(state: &ThreatState) -> Message {
    Message::Partitions(state.digests().partitions().to_vec())
}

/// Takes a message at wall time `now` and answers it. Nothing a peer sends makes this fail: what
/// does not fit says nothing.
pub fn answer(
    state: &mut ThreatState,
    clock: &mut HybridClock,
    now: Timestamp,
    message: Message,
) -> Answer {
    match message {
        Message::Partitions(theirs) => Answer::of(buckets(state, &theirs)),
        Message::Buckets(theirs) => Answer::of(hashes(state, &theirs)),
        Message::Hashes(theirs) => Answer { messages: records(state, theirs), ..Answer::default() },
        Message::Records { records, wanted } => {
            // Before anything is joined, which changes hashes.
            let messages = told(state, asked_for(state, &wanted), Vec::new());
            let mut answer = Answer { messages, ..Answer::default() };
            for record in records {
                match state.receive(record, clock, now) {
                    Ok(Taken::Known) => {}
                    Ok(Taken::New | Taken::Grown) => answer.repaired += 1,
                    Err(error) => answer.refused.push(error),
                }
            }
            answer
        }
    }
}

impl Answer {
    fn of(message: Option<Message>) -> Self {
        Self { messages: message.into_iter().collect(), ..Self::default() }
    }
}

fn buckets(state: &ThreatState, theirs: &[u64]) -> Option<Message> {
    let mine = state.digests().partitions();
    let differ = (0..=u8::MAX).zip(mine.iter().zip(theirs)).filter(|(_, (a, b))| a != b);
    let told: Vec<(u8, Vec<u64>)> =
        differ.map(|(p, _)| (p, state.digests().buckets(p).to_vec())).collect();
    (!told.is_empty()).then_some(Message::Buckets(told))
}

fn hashes(state: &ThreatState, theirs: &[(u8, Vec<u64>)]) -> Option<Message> {
    let (mut told, mut compared) = (Vec::new(), 0);
    for (partition, digests) in theirs.iter().take(FAN) {
        let mine = state.digests().buckets(*partition);
        let pairs = (0..=u8::MAX).zip(mine.iter().zip(digests));
        for (bucket, _) in pairs.filter(|(_, (a, b))| a != b) {
            let place = Place { partition: *partition, bucket };
            let here: Vec<u64> = state.bucket(place).map(|(_, hash)| hash).collect();
            // A bucket that alone is over the limit goes through alone.
            if compared > 0 && compared + here.len() > COMPARED {
                return Some(Message::Hashes(told));
            }
            compared += here.len().max(1);
            told.push((place, here));
        }
    }
    (!told.is_empty()).then_some(Message::Hashes(told))
}

/// What the other side lacks, and what is wanted of it. A record that differs is both: each side
/// may know what the other does not.
fn records(state: &ThreatState, theirs: Vec<(Place, Vec<u64>)>) -> Vec<Message> {
    let (mut lacking, mut wanted) = (Vec::new(), Vec::new());
    for (place, there) in theirs.into_iter().take(COMPARED) {
        let mut there: BTreeSet<u64> = there.into_iter().collect();
        lacking.extend(state.bucket(place).filter(|(_, hash)| !there.remove(hash)).map(|r| r.0));
        wanted.extend(there.into_iter().map(|hash| (place, hash)));
    }
    wanted.truncate(WANTED);
    told(state, lacking, wanted)
}

/// The ids of the records with such hashes, as far as there are any still.
fn asked_for(state: &ThreatState, wanted: &[(Place, u64)]) -> Vec<ThreatId> {
    let known = |(place, wanted): &(Place, u64)| {
        state.bucket(*place).find(|(_, hash)| hash == wanted).map(|(id, _)| id)
    };
    wanted.iter().take(WANTED).filter_map(known).collect()
}

/// Messages with the records of these ids, the first of which asks for what is wanted.
fn told(state: &ThreatState, ids: Vec<ThreatId>, wanted: Vec<(Place, u64)>) -> Vec<Message> {
    let mut portions = ids.chunks(RECORDS_SENT);
    let first = portions.next().unwrap_or_default();
    if first.is_empty() && wanted.is_empty() {
        return Vec::new();
    }
    let of = |ids: &[ThreatId]| ids.iter().filter_map(|&id| state.get(id).cloned()).collect();
    let mut messages = vec![Message::Records { records: of(first), wanted }];
    messages.extend(portions.map(|p| Message::Records { records: of(p), wanted: Vec::new() }));
    messages
}

#[cfg(test)]
mod tests;
