//! The replicated threat state: a map of small independent records, each a join-semilattice.
//!
//! What nodes tell each other are whole records, and taking one is a join: messages may be lost,
//! repeated and reordered, and regions may be cut off for days, without harm (state-based CRDTs:
//! Shapiro, Preguiça, Baquero, Zawirski, "Conflict-free replicated data types", 2011). Nothing in
//! here is an operation that must arrive once and in order.

pub mod collection;
mod handling;
pub mod limits;
mod record;
mod sample;

pub use handling::{Classification, Handling, Register, Said, Status};
pub use record::{Count, Error, Record};
pub use sample::{SAMPLE, Sample};

use crate::clock::{HybridClock, Stamp};
use crate::digest::{self, Digests, Key, Place};
use collection::{Collection, is_below};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use threat::mutants::{Mutant, is_live};
use threat::{ThreatId, Timestamp};

/// How much a state may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Records.
    pub records: usize,
    /// Bytes of all records, encoded.
    pub bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { records: limits::RECORDS, bytes: limits::BYTES }
    }
}

/// The threats that a node knows of, its own and those of others.
#[derive(Clone, Debug)]
pub struct ThreatState {
    key: Key,
    limits: Limits,
    /// Boxed: nodes of a map are half empty after a start, which reads records in their order, and
    /// a million of them took 140 MB more.
    records: BTreeMap<ThreatId, Box<Kept>>,
    digests: Digests,
    bytes: usize,
    turned_away: u64,
    /// Changed here and not yet told to others.
    changed: BTreeSet<ThreatId>,
    /// Changed, wherever, and not yet stored.
    unstored: BTreeSet<ThreatId>,
    collection: Collection,
}

/// A record with its hash, so that a change need not encode what was there before.
#[derive(Clone, Debug)]
struct Kept {
    record: Record,
    hash: u64,
    /// Bytes of the record, encoded.
    bytes: u32,
    /// The number of the change that made it so.
    sequence: u64,
}

/// What became of a record that was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It was not known.
    New,
    /// It added something to a known one.
    Grown,
    /// All of it was known.
    Known,
    /// It was not taken, since the state is full; see [`ThreatState::turned_away`].
    NoRoom,
    /// It was not taken, since it is closed and gone for good; see [`collection`].
    Below,
}

impl ThreatState {
    /// An empty state of a cluster whose digests are computed under `key`.
    pub fn new(key: Key) -> Self {
        Self::with_limits(key, Limits::default())
    }

    /// An empty state that holds no more than `limits` say.
    pub fn with_limits(key: Key, limits: Limits) -> Self {
        let (changed, unstored) = (BTreeSet::new(), BTreeSet::new());
        let (records, digests) = (BTreeMap::new(), Digests::default());
        let (bytes, turned_away, collection) = (0, 0, Collection::default());
        Self { key, limits, records, digests, bytes, turned_away, changed, unstored, collection }
    }

    /// Joins a record that was made here with what is known of its threat; others are to be told.
    ///
    /// # Errors
    /// [`Error`] when the record is not one that an honest node makes, or belongs to another threat
    /// than its id says; nothing changes then.
    pub fn take(&mut self, record: Record) -> Result<Taken, Error> {
        let id = record.id;
        record.check(self.get(id))?;
        let taken = self.join(record.into(), None)?;
        if matches!(taken, Taken::New | Taken::Grown) {
            self.changed.insert(id);
            self.unstored.insert(id);
        }
        Ok(taken)
    }

