//! What the data path has to know of the cluster around it.

use std::collections::BTreeMap;
use std::time::Duration;

/// Where the entities of a shard are judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The workload that the shard is part of.
    pub workload: u32,
    /// The node that owns it.
    pub node: u64,
    /// Where that listens.
    pub address: String,
}

/// Another node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its id.
    pub node: u64,
    /// Its region.
    pub region: String,
    /// Where it listens.
    pub address: String,
}

/// The cluster as this node knows it now.
pub trait ClusterView: Send + Sync {
    /// This node's id.
    fn me(&self) -> u64;

    /// This node's region.
    fn region(&self) -> String;

    /// Number of shards that entities are spread over.
    fn shards(&self) -> usize;

    /// Who owns a shard, if anybody does.
    fn owner(&self, shard: usize) -> Option<Owner>;

    /// Whether this node may act for a workload at this moment.
    fn acts(&self, workload: u32) -> bool;

    /// All workloads that this node may act for at this moment, with the epoch.
    fn acting(&self) -> BTreeMap<u32, u64>;

    /// The home and the failover region of a workload.
    fn regions_of(&self, workload: u32) -> Option<(String, String)>;

    /// Tells operators: what other nodes have of all workloads that this one owns is so old now;
    /// `None` when one of them is nowhere else.
    fn sent(&self, _age: Option<Duration>) {}

    /// Tells operators: a whole checkpoint of another node's workload has come.
    fn held(&self) {}

    /// The other nodes of the cluster that are members for good.
    fn peers(&self) -> Vec<Peer>;
}
