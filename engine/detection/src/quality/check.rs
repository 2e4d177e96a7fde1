//! One thing that is watched of one field, and what is told of it.

use super::fields::Reading;
use super::note::{Change, Note};
use super::rate::{Outcome, Rate};
use crate::features::sketch::Distinct;
use threat::{EventClass, Text, Timestamp};

/// Which record is looked at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    /// Its class.
    pub class: EventClass,
    /// Its entity.
    pub who: u64,
    /// When it happened.
    pub time: Timestamp,
}

/// What is taken for a case.
#[derive(Clone, Debug)]
pub(super) enum What {
    /// The field is missing where its kind of record has it.
    Missing { before: f64 },
    /// The same for kinds that have it often.
    Vanished { before: f64 },
    /// Beyond `limits`; `seen` before, and how far beyond now.
    Outside { limits: (f64, f64), seen: (f64, f64), now: (f64, f64) },
    /// Outside of what 98% were in.
    Shifted { low: f64, high: f64 },
    /// The same value as in the observation before.
    Constant { last: u64, before: u64 },
    /// None of the values `known`.
    Varied { known: Vec<u64>, new: Distinct<16> },
    /// None of the values `known`, in most records.
    Replaced { known: Vec<u64> },
    /// So far behind.
    Backwards { limit: f64, usual: f64, most: f64 },
    /// The same time as in the observation before.
    Stuck { last: u64 },
}

/// A check with its watch.
#[derive(Clone, Debug)]
pub(super) struct Check {
    /// The bit of the field.
    pub bit: usize,
    /// Its name; none for event time.
    pub field: Option<Text>,
    /// What is a case.
    pub what: What,
    /// How often cases come.
    pub rate: Rate,
    /// Where the note about it is while it lasts.
    pub note: Option<usize>,
}

/// New values that are told: so many times as many as there were before, and so many at least. By
/// day there are more kinds of queries than by night, and a handful more after an upgrade.
const MANY: (u64, u64) = (4, 20);

/// Estimated distinct values of a sketch.
fn distinct(sketch: &Distinct<16>) -> u64 {
    sketch.union_estimate(&Distinct::default()).round() as u64
}

impl Check {
    /// A check of a field that tells nothing yet.
    pub const fn new(bit: usize, field: Option<Text>, what: What, rate: Rate) -> Self {
        Self { bit, field, what, rate, note: None }
    }

    /// Is this value a case? `None` where there is nothing to judge.
    pub fn case(&mut self, reading: Reading) -> Option<bool> {
        let case = match (&mut self.what, reading) {
            (What::Outside { limits, .. }, Reading::Amount(v)) => {
                v.is_nan() | (v < limits.0) | (v > limits.1)
            }
            (What::Shifted { low, high }, Reading::Amount(v)) => {
                v.is_nan() | (v < *low) | (v > *high)
            }
            (What::Constant { last, .. }, Reading::Category(v) | Reading::Name(v)) => same(last, v),
            (What::Constant { last, .. }, Reading::Amount(v)) => same(last, v.to_bits()),
            (What::Stuck { last }, Reading::Category(v)) => same(last, v),
            (What::Varied { known, .. } | What::Replaced { known }, Reading::Category(v)) => {
                known.binary_search(&v).is_err()
            }
            (What::Backwards { limit, .. }, Reading::Amount(v)) => v > *limit,
            _ => return None,
        };
        if case {
            self.note_case(reading);
        }
        Some(case)
    }

    /// Keeps how far a case is from what was before.
    fn note_case(&mut self, reading: Reading) {
        if self.rate.calm() {
            self.begin();
        }
        match (&mut self.what, reading) {
            (What::Outside { now, .. }, Reading::Amount(v)) if v.is_finite() => {
                *now = (now.0.min(v), now.1.max(v));
            }
            (What::Varied { new, .. }, Reading::Category(v)) => {
                new.add(v);
            }
            (What::Backwards { most, .. }, Reading::Amount(v)) => *most = most.max(v),
            _ => {}
        }
    }

