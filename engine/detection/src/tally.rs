//! Counting verdicts for a report: by severity, source and absence, over event time, by score, by
//! entity, by ground-truth label. All bounded; what finds no room is counted as "others".

mod accounts;
pub use accounts::{AccountRisk, Accounts, RiskLevel};

use crate::drift::Monitor;
use crate::features::table::StateTable;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use threat::entity::Entity;
use threat::verdict::Absence;
use threat::{
    Ballot, DetectorKind, Event, EventClass, Severity, Text, Timestamp, Verdict, VerdictSource,
};

/// Width of a histogram bin, in tail units (decades of probability).
pub const BIN_WIDTH: f32 = 0.25;
/// Bins of a histogram; the last holds everything above, a tail of 10 and more.
pub const BINS: usize = 41;
/// Buckets of the timeline; when full, neighbours are joined and buckets become twice as long.
pub const BUCKETS: usize = 240;
/// Entities counted one by one; those not seen for longest make room.
pub const ENTITIES: usize = 20_000;
/// Ground-truth labels counted: captures have a few dozen.
pub const LABELS: usize = 256;

/// A stretch of event time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Stretch {
    /// Events in it.
    pub events: u64,
    /// Threat verdicts in it.
    pub threats: BTreeMap<Severity, u64>,
}

/// Events over event time in at most [`BUCKETS`] equal stretches.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Timeline {
    /// Seconds of a stretch: a power of two.
    pub seconds: i64,
    /// By number of the stretch since the epoch.
    pub stretches: BTreeMap<i64, Stretch>,
}

impl Timeline {
    fn add(&mut self, time: Timestamp, threat: Option<Severity>) {
        let width = self.seconds.max(1);
        let stretch = self.stretches.entry(time.secs().div_euclid(width)).or_default();
        stretch.events += 1;
        if let Some(severity) = threat {
            *stretch.threats.entry(severity).or_default() += 1;
        }
        while self.span() > BUCKETS as i64 {
            self.widen();
        }
    }

    fn span(&self) -> i64 {
        let first = self.stretches.first_key_value().map_or(0, |(&k, _)| k);
        let last = self.stretches.last_key_value().map_or(0, |(&k, _)| k);
        last - first + 1
    }

    fn widen(&mut self) {
        self.seconds = self.seconds.max(1) * 2;
        for (number, stretch) in std::mem::take(&mut self.stretches) {
            let wider = self.stretches.entry(number.div_euclid(2)).or_default();
            wider.events += stretch.events;
            for (severity, n) in stretch.threats {
                *wider.threats.entry(severity).or_default() += n;
            }
        }
    }
}

/// Benign and threat verdicts by tail.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bins {
    /// Benign verdicts.
    pub benign: Vec<u64>,
    /// Threat verdicts.
    pub threats: Vec<u64>,
}

impl Default for Bins {
    fn default() -> Self {
        Self { benign: vec![0; BINS], threats: vec![0; BINS] }
    }
}

impl Bins {
    fn add(&mut self, tail: f32, threat: bool) {
        let bin = ((tail.max(0.0) / BIN_WIDTH) as usize).min(BINS - 1);
        let bins = if threat { &mut self.threats } else { &mut self.benign };
        bins[bin] += 1;
    }
}

/// What an entity did.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct EntityCount {
    /// Who; none before its first event.
    pub entity: Option<Entity>,
    /// Its events.
    pub events: u64,
    /// Those that are threats.
    pub threats: u64,
    /// Its greatest score.
    pub max_score: f32,
}

/// Rows of a ground-truth label.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LabelCount {
    /// Rows that carry it.
    pub rows: u64,
    /// Those judged a threat.
    pub found: u64,
}

/// All counts of a run.
pub struct Tally {
    /// Verdicts.
    pub total: u64,
    /// Decided by the voters.
    pub by_voters: u64,
    /// Threats by severity.
    pub threats: BTreeMap<Severity, u64>,
    /// Voters that were missing.
    pub missing: BTreeMap<(DetectorKind, &'static str), (Absence, u64)>,
    /// Events over time.
    pub timeline: Timeline,
    /// Scores by class; `None` is the ensemble.
    pub scores: BTreeMap<(EventClass, Option<DetectorKind>), Bins>,
    /// Rows by label.
    pub labels: BTreeMap<Text, LabelCount>,
    /// Whose scores have changed.
    pub drift: Monitor,
    /// The accounts whose logons told against them.
    pub accounts: Accounts,
    /// Earliest event time.
    pub first: Option<Timestamp>,
    /// Latest event time.
    pub last: Option<Timestamp>,
    entities: StateTable<EntityCount>,
    entity_ids: Vec<u64>,
}

impl Default for Tally {
    fn default() -> Self {
        Self {
            total: 0,
            by_voters: 0,
            threats: BTreeMap::new(),
            missing: BTreeMap::new(),
            timeline: Timeline::default(),
            scores: BTreeMap::new(),
            labels: BTreeMap::new(),
            drift: Monitor::default(),
            accounts: Accounts::default(),
            first: None,
            last: None,
            entities: StateTable::new(ENTITIES),
            entity_ids: Vec::new(),
        }
    }
}

const fn absence_name(absence: Absence) -> &'static str {
    match absence {
        Absence::Learning => "learning",
        Absence::Down => "down",
        Absence::Late => "late",
        Absence::Failed => "failed",
        Absence::NotANumber => "not a number",
        Absence::BreakerOpen => "breaker open",
    }
}

