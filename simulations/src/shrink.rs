//! The smallest plan that still breaks the same invariant (Zeller, Hildebrandt: "Simplifying and
//! isolating failure-inducing input", TSE 2002: ddmin), first over faults, then over workloads and
//! operations, then over how long it all takes.
//!
//! That works since nothing in a run draws from a common stream: a plan with less in it is the same
//! run without that.

use crate::experiment::{Experiment, Reports};
use crate::invariants::CATALOGUE;
use crate::journal::What;
use crate::plan::{Micros, Plan, PlannedFault, SECOND, Tuning, When, written};
use crate::run::Run;

/// What shrinking came to.
#[derive(Debug)]
pub struct Shrunk {
    /// The plan.
    pub plan: Plan,
    /// The invariant that it breaks.
    pub invariant: &'static str,
    /// Runs that it took.
    pub runs: u64,
    /// Operations that are left.
    pub operations: usize,
}

impl Shrunk {
    /// The text of an experiment that does what the plan does: what a failure is kept as.
    ///
    /// # Errors
    /// What of the plan no file can say.
    pub fn regression(&self, of: &Experiment) -> Result<String, String> {
        let says = CATALOGUE.iter().find(|i| i.id == self.invariant).map_or("", |i| i.says);
        let file = written(&self.plan, of)?;
        let about = format!("Broke {}: {says}.", self.invariant);
        Experiment { about, report: Reports::default(), ..file }.text()
    }
}

struct Search<'a> {
    experiment: &'a Experiment,
    invariant: &'static str,
    best: Plan,
    runs: u64,
    most: u64,
}

impl Search<'_> {
    /// Takes the plan if it breaks the same invariant.
    fn takes(&mut self, plan: Plan) -> bool {
        if self.runs >= self.most {
            return false;
        }
        self.runs += 1;
        let run = Run::of(&plan, self.experiment);
        let same = run.findings.iter().any(|(id, f)| *id == self.invariant && f.is_broken());
        if same {
            self.best = plan;
        }
        same
    }

    /// Leaves out as many of `count` things as it can; `without` makes the plan that has only
    /// those that are kept.
    fn leave_out(&mut self, count: usize, without: impl Fn(&Plan, &[usize]) -> Plan) {
        let from = self.best.clone();
        let mut kept: Vec<usize> = (0..count).collect();
        if !kept.is_empty() && self.takes(without(&from, &[])) {
            return;
        }
        let mut parts = 2;
        while kept.len() >= 2 && self.runs < self.most {
            let size = kept.len().div_ceil(parts);
            let mut smaller = None;
            for start in (0..kept.len()).step_by(size) {
                let end = (start + size).min(kept.len());
                let rest: Vec<usize> = kept[..start].iter().chain(&kept[end..]).copied().collect();
                if self.takes(without(&from, &rest)) {
                    smaller = Some(rest);
                    break;
                }
            }
            match smaller {
                Some(rest) => (kept, parts) = (rest, (parts - 1).max(2)),
                None if size == 1 => break,
                None => parts = (parts * 2).min(kept.len()),
            }
        }
    }
}

/// Shrinks a plan that breaks an invariant, in at most so many runs; nothing when it breaks none.
pub fn shrink(plan: &Plan, experiment: &Experiment, most: u64) -> Option<Shrunk> {
    let run = Run::of(plan, experiment);
    let (invariant, _) = run.broken()?;
    let mut search = Search { experiment, invariant, best: plan.clone(), runs: 1, most };
    faults(&mut search);
    tuning(&mut search);
    workloads(&mut search);
    operations(&mut search);
    durations(&mut search);
    faults(&mut search);
    let operations = Run::of(&search.best, experiment)
        .journal
        .entries
        .iter()
        .filter(|e| matches!(e.what, What::Asked { .. }))
        .count();
    let Search { best, runs, .. } = search;
    Some(Shrunk { plan: best, invariant, runs, operations })
}

/// Only some faults. What begins after one that is left out begins at the time at which that would.
fn only_faults(plan: &Plan, kept: &[usize]) -> Plan {
    let place = |old: usize| kept.iter().position(|k| *k == old);
    let fault = |at: &usize| {
        let fault = plan.faults[*at].clone();
        let when = match fault.when {
            When::After(first, plus) => match place(first) {
                Some(place) => When::After(place, plus),
                None => When::At(begins(plan, first) + plus),
            },
            when => when,
        };
        PlannedFault { when, ..fault }
    };
    Plan { faults: kept.iter().map(fault).collect(), ..plan.clone() }
}

fn begins(plan: &Plan, fault: usize) -> Micros {
    match plan.faults[fault].when {
        When::At(at) => at,
        When::After(first, plus) if first < fault => begins(plan, first) + plus,
        _ => 5 * SECOND,
    }
}

fn faults(search: &mut Search<'_>) {
    search.leave_out(search.best.faults.len(), only_faults);
}

fn tuning(search: &mut Search<'_>) {
    let usual = Tuning { consensus: search.best.tuning.consensus, ..Tuning::default() };
    if search.best.tuning != usual {
        let plan = Plan { tuning: usual, ..search.best.clone() };
        search.takes(plan);
    }
}

fn workloads(search: &mut Search<'_>) {
    search.leave_out(search.best.workloads.len(), |plan, kept| {
        let workloads = kept.iter().map(|at| plan.workloads[*at].clone()).collect();
        Plan { workloads, ..plan.clone() }
    });
}

/// Operations that were really done, by workload: client and number.
fn operations(search: &mut Search<'_>) {
    let run = Run::of(&search.best, search.experiment);
    search.runs += 1;
    let nodes = search.best.nodes.len() as u32;
    let mut clients = Vec::new();
    for (workload, planned) in search.best.workloads.iter().enumerate() {
        clients.extend((0..planned.clients).map(|number| (workload, number)));
    }
    let asked = run.journal.entries.iter().filter_map(|entry| match entry.what {
        What::Asked { op, .. } => {
            let client = entry.who?.checked_sub(nodes)? as usize;
            let (workload, of) = clients.get(client).copied()?;
            Some((workload, of, op as u32))
        }
        _ => None,
    });
    let all: Vec<(usize, u32, u32)> = asked.collect();
    search.leave_out(all.len(), |plan, kept| {
        let mut plan = plan.clone();
        for (at, workload) in plan.workloads.iter_mut().enumerate() {
            let of = kept.iter().map(|k| all[*k]).filter(|(w, ..)| *w == at);
            workload.only = Some(of.map(|(_, client, number)| (client, number)).collect());
        }
        plan
    });
}

/// Shorter faults, and a shorter run.
fn durations(search: &mut Search<'_>) {
    for at in 0..search.best.faults.len() {
        for _ in 0..4 {
            let mut plan = search.best.clone();
            plan.faults[at].lasts /= 2;
            if plan.faults[at].lasts == 0 || !search.takes(plan) {
                break;
            }
        }
    }
    for _ in 0..3 {
        let mut plan = search.best.clone();
        plan.duration = plan.duration * 2 / 3;
        if plan.duration < 6 * SECOND || !search.takes(plan) {
            break;
        }
    }
}
