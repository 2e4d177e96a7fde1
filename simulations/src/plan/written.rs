//! A plan as the text of an experiment that has nothing left to draw: what a failure is kept as.

use super::expand::{CITY, NEAR, every};
use super::{
    Action, Micros, Plan, PlannedFault, PlannedLink, PlannedWorkload, Scope, When, expand,
};
use crate::experiment::{
    Experiment, FaultOptions, Kind, Link, Rate, Seeds, Span, Target, Topology, Workload,
};
use std::time::Duration;

/// The experiment whose only seed gives this plan: with its topology, faults, workloads and tuning
/// as they were drawn, and what is asked of a run as in the experiment `of` which it came from.
///
/// # Errors
/// What of the plan no file can say.
pub fn written(plan: &Plan, of: &Experiment) -> Result<Experiment, String> {
    let topology = topology(plan)?;
    let experiment = Experiment {
        seeds: Seeds { from: plan.seed, count: 1 },
        world: plan.world,
        duration: time(plan.duration),
        heal: time(plan.heal),
        core: plan.core,
        topology,
        links: links(plan),
        workloads: plan.workloads.iter().map(workload).collect(),
        faults: plan.faults.iter().map(|f| fault(plan, f)).collect(),
        swarm: None,
        tuning: Some(plan.tuning.clone()),
        mutant: plan.mutant.clone(),
        ..of.clone()
    };
    experiment.check().map_err(|error| error.to_string())?;
    let again = expand(&experiment, plan.seed);
    if again == *plan { Ok(experiment) } else { Err(difference(plan, &again)) }
}

fn difference(plan: &Plan, again: &Plan) -> String {
    let faults = plan.faults.iter().zip(&again.faults);
    let differs = [
        ("nodes", plan.nodes != again.nodes || plan.regions != again.regions),
        ("links", plan.links != again.links),
        ("workloads", plan.workloads != again.workloads),
    ];
    let names = differs.iter().filter(|(_, differs)| *differs).map(|(name, _)| (*name).to_owned());
    let faults = faults.filter(|(one, other)| one != other).map(|(f, _)| format!("fault {f:?}"));
    format!("a file cannot say what is in: {}", names.chain(faults).collect::<Vec<_>>().join(", "))
}

const fn time(micros: Micros) -> Duration {
    Duration::from_micros(micros)
}

const fn span(micros: Micros) -> Span {
    Span::of(time(micros))
}

fn topology(plan: &Plan) -> Result<Topology, String> {
    let mut topology = Topology { regions: Default::default(), voters: Default::default() };
    for node in &plan.nodes {
        let region = plan.regions.get(node.region).ok_or("a node is of no region")?;
        *topology.regions.entry(region.clone()).or_default() += 1;
        *topology.voters.entry(region.clone()).or_default() += u32::from(node.voter);
    }
    Ok(topology)
}

fn links(plan: &Plan) -> Vec<Link> {
    let pairs = plan
        .links
        .iter()
        .enumerate()
        .flat_map(|(from, row)| row.iter().enumerate().map(move |(to, link)| (from, to, link)));
    let link = |(from, to, link): (usize, usize, &PlannedLink)| Link {
        from: plan.regions[from].clone(),
        to: plan.regions[to].clone(),
        both: false,
        delay: span(link.delay),
        jitter: time(link.jitter),
        loss: percent(link.loss),
    };
    // What files are silent about is as usual.
    let usual = |from: usize, to: usize| if from == to { NEAR } else { CITY };
    pairs.filter(|(from, to, link)| **link != usual(*from, *to)).map(link).collect()
}

/// The number of percent that is read as this share: those that are drawn are whole thousandths.
fn percent(share: f64) -> f64 {
    let near = share * 100.0;
    let whole = (near * 10.0).round() / 10.0;
    if whole / 100.0 == share { whole } else { near }
}

fn workload(planned: &PlannedWorkload) -> Workload {
    let clients = f64::from(planned.clients);
    // Half a microsecond more where rounding would lose one.
    let rates = [0.0, 0.5].map(|more| Rate(clients * 1e6 / (planned.every as f64 + more)));
    let exact = rates.into_iter().find(|rate| every(planned.clients, *rate) == planned.every);
    Workload {
        kind: planned.kind,
        rate: exact.unwrap_or(rates[0]),
        clients: planned.clients,
        batch: planned.batch,
        keys: planned.keys,
        zipf: planned.zipf,
        mix: planned.mix,
        only: planned.only.clone(),
    }
}

fn fault(plan: &Plan, planned: &PlannedFault) -> FaultOptions {
    let mut said = FaultOptions::new(Kind::Kill);
    said.id = Some(planned.id.clone());
    match planned.when {
        When::At(at) => said.at = Some(span(at)),
        When::After(first, plus) => {
            said.after = plan.faults.get(first).map(|f| f.id.clone());
            said.plus = Some(span(plus));
        }
        When::On(moment, plus, times) => {
            (said.on, said.plus, said.times) = (Some(moment), Some(span(plus)), Some(times));
        }
    }
    act(plan, &planned.action, &mut said);
    if !said.kind.is_instant() {
        said.lasts = Some(span(planned.lasts));
    }
    said
}

