//! The model host: the bundle in use, and the one that is being made.
//!
//! A bundle is taken up at a batch boundary that is fixed when its training begins, so that for a
//! source that can wait the same input gives the same verdicts however long training takes. A
//! source that cannot wait takes the bundle up as soon as it is there.

use crate::ports::{self, BoxFuture};
use detection::block::Block;
use detection::bundle::Bundle;
use learning::Settings;
use std::collections::BTreeMap;
use std::sync::Arc;
use threat::EventClass;
use threat::Label;
use threat::limits::SHARD_CREDITS;
use tokio::sync::watch;

/// Keeps bundles by their hash, where `watchfire explain` finds them again.
pub trait BundleKeeper: Send + Sync {
    /// Durable when ready.
    fn keep(&self, bundle: Arc<Bundle>) -> BoxFuture<'_, Result<(), ports::Error>>;
}

/// Batches between the start of a training and the use of its bundle, and the most that a patient
/// source deals ahead of the verdicts while models learn, so that the boundary is always ahead
/// and is the same for any number of shards. Twice the batches that one shard holds.
pub const ADOPTION: u64 = 2 * SHARD_CREDITS as u64;

#[derive(Clone, Debug, Default)]
struct State {
    current: Option<Arc<Bundle>>,
    /// What is used in its place, on the word of the cluster.
    assigned: Option<Arc<Bundle>>,
    /// Batch from which a bundle in the making is to be used.
    due: Option<u64>,
    made: Option<Arc<Bundle>>,
    /// Batches judged, while models learn from them.
    settled: Option<u64>,
    failures: u64,
}

/// Shared by the dealer and whoever trains. Cheap to clone.
#[derive(Clone, Debug)]
pub struct ModelHost {
    state: Arc<watch::Sender<State>>,
}

impl ModelHost {
    /// Starts with a bundle, or learning.
    pub fn new(bundle: Option<Arc<Bundle>>) -> Self {
        let state = State { current: bundle, ..State::default() };
        Self { state: Arc::new(watch::Sender::new(state)) }
    }

    /// The same, when the batches that are judged teach the next bundle.
    pub fn learning(bundle: Option<Arc<Bundle>>) -> Self {
        let state = State { current: bundle, settled: Some(0), ..State::default() };
        Self { state: Arc::new(watch::Sender::new(state)) }
    }

    /// All batches before this one are judged, and what follows from them is announced.
    pub fn settled(&self, next: u64) {
        self.state.send_modify(|s| s.settled = s.settled.max(Some(next)));
    }

    /// The bundle in use.
    pub fn current(&self) -> Option<Arc<Bundle>> {
        let state = self.state.borrow();
        state.assigned.as_ref().or(state.current.as_ref()).cloned()
    }

    /// What would be in use if nothing were assigned.
    pub fn own(&self) -> Option<Arc<Bundle>> {
        self.state.borrow().current.clone()
    }

    /// Uses a bundle from the next batch on, or what was learnt here again. While one is assigned,
    /// nothing new is learnt, and a bundle that is being made waits for it to be taken away.
    pub fn assign(&self, bundle: Option<Arc<Bundle>>) {
        self.state.send_modify(|s| s.assigned = bundle);
    }

    /// Whether somebody else says what is used.
    pub fn is_assigned(&self) -> bool {
        self.state.borrow().assigned.is_some()
    }

    /// Trainings that made no bundle.
    pub fn failures(&self) -> u64 {
        self.state.borrow().failures
    }

    /// A bundle is being made, or waits to be used.
    pub fn pending(&self) -> bool {
        let state = self.state.borrow();
        state.due.is_some() || state.made.is_some()
    }

    /// Announces that a bundle is being made and is to be used from batch `due` on.
    pub fn announce(&self, due: u64) {
        self.state.send_modify(|s| s.due = Some(due));
    }

