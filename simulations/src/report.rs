//! What is written of a run: JSON that can be replayed, and a page for people.

pub mod html;
mod timeline;

use crate::experiment::Experiment;
use crate::invariants::{CATALOGUE, Finding};
use crate::journal::{Entry, What};
use crate::plan::{Micros, Plan};
use crate::run::{Run, Tally, Verdict};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The format of [`File`].
pub const FORMAT: u32 = 1;

/// Entries of the journal before a violation that are shown.
pub const SHOWN: usize = 200;

/// A run as a file: the plan gives all of it again.
#[derive(Debug, Serialize, Deserialize)]
pub struct File {
    /// [`FORMAT`].
    pub format: u32,
    /// Of the program that ran it.
    pub version: String,
    /// The seed.
    pub seed: u64,
    /// What it says.
    pub verdict: Verdict,
    /// Why it says nothing, if it does.
    pub doubts: Vec<String>,
    /// Follows from every event that was delivered, in hex.
    pub trace_hash: String,
    /// Events that were delivered.
    pub events: u64,
    /// What was to happen.
    pub plan: Plan,
    /// The experiment, as a file has it.
    pub experiment: Experiment,
    /// Operations.
    pub operations: Tally,
    /// What each invariant's checker found.
    pub invariants: Vec<Found>,
    /// Goals that were reached.
    pub sometimes: Vec<String>,
    /// Measures, in microseconds or percent.
    pub measures: BTreeMap<String, f64>,
    /// The same of the run of this seed without faults, if there was one.
    pub control: Option<Control>,
    /// For each fault: when it began, and the time until every workload had an owner that acts.
    pub recovery: Vec<Recovery>,
    /// Whoever was up, led, acted and broke, and what came right before a violation.
    pub timeline: Vec<Line>,
}

/// What a checker found.
#[derive(Debug, Serialize, Deserialize)]
pub struct Found {
    /// The invariant.
    pub id: String,
    /// What it says.
    pub says: String,
    /// Whether it held.
    pub held: bool,
    /// Whether nothing of it can be seen in this world, so that it neither held nor did not.
    #[serde(default)]
    pub not_judged: bool,
    /// In how many cases it held.
    pub checked: u64,
    /// When it did not.
    pub at: Option<Micros>,
    /// What happened then.
    pub what: Option<String>,
    /// Places in the journal that show it, with what is there.
    pub evidence: Vec<Line>,
}

/// The run without faults.
#[derive(Debug, Serialize, Deserialize)]
pub struct Control {
    /// Operations.
    pub operations: Tally,
    /// Measures.
    pub measures: BTreeMap<String, f64>,
    /// What it says.
    pub verdict: Verdict,
}

/// What a fault cost.
#[derive(Debug, Serialize, Deserialize)]
pub struct Recovery {
    /// Which.
    pub fault: String,
    /// When it began.
    pub at: Micros,
    /// How long fewer workloads than all could be acted for, from then on; none if all could be.
    pub disturbed_ms: Option<u64>,
}

/// An entry of the journal.
#[derive(Debug, Serialize, Deserialize)]
pub struct Line {
    /// Its place.
    pub place: usize,
    /// When.
    pub at: Micros,
    /// Who: a node's name, or `client-N`.
    pub who: Option<String>,
    /// What.
    pub what: serde_json::Value,
}

fn line(plan: &Plan, place: usize, entry: &Entry) -> Line {
    let what = serde_json::to_value(&entry.what).unwrap_or_default();
    Line { place, at: entry.at, who: entry.who.map(|who| name(plan, who)), what }
}

/// What somebody is called.
pub fn name(plan: &Plan, who: u32) -> String {
    let nodes = plan.nodes.len() as u32;
    match plan.nodes.get(who as usize) {
        Some(node) => node.name.clone(),
        None => format!("client-{}", who - nodes + 1),
    }
}