    /// Forgets what earlier cases were.
    fn begin(&mut self) {
        match &mut self.what {
            What::Outside { now, .. } => *now = (f64::INFINITY, f64::NEG_INFINITY),
            What::Varied { new, .. } => *new = Distinct::default(),
            What::Backwards { most, .. } => *most = 0.0,
            _ => {}
        }
    }

    /// May it be told? A vocabulary that varies grows by many times what it was.
    fn credible(&self) -> bool {
        match &self.what {
            What::Varied { known, new } => {
                !self.rate.calm() && distinct(new) >= (known.len() as u64 * MANY.0).max(MANY.1)
            }
            _ => true,
        }
    }

    /// Takes an observation and keeps the note about it, where there is one, up to date.
    #[inline]
    pub fn observe(&mut self, case: bool, seen: &Seen, notes: &mut Notes) {
        if !case && self.rate.calm() {
            return;
        }
        self.count(case, seen, notes);
    }

    fn count(&mut self, case: bool, seen: &Seen, notes: &mut Notes) {
        let Seen { class, who, time } = *seen;
        let credible = self.credible();
        let outcome = self.rate.observe(case, who, time, credible);
        if outcome != Outcome::Quiet {
            let (about, change) = ((Some(class), self.field.as_ref()), self.change());
            notes.follow(&mut self.note, about, change, outcome, (case, time));
        }
    }

    fn change(&self) -> Change {
        let finite = |v: f64| v.is_finite().then_some(v);
        match &self.what {
            What::Missing { before } => Change::Missing { before: *before },
            What::Vanished { before } => Change::Vanished { before: *before },
            What::Outside { seen, now, .. } => Change::Outside {
                low: seen.0,
                high: seen.1,
                now_low: finite(now.0),
                now_high: finite(now.1),
            },
            What::Shifted { low, high } => Change::Shifted { low: *low, high: *high },
            What::Constant { before, .. } => Change::Constant { before: *before },
            What::Varied { known, new } => {
                Change::Varied { before: known.len() as u64, new: distinct(new) }
            }
            What::Replaced { known } => Change::Replaced { before: known.len() as u64 },
            What::Backwards { usual, most, .. } => {
                Change::Backwards { seconds: *most, usual: *usual }
            }
            What::Stuck { .. } => Change::Stuck,
        }
    }
}

fn same(last: &mut u64, value: u64) -> bool {
    std::mem::replace(last, value) == value
}

/// Notes of a source, at most [`NOTES`].
#[derive(Clone, Debug, Default)]
pub(super) struct Notes {
    /// In the order in which they were told.
    pub told: Vec<Note>,
    /// Further ones.
    pub turned_away: u64,
}

/// Notes kept of a source: more than a person reads; further ones are counted.
pub(super) const NOTES: usize = 64;

impl Notes {
    /// Keeps a note, and tells where.
    pub fn add(&mut self, note: Note) -> Option<usize> {
        if self.told.len() >= NOTES {
            self.turned_away += 1;
            return None;
        }
        self.told.push(note);
        Some(self.told.len() - 1)
    }

    /// Tells of what an observation at `time` led to, or keeps the note at `place`, which tells of
    /// it already, up to date.
    pub fn follow(
        &mut self,
        place: &mut Option<usize>,
        (class, field): (Option<EventClass>, Option<&Text>),
        change: Change,
        outcome: Outcome,
        (case, time): (bool, Timestamp),
    ) {
        if let Outcome::Told(stretch) = outcome {
            *place = self.add(Note {
                class,
                field: field.cloned(),
                change,
                since: stretch.since,
                last: time,
                until: None,
                looked_at: stretch.seen,
                cases: stretch.cases,
            });
            return;
        }
        let told = outcome != Outcome::Quiet;
        let Some(note) = place.filter(|_| told).and_then(|n| self.told.get_mut(n)) else { return };
        note.looked_at += 1;
        note.change = change;
        if case {
            note.cases += 1;
            note.last = note.last.max(time);
        }
        if outcome == Outcome::Healed {
            note.until = Some(time);
        }
    }
}
