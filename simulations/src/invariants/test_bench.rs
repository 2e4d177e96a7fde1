//! Journals by hand.

use super::{Case, Finding, Invariant};
use crate::experiment::Experiment;
use crate::journal::{Ask, Done, Journal, Judged, Source, Truth, What};
use crate::plan::{MILLI, Micros, Plan, expand};

/// A journal of three nodes in one region, for 75 seconds.
pub struct Bench {
    pub plan: Plan,
    journal: Journal,
    now: Micros,
}

const PLAN: &str = r#"
format = 1
name = "bench"
duration = "60s"
heal = "15s"
[topology]
regions = { eu = 3 }
"#;

impl Default for Bench {
    fn default() -> Self {
        let experiment = Experiment::parse(PLAN).unwrap();
        Self { plan: expand(&experiment, 1), journal: Journal::default(), now: 0 }
    }
}

impl Bench {
    pub fn at(&mut self, now: Micros) -> &mut Self {
        self.now = now;
        self
    }

    pub fn note(&mut self, who: impl Into<Option<usize>>, what: What) -> &mut Self {
        self.now += MILLI;
        self.journal.note(self.now, who, what);
        self
    }

    pub fn op(&mut self, op: u64, ask: Ask, done: Done) -> &mut Self {
        self.note(9, What::Asked { op, ask });
        self.note(9, What::Answered { op, done })
    }

    pub fn check(&self, invariant: &Invariant) -> Finding {
        let bound = invariant.bound.unwrap_or_default().as_micros() as Micros;
        (invariant.check)(&Case { plan: &self.plan, journal: &self.journal, bound })
    }
}

/// A verdict on an event of source 1, about which there is nothing to say.
pub const fn verdict(offset: u64) -> Judged {
    Judged {
        source: 1,
        offset,
        workload: 3,
        epoch: 1,
        taken: 0,
        dealt: 0,
        decided: 0,
        bundle: 0,
        host: 5,
        truth: Truth::Benign,
        voted: 3,
        by: Source::Ml,
        threat: false,
    }
}
