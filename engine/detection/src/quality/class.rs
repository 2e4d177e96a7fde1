//! The records of one class of one source.

use super::check::{Check, Notes, Seen, What};
use super::fields::{Reading, Readings};
use super::freshness::{Course, Step};
use super::note::{Change, Note};
use super::reference::{BEHIND_BIT, Learnt, Reference, Shape, TIME_BIT};
use std::collections::BTreeMap;
use threat::entropy::mix64;
use threat::{Event, EventClass, Text, Timestamp};

/// Entities that were observed last; none of them is observed again until so many others were, or
/// [`PASSED`] records were passed over. A burst of one host is few observations.
const RECENT: usize = 16;

/// Records passed over until one is observed whosever it is: a source of few machines is watched,
/// too, and a flood of one is not all that is seen.
const PASSED: u32 = 8;

/// Records that are all looked at after the reference: a small log is watched as well as can be.
const ALL: u64 = 10_000;

/// After these one record in so many is looked at: what a corruption of many records shows, a
/// sample shows, and the whole path stays within 2% of its cost.
const SAMPLED: u64 = 8;

/// Records of the source during which a class has to be silent before that is told.
const MEANWHILE: u64 = 1_000;

#[derive(Clone, Debug)]
enum Phase {
    Learning(Box<Reference>),
    Watching(Box<Watching>),
}

#[derive(Clone, Debug)]
struct Watching {
    shapes: Vec<(u64, Shape)>,
    other: Shape,
    names: Vec<Text>,
    missing: Presence,
    vanished: Presence,
    values: Vec<Check>,
}

/// Checks of whether fields are there. Only those with a case, or with cases not long ago, cost.
#[derive(Clone, Debug)]
struct Presence {
    /// By bit.
    checks: BTreeMap<usize, Check>,
    /// The bits of those that are not calm.
    busy: u64,
}

impl Presence {
    fn observe(&mut self, judged: u64, present: u64, seen: &Seen, notes: &mut Notes) {
        let mut bits = judged & (!present | self.busy);
        while bits != 0 {
            let bit = bits.trailing_zeros() as usize;
            bits &= bits - 1;
            let Some(check) = self.checks.get_mut(&bit) else { continue };
            check.observe(present >> bit & 1 == 0, seen, notes);
            let busy = u64::from(!check.rate.calm());
            self.busy = self.busy & !(1 << bit) | busy << bit;
        }
    }
}

impl Watching {
    fn new(learnt: Learnt) -> Self {
        let Learnt { shapes, other, checks, names } = learnt;
        let part = |checks: Vec<Check>| Presence {
            checks: checks.into_iter().map(|c| (c.bit, c)).collect(),
            busy: 0,
        };
        let (missing, rest): (Vec<Check>, Vec<Check>) =
            checks.into_iter().partition(|c| matches!(c.what, What::Missing { .. }));
        let (vanished, values): (Vec<Check>, Vec<Check>) =
            rest.into_iter().partition(|c| matches!(c.what, What::Vanished { .. }));
        Self { shapes, other, names, missing: part(missing), vanished: part(vanished), values }
    }

    fn observe(&mut self, event: &Event, behind: f64, seen: &Seen, notes: &mut Notes) {
        let readings = Readings::of(event, &self.names);
        let place = self.shapes.binary_search_by_key(&readings.kind, |(kind, _)| *kind);
        let shape = place.map_or(self.other, |i| self.shapes[i].1);
        self.missing.observe(shape.has, readings.present, seen, notes);
        self.vanished.observe(shape.often, readings.present, seen, notes);
        for check in &mut self.values {
            let case = check.case(match check.bit {
                BEHIND_BIT => Reading::Amount(behind),
                TIME_BIT => Reading::Category(seen.time.micros() as u64),
                bit => readings.values[bit],
            });
            if let Some(case) = case {
                check.observe(case, seen, notes);
            }
        }
    }
}

/// The watch over a class.
#[derive(Clone, Debug)]
pub(super) struct ClassWatch {
    class: EventClass,
    phase: Phase,
    recent: [u64; RECENT],
    next: usize,
    passed: u32,
    course: Course,
    /// Records of the source up to the last of this class that was no stray.
    at: u64,
    /// Records of other classes while this one was silent, as long as it is not sure that it was.
    meanwhile: Option<u64>,
    gap: Option<usize>,
    /// Observations that were compared with the reference.
    pub compared: u64,
}

