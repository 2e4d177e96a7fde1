//! A second opinion without effect: the very rows that were judged, judged anew under another
//! bundle. Features do not depend on the bundle, so nothing of the entities' past is missing.

use crate::block::Block;
use crate::bundle::Bundle;
use crate::calibration::Budget;
use crate::ensemble::{Answers, Ensemble, RULE_THREAT};
use crate::features::FeatureBatch;
use crate::scorers::Scorers;
use ndarray::Array2;
use std::sync::Arc;
use threat::verdict::Absence;
use threat::{Ballot, DetectorKind, EventClass, Verdict, VerdictSource};

/// Judges under one bundle after the other; each keeps its memory as long as it is the same.
pub struct Shadow {
    scorers: Vec<Scorers>,
    ensemble: Ensemble,
}

impl Shadow {
    /// Decides within `budget`.
    pub fn new(budget: Budget) -> Self {
        let scorers = DetectorKind::ALL.into_iter().map(Scorers::new).collect();
        Self { scorers, ensemble: Ensemble::new(budget) }
    }

    /// The verdicts that `bundle` gives the rows of a batch. The rules that matched are those of
    /// the verdicts that the rows have.
    pub fn judge(
        &mut self,
        features: &FeatureBatch,
        verdicts: &[Verdict],
        bundle: Option<&Arc<Bundle>>,
    ) -> Vec<Verdict> {
        let features = under(features, bundle);
        let answers: Answers = self
            .scorers
            .iter_mut()
            .map(|s| (s.kind(), s.score(&features).map_err(|_| Absence::Failed)))
            .collect();
        let hits = verdicts.iter().map(|v| v.rules.clone()).collect();
        self.ensemble.decide(&features, &answers, hits)
    }
}

/// The rows of a batch as another bundle's models read them.
fn under(features: &FeatureBatch, bundle: Option<&Arc<Bundle>>) -> FeatureBatch {
    let block = |(class, block, places): &(EventClass, Block, Vec<u32>)| {
        let models = bundle.and_then(|b| b.classes.get(class));
        let encoded = models.map_or_else(
            || Array2::zeros((block.len(), 0)),
            |m| m.encoder.encode(block.raw.view(), block.categories.view()),
        );
        (*class, Block { encoded, ..block.clone() }, places.clone())
    };
    FeatureBatch {
        batch: Arc::clone(&features.batch),
        rows: features.rows.clone(),
        windows: features.windows.clone(),
        repeats: features.repeats.clone(),
        blocks: features.blocks.iter().map(block).collect(),
        bundle: bundle.cloned(),
    }
}

/// Whether it is a threat by the models' word: no rule alone would have made it one.
pub fn alarms(verdict: &Verdict) -> bool {
    verdict.threat && verdict.rules.iter().all(|r| r.severity < RULE_THREAT)
}

/// Whether votes that should be there are not: a voter is missing, or the rules decided alone.
pub fn lacks_votes(verdict: &Verdict) -> bool {
    let missing = |b: Ballot| matches!(b, Ballot::Missing(_));
    verdict.source == VerdictSource::Rules || verdict.votes.iter().any(|v| missing(v.ballot))
}
