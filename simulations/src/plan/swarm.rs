//! Faults drawn by seed: which families, which of each, when, whom and how hard. (Groce, Zhang,
//! Eide, Chen, Regehr: "Swarm testing", ISSTA 2012: leaving features out of each run finds more
//! than having all in every one.)

use super::{Action, MILLI, Micros, Plan, PlannedFault, SECOND, Scope, Tuning, When};
use crate::experiment::{
    Core, Direction, Family, Kind, Moment, Role, Shape, Span, Swarm, Target, Topology,
};
use std::time::Duration;
use threat::entropy::Rng;

/// Faults of one run at most, so that the system has time to get on between them.
const MOST: usize = 24;

/// A cluster of another size: regions and nodes as few as they come, too.
pub(super) fn topology(rng: &mut Rng) -> Topology {
    const NAMES: [&str; 5] = ["ap", "eu", "sa", "uk", "us"];
    let regions = [1, 2, 3, 3, 5][rng.below(5)];
    let mut topology = Topology { regions: Default::default(), voters: Default::default() };
    for name in &NAMES[..regions] {
        let most = if regions > 3 { 2 } else { 3 };
        topology.regions.insert((*name).into(), 1 + rng.below(most) as u32);
    }
    topology
}

fn between(rng: &mut Rng, from: Micros, to: Micros) -> Micros {
    let span = Span { from: Duration::from_micros(from), to: Duration::from_micros(to) };
    span.draw(rng).as_micros() as Micros
}

/// Adds faults to a plan.
pub(super) fn draw(swarm: &Swarm, plan: &mut Plan, rng: &mut Rng) {
    if swarm.buggify {
        plan.tuning = tuning(&plan.tuning, rng);
    }
    if rng.chance(0.5) {
        plan.core = Core::RandomMajority;
    }
    let kinds: Vec<Kind> = Kind::ALL
        .into_iter()
        .filter(|kind| swarm.enable.contains(&kind.family()))
        .filter(|_| rng.chance(0.5))
        .collect();
    let lanes = swarm.intensity.draw(rng);
    for lane in 0..lanes {
        // The first seconds are for a steady state.
        let mut at = 5 * SECOND + between(rng, 10 * MILLI, 10 * SECOND);
        while at < plan.duration && plan.faults.len() < MOST {
            let Some(kind) = rng.pick(&kinds).copied() else { return };
            let lasts = between(rng, 50 * MILLI, 15 * SECOND);
            let id = format!("{}-{lane}-{}", kind.name(), plan.faults.len());
            let moment = moment(kind, rng);
            let target = match moment {
                Some(_) => Target::Subject,
                None => target(plan, rng),
            };
            let when = match moment {
                Some((moment, plus)) => When::On(moment, plus, 1 + rng.below(3) as u32),
                None => When::At(at),
            };
            let action = action(plan, kind, target, rng);
            let lasts = if kind.is_instant() { 0 } else { lasts };
            plan.faults.push(PlannedFault { id, when, lasts, action });
            at += lasts + between(rng, 10 * MILLI, 10 * SECOND);
        }
    }
}

/// Clients that ask less, each kind of them by a lot of its own: what goes wrong in quiet hours has
/// its chance, and a seed costs less.
pub(super) fn loads(plan: &mut Plan, rng: &mut Rng) {
    for workload in &mut plan.workloads {
        workload.every <<= rng.below(4);
    }
}

