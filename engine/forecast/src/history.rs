//! What was seen, as series: hours that nodes counted, summed over nodes, by region, source and
//! class.

use crate::limits::{FITTED_SEASONS, SUBJECTS};
use crate::series::{Grid, Series};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use threat::{Counted, EventClass, HourCounts, ThreatClass};

/// What is counted, of one class or of all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Measure {
    /// Events: the load.
    Events(Option<EventClass>),
    /// Events whose verdict is a threat.
    Attacks(Option<ThreatClass>),
    /// Threats that were not known before.
    Threats(Option<ThreatClass>),
}

impl Measure {
    const fn of(counted: Counted) -> (Self, Self) {
        match counted {
            Counted::Events(class) => (Self::Events(None), Self::Events(Some(class))),
            Counted::Attacks(class) => (Self::Attacks(None), Self::Attacks(Some(class))),
            Counted::Threats(class) => (Self::Threats(None), Self::Threats(Some(class))),
        }
    }

    /// The same of all classes.
    #[must_use]
    pub const fn whole(self) -> Self {
        match self {
            Self::Events(_) => Self::Events(None),
            Self::Attacks(_) => Self::Attacks(None),
            Self::Threats(_) => Self::Threats(None),
        }
    }

    /// The class's stable name, where it is of one.
    pub const fn class(self) -> Option<&'static str> {
        match self {
            Self::Events(Some(class)) => Some(class.name()),
            Self::Attacks(Some(class)) | Self::Threats(Some(class)) => Some(class.name()),
            Self::Events(None) | Self::Attacks(None) | Self::Threats(None) => None,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Events(_) => "events",
            Self::Attacks(_) => "attacks",
            Self::Threats(_) => "threats",
        }
    }
}

/// What a series is of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Subject {
    /// The region, or all.
    pub region: Option<String>,
    /// The source, or all.
    pub source: Option<String>,
    /// What is counted.
    pub measure: Measure,
}

impl Subject {
    /// Over all regions and sources.
    pub const fn all(measure: Measure) -> Self {
        Self { region: None, source: None, measure }
    }

    /// What is left out last: the whole, then classes, then regions, then sources.
    fn rank(&self) -> (bool, bool, bool) {
        (self.source.is_some(), self.region.is_some(), self.measure.class().is_some())
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.measure.name())?;
        if let Some(class) = self.measure.class() {
            write!(f, " {class}")?;
        }
        if let Some(region) = &self.region {
            write!(f, " in {region}")?;
        }
        match &self.source {
            Some(source) => write!(f, " of {source}"),
            None => Ok(()),
        }
    }
}

/// The counts of all subjects.
#[derive(Clone, Debug, Default)]
pub struct History {
    counts: BTreeMap<Subject, BTreeMap<i64, u64>>,
}

impl History {
    /// Adds what a node counted in an hour. Each node and hour is to be added once.
    pub fn add(&mut self, counts: &HourCounts) {
        for ((source, counted), count) in &counts.counts {
            let (measure, of_class) = Measure::of(*counted);
            let mut add = |region: Option<&str>, source: Option<&str>, measure| {
                let (region, source) = (region.map(str::to_owned), source.map(str::to_owned));
                let hours = self.counts.entry(Subject { region, source, measure }).or_default();
                let sum = hours.entry(counts.hour).or_default();
                *sum = sum.saturating_add(*count);
            };
            let region = Some(counts.region.as_str()).filter(|region| !region.is_empty());
            for measure in [measure, of_class] {
                add(None, None, measure);
                if region.is_some() {
                    add(region, None, measure);
                }
            }
            if !source.is_empty() {
                add(None, Some(source), measure);
            }
        }
    }

    /// The last hour in which anything was seen.
    pub fn last(&self) -> Option<i64> {
        self.counts.values().filter_map(|hours| Some(*hours.last_key_value()?.0)).max()
    }

    /// The first hour, of those that a model is fitted to before `end`, in which anything was seen.
    fn first(&self, end: i64) -> Option<i64> {
        let from = end.saturating_sub(fitted());
        let first = |hours: &BTreeMap<i64, u64>| Some(*hours.range(from..end).next()?.0);
        self.counts.values().filter_map(first).min()
    }

    /// Of what was seen before an hour, at most [`SUBJECTS`] subjects: the widest, of equally wide
    /// ones the busiest.
    pub fn subjects(&self, end: i64) -> BTreeSet<Subject> {
        let from = end.saturating_sub(fitted());
        let total = |hours: &BTreeMap<i64, u64>| -> u64 {
            hours.range(from..end).fold(0, |sum, (_, count)| sum.saturating_add(*count))
        };
        let mut all: Vec<(&Subject, u64)> =
            self.counts.iter().map(|(subject, hours)| (subject, total(hours))).collect();
        all.retain(|(_, total)| *total > 0);
        all.sort_by(|a, b| {
            let key = |(subject, total): &(&Subject, u64)| (subject.rank(), u64::MAX - total);
            key(a).cmp(&key(b)).then_with(|| a.0.cmp(b.0))
        });
        all.into_iter().take(SUBJECTS).map(|(subject, _)| subject.clone()).collect()
    }

    /// The hours of a subject before one, as far back as models are fitted; hours in which nothing
    /// of it was counted are 0. `None` when nothing at all was seen.
    pub fn series(&self, subject: &Subject, end: i64) -> Option<Series> {
        let first = self.first(end)?;
        let hours = self.counts.get(subject)?;
        let count = |hour| hours.get(&hour).copied().unwrap_or_default() as f64;
        let grid = Grid::HOURLY;
        Series::new(grid, grid.time_of(first), (first..end).map(count).collect()).ok()
    }
}

/// Hours that models are fitted to.
pub const fn fitted() -> i64 {
    (FITTED_SEASONS * Grid::HOURLY.seasons().long) as i64
}

#[cfg(test)]
mod tests;
