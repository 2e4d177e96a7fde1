//! Data quality: does a source still deliver what it delivered at the beginning of the run?
//!
//! Of each class of events the first [`REFERENCE`] observations say what is usual. From then on are
//! watched, field by field: presence where records of this kind have the field (null), values far
//! outside and most values elsewhere (range), one value only and many new ones (cardinality); of
//! event time: gaps, silence, running backwards, standing still, strays (freshness); and the share
//! of records that cannot be read.
//!
//! What is told has to be both more than chance and more than trifling: the hypothesis that is
//! rejected is "as many cases as the reference allows for three times over, or the share named at
//! the top of `reference`", by an e-detector (`rate`) whose rate of false alarms is
//! [`FALSE_ALARM_EVERY`], shared among all checks of a class (Bonferroni).
//!
//! Traffic is no stream of independent records. So a busy entity is observed seldom (`class`),
//! cases count only when several entities show them, and whether a field is missing is asked of
//! records of one kind (a connection's protocol and state, a request's method and status): a scan
//! changes which kinds there are, not what records of a kind hold. What most records of a source of
//! a few machines hold is these machines' behaviour and is not judged.

mod check;
mod class;
mod fields;
mod freshness;
mod note;
mod rate;
mod reference;
#[cfg(test)]
mod tests;

pub use note::{Change, Note};

use check::Notes;
use class::{ClassWatch, tell_gap};
use freshness::{Course, Step};
use rate::{Rate, at_most};
use std::collections::BTreeMap;
use threat::{EventBatch, EventClass, IntakeCounts, Timestamp};

/// Observations of a class that say what is usual. A thousand bound the rate of what was never
/// among them by 0.6%, which lies under what is told, and are there within minutes of a log.
pub const REFERENCE: usize = 1_000;

/// Observations of a class without a false alarm that are due on average while nothing changes.
pub const FALSE_ALARM_EVERY: f64 = 1e6;

/// Malformed records, or strays in time, that are tolerated whatever the beginning says.
const TOLERATED: f64 = 0.01;

/// What was malformed before, times this, is tolerated.
const TIMES: f64 = 3.0;

/// Watches one source.
#[derive(Clone, Debug)]
pub struct Quality {
    classes: [Option<Box<ClassWatch>>; EventClass::ALL.len()],
    course: Course,
    gap: Option<usize>,
    strays: Watched,
    furthest: f64,
    malformed: Watched,
    counts: Option<IntakeCounts>,
    /// Records before the malformed ones are watched, and those of them that were malformed.
    before: (usize, usize),
    notes: Notes,
}

/// A rate with the note about it.
#[derive(Clone, Debug)]
struct Watched {
    rate: Rate,
    note: Option<usize>,
}

impl Watched {
    fn new(tolerated: f64) -> Self {
        Self { rate: Rate::new(tolerated, FALSE_ALARM_EVERY, 1), note: None }
    }

    /// Takes records at one time, of which `cases` show it.
    fn observe(
        &mut self,
        (seen, cases): (u64, u64),
        time: Timestamp,
        change: Change,
        notes: &mut Notes,
    ) {
        if cases == 0 && self.rate.calm() {
            return;
        }
        for i in 0..seen {
            let case = i < cases;
            let outcome = self.rate.observe(case, 0, time, true);
            notes.follow(&mut self.note, (None, None), change, outcome, (case, time));
        }
    }
}

/// Whether the first change says what the second would say.
const fn plainer(a: &Change, b: &Change) -> bool {
    matches!(
        (a, b),
        (Change::Missing { .. }, Change::Vanished { .. })
            | (Change::Outside { .. }, Change::Shifted { .. })
            | (Change::Varied { .. }, Change::Replaced { .. })
    )
}

impl Default for Quality {
    fn default() -> Self {
        Self {
            classes: Default::default(),
            course: Course::default(),
            gap: None,
            strays: Watched::new(TOLERATED),
            furthest: 0.0,
            malformed: Watched::new(TOLERATED),
            counts: None,
            before: (0, 0),
            notes: Notes::default(),
        }
    }
}

impl Quality {
    /// Takes the next batch of the source.
    pub fn observe(&mut self, batch: &EventBatch) {
        for event in &batch.events {
            let number = self.course.records;
            self.go_on(event.time);
            let place = event.class() as usize;
            self.classes[place]
                .get_or_insert_with(|| Box::new(ClassWatch::new(event.class())))
                .observe(event, number, &mut self.notes);
        }
        self.unreadable(batch.counts);
    }

    fn go_on(&mut self, time: Timestamp) {
        let astray = match self.course.step(time) {
            Step::Gap(from, to) => {
                let usual = self.course.longest;
                tell_gap(None, (from, to), usual, &mut self.gap, &mut self.notes);
                0
            }
            Step::Astray(strays, by) => {
                self.furthest = self.furthest.max(by);
                u64::from(strays)
            }
            Step::Behind(_) | Step::Waiting => 0,
        };
        let now = self.course.latest.unwrap_or(time);
        let change = Change::Ahead { seconds: self.furthest };
        self.strays.observe((astray.max(1), astray), now, change, &mut self.notes);
    }

    /// Counts grow within a file; a followed log's next file begins anew.
    fn unreadable(&mut self, counts: IntakeCounts) {
        let last = self.counts.replace(counts);
        let last = last.filter(|l| l.read <= counts.read).unwrap_or_default();
        let cases = counts.quarantined.saturating_sub(last.quarantined);
        let seen = counts.events.saturating_sub(last.events) + cases;
        let (records, malformed) = self.before;
        if records < REFERENCE {
            self.before = (records + seen as usize, malformed + cases as usize);
            if self.before.0 >= REFERENCE {
                let most = TIMES * at_most(self.before.1, self.before.0);
                self.malformed = Watched::new(most.max(TOLERATED));
            }
            return;
        }
        let Some(time) = self.course.latest else { return };
        let change = Change::Malformed { before: malformed as f64 / records as f64 };
        self.malformed.observe((seen, cases), time, change, &mut self.notes);
    }

    /// What is to be told of the source by now, in order of time.
    pub fn notes(&self) -> Vec<Note> {
        let mut all = self.notes.told.clone();
        // Of one field the plainer of two changes is enough.
        all.retain(|note| {
            let about = |other: &&Note| (other.class, &other.field) == (note.class, &note.field);
            !self.notes.told.iter().filter(about).any(|o| plainer(&o.change, &note.change))
        });
        if let Some(latest) = self.course.latest {
            let classes = self.classes.iter().flatten();
            all.extend(classes.filter_map(|c| c.silent(self.course.records, latest)));
        }
        all.sort_by_key(|n| (n.since, n.class.map(EventClass::class_uid)));
        all
    }

    /// Observations of each class that were compared with its beginning; 0 while that is learnt.
    pub fn compared(&self) -> BTreeMap<EventClass, u64> {
        let all = EventClass::ALL.into_iter().zip(&self.classes);
        all.filter_map(|(class, watch)| Some((class, watch.as_ref()?.compared))).collect()
    }

    /// Notes that found no room.
    pub const fn turned_away(&self) -> u64 {
        self.notes.turned_away
    }
}