/// Faults that hurt together and seldom meet by lot.
pub(super) fn recipes(swarm: &Swarm, plan: &mut Plan, rng: &mut Rng) {
    let has = |family| swarm.enable.contains(&family);
    if !(has(Family::Clock) && has(Family::Net) && rng.chance(0.25)) {
        return;
    }
    let Some(named) = rng.pick(&plan.regions).cloned() else { return };
    // A region whose clocks are slow loses sight of a leader whose clock is fast, just when an
    // operator has its work moved away: its leases last for as long as they ever may, and the new
    // owners wait for as short as they ever do. Where nodes fail, that takes longer to notice.
    let region = || Target::Region(named.clone());
    let at = between(rng, 6 * SECOND, plan.duration.saturating_sub(10 * SECOND).max(7 * SECOND));
    let slow = plan.faults.len();
    let drifts = |target, ppm| Action::ClockDrift(target, ppm);
    let cut = Action::Partition(Scope::Shape(Shape::Isolate, Some(region())), Direction::Both);
    let then = |after: Micros| When::After(slow, 3 * SECOND + after);
    let all = [
        ("slow-region", When::At(at), 20 * SECOND, drifts(region(), -45_000.0)),
        ("fast-leader", When::At(at), 20 * SECOND, drifts(Target::Role(Role::Leader), 45_000.0)),
        ("region-cut-off", then(0), 6 * SECOND, cut),
        ("region-drained", then(5 * MILLI), 6 * SECOND, Action::Drain(region())),
    ];
    for (id, when, lasts, action) in all {
        plan.faults.push(PlannedFault { id: id.into(), when, lasts, action });
    }
}

/// What ends or stops nodes waits for a moment in a third of the cases: whoever has just begun to
/// lead, voted or become an owner is the one whose end hurts.
fn moment(kind: Kind, rng: &mut Rng) -> Option<(Moment, Micros)> {
    let fits = matches!(kind, Kind::Kill | Kind::Pause | Kind::PowerCut | Kind::DiskError);
    if !fits || rng.chance(0.66) {
        return None;
    }
    let all = [Moment::Leader, Moment::Vote, Moment::Owner, Moment::Snapshot];
    Some((*rng.pick(&all)?, if rng.chance(0.5) { 0 } else { between(rng, 100, 3 * SECOND) }))
}

fn target(plan: &Plan, rng: &mut Rng) -> Target {
    match rng.below(8) {
        0 | 1 => Target::Role(Role::Leader),
        2 => Target::Role(Role::Owner(rng.below(64) as u32)),
        3 => Target::Role(Role::Voter),
        4 => Target::Region(plan.regions[rng.below(plan.regions.len())].clone()),
        5 => Target::Percent(30 + rng.below(71) as u32),
        _ => Target::Any(1 + rng.below(2) as u32),
    }
}

fn scope(plan: &Plan, target: Target, rng: &mut Rng) -> Scope {
    let shapes =
        [Shape::Isolate, Shape::Halves, Shape::MajorityMinority, Shape::Bridge, Shape::Ring];
    match rng.below(4) {
        0 => Scope::Of(Some(target)),
        1 => {
            let region = rng.below(plan.regions.len());
            let all = 0..plan.nodes.len();
            let (there, others) = all.partition(|n| plan.nodes[*n].region == region);
            Scope::Sides(vec![there, others])
        }
        _ => Scope::Shape(shapes[rng.below(shapes.len())], Some(target)),
    }
}