impl ClassWatch {
    /// Over nothing yet.
    pub fn new(class: EventClass) -> Self {
        Self {
            class,
            phase: Phase::Learning(Box::new(Reference::new(class))),
            recent: [0; RECENT],
            next: 0,
            passed: 0,
            course: Course::default(),
            at: 0,
            meanwhile: None,
            gap: None,
            compared: 0,
        }
    }

    /// Takes the next record, the `number`-th of its source.
    pub fn observe(&mut self, event: &Event, number: u64, notes: &mut Notes) {
        let behind = self.go_on(event.time, number, notes);
        if self.compared >= ALL && !mix64(self.course.records).is_multiple_of(SAMPLED) {
            return;
        }
        let entity = event.entity().id().0;
        if self.passes_over(entity) {
            return;
        }
        match &mut self.phase {
            Phase::Learning(reference) => {
                reference.add(event, entity, behind);
                if reference.complete() {
                    self.phase = Phase::Watching(Box::new(Watching::new(reference.learn())));
                }
            }
            Phase::Watching(watching) => {
                self.compared += 1;
                let seen = Seen { class: self.class, who: entity, time: event.time };
                watching.observe(event, behind, &seen, notes);
            }
        }
    }

    /// Moves event time on and tells how many seconds the record lies behind.
    fn go_on(&mut self, time: Timestamp, number: u64, notes: &mut Notes) -> f64 {
        let step = self.course.step(time);
        if step == Step::Waiting {
            let others = number.saturating_sub(self.at + 1);
            self.meanwhile.get_or_insert(others);
            return 0.0;
        }
        let meanwhile = self.meanwhile.take();
        self.at = number;
        match step {
            Step::Behind(seconds) => seconds,
            Step::Gap(from, to) => {
                // Where all was silent it is a gap of the source.
                if meanwhile.is_some_and(|n| n >= MEANWHILE) {
                    let usual = self.course.longest;
                    tell_gap(Some(self.class), (from, to), usual, &mut self.gap, notes);
                }
                0.0
            }
            Step::Waiting | Step::Astray(..) => 0.0,
        }
    }

    /// Whether this record is one of too many of its entity.
    fn passes_over(&mut self, entity: u64) -> bool {
        if self.passed < PASSED && self.recent.contains(&entity) {
            self.passed += 1;
            return true;
        }
        self.passed = 0;
        self.recent[self.next] = entity;
        self.next = (self.next + 1) % RECENT;
        false
    }

    /// What is to be told when the class ended long before its source, which has `records` and goes
    /// up to `latest`.
    pub fn silent(&self, records: u64, latest: Timestamp) -> Option<Note> {
        let last = self.course.latest?;
        let seconds = latest.since(last);
        let silent = seconds > self.course.limit() && records - self.at >= MEANWHILE;
        silent.then(|| Note {
            class: Some(self.class),
            field: None,
            change: Change::Silent { seconds, usual: self.course.longest },
            since: last,
            last: latest,
            until: None,
            looked_at: self.course.records,
            cases: 1,
        })
    }
}

/// Tells of a gap, or adds it to the note that tells of one already.
pub(super) fn tell_gap(
    class: Option<EventClass>,
    (from, to): (Timestamp, Timestamp),
    usual: f64,
    place: &mut Option<usize>,
    notes: &mut Notes,
) {
    let seconds = to.since(from);
    match place.and_then(|n| notes.told.get_mut(n)) {
        Some(note) => {
            note.cases += 1;
            (note.last, note.until) = (to, Some(to));
            if let Change::Gap { seconds: longest, .. } = &mut note.change {
                *longest = longest.max(seconds);
            }
        }
        None => {
            let change = Change::Gap { seconds, usual };
            let (since, last, until) = (from, to, Some(to));
            let note =
                Note { class, field: None, change, since, last, until, looked_at: 1, cases: 1 };
            *place = notes.add(note);
        }
    }
}
