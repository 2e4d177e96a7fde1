//! What a source shows at its beginning, and the checks that follow from it.

use super::check::{Check, What};
use super::fields::{EXTRA, FIRST_EXTRA, Reading, Readings, TYPED, typed};
use super::rate::{BREADTH, Rate, at_most};
use super::{FALSE_ALARM_EVERY, REFERENCE};
use std::collections::{BTreeMap, BTreeSet};
use threat::{Event, EventClass, Text};

/// Kinds of records of a class that are told apart: protocols by connection states are 52. What a
/// further kind lacks is not judged.
const KINDS: usize = 64;

/// A kind has a field when so many of its records do.
const HAS: f64 = 0.98;
/// A kind often has a field when so many of its records do.
const OFTEN: f64 = 0.1;
/// Records that a kind needs before what it has and often has is judged.
const KIND_RECORDS: (u32, u32) = (20, 100);

/// Shares of cases that are tolerated whatever the reference says: what a person would look into.
const MISSING: f64 = 0.01;
const OUTSIDE: f64 = 0.01;
const VARIED: f64 = 0.02;
const SHIFTED: f64 = 0.5;
const REPLACED: f64 = 0.5;
const BACKWARDS: f64 = 0.01;
/// Of the chance that the next value equals this one: some 400 equal values in a row are told.
const CONSTANT: f64 = 0.95;
/// Beyond so much of what the reference allows for.
const TIMES: f64 = 3.0;
/// A field falls to so much of what its least such kind had before it is told to have vanished.
const VANISHED: f64 = 0.25;

/// Different values that make a field's values be told apart one by one.
const FEW_VALUES: usize = 64;
/// A field that mostly has one value is not told for having only that.
const MOSTLY_ONE: f64 = 0.9;
/// Values that a field needs before its range and constancy are judged.
const VALUES: usize = 100;

/// So many times beyond the extremes lies outside. What a few machines do changes by more, so that
/// their sources are asked for more; and what most of their records hold is their behaviour, so
/// that it is not watched at all.
const BEYOND: (f64, f64) = (10.0, 1_000.0);

/// Seconds behind that are never told: what `threat::limits` takes for late.
const BEHIND: f64 = threat::limits::LATE_SECONDS;

/// How a kind of records looks.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Shape {
    /// Fields that it has.
    pub has: u64,
    /// Fields that it often has.
    pub often: u64,
}

#[derive(Clone, Debug)]
struct Kind {
    records: u32,
    present: [u32; FIRST_EXTRA + EXTRA],
}

/// The first observations of a class.
#[derive(Clone, Debug)]
pub(super) struct Reference {
    class: EventClass,
    records: usize,
    kinds: BTreeMap<u64, Kind>,
    all: Kind,
    values: Vec<Vec<Reading>>,
    behind: f64,
    times: Vec<u64>,
    entities: BTreeSet<u64>,
    names: Vec<Text>,
}

/// What comes of a reference.
pub(super) struct Learnt {
    pub shapes: Vec<(u64, Shape)>,
    /// What a record of an unknown kind has: what makes a kind, of which something may be gone.
    pub other: Shape,
    pub checks: Vec<Check>,
    pub names: Vec<Text>,
}

impl Kind {
    const fn new() -> Self {
        Self { records: 0, present: [0; FIRST_EXTRA + EXTRA] }
    }

    fn add(&mut self, present: u64) {
        self.records += 1;
        let mut left = present;
        while left != 0 {
            self.present[left.trailing_zeros() as usize] += 1;
            left &= left - 1;
        }
    }

    fn share(&self, bit: usize) -> f64 {
        f64::from(self.present[bit]) / f64::from(self.records.max(1))
    }

    /// Which fields it has and often has, by their shares.
    fn shape(&self) -> Shape {
        let mut shape = Shape::default();
        for bit in 0..FIRST_EXTRA + EXTRA {
            let share = self.share(bit);
            if share >= HAS && self.records >= KIND_RECORDS.0 {
                shape.has |= 1 << bit;
            } else if (OFTEN..HAS).contains(&share) && self.records >= KIND_RECORDS.1 {
                shape.often |= 1 << bit;
            }
        }
        shape
    }
}

