//! Who does what now, for faults that hit roles.

use super::World;
use crate::experiment::Role;
use crate::plan::Plan;
use crate::whom::Whom;

impl Whom for World<'_> {
    fn plan(&self) -> &Plan {
        self.plan
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
}
