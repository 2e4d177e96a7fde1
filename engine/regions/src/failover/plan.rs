//! A plan: what it does, and how it reads.

use crate::agreement::Subject;
use crate::control_log::Command;
use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};
use threat::Text;

/// Why a workload moves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Its owner, or all of its owner's region, has failed.
    Failed(Subject),
    /// Its owner, or all of its owner's region, is to be emptied.
    Draining(Subject),
    /// Its owner is not in the cluster any more.
    Gone,
    /// It has no owner.
    NoOwner,
    /// Its home can take it again.
    Home,
}

impl Display for Reason {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(subject) => write!(f, "{subject} has failed"),
            Self::Draining(subject) => write!(f, "{subject} is to be emptied"),
            Self::Gone => f.write_str("its owner has left the cluster"),
            Self::NoOwner => f.write_str("it has no owner"),
            Self::Home => f.write_str("its home can take it again"),
        }
    }
}

/// One workload's move.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Which.
    pub workload: u32,
    /// Its owner and the owner's region.
    pub from: Option<(u64, Text)>,
    /// Its new owner and the new owner's region.
    pub to: (u64, Text),
    /// The epoch that was seen; the log refuses the move when it is another by then.
    pub expected_epoch: u64,
    /// Home and failover region that the workload has to get first, when it goes to neither.
    pub place: Option<(Text, Text)>,
    /// Why.
    pub reason: Reason,
    /// Percent of its capacity that the new owner bears then, as far as was planned by then.
    pub fill: u64,
    /// By how many events the new region's checkpoint is behind the newest one: read again, or lost
    /// when the source does not have them any more.
    pub behind: u64,
}

impl Step {
    /// What to ask of the log, in this order.
    pub fn commands(&self) -> impl Iterator<Item = Command> + '_ {
        let workload = self.workload;
        let place = self.place.clone().map(|(home, failover)| Command::PlaceWorkload {
            workload,
            home,
            failover,
        });
        let expected_epoch = self.expected_epoch;
        let owner = Some(self.to.0);
        place.into_iter().chain([Command::AssignWorkload { workload, owner, expected_epoch }])
    }
}

impl Display for Step {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "workload {}: ", self.workload)?;
        match &self.from {
            Some((node, region)) if !region.is_empty() => write!(f, "node {node} ({region})")?,
            Some((node, _)) => write!(f, "node {node}")?,
            None => f.write_str("nobody")?,
        }
        let (node, region) = &self.to;
        write!(f, " -> node {node} ({region}), {}% full; {}", self.fill, self.reason)?;
        if let Some((_, failover)) = &self.place {
            write!(f, "; {failover} becomes its failover region")?;
        }
        if self.behind > 0 {
            write!(f, "; checkpoint {} events behind", self.behind)?;
        }
        write!(f, " (epoch {})", self.expected_epoch)
    }
}

/// What is to be done, by workload.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Moves, at most one per workload.
    pub steps: Vec<Step>,
    /// Workloads that should move and find no place, with what is wrong: for a person.
    pub unplaced: BTreeMap<u32, Reason>,
}

impl Plan {
    /// Whether there is nothing to do, or nothing that can be done.
    pub const fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// What to ask of the log, in this order.
    pub fn commands(&self) -> impl Iterator<Item = Command> + '_ {
        self.steps.iter().flat_map(Step::commands)
    }
}

impl Display for Plan {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.steps.is_empty() && self.unplaced.is_empty() {
            return writeln!(f, "nothing has to move");
        }
        for step in &self.steps {
            writeln!(f, "{step}")?;
        }
        for (workload, reason) in &self.unplaced {
            writeln!(f, "workload {workload}: stays, no node can take it; {reason}")?;
        }
        Ok(())
    }
}
