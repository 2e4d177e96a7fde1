//! One shard's path from events to verdicts, called straight: the yardstick that the actor path is
//! measured against, and what tests, training and replay use.

use crate::bundle::Bundle;
use crate::calibration::Budget;
use crate::ensemble::{Answers, Ensemble};
use crate::features::state::{self, Piece};
use crate::features::{Around, FeatureBatch, Featurizer, Limits};
use crate::rules::{CorrelationInput, EventView, Matched, RuleSet};
use crate::scorers::Scorers;
use std::sync::Arc;
use threat::verdict::Absence;
use threat::{DetectorKind, EventBatch, Verdict};

/// A shard without actors.
pub struct Engine {
    featurizer: Featurizer,
    scorers: Vec<Scorers>,
    rules: Arc<RuleSet>,
    ensemble: Ensemble,
}

impl Engine {
    /// Empty state within `limits`.
    pub fn new(limits: Limits, rules: Arc<RuleSet>, budget: Budget) -> Self {
        Self {
            featurizer: Featurizer::new(limits),
            scorers: DetectorKind::ALL.into_iter().map(Scorers::new).collect(),
            rules,
            ensemble: Ensemble::new(budget),
        }
    }

    /// What changed of entities since this was last called (see [`Featurizer::take_changed`]).
    /// Detectors hold nothing else of them: a sequence's state is a function of the tokens.
    pub fn take_changed(&mut self) -> Vec<Piece> {
        self.featurizer.take_changed()
    }

    /// Goes on with a piece of another engine.
    ///
    /// # Errors
    /// When it is no such state; nothing is changed then.
    pub fn restore(&mut self, piece: &Piece) -> Result<(), state::Error> {
        self.featurizer.restore(piece)
    }

    /// Verdicts for the given rows of a batch, in order.
    pub fn process(
        &mut self,
        batch: &Arc<EventBatch>,
        rows: Vec<u32>,
        around: &[Around],
        bundle: Option<Arc<Bundle>>,
    ) -> (FeatureBatch, Vec<Verdict>, Vec<Option<CorrelationInput>>) {
        let features = self.featurizer.extract(batch, rows, around, bundle);
        let (hits, correlations) =
            matches(&self.rules, &features).into_iter().map(|m| (m.hits, m.correlation)).unzip();
        let answers: Answers = self
            .scorers
            .iter_mut()
            .map(|s| (s.kind(), s.score(&features).map_err(|_| Absence::Failed)))
            .collect();
        let verdicts = self.ensemble.decide(&features, &answers, hits);
        (features, verdicts, correlations)
    }
}

/// What rules match of each row.
pub fn matches(rules: &RuleSet, features: &FeatureBatch) -> Vec<Matched> {
    features
        .rows
        .iter()
        .zip(&features.windows)
        .map(|(&at, window)| {
            let event = &features.batch.events[at as usize];
            rules.evaluate(&EventView::new(event, window, features.batch.raw(event)))
        })
        .collect()
}
