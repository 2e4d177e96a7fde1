//! Whom a fault hits, worked out when it begins.

use super::World;
use super::net::pairs;
use crate::experiment::{Direction, Role, Shape, Target};
use crate::plan::Scope;

/// Purposes of drawn numbers.
const WHOM: u64 = 60;

impl World<'_> {
    /// The nodes that a target names now; `subject` is whom a fault waited for.
    pub(super) fn targets(
        &self,
        fault: usize,
        target: &Target,
        subject: Option<usize>,
    ) -> Vec<usize> {
        let all = 0..self.nodes.len();
        let plan = self.plan;
        match target {
            Target::Node(name) => all.filter(|n| plan.nodes[*n].name == *name).collect(),
            Target::Region(name) => {
                all.filter(|n| plan.regions[plan.nodes[*n].region] == *name).collect()
            }
            Target::Role(role) => self.role(role),
            Target::Any(count) => self.drawn(fault, *count as usize),
            Target::Percent(percent) => {
                let count = (self.nodes.len() * *percent as usize).div_ceil(100);
                self.drawn(fault, count)
            }
            Target::Subject => subject.into_iter().collect(),
            Target::All | Target::Actor(_) => all.collect(),
        }
    }

    fn role(&self, role: &Role) -> Vec<usize> {
        let running = self
            .nodes
            .iter()
            .enumerate()
            .filter_map(|(n, node)| node.run.as_ref().map(|run| (n, run)));
        match role {
            Role::Leader => {
                let leads = running.filter_map(|(n, run)| run.raft.leads().map(|term| (term, n)));
                leads.max().map(|(_, n)| n).into_iter().collect()
            }
            Role::Owner(workload) => {
                let owner = self.agreed.owners.get(workload).copied().or_else(|| {
                    let known = self.founding.workloads().all().get(workload)?;
                    Some((known.owner, known.epoch))
                });
                owner.and_then(|(id, _)| self.place_of(id?)).into_iter().collect()
            }
            Role::Voter => self.shape.voters.first().copied().into_iter().collect(),
            Role::Learner => {
                let all = 0..self.nodes.len();
                all.filter(|n| !self.shape.voters.contains(n)).take(1).collect()
            }
        }
    }

    /// So many nodes by lot.
    fn drawn(&self, fault: usize, count: usize) -> Vec<usize> {
        let mut all: Vec<(u64, usize)> = (0..self.nodes.len())
            .map(|n| (self.plan.draw(WHOM, fault as u64, n as u64), n))
            .collect();
        all.sort_unstable();
        let mut some: Vec<usize> = all.into_iter().take(count).map(|(_, n)| n).collect();
        some.sort_unstable();
        some
    }

    /// Directed pairs of nodes whose link a fault is about.
    pub(super) fn links(
        &self,
        fault: usize,
        scope: &Scope,
        direction: Direction,
        subject: Option<usize>,
    ) -> Vec<(usize, usize)> {
        let all: Vec<usize> = (0..self.nodes.len()).collect();
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
                    let voters = &self.shape.voters;
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
