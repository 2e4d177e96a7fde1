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
    /// Becomes what the log says. What it says already is not made anew: mostly one workload of all
    /// has another owner.
    pub fn follow(&mut self, log: &ControlLog) {
        let (nodes, all) = (log.nodes().present(), log.workloads().all());
        // A workload keeps its shards for its life.
        if !self.workloads.iter().eq(all.keys()) {
            self.workloads = all.keys().copied().collect();
            self.shards.clear();
            for (number, workload) in all {
                self.shards.extend(workload.shards.iter().map(|shard| (*shard, *number)));
            }
            self.owned.retain(|number, _| all.contains_key(number));
        }
        // Names are compared once for each owner: all of its workloads have the same.
        let mut named: Vec<u64> = Vec::with_capacity(nodes.len());
        for (number, workload) in all {
            let owner = workload.owner.and_then(|id| Some((id, nodes.get(&id)?)));
            let Some((id, node)) = owner else {
                self.owned.remove(number);
                continue;
            };
            let same = |known: &Arc<Owned>| {
                (known.node, known.epoch) == (id, workload.epoch)
                    && (named.contains(&id) || known.is_at(node))
            };
            if self.owned.get(number).is_some_and(same) {
                if !named.contains(&id) {
                    named.push(id);
                }
                continue;
            }
            let owned = Owned {
                workload: *number,
                node: id,
                name: node.name.to_string(),
                region: node.region.to_string(),
                address: node.address.to_string(),
                epoch: workload.epoch,
            };
            self.owned.insert(*number, Arc::new(owned));
        }
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
        let numbers = self.workloads.iter().eq(all.keys());
        owned.next().is_none() && numbers
    }
}
