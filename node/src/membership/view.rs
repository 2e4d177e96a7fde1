//! The cluster as the data path of a member sees it.

use crate::datapath::{ClusterView, Owner, Peer};
use cluster::member::{Me, View};
use regions::control_log::limits::SHARDS;
use regions::control_log::{ControlLog, Node};

/// What a member has applied, as the data path needs it.
pub(super) struct Applied {
    me: Me,
    view: View,
}

impl Applied {
    pub(super) const fn new(me: Me, view: View) -> Self {
        Self { me, view }
    }
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
        let owner = |log: &ControlLog| {
            let (workload, known) = log.workloads().of_shard(shard as u32)?;
            let node = known.owner?;
            let address = log.nodes().present().get(&node)?.address.to_string();
            Some(Owner { workload, node, address })
        };
        self.view.read(owner)?
    }

    fn acts(&self, workload: u32) -> bool {
        let owns = |log: &ControlLog| {
            log.workloads().all().get(&workload).and_then(|w| w.owner) == Some(self.me.id)
        };
        self.view.read(owns).unwrap_or_default()
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
