//! Planted bugs: each has to be found within the seeds of its class.

use crate::campaign;
use crate::experiment::{Experiment, Seeds};
use crate::plan::Plan;
use crate::run::{Run, Verdict};
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, Ordering};
use threat::mutants::Mutant;

/// Whether this program has planted bugs.
pub const COMPILED: bool = threat::mutants::COMPILED;

/// Makes the bug of a plan live for this thread, or none.
pub(crate) fn plant(plan: &Plan) {
    let named = |m: &&Mutant| plan.mutant.as_deref() == Some(m.name());
    threat::mutants::live(Mutant::ALL.iter().find(named).copied());
}

/// How one was found.
#[derive(Debug)]
pub struct Caught {
    /// The bug.
    pub mutant: Mutant,
    /// The first run that failed, and how many seeds were run until then; none if all passed.
    pub by: Option<(u64, Box<Run>)>,
    /// Seeds that were run.
    pub seeds: u64,
}

/// Runs seeds of an experiment with a bug live until one fails, at most so many.
pub fn hunt(experiment: &Experiment, mutant: Mutant, most: u64, threads: usize) -> Caught {
    let stop = AtomicBool::new(false);
    let found: Mutex<Option<Box<Run>>> = Mutex::new(None);
    let change = |plan: &mut Plan| plan.mutant = Some(mutant.name().into());
    let told = |run: &Run| {
        if run.verdict() == Verdict::Fail {
            stop.store(true, Ordering::Relaxed);
            let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
            if found.as_ref().is_none_or(|known| run.plan.seed < known.plan.seed) {
                *found = Some(Box::new(run.clone()));
            }
        }
    };
    let seeds = Seeds { from: 1, count: most };
    let ran = campaign::run(experiment, seeds, threads, &stop, (&change, &told)).seeds;
    let run = found.into_inner().unwrap_or_else(PoisonError::into_inner);
    Caught { mutant, by: run.map(|run| (run.plan.seed, run)), seeds: ran }
}
