//! What an operator is shown of regions, as one node sees them.

use super::{CheckpointAges, Coordinator, Ownership};
use regions::balancer::Score;
use regions::control_log::ControlLog;
use regions::failover::Step;
use regions::failure_detector::State;
use regions::orders::{self, Order};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// A lease that a node holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// Under which epoch it may act.
    pub epoch: u64,
    /// For how long it may still begin something.
    pub left_ms: u64,
}

/// What a node knows of another.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Link {
    /// What it takes it for.
    pub state: State,
    /// How long ago it last heard of it; none if never.
    pub heard_ms: Option<u64>,
    /// The suspicion.
    pub phi: f64,
    /// Whether it wants workloads.
    pub ready: bool,
}

/// A workload as the control log has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkloadView {
    /// How many shards it has.
    pub shards: u32,
    /// Its home.
    pub home: String,
    /// Where it goes when its home fails.
    pub failover: String,
    /// Who owns it.
    pub owner: Option<u64>,
    /// Since when.
    pub epoch: u64,
}

/// One workload's move.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Move {
    /// Which.
    pub workload: u32,
    /// Its owner.
    pub from: Option<u64>,
    /// Its new owner.
    pub to: u64,
    /// Why.
    pub reason: String,
    /// Percent of what the new owner can bear that it would bear then.
    pub fill: u64,
    /// By how many events the checkpoint in the new region is behind.
    pub behind: u64,
    /// The region that becomes its failover region, when it has to go to another than its own two.
    pub failover: Option<String>,
}

impl From<&Step> for Move {
    fn from(step: &Step) -> Self {
        Self {
            workload: step.workload,
            from: step.from.as_ref().map(|(id, _)| *id),
            to: step.to.0,
            reason: step.reason.to_string(),
            fill: step.fill,
            behind: step.behind,
            failover: step.place.as_ref().map(|(_, failover)| failover.to_string()),
        }
    }
}

/// What would move.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moves {
    /// By workload.
    pub steps: Vec<Move>,
    /// Workloads that should move and have nowhere to go, with the reason.
    pub unplaced: BTreeMap<u32, String>,
}

/// Regions, workloads and leases as one node sees them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct View {
    /// The node.
    pub node: u64,
    /// Up to where it has applied the log.
    pub applied: u64,
    /// Whether it leads, as far as it knows.
    pub leads: bool,
    /// The leases that it holds, by workload.
    pub leases: BTreeMap<u32, Held>,
    /// What it knows of the others, by id.
    pub links: BTreeMap<u64, Link>,
    /// Who counts as failed by the reports that it has.
    pub failed: Vec<String>,
    /// Orders of people, by region.
    pub orders: BTreeMap<String, Order>,
    /// All workloads.
    pub workloads: BTreeMap<u32, WorkloadView>,
    /// How evenly all is borne.
    pub balance: Score,
    /// How old the state of entities is that would outlive its owner.
    pub checkpoints: CheckpointAges,
    /// On the leader: workloads that should move and have nowhere to go, with the reason.
    pub unplaced: BTreeMap<u32, String>,
}

impl Coordinator {
    pub(crate) fn view(
        &self,
        now: Duration,
        leads: bool,
        log: &ControlLog,
        ownership: &Ownership,
    ) -> View {
        let workload = |(number, w): (&u32, &regions::control_log::Workload)| {
            let view = WorkloadView {
                shards: w.shards.len() as u32,
                home: w.home.to_string(),
                failover: w.failover.to_string(),
                owner: w.owner,
                epoch: w.epoch,
            };
            (*number, view)
        };
        let orders = orders::all(log.settings()).into_iter();
        View {
            node: self.me,
            applied: log.applied(),
            leads,
            leases: ownership.leases_held(),
            links: self.links(now),
            failed: self.failed(now).iter().map(ToString::to_string).collect(),
            orders: orders.map(|(region, order)| (region.to_string(), order)).collect(),
            workloads: log.workloads().all().iter().map(workload).collect(),
            balance: self.balance(now, log),
            checkpoints: ownership.checkpoints(),
            unplaced: if leads { self.unplaced.clone() } else { BTreeMap::new() },
        }
    }
}
