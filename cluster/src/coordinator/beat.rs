//! What a node tells all others twice a second.

use super::limits::{CAPACITY, WORKLOADS};
use regions::agreement::Subject;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// What a node can bear and what it bears, in one unit, such as events a second.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Load {
    /// What it can bear.
    pub capacity: u64,
    /// What the workloads that it owns ask of it.
    pub demand: BTreeMap<u32, u64>,
    /// Up to which event it has a checkpoint of a workload, its own or another's.
    pub checkpoints: BTreeMap<u32, u64>,
}

impl Default for Load {
    fn default() -> Self {
        Self { capacity: CAPACITY, demand: BTreeMap::new(), checkpoints: BTreeMap::new() }
    }
}

impl Load {
    /// No more of it than there can be workloads.
    pub(super) fn bounded(mut self) -> Self {
        for map in [&mut self.demand, &mut self.checkpoints] {
            while map.len() > WORKLOADS {
                map.pop_last();
            }
        }
        self
    }
}

/// A sign of life, with what the others have to know of a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Beat {
    /// How often the node's state was opened.
    pub incarnation: u64,
    /// Grows with each beat of this incarnation.
    pub number: u64,
    /// Whether the node wants workloads.
    pub ready: bool,
    /// What it can bear, and bears.
    pub load: Load,
    /// Whom it takes for dead: all, again with each beat.
    pub dead: BTreeSet<Subject>,
}

impl Beat {
    pub(super) fn bounded(mut self) -> Self {
        self.load = self.load.bounded();
        self
    }
}
