//! Judges a sample of what is judged a second time, under a bundle on trial and under what it
//! replaces, on a thread beside the detectors and without effect; and counts the verdicts that have
//! one.

use super::limits::{PAUSE, SAMPLES};
use actors::detection::watch::Watch;
use actors::ports::Clock;
use detection::bundle::Bundle;
use detection::calibration::Budget;
use detection::features::FeatureBatch;
use detection::shadow::{Shadow, alarms, lacks_votes};
use regions::rollout::limits::LATE_AFTER;
use regions::rollout::{Live, Pairs, Report};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use threat::Verdict;
use tokio::sync::mpsc;
use tokio::time::sleep;

/// A bundle on trial at this node.
#[derive(Clone, Debug)]
pub struct Trial {
    /// Its version.
    pub version: u64,
    /// The log index of its last step.
    pub since: u64,
    /// The bundle.
    pub bundle: Arc<Bundle>,
    /// What it replaces; nothing while this node learns.
    pub baseline: Option<Arc<Bundle>>,
    /// Whether this node uses it.
    pub uses: bool,
}

impl Trial {
    fn key(&self) -> (u64, u64) {
        (self.version, self.since)
    }
}

#[derive(Debug)]
struct Counted {
    trial: Trial,
    pairs: Pairs,
    with: Live,
    without: Live,
}

struct Sample {
    features: Arc<FeatureBatch>,
    verdicts: Vec<Verdict>,
}

/// What is on trial at this node, and what was measured of it.
pub struct Shadowing {
    trials: Mutex<Vec<Counted>>,
    samples: mpsc::Sender<Sample>,
    taken: tokio::sync::Mutex<mpsc::Receiver<Sample>>,
    budget: Budget,
    clock: Arc<dyn Clock>,
}

/// What judges a second time, by version; each with a memory of its own.
type Judges = BTreeMap<u64, Box<(Shadow, Shadow)>>;

impl Shadowing {
    /// Nothing is on trial.
    pub fn new(budget: Budget, clock: Arc<dyn Clock>) -> Self {
        let (samples, taken) = mpsc::channel(SAMPLES);
        let taken = tokio::sync::Mutex::new(taken);
        Self { trials: Mutex::default(), samples, taken, budget, clock }
    }

    /// Puts these on trial, in the place of those before. What was measured of one that stays in
    /// its stage stays.
    pub fn set(&self, trials: Vec<Trial>) {
        let mut known = self.lock();
        let mut before: BTreeMap<(u64, u64), Counted> =
            known.drain(..).map(|c| (c.trial.key(), c)).collect();
        known.extend(trials.into_iter().map(|trial| match before.remove(&trial.key()) {
            Some(counted) => Counted { trial, ..counted },
            None => {
                let (pairs, with, without) = Default::default();
                Counted { trial, pairs, with, without }
            }
        }));
    }

    /// What was measured so far.
    pub fn reports(&self) -> Vec<Report> {
        let report = |c: &Counted| {
            let Trial { version, since, uses, .. } = c.trial;
            let Counted { pairs, with, without, .. } = *c;
            Report { version, since, uses, pairs, with, without }
        };
        self.lock().iter().map(report).collect()
    }

    /// Judges samples for as long as it is polled.
    pub async fn run(&self) {
        let mut taken = self.taken.lock().await;
        let mut judges = Judges::new();
        while let Some(sample) = taken.recv().await {
            let sample = Arc::new(sample);
            let trials: Vec<Trial> = self.lock().iter().map(|c| c.trial.clone()).collect();
            judges.retain(|version, _| trials.iter().any(|t| t.version == *version));
            for trial in trials {
                let began = self.clock.now();
                let new = || Box::new((Shadow::new(self.budget), Shadow::new(self.budget)));
                let mut judge = judges.remove(&trial.version).unwrap_or_else(new);
                let rows = sample.verdicts.len() as u64;
                let (key, sample, clock) =
                    (trial.key(), Arc::clone(&sample), Arc::clone(&self.clock));
                let version = trial.version;
                let judged = tokio::task::spawn_blocking(move || {
                    let pairs = compare(&mut judge, &trial, &sample, clock.as_ref());
                    (judge, pairs)
                });
                let pairs = match judged.await {
                    Ok((judge, pairs)) => {
                        judges.insert(version, judge);
                        pairs
                    }
                    // A bundle under which scoring panics gives no votes.
                    Err(_) => Pairs { rows, lacking: rows, ..Pairs::default() },
                };
                self.add(key, &pairs);
                sleep(self.clock.now().saturating_sub(began) * PAUSE).await;
            }
        }
    }

    fn add(&self, key: (u64, u64), pairs: &Pairs) {
        if let Some(counted) = self.lock().iter_mut().find(|c| c.trial.key() == key) {
            counted.pairs.add(pairs);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Counted>> {
        // Nothing panics while it is held.
        self.trials.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The same rows under both.
fn compare(
    judges: &mut (Shadow, Shadow),
    trial: &Trial,
    sample: &Sample,
    clock: &dyn Clock,
) -> Pairs {
    let Sample { features, verdicts } = sample;
    let start = clock.now();
    let new = judges.0.judge(features, verdicts, Some(&trial.bundle));
    let between = clock.now();
    let old = judges.1.judge(features, verdicts, trial.baseline.as_ref());
    let micros = |d: Duration| u64::try_from(d.as_micros()).unwrap_or(u64::MAX);
    let mut pairs = Pairs {
        rows: new.len() as u64,
        micros: micros(between.saturating_sub(start)),
        took: micros(clock.now().saturating_sub(between)),
        ..Pairs::default()
    };
    for (new, old) in new.iter().zip(&old) {
        match (alarms(new), alarms(old)) {
            (true, true) => pairs.both += 1,
            (true, false) => pairs.new += 1,
            (false, true) => pairs.gone += 1,
            (false, false) => {}
        }
        pairs.lacking += u64::from(lacks_votes(new));
        pairs.lacked += u64::from(lacks_votes(old));
    }
    pairs
}

impl Watch for Shadowing {
    fn decided(&self, features: &Arc<FeatureBatch>, verdicts: &[Verdict], took: Duration) {
        let mut trials = self.lock();
        if trials.is_empty() {
            return;
        }
        let id = features.bundle.as_ref().map(|b| b.id());
        let live = Live {
            rows: verdicts.len() as u64,
            alarms: verdicts.iter().filter(|v| alarms(v)).count() as u64,
            batches: 1,
            late: u64::from(took > LATE_AFTER),
        };
        for counted in trials.iter_mut() {
            let with = id == Some(counted.trial.bundle.id());
            let side = if with { &mut counted.with } else { &mut counted.without };
            side.add(&live);
        }
        drop(trials);
        if let Ok(room) = self.samples.try_reserve() {
            room.send(Sample { features: Arc::clone(features), verdicts: verdicts.to_vec() });
        }
    }
}
