//! The cluster as the data path of a member sees it.

use crate::datapath::{ClusterView, Owner, Peer};
use cluster::coordinator::Ownership;
use cluster::member::{Me, Member, View};
use regions::control_log::{ControlLog, Node};
use regions::spread::SHARDS;
use std::collections::BTreeMap;
use std::time::Duration;

/// The cluster as a member's data path sees it.
pub fn cluster_view(member: &Member) -> impl ClusterView + use<> {
    Applied { me: member.me().clone(), view: member.view(), ownership: member.ownership() }
}

/// What a member has applied, as the data path needs it.
struct Applied {
    me: Me,
    view: View,
    ownership: Ownership,
}

impl ClusterView for Applied {
    fn me(&self) -> u64 {
        self.me.id
    }

    fn region(&self) -> String {
        self.me.region.clone()
    }

    fn shards(&self) -> usize {
        SHARDS as usize
    }

    fn owner(&self, shard: usize) -> Option<Owner> {
        let owned = self.ownership.of_shard(shard as u32)?;
        let (workload, node, address) = (owned.workload, owned.node, owned.address.clone());
        Some(Owner { workload, node, address })
    }

    fn acts(&self, workload: u32) -> bool {
        self.ownership.acts(workload).is_some()
    }

    fn acting(&self) -> BTreeMap<u32, u64> {
        self.ownership.acting()
    }

    fn regions_of(&self, workload: u32) -> Option<(String, String)> {
        let look = |log: &ControlLog| {
            let workload = log.workloads().all().get(&workload)?;
            Some((workload.home.to_string(), workload.failover.to_string()))
        };
        self.view.read(look).flatten()
    }

    fn sent(&self, age: Option<Duration>) {
        self.ownership.sent(age);
    }

    fn held(&self) {
        self.ownership.held();
    }

    fn peers(&self) -> Vec<Peer> {
        let peer = |(id, n): (&u64, &Node)| Peer {
            node: *id,
            region: n.region.to_string(),
            address: n.address.to_string(),
        };
        let peers = self.view.read(|log| {
            let present = log.nodes().present().iter();
            present.filter(|(id, n)| n.admitted && **id != self.me.id).map(peer).collect()
        });
        peers.unwrap_or_default()
    }
}
