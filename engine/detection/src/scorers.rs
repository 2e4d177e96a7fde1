//! One detector at work in one shard: a scorer for each class of events, made anew when the bundle
//! changes.

use crate::bundle::Bundle;
use crate::detector::{Error, RowScore, Scorer};
use crate::ensemble::asked;
use crate::features::FeatureBatch;
use std::collections::BTreeMap;
use threat::{DetectorKind, EventClass};

/// A detector's answers to a feature batch: for each of its blocks one answer a row, or `None`
/// where the detector has no vote or no model for the block's class.
pub type BatchScores = Vec<Option<Vec<RowScore>>>;

/// The scorers of one detector.
pub struct Scorers {
    kind: DetectorKind,
    bundle: u64,
    by_class: BTreeMap<EventClass, Box<dyn Scorer>>,
}

impl Scorers {
    /// Without models; the first batch brings its bundle.
    pub fn new(kind: DetectorKind) -> Self {
        Self { kind, bundle: 0, by_class: BTreeMap::new() }
    }

    /// Which detector this is.
    pub const fn kind(&self) -> DetectorKind {
        self.kind
    }

    fn adopt(&mut self, bundle: &Bundle) {
        if self.bundle == bundle.id() {
            return;
        }
        self.bundle = bundle.id();
        self.by_class = bundle
            .classes
            .iter()
            .filter_map(|(&class, models)| {
                let (model, _) = models.model(self.kind)?;
                Some((class, std::sync::Arc::clone(model).scorer()))
            })
            .collect();
    }

    /// Scores the blocks whose class this detector votes on, with the batch's own bundle.
    ///
    /// # Errors
    /// The first error of a scorer; the batch then has no answer from this detector.
    pub fn score(&mut self, features: &FeatureBatch) -> Result<BatchScores, Error> {
        let Some(bundle) = &features.bundle else {
            return Ok(vec![None; features.blocks.len()]);
        };
        self.adopt(bundle);
        features
            .blocks
            .iter()
            .map(|(class, block, _)| {
                if !asked(*class).contains(&self.kind) {
                    return Ok(None);
                }
                let Some(scorer) = self.by_class.get_mut(class) else { return Ok(None) };
                let mut out = Vec::with_capacity(block.len());
                scorer.score(block, &mut out)?;
                Ok(Some(out))
            })
            .collect()
    }
}