    /// Joins a record that another node sent, at wall time `now`. Who made it tells the others.
    ///
    /// # Errors
    /// [`Error`], and that its stamps are too far ahead; nothing changes then.
    pub fn receive<'a>(
        &mut self,
        record: impl Into<Cow<'a, Record>>,
        clock: &mut HybridClock,
        now: Timestamp,
    ) -> Result<Taken, Error> {
        let record = record.into();
        // Before the clock, which a forged record must not move.
        record.check(self.get(record.id))?;
        if let Some(last) = record.handling().and_then(Handling::last) {
            clock.observe(now, last)?;
        }
        let id = record.id;
        let taken = self.join(record, None)?;
        if matches!(taken, Taken::New | Taken::Grown) {
            self.unstored.insert(id);
        }
        Ok(taken)
    }

    /// Joins a record that was stored after the change of this number. Nobody is to be told, and it
    /// need not be stored again.
    ///
    /// # Errors
    /// As [`Self::take`].
    pub fn restore(&mut self, record: Record, sequence: u64) -> Result<Taken, Error> {
        record.check(self.get(record.id))?;
        self.join(record.into(), Some(sequence))
    }

    /// Writes what a person says of a threat, under a stamp that its clock gave just now.
    ///
    /// # Errors
    /// [`Error::Unknown`], [`Error::Invalid`]; nothing changes then.
    pub fn handle(&mut self, id: ThreatId, said: &Said, stamp: Stamp) -> Result<Taken, Error> {
        let mut record = self.get(id).ok_or(Error::Unknown { id })?.clone();
        let mut handling = Handling::default();
        handling.say(said, stamp);
        record.handle(&handling);
        self.take(record)
    }

    /// Joins a record that was checked.
    fn join(&mut self, record: Cow<'_, Record>, sequence: Option<u64>) -> Result<Taken, Error> {
        if self.floor().is_some_and(|floor| is_below(&record, floor)) {
            self.collection.counts.below += 1;
            return Ok(Taken::Below);
        }
        let sequence = sequence.unwrap_or(self.collection.sequence + 1);
        let (id, records) = (record.id, self.records.len());
        let (taken, before, after) = match self.records.get_mut(&id) {
            None => {
                let (hash, bytes) = hash(&self.key, &record)?;
                let full = self.bytes + bytes as usize > self.limits.bytes;
                if records >= self.limits.records || full {
                    self.turned_away += 1;
                    return Ok(Taken::NoRoom);
                }
                self.bytes += bytes as usize;
                let record = record.into_owned();
                self.records.insert(id, Box::new(Kept { record, hash, bytes, sequence }));
                (Taken::New, 0, hash)
            }
            // Most records are told by several nodes.
            Some(kept) if kept.record == *record && !is_live(Mutant::CountsAreAdded) => {
                return Ok(Taken::Known);
            }
            Some(kept) => {
                let mut joined = kept.record.clone();
                if !joined.join(&record)? {
                    return Ok(Taken::Known);
                }
                let (after, bytes) = hash(&self.key, &joined)?;
                let total = self.bytes - kept.bytes as usize + bytes as usize;
                if total > self.limits.bytes + self.limits.bytes / limits::GROWTH {
                    self.turned_away += 1;
                    return Ok(Taken::NoRoom);
                }
                self.bytes = total;
                kept.bytes = bytes;
                let before = std::mem::replace(&mut kept.hash, after);
                (kept.record, kept.sequence) = (joined, sequence);
                (Taken::Grown, before, after)
            }
        };
        self.collection.sequence = self.collection.sequence.max(sequence);
        let before = if is_live(Mutant::DigestsForgetTheOld) { 0 } else { before };
        self.digests.toggle(Place::of(id), before ^ after);
        Ok(taken)
    }

    /// Records, or growth of known ones, for which there was no room. What was turned away once may
    /// come again and is counted again.
    pub const fn turned_away(&self) -> u64 {
        self.turned_away
    }

    /// Whether there is no room for another record of the usual size.
    pub fn is_full(&self) -> bool {
        let usual = self.bytes.checked_div(self.records.len()).unwrap_or_default();
        self.records.len() >= self.limits.records || self.bytes + usual > self.limits.bytes
    }

    /// Bytes of all records, encoded.
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// A threat's record, and its bytes when encoded.
    pub(crate) fn sized(&self, id: ThreatId) -> Option<(&Record, usize)> {
        self.records.get(&id).map(|kept| (&kept.record, kept.bytes as usize))
    }

    /// Records by id, from one to another, both included.
    pub fn range(&self, from: ThreatId, to: ThreatId) -> impl Iterator<Item = &Record> {
        // A range that ends before it begins is a panic of the map.
        let range = (from <= to).then(|| self.records.range(from..=to));
        range.into_iter().flatten().map(|(_, kept)| &kept.record)
    }

    /// What is known of a threat.
    pub fn get(&self, id: ThreatId) -> Option<&Record> {
        self.records.get(&id).map(|kept| &kept.record)
    }

    /// All records, by id.
    pub fn iter(&self) -> impl Iterator<Item = &Record> {
        self.records.values().map(|kept| &kept.record)
    }

    /// How many threats are known.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// The digests of what is known.
    pub const fn digests(&self) -> &Digests {
        &self.digests
    }

    /// The hash of a threat's record.
    pub fn hash(&self, id: ThreatId) -> Option<u64> {
        self.records.get(&id).map(|kept| kept.hash)
    }

    /// Ids and hashes of the records of a bucket, by id.
    pub fn bucket(&self, place: Place) -> impl Iterator<Item = (ThreatId, u64)> {
        self.records.range(place.first()..=place.last()).map(|(&id, kept)| (id, kept.hash))
    }

    /// At most `most` records that changed here since they were last given out, and none that would
    /// make them more than `bytes` beyond the first, to be told to others. What is lost on the way
    /// is found by comparing digests.
    pub fn take_changed(&mut self, most: usize, bytes: usize) -> Vec<Record> {
        let (mut told, mut size) = (Vec::new(), 0);
        while told.len() < most
            && let Some(id) = self.changed.first().copied()
        {
            if let Some((record, its)) = self.sized(id) {
                size += its;
                if !told.is_empty() && size > bytes {
                    break;
                }
                told.push(record.clone());
            }
            self.changed.pop_first();
        }
        told
    }

    /// Hands all records that changed since the last call to whoever stores them, with the number
    /// of their last change.
    pub fn take_unstored(&mut self, mut store: impl FnMut(&Record, u64)) {
        for id in std::mem::take(&mut self.unstored) {
            if let Some(kept) = self.records.get(&id) {
                store(&kept.record, kept.sequence);
            }
        }
    }

    /// Records that wait to be stored.
    pub fn unstored(&self) -> usize {
        self.unstored.len()
    }

    /// Records that wait to be told.
    pub fn changed(&self) -> usize {
        self.changed.len()
    }
}

/// A record's hash, and its bytes, which are few: texts are limited.
fn hash(key: &Key, record: &Record) -> Result<(u64, u32), Error> {
    let bytes = record.encode()?;
    Ok((digest::of_bytes(key, &bytes), bytes.len() as u32))
}

#[cfg(test)]
mod tests;
