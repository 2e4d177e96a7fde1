//! A table of flows as the feature rows that `detect` makes of them, history and windows included.

use super::judge::{Judge, Judged};
use detection::block::Block;
use detection::bundle::Bundle;
use detection::features::{FeatureBatch, Featurizer, Limits, Surroundings};
use std::sync::Arc;
use threat::{EventBatch, EventClass};

/// The state of a shard that sees all of a capture.
struct Watcher {
    surroundings: Surroundings,
    featurizer: Featurizer,
}

impl Watcher {
    fn new() -> Self {
        let featurizer = Featurizer::new(Limits::per_shard(1));
        Self { surroundings: Surroundings::default(), featurizer }
    }

    fn look(&mut self, batch: &Arc<EventBatch>, bundle: Option<&Arc<Bundle>>) -> FeatureBatch {
        let around = self.surroundings.observe(batch);
        let rows = (0..batch.events.len() as u32).collect();
        self.featurizer.extract(batch, rows, &around, bundle.cloned())
    }
}

/// The flows of a capture as one block without encoding, in order; `None` when there is none.
pub fn block(batches: &[Arc<EventBatch>]) -> Option<Block> {
    let mut watcher = Watcher::new();
    let looked = batches.iter().flat_map(|b| watcher.look(b, None).blocks);
    let flows = looked.filter(|(class, ..)| *class == EventClass::Flow);
    Block::concat(&flows.map(|(_, block, _)| block).collect::<Vec<_>>())
}

/// One answer for each event of a capture, in order; `seen` hears how many there are so far.
pub fn judge(
    judge: &mut Judge,
    batches: &[Arc<EventBatch>],
    mut seen: impl FnMut(usize),
) -> Vec<Judged> {
    let mut watcher = Watcher::new();
    let mut judged = Vec::new();
    for batch in batches {
        let features = watcher.look(batch, Some(judge.bundle()));
        judged.extend(judge.batch(&features));
        seen(judged.len());
    }
    judged
}
