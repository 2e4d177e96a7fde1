//! Whom a fault hits, worked out when it begins.

use crate::experiment::{Direction, Role, Shape, Target};
use crate::plan::{Plan, Scope};
use std::collections::BTreeSet;

/// Purposes of drawn numbers.
const WHOM: u64 = 60;
const CORE: u64 = 71;

/// A world whose nodes have roles.
pub trait Whom {
    /// What is to happen.
    fn plan(&self) -> &Plan;

    /// The nodes that do this now.
    fn role(&self, role: &Role) -> Vec<usize>;

    /// The nodes that vote, by the plan.
    fn voters(&self) -> Vec<usize> {
        let nodes = self.plan().nodes.iter().enumerate();
        nodes.filter(|(_, node)| node.voter).map(|(at, _)| at).collect()
    }

    /// The nodes that a target names now; `subject` is whom a fault waited for.
    fn targets(&self, fault: usize, target: &Target, subject: Option<usize>) -> Vec<usize> {
        let plan = self.plan();
        let all = 0..plan.nodes.len();
        match target {
            Target::Node(name) => all.filter(|n| plan.nodes[*n].name == *name).collect(),
            Target::Region(name) => {
                all.filter(|n| plan.regions[plan.nodes[*n].region] == *name).collect()
            }
            Target::Role(role) => self.role(role),
            Target::Any(count) => self.drawn(fault, *count as usize),
            Target::Percent(percent) => {
                let count = (plan.nodes.len() * *percent as usize).div_ceil(100);
                self.drawn(fault, count)
            }
            Target::Subject => subject.into_iter().collect(),
            Target::All | Target::Actor(_) => all.collect(),
        }
    }

    /// So many nodes by lot.
    fn drawn(&self, fault: usize, count: usize) -> Vec<usize> {
        let plan = self.plan();
        let mut all: Vec<(u64, usize)> =
            (0..plan.nodes.len()).map(|n| (plan.draw(WHOM, fault as u64, n as u64), n)).collect();
        all.sort_unstable();
        let mut some: Vec<usize> = all.into_iter().take(count).map(|(_, n)| n).collect();
        some.sort_unstable();
        some
    }

    /// Directed pairs of nodes whose link a fault is about.
    fn links(
        &self,
        fault: usize,
        scope: &Scope,
        direction: Direction,
        subject: Option<usize>,
    ) -> Vec<(usize, usize)> {
        let all: Vec<usize> = (0..self.plan().nodes.len()).collect();
        let split = |some: Vec<usize>| {
            let others = all.iter().copied().filter(|n| !some.contains(n)).collect();
            vec![some, others]
        };
        match scope {
            Scope::Sides(sides) => pairs(sides, direction),
            Scope::Of(None) => {
                let each: Vec<Vec<usize>> = all.iter().map(|n| vec![*n]).collect();
                pairs(&each, Direction::Both)
            }
            Scope::Of(Some(target)) => {
                let some = self.targets(fault, target, subject);
                pairs(&split(some), direction)
            }
            Scope::Shape(shape, target) => match shape {
                Shape::Isolate => {
                    let target = target.as_ref().unwrap_or(&Target::Role(Role::Leader));
                    let some = self.targets(fault, target, subject);
                    pairs(&split(some), direction)
                }
                Shape::Halves => pairs(&split(self.drawn(fault, all.len() / 2)), direction),
                Shape::MajorityMinority => {
                    let voters = self.voters();
                    let few = (voters.len() - 1) / 2;
                    let some = self.drawn(fault, all.len());
                    let some = some.into_iter().filter(|n| voters.contains(n)).take(few).collect();
                    pairs(&split(some), direction)
                }
                Shape::Bridge => {
                    let order = self.drawn(fault, all.len() / 2);
                    // The first one reaches both halves.
                    let Some((_, half)) = order.split_first() else { return Vec::new() };
                    let rest = all.iter().filter(|n| !order.contains(n)).copied().collect();
                    pairs(&[half.to_vec(), rest], direction)
                }
                Shape::Ring => {
                    let near = |a: usize, b: usize| {
                        let apart = a.abs_diff(b);
                        apart <= 1 || apart + 1 >= all.len()
                    };
                    let each: Vec<Vec<usize>> = all.iter().map(|n| vec![*n]).collect();
                    let all = pairs(&each, Direction::Both);
                    all.into_iter().filter(|(a, b)| !near(*a, *b)).collect()
                }
            },
        }
    }
}

/// Who is healthy in the liveness phase, by lot: a majority of each region, since fewer cannot
/// acknowledge events, and a majority of the voters. Those that `lost` their disks vote no more.
pub fn core(plan: &Plan, lost: impl Fn(usize) -> bool) -> Vec<usize> {
    let all: Vec<usize> = (0..plan.nodes.len()).collect();
    let lot = |n: &usize| plan.draw(CORE, *n as u64, 0);
    let mut core: BTreeSet<usize> = BTreeSet::new();
    for region in 0..plan.regions.len() {
        let here = all.iter().filter(|n| plan.nodes[**n].region == region);
        let mut here: Vec<usize> = here.copied().collect();
        here.sort_by_key(lot);
        let majority = here.len() / 2 + 1;
        core.extend(here.into_iter().take(majority));
    }
    let voters: Vec<usize> = all.iter().copied().filter(|n| plan.nodes[*n].voter).collect();
    let need = voters.len() / 2 + 1;
    let mut whole: Vec<usize> = voters.into_iter().filter(|v| !lost(*v)).collect();
    whole.sort_by_key(lot);
    core.extend(whole.into_iter().take(need));
    core.into_iter().collect()
}

/// Directed pairs between the first side and the others.
fn pairs(sides: &[Vec<usize>], direction: Direction) -> Vec<(usize, usize)> {
    let mut pairs = Vec::new();
    for (at, side) in sides.iter().enumerate() {
        for (other_at, other) in sides.iter().enumerate().filter(|(o, _)| *o != at) {
            let hit = match direction {
                Direction::Both => true,
                Direction::Out => other_at != 0,
                Direction::In => at != 0,
            };
            if hit {
                pairs.extend(side.iter().flat_map(|a| other.iter().map(|b| (*a, *b))));
            }
        }
    }
    pairs
}
