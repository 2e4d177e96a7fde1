//! Consensus over the fabric.

use super::Inner;
use crate::consensus::{Answering, Peer, Wire, WireError};
use crate::fabric::{Error, Fabric, Lane};
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock, Weak};
use std::time::Duration;
use tokio::sync::watch;

/// The way to other nodes, by id. A node that moved is found where the control log says.
pub(super) struct Links {
    fabric: Arc<Fabric>,
    addresses: RwLock<BTreeMap<u64, String>>,
}

impl Links {
    pub(super) fn new(fabric: Arc<Fabric>) -> Self {
        Self { fabric, addresses: RwLock::default() }
    }

    /// Learns addresses from the control log, for as long as the node is there.
    pub(super) async fn follow(
        self: Arc<Self>,
        mut changes: watch::Receiver<u64>,
        inner: Weak<Inner>,
    ) {
        loop {
            let Some(inner) = inner.upgrade() else { return };
            let (_, known) = inner.consensus.read(|log| {
                let present = log.nodes().present().iter();
                present.map(|(id, n)| (*id, n.address.to_string())).collect()
            });
            drop(inner);
            // Nothing panics while it is held.
            *self.addresses.write().unwrap_or_else(PoisonError::into_inner) = known;
            if changes.changed().await.is_err() {
                return;
            }
        }
    }
}

impl Wire for Links {
    fn send<'a>(&'a self, to: &'a Peer, request: Vec<u8>, timeout: Duration) -> Answering<'a> {
        Box::pin(async move {
            let known = {
                let addresses = self.addresses.read().unwrap_or_else(PoisonError::into_inner);
                addresses.get(&to.id).cloned()
            };
            let address = known.as_ref().unwrap_or(&to.address);
            self.fabric.ask(address, to.id, Lane::Raft, request, timeout).await.map_err(|e| match e
            {
                Error::Timeout => WireError::Timeout,
                other => WireError::Unreachable(other.to_string()),
            })
        })
    }
}
