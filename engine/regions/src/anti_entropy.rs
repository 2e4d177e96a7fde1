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
use std::collections::{BTreeMap, BTreeSet};
use threat::mutants::{Mutant, is_live};
use threat::{ThreatId, Timestamp};

/// Records that one message compares, by 8 bytes each: 1 MiB, and 640 KiB of places at most. A
/// region that was away for a day differs in more; it is repaired in steps, so that no node has to
/// hold all of it in a message.
pub const COMPARED: usize = 131_072;

/// Bytes of the records in one message, beyond the first of them. With what is wanted in return it
/// stays under 3 MiB, and under a transport's frame of 4.
pub const RECORD_BYTES: usize = 2 << 20;

/// Records asked for in one message, by 10 bytes each; as many as the answer may well hold.
pub const WANTED: usize = 32_768;

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
    /// Whether a limit left something out, so that another exchange should follow at once.
    pub cut: bool,
    /// Whether something that the other side told, or could have told, is not here.
    pub lacks: bool,
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
        // Whoever cannot store what it lacks in some partitions must come to the others, too.
        Message::Buckets(theirs) => hashes(state, &theirs, (now.micros() >> 10) as usize),
        Message::Hashes(theirs) => records(state, theirs),
        Message::Records { records, wanted } => {
            // Before anything is joined, which changes hashes.
            let mut answer = told(state, asked_for(state, &wanted), Vec::new());
            for record in records {
                match state.receive(record, clock, now) {
                    Ok(Taken::Known) => {}
                    Ok(Taken::New | Taken::Grown) => answer.repaired += 1,
                    Ok(Taken::NoRoom | Taken::Below) => answer.lacks = true,
                    Err(error) => answer.refused.push(error),
                }
            }
            answer.lacks |= !answer.refused.is_empty();
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
    let differ = differ.filter(|(p, _)| *p != 7 || !is_live(Mutant::PartitionNotCompared));
    let told: Vec<(u8, Vec<u64>)> =
        differ.map(|(p, _)| (p, state.digests().buckets(p).to_vec())).collect();
    (!told.is_empty()).then_some(Message::Buckets(told))
}

/// Hashes of what differs, from the `turn`th partition on.
fn hashes(state: &ThreatState, theirs: &[(u8, Vec<u64>)], turn: usize) -> Answer {
    let (mut told, mut compared) = (Vec::new(), 0);
    let theirs = &theirs[..theirs.len().min(FAN)];
    let (later, first) = theirs.split_at(turn % theirs.len().max(1));
    for (partition, digests) in first.iter().chain(later) {
        let mine = state.digests().buckets(*partition);
        let pairs = (0..=u8::MAX).zip(mine.iter().zip(digests));
        for (bucket, _) in pairs.filter(|(_, (a, b))| a != b) {
            let place = Place { partition: *partition, bucket };
            let all = state.bucket(place).map(|(_, hash)| hash);
            let here: Vec<u64> = all.take(COMPARED).collect();
            if compared > 0 && compared + here.len() > COMPARED {
                return Answer { cut: true, ..Answer::of(Some(Message::Hashes(told))) };
            }
            compared += here.len().max(1);
            told.push((place, here));
        }
    }
    Answer::of((!told.is_empty()).then_some(Message::Hashes(told)))
}

/// What the other side lacks, and what is wanted of it. A record that differs is both: each side
/// may know what the other does not.
fn records(state: &ThreatState, theirs: Vec<(Place, Vec<u64>)>) -> Answer {
    let (mut lacking, mut wanted) = (Vec::new(), Vec::new());
    for (place, there) in theirs.into_iter().take(COMPARED) {
        let mut there: BTreeSet<u64> = there.into_iter().collect();
        lacking.extend(state.bucket(place).filter(|(_, hash)| !there.remove(hash)).map(|r| r.0));
        wanted.extend(there.into_iter().map(|hash| (place, hash)));
    }
    let cut = wanted.len() > WANTED;
    let lacks = !wanted.is_empty() && state.is_full();
    // Who has no room asks for nothing: what it may be told of known threats is told unasked.
    wanted.truncate(if state.is_full() { 0 } else { WANTED });
    let mut answer = told(state, lacking, wanted);
    answer.cut |= cut;
    answer.lacks |= lacks;
    answer
}

/// The ids of the records with such hashes, as far as there are any still.
fn asked_for(state: &ThreatState, wanted: &[(Place, u64)]) -> Vec<ThreatId> {
    // Each bucket is looked through once, however often a message names it.
    let mut places: BTreeMap<Place, BTreeSet<u64>> = BTreeMap::new();
    for (place, hash) in wanted.iter().take(WANTED) {
        places.entry(*place).or_default().insert(*hash);
    }
    let known = |(place, hashes): (Place, BTreeSet<u64>)| {
        let bucket = state.bucket(place);
        bucket.filter(move |(_, hash)| hashes.contains(hash)).map(|(id, _)| id)
    };
    places.into_iter().flat_map(known).collect()
}

/// A message with the first records of these ids that fit, which asks for what is wanted.
fn told(state: &ThreatState, ids: Vec<ThreatId>, wanted: Vec<(Place, u64)>) -> Answer {
    let (mut records, mut bytes, mut cut) = (Vec::new(), 0, false);
    for (record, size) in ids.into_iter().filter_map(|id| state.sized(id)) {
        bytes += size;
        cut = bytes > RECORD_BYTES && !records.is_empty();
        if cut {
            break;
        }
        records.push(record.clone());
    }
    let some = !records.is_empty() || !wanted.is_empty();
    Answer { cut, ..Answer::of(some.then_some(Message::Records { records, wanted })) }
}

#[cfg(test)]
mod tests;
