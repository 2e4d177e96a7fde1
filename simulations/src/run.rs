//! One run of a plan: what happened, and what that says.

use crate::experiment::{Bounds, Experiment, Mode, World as Place};
use crate::in_process;
use crate::invariants::{self, Finding};
use crate::journal::{Ask, Done, Journal, What};
use crate::plan::{Micros, Plan};
use crate::world::{Outcome, World};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What a run, or many, say of an experiment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// All that must hold did.
    Pass,
    /// Nothing can be said: a fault could not be applied, the steady state was none, or what should
    /// have happened did not.
    Inconclusive,
    /// Something did not hold.
    Fail,
}

/// Operations by how they ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Done.
    pub ok: u64,
    /// Refused with a reason.
    pub refused: u64,
    /// Certainly not done.
    pub failed: u64,
    /// Nobody knows.
    pub unknown: u64,
}

/// A run that is over.
#[derive(Clone, Debug)]
pub struct Run {
    /// What was to happen.
    pub plan: Plan,
    /// What happened.
    pub journal: Journal,
    /// Follows from every event that was delivered.
    pub trace: u64,
    /// Events that were delivered.
    pub steps: u64,
    /// What each invariant's checker found.
    pub findings: Vec<(&'static str, Finding)>,
    /// Goals that were reached.
    pub sometimes: BTreeSet<&'static str>,
    /// Why it says nothing, if it does.
    pub doubts: Vec<String>,
    /// Operations.
    pub tally: Tally,
    /// Measures of the whole run, in microseconds or percent.
    pub measures: BTreeMap<&'static str, f64>,
}

impl Run {
    /// Runs a plan and looks at what happened. A panic of the code under test is a finding.
    pub fn of(plan: &Plan, experiment: &Experiment) -> Self {
        let ran = catch_unwind(AssertUnwindSafe(|| match plan.world {
            Place::InProcess => in_process::run(plan).unwrap_or_else(|why| Outcome {
                skipped: vec![format!("there was no cluster: {why}")],
                ..Outcome::default()
            }),
            _ => World::new(plan).run(),
        }));
        let outcome = ran.unwrap_or_else(|panic| {
            let mut journal = Journal::default();
            let what = format!("a panic: {}", words(panic.as_ref()));
            journal.note(plan.end(), None, What::Broken { invariant: "X1", what });
            Outcome { journal, ..Outcome::default() }
        });
        Self::judge(plan, experiment, outcome)
    }

    /// Looks at what happened.
    pub fn judge(plan: &Plan, experiment: &Experiment, outcome: Outcome) -> Self {
        let Outcome { journal, trace, steps, skipped } = outcome;
        let findings = invariants::check(plan, &journal, &experiment.invariants);
        let sometimes = goals(&journal);
        let mut doubts = doubts(plan, &journal, experiment);
        doubts.extend(skipped);
        let tally = tally(&journal);
        let measures =
            Bounds::MEASURES.map(|(name, _)| (name, measure(&journal, name, plan.end())));
        let (plan, measures) = (plan.clone(), measures.into());
        Self { plan, journal, trace, steps, findings, sometimes, doubts, tally, measures }
    }

    /// What it says.
    pub fn verdict(&self) -> Verdict {
        if self.broken().is_some() {
            Verdict::Fail
        } else if self.doubts.is_empty() {
            Verdict::Pass
        } else {
            Verdict::Inconclusive
        }
    }

    /// The invariant that was broken first.
    pub fn broken(&self) -> Option<(&'static str, &Finding)> {
        let broken = self.findings.iter().filter_map(|(id, finding)| match finding {
            Finding::Broken { at, .. } => Some((*at, *id, finding)),
            Finding::Held(_) | Finding::NotJudged => None,
        });
        broken.min_by_key(|(at, ..)| *at).map(|(_, id, finding)| (id, finding))
    }
}

fn words(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|s| (*s).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    text.unwrap_or_else(|| "without words".into())
}

/// Goals that were reached: those that the world told of, and those that follow from the rest.
fn goals(journal: &Journal) -> BTreeSet<&'static str> {
    let mut goals = BTreeSet::new();
    let (mut leader, mut terms) = (None, 0);
    for entry in &journal.entries {
        match &entry.what {
            What::Sometimes(goal) => {
                goals.insert(*goal);
            }
            What::Leads { term } => {
                if leader.is_some() && leader != entry.who {
                    goals.insert("leader-changed");
                }
                if leader.is_some() && *term > terms + 1 {
                    goals.insert("split-vote");
                }
                (leader, terms) = (entry.who, *term);
            }
            What::Verdict(verdict) if verdict.by == crate::journal::Source::Rules => {
                goals.insert("rules-decided");
            }
            _ => {}
        }
    }
    goals
}