    /// The training that was announced has ended.
    pub fn finish(&self, bundle: Option<Arc<Bundle>>) {
        self.state.send_modify(|s| {
            s.failures += u64::from(bundle.is_none());
            if bundle.is_none() {
                s.due = None;
            }
            s.made = bundle;
        });
    }

    /// The bundle for batch `sequence`. A patient source waits for one that is due; the others go
    /// on with what there is.
    pub async fn bundle_for(&self, sequence: u64, patient: bool) -> Option<Arc<Bundle>> {
        if patient {
            let mut changes = self.state.subscribe();
            let ready = |s: &State| {
                let known = s.settled.is_none_or(|next| sequence < next + ADOPTION);
                known && (s.due.is_none_or(|due| sequence < due) || s.made.is_some())
            };
            // The sender lives in `self`, so the wait ends with a state that is ready.
            let _ended = changes.wait_for(ready).await.is_err();
        }
        self.state.send_if_modified(|s| {
            let take = s.made.is_some() && s.due.is_none_or(|due| !patient || sequence >= due);
            if take {
                s.current = s.made.take();
                s.due = None;
            }
            take
        });
        self.current()
    }
}

/// Who makes bundles of what is watched.
#[derive(Clone)]
pub struct Learner {
    /// Who uses them.
    pub host: ModelHost,
    /// Who keeps them.
    pub keeper: Arc<dyn BundleKeeper>,
    /// Of every training.
    pub seed: u64,
    /// What analysts said: taught to every bundle.
    pub labels: Arc<[Label]>,
}

/// Trains on a thread of its own and hands the result to the host.
pub fn train(learner: Learner, blocks: BTreeMap<EventClass, Block>, settings: Settings) {
    let Learner { host, keeper, labels, .. } = learner;
    tokio::spawn(async move {
        let made = tokio::task::spawn_blocking(move || {
            let bundle = learning::train(&blocks, &settings)?;
            // What is used is what a later `explain` will load: the decoded, self-tested bytes.
            let bytes = bundle.encode().map_err(learning::Error::from)?;
            Bundle::decode(&bytes).map_err(learning::Error::from)
        })
        .await;
        let bundle = match made {
            Ok(Ok(bundle)) => Some(Arc::new(bundle)),
            Ok(Err(error)) => {
                tracing::warn!(%error, "no bundle was made");
                None
            }
            Err(error) => {
                tracing::error!(%error, "training panicked");
                None
            }
        };
        let kept = match bundle {
            Some(bundle) => keep(keeper.as_ref(), bundle, &labels).await.map(Some),
            None => Ok(None),
        };
        if let Err(error) = &kept {
            tracing::error!(%error, "the bundle could not be kept and is not used");
        }
        host.finish(kept.ok().flatten());
    });
}

/// Keeps a bundle as it was trained, and after what labels teach it; gives the one to be used.
///
/// # Errors
/// When it cannot be kept.
pub async fn keep(
    keeper: &dyn BundleKeeper,
    bundle: Arc<Bundle>,
    labels: &[Label],
) -> Result<Arc<Bundle>, ports::Error> {
    keeper.keep(Arc::clone(&bundle)).await?;
    match detection::labels::teach(&bundle, labels) {
        Ok(Some(taught)) => {
            let taught = Arc::new(taught);
            keeper.keep(Arc::clone(&taught)).await?;
            Ok(taught)
        }
        Ok(None) => Ok(bundle),
        Err(error) => {
            tracing::error!(%error, "labels are left out");
            Ok(bundle)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_patient_source_waits_for_what_is_due_and_no_earlier() {
        let host = ModelHost::new(None);
        host.announce(10);
        assert!(host.bundle_for(9, true).await.is_none());
        let waiting = tokio::spawn({
            let host = host.clone();
            async move { host.bundle_for(10, true).await }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        assert!(host.bundle_for(11, false).await.is_none(), "an impatient one goes on");
        host.finish(None);
        assert!(waiting.await.unwrap().is_none());
        assert_eq!(host.failures(), 1);
    }
}
