//! The cluster around the nodes of a test.

use super::*;
use std::time::Instant;

/// Who owns each workload, and which nodes there are: what the control log says elsewhere.
#[derive(Default)]
pub(super) struct Known {
    pub(super) owners: BTreeMap<u32, u64>,
    pub(super) nodes: BTreeMap<u64, String>,
    /// How often owners changed.
    pub(super) epoch: u64,
    /// The other region of all workloads.
    pub(super) failover: String,
    /// When that was taken which others have of each node's workloads.
    pub(super) sent: BTreeMap<u64, Instant>,
}

#[derive(Clone, Default)]
pub(super) struct Log(pub(super) Arc<Mutex<Known>>);

pub(super) struct View {
    pub(super) me: u64,
    pub(super) log: Log,
}

impl ClusterView for View {
    fn me(&self) -> u64 {
        self.me
    }

    fn region(&self) -> String {
        self.log.0.lock().unwrap().nodes.get(&self.me).cloned().unwrap_or_default()
    }

    fn shards(&self) -> usize {
        SHARDS
    }

    fn owner(&self, shard: usize) -> Option<Owner> {
        let workload = shard as u32 / 4;
        let node = *self.log.0.lock().unwrap().owners.get(&workload)?;
        Some(Owner { workload, node, address: node.to_string() })
    }

    fn acts(&self, workload: u32) -> bool {
        self.log.0.lock().unwrap().owners.get(&workload) == Some(&self.me)
    }

    fn acting(&self) -> BTreeMap<u32, u64> {
        let known = self.log.0.lock().unwrap();
        let mine = known.owners.iter().filter(|(_, owner)| **owner == self.me);
        mine.map(|(workload, _)| (*workload, known.epoch + 1)).collect()
    }

    fn regions_of(&self, workload: u32) -> Option<(String, String)> {
        let known = self.log.0.lock().unwrap();
        let home = known.nodes.get(known.owners.get(&workload)?)?;
        Some((home.clone(), known.failover.clone()))
    }

    fn sent(&self, age: Option<Duration>) {
        if let Some(taken) = age.and_then(|age| Instant::now().checked_sub(age)) {
            self.log.0.lock().unwrap().sent.insert(self.me, taken);
        }
    }

    fn peers(&self) -> Vec<Peer> {
        let known = self.log.0.lock().unwrap();
        let others = known.nodes.iter().filter(|(node, _)| **node != self.me);
        let peer = |(node, region): (&u64, &String)| Peer {
            node: *node,
            region: region.clone(),
            address: node.to_string(),
        };
        others.map(peer).collect()
    }
}
