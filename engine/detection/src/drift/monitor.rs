//! Watches over all voters of all classes.

use super::{Alarm, Change, RUN_LENGTH, Watch};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use threat::{Ballot, DetectorKind, EntityId, EventClass, Timestamp, Verdict};

/// Entities of a class that were observed last; none of them is observed again until so many
/// others were. A burst of one host is one observation, and a quiet network still gives some.
const RECENT: usize = 16;

/// What is known of one voter's drift on one class.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Drift {
    /// The class of events.
    pub class: EventClass,
    /// The voter.
    pub detector: DetectorKind,
    /// Observations in all.
    pub observations: u64,
    /// Alarms under the present models; observations go on after each.
    pub alarms: u32,
    /// Event time of the first of them.
    pub first: Timestamp,
    /// Event time of the last.
    pub last: Timestamp,
    /// What the last one was.
    pub change: Change,
}

#[derive(Clone, Debug)]
struct Watched {
    bundle: u64,
    watch: Watch,
    observations: u64,
    drift: Option<Drift>,
}

/// The watches. A change of models starts its watches over.
#[derive(Clone, Debug, Default)]
pub struct Monitor {
    watched: BTreeMap<(EventClass, DetectorKind), Watched>,
    recent: BTreeMap<EventClass, ([u64; RECENT], usize)>,
}

impl Monitor {
    /// Takes a verdict on an event that nothing speaks against: threats and what rules matched are
    /// expected to score high.
    pub fn observe(
        &mut self,
        class: EventClass,
        entity: EntityId,
        time: Timestamp,
        verdict: &Verdict,
    ) {
        if verdict.threat || !verdict.rules.is_empty() || verdict.bundle == 0 {
            return;
        }
        let (recent, next) = self.recent.entry(class).or_insert(([0; RECENT], 0));
        if recent.contains(&entity.0) {
            return;
        }
        recent[*next] = entity.0;
        *next = (*next + 1) % RECENT;
        for vote in &verdict.votes {
            let Ballot::Voted { tail, .. } = vote.ballot else { continue };
            let p = 10f64.powf(-f64::from(tail));
            self.watched
                .entry((class, vote.detector))
                .and_modify(|w| w.adopt(verdict.bundle))
                .or_insert_with(|| Watched::new(verdict.bundle))
                .observe(class, vote.detector, time, p);
        }
    }

    /// The voters whose scores have changed under the present models.
    pub fn drifts(&self) -> Vec<Drift> {
        let with_all = |w: &Watched| Some(Drift { observations: w.observations, ..w.drift? });
        self.watched.values().filter_map(with_all).collect()
    }
}

impl Watched {
    fn new(bundle: u64) -> Self {
        Self { bundle, watch: Watch::new(RUN_LENGTH), observations: 0, drift: None }
    }

    fn adopt(&mut self, bundle: u64) {
        if self.bundle != bundle {
            *self = Self::new(bundle);
        }
    }

    fn observe(&mut self, class: EventClass, detector: DetectorKind, time: Timestamp, p: f64) {
        self.observations += 1;
        let Some(Alarm { change, .. }) = self.watch.observe(p) else { return };
        let before = self.drift.map_or((0, time), |d| (d.alarms, d.first));
        self.drift = Some(Drift {
            class,
            detector,
            observations: self.observations,
            alarms: before.0.saturating_add(1),
            first: before.1,
            last: time,
            change,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ensemble::voters;
    use threat::entropy::Rng;
    use threat::{Severity, VerdictSource, Vote};

    fn verdict(bundle: u64, tails: [f32; 3]) -> Verdict {
        let kinds = voters(EventClass::Flow);
        Verdict {
            event: 0,
            threat: false,
            score: 0.0,
            severity: Severity::Informational,
            source: VerdictSource::Ml,
            votes: std::array::from_fn(|i| Vote {
                detector: kinds[i],
                ballot: Ballot::Voted { score: tails[i], tail: tails[i], threat: false },
            }),
            rules: Vec::new(),
            bundle,
            inputs: 0,
        }
    }

    #[test]
    fn the_voter_that_moved_is_named_until_its_models_change() {
        let (mut monitor, mut rng) = (Monitor::default(), Rng::new(3));
        let mut feed = |monitor: &mut Monitor, bundle, moved: bool| {
            for i in 0..3_000u64 {
                let mut tail = || -(1.0 - rng.unit()).log10() as f32;
                let mut tails = [tail(), tail(), tail()];
                tails[1] = if moved { tails[1] * 2.0 } else { tails[1] };
                let time = Timestamp::from_micros(i as i64);
                monitor.observe(EventClass::Flow, EntityId(i + 1), time, &verdict(bundle, tails));
            }
        };
        feed(&mut monitor, 1, false);
        assert_eq!(monitor.drifts(), []);
        feed(&mut monitor, 1, true);
        let drifts = monitor.drifts();
        assert_eq!(drifts.len(), 1, "{drifts:?}");
        assert_eq!(drifts[0].detector, voters(EventClass::Flow)[1]);
        assert_eq!(drifts[0].observations, 6_000);
        feed(&mut monitor, 2, false);
        assert_eq!(monitor.drifts(), [], "other models, other scores");
    }

    #[test]
    fn a_burst_of_one_entity_is_one_observation() {
        let mut monitor = Monitor::default();
        for i in 0..10_000 {
            let time = Timestamp::from_micros(i);
            monitor.observe(EventClass::Flow, EntityId(7), time, &verdict(1, [6.0; 3]));
        }
        assert_eq!(monitor.drifts(), []);
    }
}
