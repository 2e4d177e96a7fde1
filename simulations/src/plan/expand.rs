//! From an experiment and a seed to a plan.

use super::{
    Action, MILLI, Micros, Plan, PlannedFault, PlannedLink, PlannedNode, PlannedWorkload, SECOND,
    Scope, Tuning, When, swarm,
};
use crate::experiment::{
    Experiment, FaultOptions, Kind, Link, Rate, Span, Target, Topology, Workload, World,
    signed_micros,
};
use std::collections::BTreeMap;
use std::time::Duration;
use threat::entropy::Rng;

/// The way within a region: two racks of one building.
pub(super) const NEAR: PlannedLink = PlannedLink { delay: 150, jitter: 100, loss: 0.0 };

/// The way between regions about which the file says nothing: two buildings of one city.
pub(super) const CITY: PlannedLink = PlannedLink { delay: 500, jitter: 200, loss: 0.0 };

pub(super) fn micros(duration: Duration) -> Micros {
    duration.as_micros() as Micros
}

/// The plan of an experiment under a seed.
pub fn expand(experiment: &Experiment, seed: u64) -> Plan {
    let mut rng = Rng::fork(seed, "plan");
    let swarm = experiment.swarm.as_ref();
    let sizes = swarm.is_some_and(|s| s.sizes);
    let topology = if sizes { swarm::topology(&mut rng) } else { experiment.topology.clone() };
    let regions: Vec<String> = topology.regions.keys().cloned().collect();
    let links = links(&regions, &experiment.links, &mut Rng::fork(seed, "links"));
    let usual = || Tuning { consensus: profile(&links), ..Tuning::default() };
    let tuning = experiment.tuning.clone().unwrap_or_else(usual);
    let mut plan = Plan {
        experiment: experiment.name.clone(),
        seed,
        world: match experiment.world {
            World::All => World::Virtual,
            one => one,
        },
        duration: micros(experiment.duration),
        heal: micros(experiment.heal),
        core: experiment.core,
        nodes: nodes(&topology, &regions),
        regions,
        links,
        workloads: experiment.workloads.iter().map(workload).collect(),
        faults: Vec::new(),
        tuning,
        mutant: experiment.mutant.clone(),
    };
    let mut ids = BTreeMap::new();
    for (at, options) in experiment.faults.iter().enumerate() {
        let id = options.id.clone().unwrap_or_else(|| format!("fault-{}", at + 1));
        let mut rng = Rng::fork(seed, &id);
        if let Some(fault) = fault(&plan, &ids, &id, options, &mut rng) {
            ids.insert(id, plan.faults.len());
            plan.faults.push(fault);
        }
    }
    if let Some(swarm) = swarm {
        if swarm.loads {
            swarm::loads(&mut plan, &mut Rng::fork(seed, "loads"));
        }
        swarm::draw(swarm, &mut plan, &mut rng);
        swarm::recipes(swarm, &mut plan, &mut Rng::fork(seed, "recipes"));
    }
    plan
}

/// Timeouts of consensus for the widest link, as a cluster would choose them.
fn profile(links: &[Vec<PlannedLink>]) -> (Micros, Micros, Micros) {
    let widest = links.iter().flatten().map(|l| l.delay + l.jitter).max().unwrap_or_default();
    let of = |heartbeat, min, max| (heartbeat * MILLI, min * MILLI, max * MILLI);
    match widest * 2 / MILLI {
        0..=25 => of(50, 200, 400),
        26..=100 => of(250, 800, 1_500),
        _ => of(400, 1_300, 2_500),
    }
}

fn nodes(topology: &Topology, regions: &[String]) -> Vec<PlannedNode> {
    let votes = topology.votes();
    let of = |(region, name): (usize, &String)| {
        let voters = votes.get(name).copied().unwrap_or_default();
        let count = topology.regions.get(name).copied().unwrap_or_default();
        let name = name.clone();
        (0..count).map(move |n| PlannedNode {
            name: format!("{name}-{}", n + 1),
            region,
            voter: n < voters,
        })
    };
    regions.iter().enumerate().flat_map(of).collect()
}