/// What it does.
fn act(plan: &Plan, action: &Action, said: &mut FaultOptions) {
    let restart = |after: &Option<Micros>| after.map(span);
    let nodes = |target: &Target| Some(target.clone());
    match action {
        Action::Partition(scope, direction) => {
            (said.kind, said.direction) = (Kind::Partition, *direction);
            within(plan, scope, said);
        }
        Action::Flap(scope, direction, period) => {
            (said.kind, said.direction) = (Kind::Flap, *direction);
            said.period = Some(span(*period));
            within(plan, scope, said);
        }
        Action::Delay(scope, delay) => {
            (said.kind, said.delay) = (Kind::Delay, Some(span(*delay)));
            within(plan, scope, said);
        }
        Action::Loss(scope, share) => {
            (said.kind, said.percent) = (Kind::Loss, Some(percent(*share)));
            within(plan, scope, said);
        }
        Action::Duplicate(scope, share) => {
            (said.kind, said.percent) = (Kind::Duplicate, Some(percent(*share)));
            within(plan, scope, said);
        }
        Action::Clog(scope) => {
            said.kind = Kind::Clog;
            within(plan, scope, said);
        }
        Action::Kill(t, after) => {
            (said.kind, said.target, said.restart) = (Kind::Kill, nodes(t), restart(after));
        }
        Action::Pause(t) => (said.kind, said.target) = (Kind::Pause, nodes(t)),
        Action::PowerCut(t, after) => {
            (said.kind, said.target, said.restart) = (Kind::PowerCut, nodes(t), restart(after));
        }
        Action::DiskSlow(t, delay) => {
            (said.kind, said.target, said.delay) = (Kind::DiskSlow, nodes(t), Some(span(*delay)));
        }
        Action::DiskError(t, after) => {
            (said.kind, said.target, said.restart) = (Kind::DiskError, nodes(t), restart(after));
        }
        Action::DiskLost(t, after) => {
            (said.kind, said.target, said.restart) = (Kind::DiskLost, nodes(t), restart(after));
        }
        Action::ClockStep(t, by) => {
            (said.kind, said.target, said.by) =
                (Kind::ClockStep, nodes(t), Some(format!("{by}us")));
        }
        Action::ClockDrift(t, ppm) => {
            (said.kind, said.target, said.ppm) = (Kind::ClockDrift, nodes(t), Some(*ppm));
        }
        Action::ActorKill(t, share) => {
            (said.kind, said.target) = (Kind::ActorKill, nodes(t));
            said.percent = Some(percent(*share));
        }
        Action::ActorHang(t, share) => {
            (said.kind, said.target) = (Kind::ActorHang, nodes(t));
            said.percent = Some(percent(*share));
        }
        Action::Burst(factor) => (said.kind, said.factor) = (Kind::Burst, Some(*factor)),
        Action::Drain(t) => (said.kind, said.target) = (Kind::Drain, nodes(t)),
        Action::Strangers(t) => (said.kind, said.target) = (Kind::Strangers, nodes(t)),
        Action::NewCertificates(t) => (said.kind, said.target) = (Kind::NewCertificates, nodes(t)),
    }
}

/// Which links.
fn within(plan: &Plan, scope: &Scope, said: &mut FaultOptions) {
    match scope {
        Scope::Sides(sides) => {
            let names = |side: &Vec<usize>| {
                let names = side.iter().map(|node| plan.nodes[*node].name.as_str());
                names.collect::<Vec<_>>().join("+")
            };
            said.sides = sides.iter().map(names).collect();
        }
        Scope::Shape(shape, target) => {
            (said.shape, said.target) = (Some(*shape), target.clone());
        }
        Scope::Of(target) => said.target.clone_from(target),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::library;

    /// What is written down is what was drawn, for every experiment that comes with the program.
    #[test]
    fn every_plan_can_be_written_down_and_read_again() {
        for (name, text) in library::EXPERIMENTS {
            let experiment = Experiment::parse(text).unwrap();
            for seed in 1..=200 {
                let mut plan = expand(&experiment, seed);
                if let Some(work) = plan.workloads.first_mut() {
                    work.only = Some(vec![(0, seed as u32), (1, 7)]);
                }
                let file = written(&plan, &experiment);
                let file = file.unwrap_or_else(|why| panic!("{name}, seed {seed}: {why}"));
                let text = file.text().unwrap();
                let read = Experiment::parse(&text);
                let read = read.unwrap_or_else(|why| panic!("{name}, seed {seed}: {why}\n{text}"));
                assert_eq!(expand(&read, seed), plan, "{name}, seed {seed}:\n{text}");
            }
        }
    }
}
