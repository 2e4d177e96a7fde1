//! One threat, as every node may tell it: each field joins with that of another record of the same
//! threat, and no order of joins leads to another record.

use super::handling::{Handling, Status};
use super::limits::{ASSIGNEE_BYTES, ENTITY_BYTES, TEXT_BYTES};
use super::sample::{Sample, cut};
use crate::clock::Ahead;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use threat::entity::Entity;
use threat::mutants::{Mutant, is_live};
use threat::{DetectorKind, Severity, Text, Threat, ThreatClass, ThreatId, Timestamp, codec};

/// Version of a record's bytes.
const FORMAT: u8 = 1;

/// Logs (source and segment) that may count one threat: its entity is in one shard, whose node
/// reads a few dozen; what more there are is dropped from the count, never from the record.
pub const COUNTS: usize = 64;

/// Why a record is refused.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Its id is not that of its entity, class and hour.
    #[error("record {id} is of another threat than its id says")]
    Foreign {
        /// The id it bears.
        id: ThreatId,
    },
    /// A field that no node writes.
    #[error("record {id}: {what}")]
    Invalid {
        /// Whose record it is.
        id: ThreatId,
        /// What is wrong.
        what: &'static str,
    },
    /// Nobody told of it here.
    #[error("no threat {id} is known here")]
    Unknown {
        /// The id that was asked for.
        id: ThreatId,
    },
    /// It was handled at a time that is not there yet.
    #[error(transparent)]
    Ahead(#[from] Ahead),
    /// It has no bytes.
    #[error(transparent)]
    Codec(#[from] codec::Error),
}

/// Verdicts of one log that were folded into a threat. A log that is read again is counted from
/// where it was read before, so the same records never count twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Count {
    /// Which source, of all nodes'.
    pub source: u64,
    /// Which of the files that a followed log is made of.
    pub segment: u64,
    /// Up to which byte of it.
    pub offset: u64,
    /// Verdicts up to there.
    pub verdicts: u64,
}

/// What is known of one threat.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Its identity, which entity, class and hour follow from.
    pub id: ThreatId,
    /// Who.
    pub entity: Entity,
    /// What.
    pub class: ThreatClass,
    /// The greatest ATT&CK technique that was named, in the order of texts: any order will do, as
    /// long as all nodes use the same.
    pub technique: Option<Text>,
    /// The greatest severity of its verdicts.
    pub severity: Severity,
    /// The greatest score of its verdicts, at least 0.
    pub score: f32,
    /// Event time of the first verdict.
    pub first_seen: Timestamp,
    /// Event time of the last verdict.
    pub last_seen: Timestamp,
    /// The voters that took some of its events for a threat, a bit each by catalogue number.
    pub voters: u16,
    /// Whom it was done to, or with.
    pub targets: Sample,
    /// Rules that matched.
    pub rules: Sample,
    /// By source and segment.
    counts: Vec<Count>,
    /// What people said of it; most threats are never touched, and need no room for it.
    handling: Option<Box<Handling>>,
}

impl From<Record> for Cow<'_, Record> {
    fn from(record: Record) -> Self {
        Cow::Owned(record)
    }
}

impl<'a> From<&'a Record> for Cow<'a, Record> {
    fn from(record: &'a Record) -> Self {
        Cow::Borrowed(record)
    }
}

/// The bit of a detector in [`Record::voters`].
pub const fn bit(detector: DetectorKind) -> u16 {
    1 << detector as u16
}

impl Record {
    /// The record of a threat whose verdicts all came from one log, up to `count.offset`.
    pub fn of(threat: &Threat, count: Count) -> Self {
        let all = |kept: &threat::threats::Indicators| {
            let mut sample = Sample::default();
            kept.kept.keys().for_each(|text| {
                sample.add(&cut(text));
            });
            sample
        };
        let voted = threat.voters.iter().filter(|v| *v.1 > 0);
        Self {
            id: threat.id,
            entity: threat.entity.clone(),
            class: threat.class,
            technique: threat.technique.as_ref().map(cut),
            severity: threat.severity,
            score: if threat.score > 0.0 { threat.score } else { 0.0 },
            first_seen: threat.first_seen,
            last_seen: threat.last_seen,
            voters: voted.fold(0, |bits, v| bits | bit(*v.0)),
            targets: all(&threat.targets),
            rules: all(&threat.rules),
            counts: vec![count],
            handling: None,
        }
    }

    /// Verdicts folded in, of all logs.
    pub fn verdicts(&self) -> u64 {
        self.counts.iter().fold(0, |sum, c| sum.saturating_add(c.verdicts))
    }

    /// By source and segment.
    pub fn counts(&self) -> &[Count] {
        &self.counts
    }

    /// What people said of it, if anybody did.
    pub fn handling(&self) -> Option<&Handling> {
        self.handling.as_deref()
    }

    /// Where the work on it stands.
    pub fn status(&self) -> Status {
        self.handling().and_then(|h| h.status.get()).copied().unwrap_or(Status::Open)
    }

    /// How grave it is: an analyst's word, else that of its verdicts.
    pub fn gravity(&self) -> Severity {
        let said = self.handling().and_then(|h| h.severity.get()).copied().flatten();
        said.unwrap_or(self.severity)
    }

