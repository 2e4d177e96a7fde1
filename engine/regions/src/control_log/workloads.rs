//! Which node owns which shards, and under which epoch.

use super::limits::{SHARDS, WORKLOADS};
use super::nodes::Nodes;
use super::reply::{Answer, Noun, Refusal, Reply, check_room, unknown};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use threat::Text;
use threat::mutants::{Mutant, is_live};

/// A set of shards that move together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Workload {
    /// Its shards; no other workload has them.
    pub shards: BTreeSet<u32>,
    /// Where it is owned.
    pub home: Text,
    /// Where it goes when its home fails.
    pub failover: Text,
    /// Who owns it.
    pub owner: Option<u64>,
    /// Since when: grows with each assignment, over all workloads, and is never used again. What
    /// is done in the world carries it, and receivers refuse a lower one.
    pub epoch: u64,
}

/// All workloads.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Workloads {
    all: BTreeMap<u32, Workload>,
    /// Whose each shard is.
    shards: BTreeMap<u32, u32>,
}

impl Workloads {
    /// By number.
    pub const fn all(&self) -> &BTreeMap<u32, Workload> {
        &self.all
    }

    /// The workload of a shard.
    pub fn of_shard(&self, shard: u32) -> Option<&Workload> {
        self.all.get(self.shards.get(&shard)?)
    }

    /// A workload that is owned by the node.
    pub(super) fn owned_by(&self, node: u64) -> Option<u32> {
        self.all.iter().find(|(_, w)| w.owner == Some(node)).map(|(n, _)| *n)
    }

    /// A workload that is placed in the region.
    pub(super) fn placed_in(&self, region: &Text) -> Option<u32> {
        let here = |w: &Workload| w.home == *region || w.failover == *region;
        self.all.iter().find(|(_, w)| here(w)).map(|(n, _)| *n)
    }

    pub(super) fn define(&mut self, number: u32, new: Workload, nodes: &Nodes) -> Answer {
        nodes.known_region(&new.home)?;
        nodes.known_region(&new.failover)?;
        if new.shards.is_empty() {
            return Err(Refusal::Empty(Noun::Shard));
        }
        if let Some(&shard) = new.shards.last().filter(|s| **s >= SHARDS) {
            return Err(Refusal::TooLarge(Noun::Shard, shard.into(), u64::from(SHARDS) - 1));
        }
        if let Some(known) = self.all.get(&number) {
            let same = known.shards == new.shards
                && known.home == new.home
                && known.failover == new.failover;
            let exists = Refusal::Exists(Noun::Workload, number.to_string().into());
            return if same { Ok(Reply::Unchanged) } else { Err(exists) };
        }
        let taken = |s: &u32| self.shards.get(s).map(|w| (*s, *w));
        if let Some((shard, workload)) = new.shards.iter().find_map(taken) {
            return Err(Refusal::ShardTaken { shard, workload });
        }
        check_room(Noun::Workload, self.all.len(), WORKLOADS)?;
        self.shards.extend(new.shards.iter().map(|s| (*s, number)));
        self.all.insert(number, new);
        Ok(Reply::Done)
    }

    pub(super) fn place(
        &mut self,
        number: u32,
        home: &Text,
        failover: &Text,
        nodes: &Nodes,
    ) -> Answer {
        nodes.known_region(home)?;
        nodes.known_region(failover)?;
        let known = self.all.get_mut(&number).ok_or_else(|| unknown(Noun::Workload, number))?;
        if known.home == *home && known.failover == *failover {
            return Ok(Reply::Unchanged);
        }
        (known.home, known.failover) = (home.clone(), failover.clone());
        Ok(Reply::Done)
    }

    /// Refuses what was decided on another placement.
    pub(super) fn check(
        &self,
        number: u32,
        home: &Text,
        failover: &Text,
        epoch: u64,
    ) -> Result<(), Refusal> {
        let known = self.all.get(&number).ok_or_else(|| unknown(Noun::Workload, number))?;
        check_epoch(epoch, known.epoch)?;
        if known.home != *home || known.failover != *failover {
            let (home, failover) = (known.home.clone(), known.failover.clone());
            return Err(Refusal::Placed { home, failover });
        }
        Ok(())
    }

    /// `epoch` is the last that was given out, of anything.
    pub(super) fn assign(
        &mut self,
        number: u32,
        owner: Option<u64>,
        expected: u64,
        nodes: &Nodes,
        epoch: &mut u64,
    ) -> Answer {
        let known = self.all.get_mut(&number).ok_or_else(|| unknown(Noun::Workload, number))?;
        check_epoch(expected, known.epoch)?;
        if let Some(id) = owner {
            let node = nodes.get(id)?;
            if !node.admitted {
                return Err(Refusal::NotAdmitted(id));
            }
            if node.region != known.home && node.region != known.failover {
                return Err(Refusal::OutsideRegions(id));
            }
        }
        if !is_live(Mutant::AssignmentKeepsEpoch) {
            *epoch = epoch.saturating_add(1);
        }
        (known.owner, known.epoch) = (owner, *epoch);
        Ok(Reply::Epoch(*epoch))
    }

    pub(super) fn remove(&mut self, number: u32, expected: u64) -> Answer {
        let known = self.all.get(&number).ok_or_else(|| unknown(Noun::Workload, number))?;
        check_epoch(expected, known.epoch)?;
        if let Some(owner) = known.owner {
            let (number, owner) = (number.to_string().into(), owner.to_string().into());
            return Err(Refusal::InUse(Noun::Workload, number, Noun::Node, owner));
        }
        self.all.remove(&number);
        self.shards.retain(|_, w| *w != number);
        Ok(Reply::Done)
    }
}

/// Refuses what was decided on an older state.
pub(super) const fn check_epoch(expected: u64, current: u64) -> Result<(), Refusal> {
    if expected == current { Ok(()) } else { Err(Refusal::StaleEpoch { expected, current }) }
}
