//! Gets what the control log names and this node does not have: from its own disk, else from a node
//! that holds it; tested before anything is done with it.

use super::limits::{AGAIN, BUNDLE_BYTES, PLAYBOOK_BYTES};
use super::{Core, Error, Held, blobs, lock};
use crate::recorder::keep_cluster_bundle;
use detection::bundle::Bundle;
use regions::control_log::{ControlLog, Hash, Stage};
use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::Arc;
use tokio::time::sleep;

/// What the log names.
#[derive(Debug, Default)]
struct Named {
    /// Bundles by version: the hash, and whether it has to be in memory.
    bundles: BTreeMap<u64, (Hash, bool)>,
    playbooks: Vec<Hash>,
    /// Other nodes.
    peers: Vec<(u64, String)>,
}

impl Named {
    fn of(log: &ControlLog, me: u64) -> Self {
        let former = log.bundles().former();
        let bundle = |(version, b): (&u64, &regions::control_log::Bundle)| {
            let used = match b.stage {
                Stage::Shadow | Stage::Canary(_) | Stage::Active => true,
                // What may be gone back to is at hand.
                Stage::Former if former == Some(*version) => true,
                Stage::Registered => false,
                Stage::Former | Stage::RolledBack => return None,
            };
            Some((*version, (b.hash, used)))
        };
        let playbooks = log.playbooks().all().values().flat_map(|p| p.versions.values());
        let present = log.nodes().present().iter().filter(|(id, _)| **id != me);
        let mut peers: Vec<(u64, String)> =
            present.map(|(id, n)| (*id, n.address.to_string())).collect();
        // Each begins with the next one, so that not all ask the same.
        let after = peers.iter().position(|(id, _)| *id > me).unwrap_or_default();
        peers.rotate_left(after);
        let bundles = log.bundles().all().iter().filter_map(bundle).collect();
        Self { bundles, playbooks: playbooks.copied().collect(), peers }
    }
}

impl Core {
    /// Fetches for as long as it is polled.
    pub(super) async fn fetch(&self) -> Result<Infallible, Error> {
        let mut changes = self.needs.view.changes().ok_or(Error::Ended)?;
        // Looked for once: playbooks are many.
        let mut here: BTreeSet<Hash> = BTreeSet::new();
        loop {
            changes.mark_unchanged();
            let me = self.needs.me.id;
            let named = self.needs.view.read(|log| Named::of(log, me)).ok_or(Error::Ended)?;
            lock(&self.held).retain(|version, _| named.bundles.contains_key(version));
            let mut missing = false;
            for (version, (hash, used)) in &named.bundles {
                let known = lock(&self.held).get(version).cloned();
                let held = match known {
                    Some(Held::Ready(_) | Held::Refused(_)) => continue,
                    Some(Held::Stored) if !used => continue,
                    _ => self.bundle(*hash, *used, &named.peers).await?,
                };
                missing |= matches!(held, Held::Missing(_));
                lock(&self.held).insert(*version, held);
                self.fetched.notify_one();
            }
            for hash in &named.playbooks {
                if !here.contains(hash) && self.playbook(*hash, &named.peers).await? {
                    here.insert(*hash);
                }
                missing |= !here.contains(hash);
            }
            if missing {
                sleep(AGAIN).await;
            } else if changes.changed().await.is_err() {
                return Err(Error::Ended);
            }
        }
    }

    async fn bundle(&self, hash: Hash, used: bool, peers: &[(u64, String)]) -> Result<Held, Error> {
        let bytes = match self.blobs.get(hash).await? {
            Some(bytes) => bytes,
            None => match blobs::pull(&self.needs.fabric, peers, hash, BUNDLE_BYTES).await {
                Ok(bytes) => Arc::new(bytes),
                Err(reason) => return Ok(Held::Missing(reason)),
            },
        };
        let tested = match self.test_and_keep(bytes).await? {
            Ok(bundle) => bundle,
            Err(reason) => {
                tracing::error!("a bundle of the cluster is not used here: {reason}");
                return Ok(Held::Refused(reason));
            }
        };
        Ok(if used { Held::Ready(tested) } else { Held::Stored })
    }

    /// Decodes a bundle, which tests it, and keeps it, where `explain` finds it, too.
    pub(super) async fn test_and_keep(
        &self,
        bytes: Arc<Vec<u8>>,
    ) -> Result<Result<Arc<Bundle>, String>, Error> {
        let store = Arc::clone(&self.needs.store);
        let kept = tokio::task::spawn_blocking(move || {
            let bundle = match Bundle::decode(&bytes) {
                Ok(bundle) => bundle,
                Err(error) => return Ok(Err(error.to_string())),
            };
            keep_cluster_bundle(&store, &bundle, &bytes)?;
            Ok(Ok(Arc::new(bundle)))
        });
        // Bytes on which decoding panics are no bundle.
        kept.await.unwrap_or_else(|e| Ok(Err(e.to_string()))).map_err(Error::Store)
    }

    /// Whether a playbook is here.
    async fn playbook(&self, hash: Hash, peers: &[(u64, String)]) -> Result<bool, Error> {
        if self.blobs.get(hash).await?.is_some() {
            return Ok(true);
        }
        match blobs::pull(&self.needs.fabric, peers, hash, PLAYBOOK_BYTES).await {
            Ok(bytes) => self.put(bytes).await.map(|()| true),
            Err(_) => Ok(false),
        }
    }

    /// Keeps a blob.
    pub(super) async fn put(&self, bytes: Vec<u8>) -> Result<(), Error> {
        let store = Arc::clone(&self.needs.store);
        let put = tokio::task::spawn_blocking(move || store.put_blob(&bytes).map(drop)).await;
        Ok(put.unwrap_or(Ok(()))?)
    }
}
