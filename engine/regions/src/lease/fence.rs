//! Refuses what a former owner sends.

use crate::control_log::Workloads;
use crate::control_log::limits::WORKLOADS;
use std::collections::BTreeMap;
use threat::mutants::{Mutant, is_live};

/// Workloads of which the epoch is remembered: all there can be, and as many that were removed.
pub const FENCED: usize = 2 * WORKLOADS;

/// Why an effect is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// There is a later owner.
    #[error("epoch {given} of workload {workload} is over: {known} is known")]
    Stale {
        /// Of which workload.
        workload: u32,
        /// The effect's epoch.
        given: u64,
        /// The greatest epoch that was seen.
        known: u64,
    },
    /// It belongs to a workload that is not known, and there is no room to remember it. What
    /// cannot be fenced is not let through.
    #[error("workload {0} is not known, and {FENCED} others are")]
    Full(u32),
}

/// The greatest epoch of each workload that one receiver of effects has seen.
#[derive(Clone, Debug, Default)]
pub struct Fence {
    epochs: BTreeMap<u32, u64>,
    refused: u64,
}

impl Fence {
    /// Lets an effect through, or not. From the first effect of an epoch on, no earlier one gets
    /// through.
    ///
    /// # Errors
    /// [`Refused`]; it is counted.
    pub fn admit(&mut self, workload: u32, epoch: u64) -> Result<(), Refused> {
        let answer = self.check(workload, epoch);
        match answer {
            Ok(()) => drop(self.epochs.insert(workload, epoch)),
            Err(_) => self.refused += 1,
        }
        answer
    }

    /// Takes note of what the log says by now, so that a former owner is refused before its
    /// successor was heard. Workloads that were removed stay fenced while there is room; then the
    /// one of the lowest epoch is forgotten first.
    pub fn learn(&mut self, log: &Workloads) {
        for (workload, known) in log.all() {
            let epoch = self.epochs.entry(*workload).or_default();
            *epoch = known.epoch.max(*epoch);
        }
        while self.epochs.len() > FENCED {
            let removed = self.epochs.iter().filter(|(w, _)| !log.all().contains_key(w));
            let Some(oldest) = removed.min_by_key(|(_, e)| **e).map(|(w, _)| *w) else { return };
            self.epochs.remove(&oldest);
        }
    }

    /// The greatest epoch that was seen, by workload.
    pub const fn epochs(&self) -> &BTreeMap<u32, u64> {
        &self.epochs
    }

    /// Effects that were refused.
    pub const fn refused(&self) -> u64 {
        self.refused
    }

    fn check(&self, workload: u32, epoch: u64) -> Result<(), Refused> {
        match self.epochs.get(&workload) {
            Some(&known) if epoch < known && !is_live(Mutant::FenceLetsAllThrough) => {
                Err(Refused::Stale { workload, given: epoch, known })
            }
            None if self.epochs.len() >= FENCED => Err(Refused::Full(workload)),
            _ => Ok(()),
        }
    }
}
