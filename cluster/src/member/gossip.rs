//! What replication needs of a member.

use super::{Inner, Me};
use crate::consensus::Role;
use crate::coordinator::limits::ROUND_TIME;
use crate::fabric::Fabric;
use crate::replication::{Around, Peer, Peers, Replication, Storage, Wall};
use regions::clock::Replica;
use regions::threats::collection::Floor;
use std::sync::{Arc, Weak};
use tokio::time::sleep;

/// The replication of a node.
pub(super) fn replication_of(
    me: &Me,
    storage: Storage,
    wall: Wall,
    fabric: &Arc<Fabric>,
) -> Arc<Replication> {
    // A node that lost its file of threats comes back in another life, so what it wrote before is
    // never taken for newer than what it writes then.
    let incarnation = u32::try_from(me.incarnation).unwrap_or(u32::MAX);
    let replica = Replica { node: me.id, incarnation };
    Replication::new(me.name.clone(), replica, storage, wall, Arc::clone(fabric))
}

/// The members that are there, as the control log has them here.
pub(super) fn peers(inner: Weak<Inner>) -> Peers {
    Box::new(move || {
        let Some(inner) = inner.upgrade() else { return Default::default() };
        let (_, known) = inner.consensus.read(|log| {
            // An id that was given and never used is nobody's yet.
            let there = log.nodes().present().iter().filter(|(_, n)| n.incarnation > 0);
            let peer = |n: &regions::control_log::Node| Peer {
                name: n.name.to_string(),
                address: n.address.to_string(),
            };
            let peers = there.map(|(id, n)| (*id, peer(n))).collect();
            Around { peers, floor: Floor::of(log.settings()) }
        });
        known
    })
}

/// Has closed threats collected, whenever this node leads.
pub(super) async fn collect(inner: Arc<Inner>) {
    let every = inner.replication.collect_every();
    loop {
        sleep(every).await;
        let (consensus, replication) = (&inner.consensus, &inner.replication);
        if consensus.status().role != Role::Leader || replication.raise_floor().is_none() {
            continue;
        }
        // A leader must have moved to the last floor before it says who is away for the next.
        if consensus.read_linearizable(ROUND_TIME, |_| ()).await.is_err() {
            continue;
        }
        let Some(command) = replication.raise_floor() else { continue };
        // What came of it is seen in the log.
        if let Ok(reply) = consensus.proposal(inner.request(command), ROUND_TIME).await
            && let Some(refusal) = reply.refusal()
        {
            tracing::info!("closed threats are not collected now: {refusal}");
        }
    }
}
