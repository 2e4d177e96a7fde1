//! The replicated threat state: a map of small independent records, each a join-semilattice.
//!
//! What nodes tell each other are whole records, and taking one is a join: messages may be lost,
//! repeated and reordered, and regions may be cut off for days, without harm (state-based CRDTs:
//! Shapiro, Preguiça, Baquero, Zawirski, "Conflict-free replicated data types", 2011). Nothing in
//! here is an operation that must arrive once and in order.

mod handling;
mod record;
mod sample;

pub use handling::{Classification, Handling, Register, Status};
pub use record::{Count, Error, Record};
pub use sample::{SAMPLE, Sample};

use crate::clock::{HybridClock, Stamp};
use crate::digest::{self, Digests, Key, Place};
use std::collections::{BTreeMap, BTreeSet};
use threat::{ThreatId, Timestamp};

/// The threats that a node knows of, its own and those of others.
#[derive(Clone, Debug)]
pub struct ThreatState {
    key: Key,
    records: BTreeMap<ThreatId, Kept>,
    digests: Digests,
    /// Changed and not yet told to others.
    changed: BTreeSet<ThreatId>,
}

/// A record with its hash, so that a change need not encode what was there before.
#[derive(Clone, Debug)]
struct Kept {
    record: Record,
    hash: u64,
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
}

impl ThreatState {
    /// An empty state of a cluster whose digests are computed under `key`.
    pub fn new(key: Key) -> Self {
        let (records, changed) = (BTreeMap::new(), BTreeSet::new());
        Self { key, records, digests: Digests::default(), changed }
    }

    /// Joins a record with what is known of its threat.
    ///
    /// # Errors
    /// [`Error`] when the record is not one that an honest node makes, or belongs to another threat
    /// than its id says; nothing changes then.
    pub fn take(&mut self, record: Record) -> Result<Taken, Error> {
        record.check()?;
        let id = record.id;
        let (taken, before, after) = match self.records.get_mut(&id) {
            None => {
                let hash = hash(&self.key, &record)?;
                self.records.insert(id, Kept { record, hash });
                (Taken::New, 0, hash)
            }
            Some(kept) => {
                let mut joined = kept.record.clone();
                if !joined.join(&record)? {
                    return Ok(Taken::Known);
                }
                let after = hash(&self.key, &joined)?;
                let before = std::mem::replace(&mut kept.hash, after);
                kept.record = joined;
                (Taken::Grown, before, after)
            }
        };
        self.digests.toggle(Place::of(id), before ^ after);
        self.changed.insert(id);
        Ok(taken)
    }

    /// [`Self::take`] for a record that another node sent, at wall time `now`.
    ///
    /// # Errors
    /// [`Error`], and that its stamps are too far ahead; nothing changes then.
    pub fn receive(
        &mut self,
        record: Record,
        clock: &mut HybridClock,
        now: Timestamp,
    ) -> Result<Taken, Error> {
        // Before the clock, which a forged record must not move.
        record.check()?;
        if let Some(last) = record.handling().and_then(Handling::last) {
            clock.observe(now, last)?;
        }
        self.take(record)
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

    /// At most `most` records that changed since they were last given out here, to be told to
    /// others. What is lost on the way is found by comparing digests.
    pub fn take_changed(&mut self, most: usize) -> Vec<Record> {
        let mut told = Vec::new();
        while told.len() < most
            && let Some(id) = self.changed.pop_first()
        {
            told.extend(self.get(id).cloned());
        }
        told
    }

    /// Records that wait to be told.
    pub fn changed(&self) -> usize {
        self.changed.len()
    }

    /// Removes the records that were closed at or before `passed`, and says how many those were.
    ///
    /// A closed record is a tombstone: a replica that does not know that it was closed would bring
    /// it back open. So `passed` must lie before what every live region has passed, and a region
    /// that was away for longer has to start from another's state.
    pub fn collect(&mut self, passed: Stamp) -> usize {
        let over = |record: &Record| {
            record.handling().is_some_and(|h| {
                h.status.get() == Some(&Status::Closed) && h.status.stamp() <= Some(passed)
            })
        };
        let gone: Vec<ThreatId> = self.iter().filter(|r| over(r)).map(|r| r.id).collect();
        for id in &gone {
            if let Some(kept) = self.records.remove(id) {
                self.digests.toggle(Place::of(*id), kept.hash);
                self.changed.remove(id);
            }
        }
        gone.len()
    }
}

fn hash(key: &Key, record: &Record) -> Result<u64, Error> {
    Ok(digest::of_bytes(key, &record.encode()?))
}

#[cfg(test)]
mod tests;
