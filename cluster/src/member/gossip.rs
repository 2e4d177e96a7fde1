//! What replication needs of a member.

use super::{Inner, Me};
use crate::fabric::Fabric;
use crate::replication::{Peer, Peers, Replication, Storage, Wall};
use regions::clock::Replica;
use std::sync::{Arc, Weak};

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
            there.map(|(id, n)| (*id, peer(n))).collect()
        });
        known
    })
}
