//! Where workloads could be: which nodes may take one, how full they are, and which regions have
//! its state. Failover and the balancer look at it in the same way.

use crate::agreement::Subject;
use crate::control_log::{ControlLog, Workload};
use std::collections::{BTreeMap, BTreeSet};
use threat::Text;

/// A region has the state of a workload when its checkpoint is no further behind the newest one
/// than so many events: about a second of one at the rate a node is asked for, which is read again
/// from the source in less than the move takes.
pub const CATCH_UP: u64 = 10_000;

/// What a workload asks of its owner when nothing was measured.
pub const DEMAND: u64 = 1;

/// What is known about the cluster beside the control log. Demand and capacity are in one unit,
/// such as events a second.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Situation {
    /// Who counts as failed by agreement.
    pub failed: BTreeSet<Subject>,
    /// What is to be emptied, by order of a person.
    pub draining: BTreeSet<Subject>,
    /// Nodes that are late: they keep what they have and get nothing new.
    pub suspect: BTreeSet<u64>,
    /// What a node can do. A node without one gets nothing.
    pub capacity: BTreeMap<u64, u64>,
    /// What a workload asks of its owner; [`DEMAND`] where it is not known.
    pub demand: BTreeMap<u32, u64>,
    /// Up to which event the checkpoint of a workload in a region goes.
    pub checkpoints: BTreeMap<(u32, Text), u64>,
}

impl Situation {
    /// What the workload asks, at least one: nothing is free.
    pub fn demand(&self, workload: u32) -> u64 {
        self.demand.get(&workload).copied().unwrap_or(DEMAND).max(1)
    }

    /// By how many events the region's checkpoint is behind the newest one of the workload.
    pub fn behind(&self, workload: u32, region: &Text) -> u64 {
        let mine = (workload, Text::default())..;
        let known = self.checkpoints.range(mine).take_while(|((w, _), _)| *w == workload);
        let newest = known.map(|(_, position)| *position).max().unwrap_or_default();
        let here = self.checkpoints.get(&(workload, region.clone())).copied().unwrap_or_default();
        newest.saturating_sub(here)
    }

    /// Whether the region has enough of the workload's state to go on from.
    pub fn has_state(&self, workload: u32, region: &Text) -> bool {
        self.behind(workload, region) <= CATCH_UP
    }
}

/// Why a node may not keep a workload, or that it may.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    Sound,
    Failed(Subject),
    Draining(Subject),
    Gone,
}

/// Nodes with what they bear, as the control log says, and as it would be after moves.
#[derive(Clone, Debug)]
pub(crate) struct Placement<'a> {
    pub(crate) log: &'a ControlLog,
    pub(crate) situation: &'a Situation,
    /// What each node bears.
    loads: BTreeMap<u64, u64>,
    /// Of the nodes that are present.
    standings: BTreeMap<u64, Standing>,
}

impl<'a> Placement<'a> {
    pub(crate) fn new(log: &'a ControlLog, situation: &'a Situation) -> Self {
        let mut loads = BTreeMap::new();
        for (number, workload) in log.workloads().all() {
            if let Some(owner) = workload.owner {
                *loads.entry(owner).or_default() += situation.demand(*number);
            }
        }
        let present = log.nodes().present().iter();
        let standings = present.map(|(id, node)| (*id, standing(situation, *id, &node.region)));
        Self { log, situation, loads, standings: standings.collect() }
    }

    pub(crate) fn standing(&self, node: u64) -> Standing {
        self.standings.get(&node).cloned().unwrap_or(Standing::Gone)
    }

    /// Nodes that may be given something, of a region or of all.
    pub(crate) fn takers(&self, region: Option<&Text>) -> impl Iterator<Item = u64> + '_ {
        let region = region.cloned();
        let here = move |r: &Text| region.as_ref().is_none_or(|region| r == region);
        let nodes = self.log.nodes().present().iter();
        let fit = nodes.filter(move |(_, n)| n.admitted && here(&n.region)).map(|(id, _)| *id);
        fit.filter(|id| self.capacity(*id) > 0 && !self.situation.suspect.contains(id))
            .filter(|id| self.standing(*id) == Standing::Sound)
    }

    pub(crate) fn capacity(&self, node: u64) -> u64 {
        self.situation.capacity.get(&node).copied().unwrap_or_default()
    }

    pub(crate) fn load(&self, node: u64) -> u64 {
        self.loads.get(&node).copied().unwrap_or_default()
    }

    /// Percent of its capacity that the node bears; rounded up, so that 100 is not yet too much.
    pub(crate) fn fill_with(&self, node: u64, more: u64) -> u64 {
        let (load, capacity) = (u128::from(self.load(node)), u128::from(self.capacity(node)));
        let percent = (load + u128::from(more)) * 100;
        u64::try_from(percent.div_ceil(capacity.max(1))).unwrap_or(u64::MAX)
    }

    /// The region's node that would be least full with `demand` more, up to `full` percent.
    pub(crate) fn least_full(
        &self,
        region: Option<&Text>,
        demand: u64,
        full: u64,
    ) -> Option<(u64, u64)> {
        let filled = self.takers(region).map(|id| (self.fill_with(id, demand), id));
        let (fill, node) = filled.filter(|(fill, _)| *fill <= full).min()?;
        Some((node, fill))
    }

    pub(crate) fn moved(&mut self, number: u32, from: Option<u64>, to: u64) {
        let demand = self.situation.demand(number);
        if let Some(load) = from.and_then(|id| self.loads.get_mut(&id)) {
            *load = load.saturating_sub(demand);
        }
        *self.loads.entry(to).or_default() += demand;
    }

    pub(crate) fn region(&self, node: u64) -> Option<&'a Text> {
        self.log.nodes().present().get(&node).map(|n| &n.region)
    }

    /// The workloads that fit, those that ask most first: they find room while there is some.
    pub(crate) fn largest_first(
        &self,
        fits: impl Fn(u32, &Workload) -> bool,
    ) -> Vec<(u32, &'a Workload)> {
        let all = self.log.workloads().all().iter().map(|(n, w)| (*n, w));
        let mut some: Vec<_> = all.filter(|(n, w)| fits(*n, w)).collect();
        some.sort_by_key(|(n, _)| (std::cmp::Reverse(self.situation.demand(*n)), *n));
        some
    }
}

/// Whether a node of a region may keep what it has.
pub(crate) fn standing(situation: &Situation, node: u64, region: &Text) -> Standing {
    let subjects = [Subject::Node(node), Subject::Region(region.clone())];
    let among = |set: &BTreeSet<Subject>| subjects.iter().find(|s| set.contains(*s)).cloned();
    if let Some(subject) = among(&situation.failed) {
        return Standing::Failed(subject);
    }
    among(&situation.draining).map_or(Standing::Sound, Standing::Draining)
}
