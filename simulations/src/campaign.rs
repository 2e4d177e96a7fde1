//! Many seeds of one experiment, on as many threads as there are.

use crate::experiment::{Experiment, Limit, Seeds};
use crate::invariants::{SOMETIMES, is_seen};
use crate::plan::{Plan, expand};
use crate::run::{Run, Tally, Verdict};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// Runs that are kept of each invariant that was broken.
const KEPT: usize = 3;

/// What many seeds say.
#[derive(Debug, Default)]
pub struct Campaign {
    /// Seeds that were run.
    pub seeds: u64,
    /// Of these passed.
    pub passed: u64,
    /// Said nothing.
    pub inconclusive: u64,
    /// Failed.
    pub failed: u64,
    /// The first failures of each invariant, by seed.
    pub failures: BTreeMap<&'static str, BTreeMap<u64, Box<Run>>>,
    /// How many seeds broke each invariant.
    pub broken: BTreeMap<&'static str, u64>,
    /// The first run that passed, and the first that said nothing.
    pub examples: BTreeMap<Verdict, Box<Run>>,
    /// In how many seeds each goal was reached.
    pub sometimes: BTreeMap<&'static str, u64>,
    /// Why runs said nothing, and in how many.
    pub doubts: BTreeMap<String, u64>,
    /// Operations of all.
    pub tally: Tally,
    /// Virtual microseconds of all.
    pub virtual_time: u64,
    /// Events of all.
    pub steps: u64,
    /// The limit at which it was given up before its last seed.
    pub given_up: Option<Limit>,
}

impl Campaign {
    /// Counts a run that is over.
    pub fn add(&mut self, run: Run) {
        self.seeds += 1;
        self.virtual_time += run.plan.end();
        self.steps += run.steps;
        for goal in &run.sometimes {
            *self.sometimes.entry(goal).or_default() += 1;
        }
        for doubt in &run.doubts {
            *self.doubts.entry(doubt.clone()).or_default() += 1;
        }
        let Tally { ok, refused, failed, unknown } = run.tally;
        self.tally.ok += ok;
        self.tally.refused += refused;
        self.tally.failed += failed;
        self.tally.unknown += unknown;
        match run.verdict() {
            Verdict::Pass => self.passed += 1,
            Verdict::Inconclusive => self.inconclusive += 1,
            Verdict::Fail => self.failed += 1,
        }
        if let Some((id, _)) = run.broken() {
            *self.broken.entry(id).or_default() += 1;
            let kept = self.failures.entry(id).or_default();
            kept.insert(run.plan.seed, Box::new(run));
            while kept.len() > KEPT {
                kept.pop_last();
            }
        } else {
            let known = self.examples.get(&run.verdict()).map(|known| known.plan.seed);
            if known.is_none_or(|known| run.plan.seed < known) {
                self.examples.insert(run.verdict(), Box::new(run));
            }
        }
    }

    /// Goals that the experiment asks for and no seed reached.
    pub fn missed(&self, experiment: &Experiment) -> Vec<&'static str> {
        let asked: BTreeSet<&str> =
            experiment.invariants.sometimes.iter().map(String::as_str).collect();
        let goals = SOMETIMES.iter().map(|(id, _)| *id);
        let goals = goals.filter(|id| asked.contains(id) && is_seen(id, experiment.world));
        goals.filter(|id| !self.sometimes.contains_key(id)).collect()
    }

    /// What all of it says.
    pub fn verdict(&self, experiment: &Experiment) -> Verdict {
        if self.failed > 0 {
            return Verdict::Fail;
        }
        // A seed that says nothing is none that passed.
        let silent = self.inconclusive > 0 || self.given_up.is_some();
        if self.passed == 0 || silent || !self.missed(experiment).is_empty() {
            return Verdict::Inconclusive;
        }
        Verdict::Pass
    }
}

/// Changes a plan before it runs.
pub type Change<'a> = &'a (dyn Fn(&mut Plan) + Sync);

/// Hears of a run that is over.
pub type Told<'a> = &'a (dyn Fn(&Run) + Sync);

/// Runs seeds until all are, or `stop` says so. `change` changes each plan before it runs, `told`
/// hears of each run that is over.
pub fn run(
    experiment: &Experiment,
    seeds: Seeds,
    threads: usize,
    stop: &AtomicBool,
    (change, told): (Change<'_>, Told<'_>),
) -> Campaign {
    let next = AtomicU64::new(seeds.from);
    let campaign = Mutex::new(Campaign::default());
    std::thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed - seeds.from >= seeds.count {
                        return;
                    }
                    let mut plan = expand(experiment, seed);
                    change(&mut plan);
                    let run = Run::of(&plan, experiment);
                    told(&run);
                    // Adding does not panic.
                    campaign.lock().unwrap_or_else(PoisonError::into_inner).add(run);
                }
            });
        }
    });
    campaign.into_inner().unwrap_or_else(PoisonError::into_inner)
}