fn action(plan: &Plan, kind: Kind, target: Target, rng: &mut Rng) -> Action {
    let direction = [Direction::Both, Direction::Both, Direction::Out, Direction::In][rng.below(4)];
    let restart = Some(match rng.below(3) {
        0 => between(rng, MILLI, 30 * MILLI),
        1 => between(rng, 50 * MILLI, 3 * SECOND),
        _ => between(rng, 3 * SECOND, 30 * SECOND),
    });
    match kind {
        Kind::Partition => Action::Partition(scope(plan, target, rng), direction),
        Kind::Flap => {
            let period = between(rng, 100 * MILLI, 5 * SECOND);
            Action::Flap(scope(plan, target, rng), direction, period)
        }
        Kind::Delay => Action::Delay(scope(plan, target, rng), between(rng, MILLI, 500 * MILLI)),
        Kind::Loss => Action::Loss(scope(plan, target, rng), share(rng, 1.0, 30.0)),
        Kind::Duplicate => Action::Duplicate(scope(plan, target, rng), share(rng, 1.0, 30.0)),
        Kind::Clog => Action::Clog(Scope::Of(Some(target))),
        Kind::Kill => Action::Kill(target, restart),
        Kind::Pause => Action::Pause(target),
        Kind::PowerCut => Action::PowerCut(target, restart),
        Kind::DiskSlow => Action::DiskSlow(target, between(rng, MILLI, SECOND)),
        Kind::DiskError => Action::DiskError(target, restart),
        // One disk: what a majority has lost nobody can give back.
        Kind::DiskLost => Action::DiskLost(Target::Any(1), restart),
        Kind::ClockStep => {
            // As much as most clocks may be off: those of a majority are right in any case then.
            let by = between(rng, MILLI, 25 * SECOND) as i64;
            Action::ClockStep(target, if rng.chance(0.5) { by } else { -by })
        }
        Kind::ClockDrift => Action::ClockDrift(target, rng.range(-45_000.0, 45_000.0)),
        Kind::ActorKill => Action::ActorKill(actors(rng), share(rng, 20.0, 100.0)),
        Kind::ActorHang => Action::ActorHang(actors(rng), share(rng, 20.0, 100.0)),
        Kind::Burst => Action::Burst(rng.range(2.0, 20.0)),
        Kind::Strangers => Action::Strangers(target),
        Kind::NewCertificates => Action::NewCertificates(target),
        Kind::Drain => {
            Action::Drain(Target::Region(plan.regions[rng.below(plan.regions.len())].clone()))
        }
    }
}

/// A share of so many percent, in thousandths: files can say it.
fn share(rng: &mut Rng, from: f64, to: f64) -> f64 {
    (rng.range(from, to) * 10.0).round() / 10.0 / 100.0
}

fn actors(rng: &mut Rng) -> Target {
    let all = ["detection/**", "detection/*/sequence", "detection/*/forest", "**"];
    Target::Actor(all[rng.below(all.len())].into())
}

/// Limits and times inside of nodes, each drawn anew in some of the seeds.
fn tuning(usual: &Tuning, rng: &mut Rng) -> Tuning {
    let mut tuning = usual.clone();
    if rng.chance(0.1) {
        // Everybody stands for election at about the same time.
        tuning.consensus.2 = tuning.consensus.1 + 40 * MILLI;
    }
    if rng.chance(0.25) {
        tuning.snapshot_entries = 5 + rng.below(50) as u64;
    }
    if rng.chance(0.25) {
        tuning.append_entries = 4;
    }
    if rng.chance(0.25) {
        tuning.told_records = 8 + rng.below(8);
    }
    if rng.chance(0.25) {
        tuning.gossip_forgotten = rng.range(0.05, 0.5);
    }
    if rng.chance(0.5) {
        tuning.retention = between(rng, SECOND, 20 * SECOND);
        tuning.compare_every = between(rng, 300 * MILLI, 3 * SECOND);
    }
    if rng.chance(0.25) {
        tuning.room = 1 + rng.below(4);
    }
    if rng.chance(0.25) {
        tuning.sync = (MILLI, between(rng, 2 * MILLI, 50 * MILLI));
    }
    tuning
}

#[cfg(test)]
mod tests {
    use crate::experiment::Experiment;
    use crate::library;
    use crate::plan::expand;
    use std::collections::BTreeSet;

    #[test]
    fn how_much_is_asked_is_drawn_and_all_else_stays() {
        let text = library::named("explore").unwrap();
        let varied = Experiment::parse(text).unwrap();
        let steady = Experiment::parse(&text.replace("loads = true", "loads = false")).unwrap();
        let mut seen = BTreeSet::new();
        for seed in 1..40 {
            let (mut less, full) = (expand(&varied, seed), expand(&steady, seed));
            for (less, full) in less.workloads.iter_mut().zip(&full.workloads) {
                seen.insert(less.every / full.every);
                less.every = full.every;
            }
            assert_eq!(less, full, "seed {seed}");
        }
        assert_eq!(seen, [1, 2, 4, 8].into());
    }
}