/// Why the run says nothing.
fn doubts(plan: &Plan, journal: &Journal, experiment: &Experiment) -> Vec<String> {
    let mut doubts = Vec::new();
    let mut begun = BTreeSet::new();
    let mut first = plan.duration;
    for entry in &journal.entries {
        match &entry.what {
            What::FaultBegins { fault, .. } => {
                begun.insert(*fault);
                first = first.min(entry.at);
            }
            What::Doubt(what) => doubts.push(what.clone()),
            // What a swarm draws by lot may find nobody; what the file names must be applied.
            What::FaultMissed { fault } if *fault < experiment.faults.len() => {
                let id = &plan.faults[*fault].id;
                doubts.push(format!("fault {id} found nobody to hit"));
            }
            _ => {}
        }
    }
    let named = experiment.faults.len().min(plan.faults.len());
    for (at, fault) in plan.faults.iter().enumerate().take(named) {
        if !begun.contains(&at) && !doubts.iter().any(|d| d.contains(&fault.id)) {
            doubts.push(format!("fault {} never began", fault.id));
        }
    }
    for probe in &experiment.steady_state.probes {
        let until = if probe.mode == Mode::Edge { first } else { plan.end() };
        let found = measure(journal, &probe.check.measure, until);
        if found >= probe.check.below {
            let id = &probe.id;
            doubts.push(format!("steady state {id}: {} does not hold: {found:.0}", probe.check));
        }
    }
    doubts
}

fn tally(journal: &Journal) -> Tally {
    let mut tally = Tally::default();
    for entry in &journal.entries {
        if let What::Answered { done, .. } = &entry.what {
            match done {
                Done::At { .. } | Done::Judged | Done::Handled { .. } => tally.ok += 1,
                Done::Refused => tally.refused += 1,
                Done::Failed => tally.failed += 1,
                Done::Unknown => tally.unknown += 1,
            }
        }
    }
    tally
}

/// A measure of what happened up to a time.
pub fn measure(journal: &Journal, name: &str, until: Micros) -> f64 {
    let entries = || journal.entries.iter().take_while(|e| e.at <= until);
    match name {
        "verdict_gap_max" => {
            let mut last = None;
            let mut gap = 0;
            // Where no verdict is seen, what is acknowledged has one.
            let seen = journal.entries.iter().any(|e| matches!(e.what, What::Verdict(_)));
            let verdict = |what: &What| match what {
                What::Verdict(_) => true,
                What::Answered { done, .. } => !seen && *done == Done::Judged,
                _ => false,
            };
            for entry in entries().filter(|e| verdict(&e.what)) {
                gap = gap.max(entry.at - last.unwrap_or(entry.at));
                last = Some(entry.at);
            }
            gap as f64
        }
        "failed_share" => {
            let (mut all, mut failed) = (0u64, 0u64);
            for entry in entries() {
                if let What::Answered { done, .. } = &entry.what {
                    all += 1;
                    failed += u64::from(matches!(done, Done::Failed | Done::Unknown));
                }
            }
            failed as f64 * 100.0 / all.max(1) as f64
        }
        _ => {
            let events = name.starts_with("verdict");
            let mut asked = BTreeMap::new();
            let mut took: Vec<Micros> = Vec::new();
            for entry in entries() {
                match &entry.what {
                    What::Asked { op, ask } => {
                        let of_events = matches!(ask, Ask::Judge { .. });
                        let of_commands = matches!(ask, Ask::Write { .. } | Ask::Activate);
                        if (events && of_events) || (!events && of_commands) {
                            asked.insert(*op, entry.at);
                        }
                    }
                    What::Answered { op, .. } => {
                        took.extend(asked.remove(op).map(|since| entry.at - since));
                    }
                    _ => {}
                }
            }
            took.sort_unstable();
            let at = (took.len() * 99 / 100).min(took.len().saturating_sub(1));
            took.get(at).copied().unwrap_or_default() as f64
        }
    }
}