    /// Takes what people say of it; whether that is new.
    pub fn handle(&mut self, said: &Handling) -> bool {
        // Nothing said and nothing kept are one state, with one hash.
        *said != Handling::default() && self.handling.get_or_insert_default().join(said)
    }

    /// Makes its status one that was said just after a time.
    pub(super) fn lift(&mut self, floor: Timestamp) {
        if let Some(handling) = &mut self.handling {
            handling.lift(floor);
        }
    }

    /// What its id follows from.
    fn named(&self) -> (&Entity, ThreatClass, i64) {
        (&self.entity, self.class, self.first_seen.hour())
    }

    /// What is wrong with a record that came from elsewhere. `known` is one of the same id that
    /// was checked before.
    pub(super) fn check(&self, known: Option<&Self>) -> Result<(), Error> {
        let id = self.id;
        // What the id follows from is compared sooner than hashed.
        let (entity, class, hour) = self.named();
        let same = known.is_some_and(|known| known.named() == (entity, class, hour));
        if !same && ThreatId::of(entity, class, hour) != id {
            return Err(Error::Foreign { id });
        }
        let what = if !(self.score.is_finite() && self.score.is_sign_positive()) {
            "the score is no amount"
        } else if self.last_seen < self.first_seen
            || self.last_seen.hour() != self.first_seen.hour()
        {
            "it ends before it begins, or in another hour"
        } else if self.counts.len() > COUNTS || !self.counts.is_sorted_by(|a, b| log(a) < log(b)) {
            "its counts are out of order"
        } else if !(self.targets.is_valid() && self.rules.is_valid()) {
            "a sample is none"
        } else if self.entity.with_text(str::len) > ENTITY_BYTES
            || self.technique.as_ref().is_some_and(|t| t.len() > TEXT_BYTES)
        {
            "a name is too long"
        } else if self.handling().is_some_and(|h| *h == Handling::default()) {
            "it was handled by nobody"
        } else if self.handling().and_then(|h| h.assignee.get()).is_some_and(too_long) {
            "the name of who works on it is too long"
        } else {
            return Ok(());
        };
        Err(Error::Invalid { id, what })
    }

    /// Joins with another record of the same threat; whether that changed anything.
    ///
    /// # Errors
    /// [`Error::Foreign`] when it is of another threat; nothing changes then.
    pub fn join(&mut self, other: &Self) -> Result<bool, Error> {
        if self.id != other.id {
            return Err(Error::Foreign { id: other.id });
        }
        let mut changed = greatest(&mut self.technique, &other.technique);
        changed |= greatest(&mut self.severity, &other.severity);
        changed |= greatest(&mut self.last_seen, &other.last_seen);
        if other.first_seen < self.first_seen {
            (self.first_seen, changed) = (other.first_seen, true);
        }
        if other.score > self.score {
            (self.score, changed) = (other.score, true);
        }
        let voters = self.voters | other.voters;
        changed |= std::mem::replace(&mut self.voters, voters) != voters;
        changed |= self.targets.join(&other.targets);
        changed |= self.rules.join(&other.rules);
        changed |= other.counts.iter().fold(false, |any, count| {
            let known = self.counts.iter_mut().find(|known| log(known) == log(count));
            if let Some(known) = known.filter(|_| is_live(Mutant::CountsAreAdded)) {
                known.verdicts += count.verdicts;
                return true;
            }
            self.count(*count) | any
        });
        if let Some(theirs) = &other.handling {
            changed |= self.handle(theirs);
        }
        Ok(changed)
    }

    /// Takes a log's count if it reaches farther than the known one; whether it did.
    pub fn count(&mut self, count: Count) -> bool {
        match self.counts.binary_search_by(|c| log(c).cmp(&log(&count))) {
            Ok(at) => {
                let known = &mut self.counts[at];
                let farther = (count.offset, count.verdicts) > (known.offset, known.verdicts);
                if farther {
                    *known = count;
                }
                farther
            }
            // The logs with the greatest numbers give way: the same ones in every order of joins.
            Err(at) if at < COUNTS => {
                self.counts.truncate(COUNTS - 1);
                self.counts.reserve_exact(1);
                self.counts.insert(at, count);
                true
            }
            Err(_) => false,
        }
    }

    /// Its bytes, equal for equal records.
    ///
    /// # Errors
    /// [`Error::Codec`].
    pub fn encode(&self) -> Result<Vec<u8>, Error> {
        // Most have fewer: room that grows step by step takes longer than all the rest.
        let mut bytes = Vec::with_capacity(256);
        codec::encode_into(FORMAT, self, &mut bytes)?;
        Ok(bytes)
    }

    /// The record of such bytes, checked.
    ///
    /// # Errors
    /// [`Error`].
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let record: Self = codec::decode(FORMAT, bytes)?;
        record.check(None)?;
        Ok(record)
    }
}

fn too_long(assignee: &Option<Text>) -> bool {
    assignee.as_ref().is_some_and(|name| name.len() > ASSIGNEE_BYTES)
}

/// The log that a count is of.
const fn log(count: &Count) -> (u64, u64) {
    (count.source, count.segment)
}

fn greatest<T: Ord + Clone>(mine: &mut T, theirs: &T) -> bool {
    let greater = *theirs > *mine;
    if greater {
        mine.clone_from(theirs);
    }
    greater
}