fn links(regions: &[String], said: &[Link], rng: &mut Rng) -> Vec<Vec<PlannedLink>> {
    let place = |name: &String| regions.iter().position(|r| r == name);
    let row = |from| (0..regions.len()).map(move |to| if from == to { NEAR } else { CITY });
    let mut links: Vec<Vec<PlannedLink>> =
        (0..regions.len()).map(|from| row(from).collect()).collect();
    for link in said {
        let delay = micros(link.delay.draw(rng));
        let (Some(from), Some(to)) = (place(&link.from), place(&link.to)) else { continue };
        let planned = PlannedLink { delay, jitter: micros(link.jitter), loss: link.loss / 100.0 };
        links[from][to] = planned;
        if link.both {
            links[to][from] = planned;
        }
    }
    links
}

fn workload(said: &Workload) -> PlannedWorkload {
    let Workload { kind, rate, clients, batch, keys, zipf, mix, ref only } = *said;
    let only = only.clone();
    PlannedWorkload { kind, every: every(clients, rate), clients, batch, keys, zipf, mix, only }
}

/// Time between two operations of one of so many clients.
pub(super) fn every(clients: u32, rate: Rate) -> Micros {
    (f64::from(clients) / rate.0 * SECOND as f64).max(1.0) as Micros
}

/// The nodes of a name: one node, or those of a region.
fn named(plan: &Plan, name: &str) -> Vec<usize> {
    let fits = |node: &PlannedNode| node.name == name || plan.regions[node.region] == name;
    plan.nodes.iter().enumerate().filter(|(_, node)| fits(node)).map(|(at, _)| at).collect()
}

fn fault(
    plan: &Plan,
    ids: &BTreeMap<String, usize>,
    id: &str,
    said: &FaultOptions,
    rng: &mut Rng,
) -> Option<PlannedFault> {
    let mut draw = |span: Option<Span>| span.map(|s| micros(s.draw(rng)));
    let plus = draw(said.plus).unwrap_or_default();
    let when = match (&said.on, &said.after) {
        (Some(moment), _) => When::On(*moment, plus, said.times.unwrap_or(1)),
        (_, Some(after)) => When::After(*ids.get(after)?, plus),
        _ => When::At(draw(said.at)? + plus),
    };
    let lasts = draw(said.lasts).unwrap_or_default();
    let (delay, period) = (draw(said.delay), draw(said.period));
    let restart = draw(said.restart);
    let share = said.percent.unwrap_or(100.0) / 100.0;
    let side = |s: &String| s.split('+').flat_map(|name| named(plan, name)).collect();
    let scope = match said.shape {
        Some(shape) => Scope::Shape(shape, said.target.clone()),
        None if !said.sides.is_empty() => Scope::Sides(said.sides.iter().map(side).collect()),
        None => Scope::Of(said.target.clone()),
    };
    let target = said.target.clone().unwrap_or(Target::All);
    let action = match said.kind {
        Kind::Partition => Action::Partition(scope, said.direction),
        Kind::Flap => Action::Flap(scope, said.direction, period?),
        Kind::Delay => Action::Delay(scope, delay?),
        Kind::Loss => Action::Loss(scope, share),
        Kind::Duplicate => Action::Duplicate(scope, share),
        Kind::Clog => Action::Clog(scope),
        Kind::Kill => Action::Kill(target, restart),
        Kind::Pause => Action::Pause(target),
        Kind::PowerCut => Action::PowerCut(target, restart),
        Kind::DiskSlow => Action::DiskSlow(target, delay?),
        Kind::DiskError => Action::DiskError(target, restart),
        Kind::DiskLost => Action::DiskLost(target, restart),
        Kind::ClockStep => Action::ClockStep(target, signed_micros(said.by.as_deref()?)?),
        Kind::ClockDrift => Action::ClockDrift(target, said.ppm?),
        Kind::ActorKill => Action::ActorKill(target, share),
        Kind::ActorHang => Action::ActorHang(target, share),
        Kind::Burst => Action::Burst(said.factor?),
        Kind::Drain => Action::Drain(target),
        Kind::Strangers => Action::Strangers(target),
        Kind::NewCertificates => Action::NewCertificates(target),
    };
    Some(PlannedFault { id: id.into(), when, lasts, action })
}