impl Reference {
    /// Of nothing.
    pub fn new(class: EventClass) -> Self {
        Self {
            class,
            records: 0,
            kinds: BTreeMap::new(),
            all: Kind::new(),
            values: vec![Vec::new(); TYPED],
            behind: 0.0,
            times: Vec::new(),
            entities: BTreeSet::new(),
            names: Vec::new(),
        }
    }

    /// Takes an observation, `behind` seconds behind the latest.
    pub fn add(&mut self, event: &Event, entity: u64, behind: f64) {
        for (name, _) in &event.extra {
            if self.names.len() < EXTRA && !self.names.contains(name) {
                self.names.push(name.clone());
            }
        }
        let readings = Readings::of(event, &self.names);
        self.records += 1;
        self.all.add(readings.present);
        if self.kinds.len() < KINDS || self.kinds.contains_key(&readings.kind) {
            self.kinds.entry(readings.kind).or_insert_with(Kind::new).add(readings.present);
        }
        for (values, reading) in self.values.iter_mut().zip(readings.values) {
            if !matches!(reading, Reading::Absent | Reading::Present) {
                values.push(reading);
            }
        }
        self.behind = self.behind.max(behind);
        self.times.push(event.time.micros() as u64);
        self.entities.insert(entity);
    }

    /// Enough was seen.
    pub const fn complete(&self) -> bool {
        self.records >= REFERENCE
    }

    /// Entities that have to show a change.
    fn breadth(&self) -> usize {
        (self.entities.len() / 3).clamp(1, BREADTH)
    }

    /// Few machines: what they do and what their source does cannot be told apart.
    fn few(&self) -> bool {
        self.entities.len() < BREADTH
    }

    /// The checks. Their thresholds share the stated rate of false alarms (Bonferroni).
    pub fn learn(&self) -> Learnt {
        let shapes: Vec<(u64, Shape)> =
            self.kinds.iter().map(|(&k, s)| (k, self.shape(s))).collect();
        let mut whats: Vec<(usize, What, f64)> = Vec::new();
        for bit in 0..FIRST_EXTRA + EXTRA {
            self.presence(bit, &shapes, &mut whats);
        }
        for bit in 0..TYPED {
            self.amounts(bit, &mut whats);
            self.categories(bit, &mut whats);
        }
        self.course(&mut whats);
        let threshold = FALSE_ALARM_EVERY * whats.len().max(1) as f64;
        let breadth = self.breadth();
        let checks = whats.into_iter().map(|(bit, what, tolerated)| {
            let rate = match what {
                What::Constant { .. } | What::Stuck { .. } => {
                    Rate::always(tolerated, threshold, breadth)
                }
                _ => Rate::new(tolerated, threshold, breadth),
            };
            Check::new(bit, self.name(bit), what, rate)
        });
        let other = self.shape(&Kind::new());
        Learnt { checks: checks.collect(), shapes, other, names: self.names.clone() }
    }

    fn name(&self, bit: usize) -> Option<Text> {
        match bit.checked_sub(FIRST_EXTRA) {
            Some(extra) => self.names.get(extra).cloned(),
            None => typed(self.class, bit).map(|f| Text::from(f.name)),
        }
    }

    /// A kind's shape, in which fields that make the kind are as in all records: a record without
    /// its protocol is of another kind.
    fn shape(&self, kind: &Kind) -> Shape {
        let (mut shape, all) = (kind.shape(), self.all.shape());
        for bit in 0..TYPED {
            if typed(self.class, bit).is_some_and(|f| f.kind) {
                let mask = 1u64 << bit;
                shape.has = shape.has & !mask | all.has & mask;
                shape.often = shape.often & !mask | all.often & mask;
            }
        }
        shape
    }

