//! Who gets what a failed or drained node had, and what goes home again: a plan of commands that
//! can be read before it runs.
//!
//! Each command expects the epoch that was seen, so that a plan which was overtaken is refused by
//! the log and not half right. The plan is worked out to its end: applied to the same situation,
//! there is nothing left to plan. What is in order is not touched.

mod plan;

pub use plan::{Plan, Reason, Step};

use crate::control_log::{ControlLog, Workload};
use crate::placement::{Placement, Situation, Standing, standing};
use std::collections::BTreeMap;
use threat::Text;
use threat::mutants::{Mutant, is_live};

/// A node is given what has lost its owner up to so many percent of its capacity.
pub const FULL: u64 = 100;

/// What has an owner goes home only up to so many percent: less than [`FULL`], so that what left a
/// node because it was full does not go back and forth.
pub const HOME_FULL: u64 = 80;

/// What a plan may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Whether a workload may go to any region when neither of its own can take it. It has no
    /// checkpoint there, and that region becomes its failover region.
    pub elsewhere: bool,
    /// Whether workloads go home when their home can take them again.
    pub failback: bool,
}

impl Default for Policy {
    /// Anywhere rather than nowhere, and home again.
    fn default() -> Self {
        Self { elsewhere: true, failback: true }
    }
}

/// Plans what has to move in this situation, and nothing else.
pub fn plan(log: &ControlLog, situation: &Situation, policy: Policy) -> Plan {
    if is_in_order(log, situation) {
        return Plan::default();
    }
    let mut planner = Planner {
        place: Placement::new(log, situation),
        policy,
        at: BTreeMap::new(),
        unplaced: BTreeMap::new(),
    };
    // What moves makes room for others. Each round after the first brings something to its place,
    // from where it does not leave, so that there are no more rounds than workloads.
    for _ in 0..=2 * log.workloads().all().len() {
        let lost = planner.place_lost();
        let home = planner.bring_home();
        if !lost && !home {
            break;
        }
    }
    planner.finish()
}

/// Whether all workloads are at home with sound owners, as they are most of the time; the leader
/// asks all the time.
fn is_in_order(log: &ControlLog, situation: &Situation) -> bool {
    let present = log.nodes().present().iter();
    let sound = present.filter(|(id, n)| standing(situation, **id, &n.region) == Standing::Sound);
    let regions: BTreeMap<u64, &Text> = sound.map(|(id, node)| (*id, &node.region)).collect();
    let mut all = log.workloads().all().values();
    all.all(|w| w.owner.is_some_and(|owner| regions.get(&owner) == Some(&&w.home)))
}

/// Where a workload would be.
#[derive(Clone, Debug)]
struct At {
    owner: u64,
    /// Another region instead of its failover region.
    failover: Option<Text>,
    reason: Reason,
    fill: u64,
}

struct Planner<'a> {
    place: Placement<'a>,
    policy: Policy,
    /// What moved, by workload.
    at: BTreeMap<u32, At>,
    /// Which found no place, and what was wrong with its owner.
    unplaced: BTreeMap<u32, Reason>,
}

impl Planner<'_> {
    fn owner(&self, number: u32, workload: &Workload) -> Option<u64> {
        self.at.get(&number).map(|at| at.owner).or(workload.owner)
    }

    /// Gives what has no owner, or one that must not keep it, to the best one that has room.
    fn place_lost(&mut self) -> bool {
        let mut any = false;
        let standing = |number, workload: &Workload| {
            self.owner(number, workload).map(|owner| self.place.standing(owner))
        };
        let lost = self.place.largest_first(|n, w| standing(n, w) != Some(Standing::Sound));
        for (number, workload) in lost {
            let reason = match self.owner(number, workload).map(|o| self.place.standing(o)) {
                Some(Standing::Sound) => continue,
                Some(Standing::Failed(_)) if is_live(Mutant::FailedNodesKeepWork) => continue,
                Some(Standing::Failed(subject)) => Reason::Failed(subject),
                Some(Standing::Draining(subject)) => Reason::Draining(subject),
                Some(Standing::Gone) => Reason::Gone,
                None => Reason::NoOwner,
            };
            let Some((node, fill, failover)) = self.backup(number, workload) else {
                self.unplaced.insert(number, reason);
                continue;
            };
            self.unplaced.remove(&number);
            self.place.moved(number, workload.owner, node);
            self.at.insert(number, At { owner: node, failover, reason, fill });
            any = true;
        }
        any
    }

    /// The node to take over. A region that has the state comes first, home before failover, so
    /// that a single node's end does not send its work to another continent; then home although it
    /// lags; then any region if that is allowed.
    fn backup(&self, number: u32, workload: &Workload) -> Option<(u64, u64, Option<Text>)> {
        let situation = self.place.situation;
        let demand = situation.demand(number);
        let pair = [&workload.home, &workload.failover];
        let (with, without): (Vec<_>, Vec<_>) =
            pair.into_iter().partition(|region| situation.has_state(number, region));
        let own = with.into_iter().chain(without);
        let least = |region: &Text| self.place.least_full(Some(region), demand, FULL);
        if let Some((node, fill)) = own.into_iter().find_map(least) {
            return Some((node, fill, None));
        }
        let (node, fill) =
            self.place.least_full(None, demand, FULL).filter(|_| self.policy.elsewhere)?;
        Some((node, fill, self.place.region(node).cloned()))
    }

    /// Moves back what is away from a home that has its state and room.
    fn bring_home(&mut self) -> bool {
        let mut any = false;
        if !self.policy.failback {
            return false;
        }
        let is_away = |number, workload: &Workload| {
            let owner = self.owner(number, workload);
            owner.is_some_and(|owner| self.place.region(owner) != Some(&workload.home))
        };
        for (number, workload) in self.place.largest_first(is_away) {
            let Some(owner) = self.owner(number, workload) else { continue };
            if self.place.standing(owner) != Standing::Sound
                || !self.place.situation.has_state(number, &workload.home)
            {
                continue;
            }
            let demand = self.place.situation.demand(number);
            let found = self.place.least_full(Some(&workload.home), demand, HOME_FULL);
            let Some((node, fill)) = found else { continue };
            self.place.moved(number, Some(owner), node);
            let reason = self.at.remove(&number).map_or(Reason::Home, |at| at.reason);
            self.at.insert(number, At { owner: node, failover: None, reason, fill });
            any = true;
        }
        any
    }

    fn finish(self) -> Plan {
        let all = self.place.log.workloads().all();
        let step = |(number, at): (&u32, &At)| {
            let workload = all.get(number)?;
            let name = |id: u64| Some((id, self.place.region(id).cloned().unwrap_or_default()));
            Some(Step {
                workload: *number,
                from: workload.owner.and_then(name),
                to: name(at.owner)?,
                expected_epoch: workload.epoch,
                place: at.failover.clone().map(|failover| (workload.home.clone(), failover)),
                reason: at.reason.clone(),
                fill: at.fill,
                behind: self
                    .place
                    .region(at.owner)
                    .map_or(0, |region| self.place.situation.behind(*number, region)),
            })
        };
        Plan { steps: self.at.iter().filter_map(step).collect(), unplaced: self.unplaced }
    }
}

#[cfg(test)]
mod law_tests;
#[cfg(test)]
mod tests;