/// A run as a file. `control` is the same seed without faults.
pub fn file(run: &Run, experiment: &Experiment, control: Option<&Run>) -> File {
    let plan = &run.plan;
    let measures = |run: &Run| run.measures.iter().map(|(k, v)| ((*k).into(), *v)).collect();
    File {
        format: FORMAT,
        version: env!("CARGO_PKG_VERSION").into(),
        seed: plan.seed,
        verdict: run.verdict(),
        doubts: run.doubts.clone(),
        trace_hash: format!("{:016x}", run.trace),
        events: run.steps,
        plan: plan.clone(),
        experiment: experiment.clone(),
        operations: run.tally,
        invariants: run.findings.iter().map(|(id, finding)| found(run, id, finding)).collect(),
        sometimes: run.sometimes.iter().map(|goal| (*goal).into()).collect(),
        measures: measures(run),
        control: control.map(|control| Control {
            operations: control.tally,
            measures: measures(control),
            verdict: control.verdict(),
        }),
        recovery: recovery(run),
        timeline: lines(run),
    }
}

fn found(run: &Run, id: &str, finding: &Finding) -> Found {
    let says = CATALOGUE.iter().find(|i| i.id == id).map(|i| i.says.into()).unwrap_or_default();
    let plain = |held, checked| Found {
        id: id.into(),
        says,
        held,
        not_judged: !held,
        checked,
        at: None,
        what: None,
        evidence: Vec::new(),
    };
    match finding {
        Finding::Held(checked) => plain(true, *checked),
        Finding::NotJudged => plain(false, 0),
        Finding::Broken { at, what, evidence } => {
            let entries = &run.journal.entries;
            let evidence = evidence.iter().filter_map(|place| Some((*place, entries.get(*place)?)));
            let evidence = evidence.map(|(place, entry)| line(&run.plan, place, entry)).collect();
            let (at, what) = (Some(*at), Some(what.clone()));
            Found { at, what, evidence, not_judged: false, ..plain(false, 0) }
        }
    }
}

/// The entries that make the picture, and those right before a violation.
fn lines(run: &Run) -> Vec<Line> {
    let first = run.broken().and_then(|(_, finding)| match finding {
        Finding::Broken { at, .. } => Some(*at),
        Finding::Held(_) | Finding::NotJudged => None,
    });
    let all = run.journal.entries.iter().enumerate();
    let end = first.map_or(0, |at| run.journal.entries.partition_point(|e| e.at <= at));
    let kept = all.filter(|(place, entry)| {
        let shown = matches!(
            entry.what,
            What::FaultBegins { .. }
                | What::FaultEnds { .. }
                | What::FaultMissed { .. }
                | What::Heals { .. }
                | What::Up
                | What::Down
                | What::Paused
                | What::Resumed
                | What::Reborn
                | What::Leads { .. }
                | What::Acts { .. }
                | What::ActorDown { .. }
                | What::Broken { .. }
                | What::Doubt(_)
        );
        shown || (*place < end && place + SHOWN >= end)
    });
    kept.map(|(place, entry)| line(&run.plan, place, entry)).collect()
}

/// For how long after each fault fewer workloads than all had an owner that acts.
fn recovery(run: &Run) -> Vec<Recovery> {
    let acting = timeline::acting(run);
    let all = regions::spread::WORKLOADS;
    let mut faults = Vec::new();
    for entry in &run.journal.entries {
        let What::FaultBegins { fault, .. } = entry.what else { continue };
        let after = acting.iter().filter(|(at, _)| *at >= entry.at);
        let lost = after.clone().find(|(_, acts)| *acts < all).map(|(at, _)| *at);
        let back = lost.and_then(|lost| {
            let again = acting.iter().find(|(at, acts)| *at > lost && *acts >= all);
            again.map(|(at, _)| (at - entry.at) / 1_000)
        });
        let fault = run.plan.faults[fault].id.clone();
        faults.push(Recovery { fault, at: entry.at, disturbed_ms: back });
    }
    faults
}