impl Tally {
    /// Counts the verdict on an event.
    pub fn add(&mut self, event: &Event, verdict: &Verdict) {
        self.total += 1;
        self.first = Some(self.first.map_or(event.time, |t| t.min(event.time)));
        self.last = Some(self.last.map_or(event.time, |t| t.max(event.time)));
        let threat = verdict.threat.then_some(verdict.severity);
        if let Some(severity) = threat {
            *self.threats.entry(severity).or_default() += 1;
        }
        self.timeline.add(event.time, threat);
        self.votes(event.class(), verdict);
        self.drift.observe(event.class(), event.entity().id(), event.time, verdict);
        if let Some(label) = &event.label {
            self.label(label, verdict.threat);
        }
        self.entity(event, verdict);
    }

    fn votes(&mut self, class: EventClass, verdict: &Verdict) {
        if verdict.source == VerdictSource::Ml {
            self.by_voters += 1;
            let bins = self.scores.entry((class, None)).or_default();
            bins.add(verdict.score, verdict.threat);
        }
        for vote in &verdict.votes {
            match vote.ballot {
                Ballot::Voted { tail, .. } => {
                    let bins = self.scores.entry((class, Some(vote.detector))).or_default();
                    bins.add(tail, verdict.threat);
                }
                Ballot::Missing(why) => {
                    let key = (vote.detector, absence_name(why));
                    self.missing.entry(key).or_insert((why, 0)).1 += 1;
                }
                Ballot::Abstained(_) => {}
            }
        }
    }

    fn label(&mut self, label: &Text, found: bool) {
        if self.labels.len() < LABELS || self.labels.contains_key(label) {
            let count = self.labels.entry(label.clone()).or_default();
            count.rows += 1;
            count.found += u64::from(found);
        }
    }

    fn entity(&mut self, event: &Event, verdict: &Verdict) {
        // Naming an entity costs an allocation for users and names; ids do not.
        let id = event.entity().id().0;
        if self.entities.get(id).is_none() && self.entity_ids.len() < ENTITIES {
            self.entity_ids.push(id);
        }
        let count = self.entities.touch(id);
        if count.entity.is_none() {
            count.entity = Some(event.entity());
        }
        count.events += 1;
        count.threats += u64::from(verdict.threat);
        count.max_score = count.max_score.max(verdict.score);
    }

    /// The entities with most threats, then most events; at most `n`.
    pub fn top_entities(&mut self, n: usize) -> Vec<EntityCount> {
        let mut all: Vec<EntityCount> =
            self.entity_ids.iter().filter_map(|&id| self.entities.get(id).cloned()).collect();
        all.sort_by(|a, b| {
            (b.threats.cmp(&a.threats)).then(b.events.cmp(&a.events)).then(a.entity.cmp(&b.entity))
        });
        all.truncate(n);
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_timeline_keeps_every_event_and_its_bound() {
        let mut t = Timeline::default();
        for i in 0..50_000i64 {
            let severity = (i % 100 == 0).then_some(Severity::High);
            t.add(Timestamp::from_micros(i * 7_000_000), severity);
        }
        assert!(t.span() <= BUCKETS as i64);
        assert_eq!(t.stretches.values().map(|s| s.events).sum::<u64>(), 50_000);
        let threats: u64 = t.stretches.values().flat_map(|s| s.threats.values()).sum();
        assert_eq!(threats, 500);
    }

    #[test]
    fn tails_beyond_the_last_bin_stay_in_it() {
        let mut b = Bins::default();
        for tail in [0.0, 0.3, 9.99, 10.0, 300.0, -1.0] {
            b.add(tail, false);
        }
        assert_eq!((b.benign[0], b.benign[1], b.benign[39], b.benign[40]), (2, 1, 1, 2));
    }
}