    fn presence(&self, bit: usize, shapes: &[(u64, Shape)], whats: &mut Vec<(usize, What, f64)>) {
        // Records, records without the field, and the least share with it, over the kinds in which
        // it is judged.
        let over = |judged: fn(&Shape) -> u64| {
            let mut sum = (0, 0, 1.0f64);
            for (key, shape) in shapes {
                if judged(shape) >> bit & 1 == 1 {
                    let kind = &self.kinds[key];
                    sum.0 += kind.records as usize;
                    sum.1 += (kind.records - kind.present[bit]) as usize;
                    sum.2 = sum.2.min(kind.share(bit));
                }
            }
            sum
        };
        let (records, missing, _) = over(|s| s.has);
        if records > 0 {
            let tolerated = (TIMES * at_most(missing, records)).max(MISSING);
            let before = missing as f64 / records as f64;
            whats.push((bit, What::Missing { before }, tolerated));
        }
        let (records, missing, least) = over(|s| s.often);
        if records > 0 {
            let before = missing as f64 / records as f64;
            whats.push((bit, What::Vanished { before }, 1.0 - VANISHED * least));
        }
    }

    fn amounts(&self, bit: usize, whats: &mut Vec<(usize, What, f64)>) {
        let amount = |r: &Reading| match r {
            Reading::Amount(v) if v.is_finite() => Some(*v),
            _ => None,
        };
        let mut all: Vec<f64> = self.values[bit].iter().filter_map(amount).collect();
        if all.len() < VALUES {
            return;
        }
        all.sort_by(f64::total_cmp);
        let (low, high) = (all[0], all[all.len() - 1]);
        let times = if self.few() { BEYOND.1 } else { BEYOND.0 };
        let what = What::Outside {
            // Below what was never negative there is only the negative.
            limits: (low.min(0.0) * times, high.max(1.0) * times),
            seen: (low, high),
            now: (f64::INFINITY, f64::NEG_INFINITY),
        };
        // Of exchangeable values one in n + 1 is the greatest, and one the least.
        whats.push((bit, what, (TIMES * 2.0 / (all.len() + 1) as f64).max(OUTSIDE)));
        if !self.few() {
            let edge = all.len() / 100;
            let (low, high) = (all[edge], all[all.len() - 1 - edge]);
            whats.push((bit, What::Shifted { low, high }, SHIFTED));
        }
    }

    fn categories(&self, bit: usize, whats: &mut Vec<(usize, What, f64)>) {
        let values = &self.values[bit];
        let mut counts: BTreeMap<u64, usize> = BTreeMap::new();
        for reading in values {
            let value = match reading {
                Reading::Category(v) | Reading::Name(v) => *v,
                Reading::Amount(v) => v.to_bits(),
                _ => continue,
            };
            *counts.entry(value).or_default() += 1;
        }
        let most = counts.values().copied().max().unwrap_or_default();
        let one = most as f64 / values.len().max(1) as f64;
        if values.len() >= VALUES && one <= MOSTLY_ONE && !self.few() {
            let before = counts.len() as u64;
            whats.push((bit, What::Constant { last: 0, before }, CONSTANT));
        }
        let named = matches!(values.first(), Some(Reading::Category(_)));
        if named && values.len() >= VALUES && counts.len() <= FEW_VALUES {
            // Good and Turing: what was seen once is as frequent as what was never seen.
            let once = counts.values().filter(|&&n| n == 1).count();
            let tolerated = (TIMES * at_most(once, values.len())).max(VARIED);
            let known: Vec<u64> = counts.into_keys().collect();
            let replaced = tolerated.max(REPLACED);
            whats.push((bit, What::Replaced { known: known.clone() }, replaced));
            whats.push((bit, What::Varied { known, new: Default::default() }, tolerated));
        }
    }

    /// Checks of event time.
    fn course(&self, whats: &mut Vec<(usize, What, f64)>) {
        let limit = (self.behind * BEYOND.0).max(BEHIND);
        let what = What::Backwards { limit, usual: self.behind, most: 0.0 };
        whats.push((BEHIND_BIT, what, BACKWARDS));
        let mut counts: BTreeMap<u64, usize> = BTreeMap::new();
        self.times.iter().for_each(|&t| *counts.entry(t).or_default() += 1);
        let most = counts.values().copied().max().unwrap_or_default();
        if most as f64 <= MOSTLY_ONE * self.times.len() as f64 {
            whats.push((TIME_BIT, What::Stuck { last: 0 }, CONSTANT));
        }
    }
}

/// In place of a field's bit: how far a record lies behind.
pub(super) const BEHIND_BIT: usize = FIRST_EXTRA + EXTRA;
/// In place of a field's bit: when it happened.
pub(super) const TIME_BIT: usize = BEHIND_BIT + 1;
