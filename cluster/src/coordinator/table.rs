//! Who owns what, as a node knows it from the log.

use regions::control_log::{ControlLog, Node};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A workload with its owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owned {
    /// Which.
    pub workload: u32,
    /// The owner's id.
    pub node: u64,
    /// The owner's name.
    pub name: String,
    /// The owner's region.
    pub region: String,
    /// Where the owner listens.
    pub address: String,
    /// Under which epoch it owns it.
    pub epoch: u64,
}

impl Owned {
    fn is_at(&self, node: &Node) -> bool {
        *self.name == *node.name && *self.region == *node.region && *self.address == *node.address
    }
}

/// Who owns what.
#[derive(Default)]
pub(super) struct Table {
    /// The workload of each shard that has one.
    pub shards: BTreeMap<u32, u32>,
    /// All there are.
    workloads: BTreeSet<u32>,
    /// Those that have an owner.
    pub owned: BTreeMap<u32, Arc<Owned>>,
}

impl Table {
    /// As the log says.
    pub fn of(log: &ControlLog) -> Self {
        let (nodes, mut new) = (log.nodes().present(), Self::default());
        for (number, workload) in log.workloads().all() {
            new.workloads.insert(*number);
            new.shards.extend(workload.shards.iter().map(|shard| (*shard, *number)));
            if let Some((id, node)) = workload.owner.and_then(|id| Some((id, nodes.get(&id)?))) {
                let owned = Owned {
                    workload: *number,
                    node: id,
                    name: node.name.to_string(),
                    region: node.region.to_string(),
                    address: node.address.to_string(),
                    epoch: workload.epoch,
                };
                new.owned.insert(*number, Arc::new(owned));
            }
        }
        new
    }

    /// Whether the log says the same. Asked ten times a second.
    pub fn is_of(&self, log: &ControlLog) -> bool {
        let (nodes, all) = (log.nodes().present(), log.workloads().all());
        // Names are told apart once for each owner: all of its workloads have the same.
        let mut named: Vec<u64> = Vec::with_capacity(nodes.len());
        let mut owned = self.owned.iter();
        for (number, workload) in all {
            let Some(id) = workload.owner else { continue };
            let known = named.contains(&id);
            let node = if known { None } else { nodes.get(&id) };
            if !known && node.is_none() {
                continue;
            }
            let same = owned.next().is_some_and(|(known, owned)| {
                (*known, owned.node, owned.epoch) == (*number, id, workload.epoch)
                    && node.is_none_or(|node| owned.is_at(node))
            });
            if !same {
                return false;
            }
            named.extend(node.map(|_| id));
        }
        // A workload keeps its shards for its life.
        let numbers = self.workloads.iter().eq(all.keys());
        owned.next().is_none() && numbers
    }
}
