//! A bundle's verdicts on rows, by the same scorers and the same ensemble as a shard's.

use detection::block::Block;
use detection::bundle::Bundle;
use detection::calibration::Budget;
use detection::detector::RowScore;
use detection::ensemble::{Answers, Ensemble, REPEAT_LIMIT};
use detection::features::FeatureBatch;
use detection::scorers::Scorers;
use std::sync::Arc;
use threat::limits::BATCH_EVENTS;
use threat::verdict::Absence;
use threat::{Ballot, DetectorKind, EventBatch, EventClass, Verdict};

/// What was answered for one row.
#[derive(Clone, Debug, PartialEq)]
pub struct Judged {
    /// The ensemble's score: a calibrated tail.
    pub score: f32,
    /// It is a threat within the budget.
    pub threat: bool,
    /// Its source did the same so often before that it makes no verdict of its own.
    pub repeat: bool,
    /// Tail of each detector that scored it.
    pub tails: Vec<(DetectorKind, f32)>,
}

/// The scorers of a shard and its ensemble.
pub struct Judge {
    bundle: Arc<Bundle>,
    scorers: Vec<Scorers>,
    ensemble: Ensemble,
}

impl Judge {
    /// Judges with `bundle` within `budget`.
    pub fn new(bundle: Arc<Bundle>, budget: Budget) -> Self {
        let scorers = DetectorKind::ALL.into_iter().map(Scorers::new).collect();
        Self { bundle, scorers, ensemble: Ensemble::new(budget) }
    }

    /// The bundle that judges.
    pub const fn bundle(&self) -> &Arc<Bundle> {
        &self.bundle
    }

    fn decide(&mut self, features: &FeatureBatch) -> (Answers, Vec<Verdict>) {
        let answers: Answers = self
            .scorers
            .iter_mut()
            .map(|s| (s.kind(), s.score(features).map_err(|_| Absence::Failed)))
            .collect();
        let verdicts = self.ensemble.decide(features, &answers, Vec::new());
        (answers, verdicts)
    }

    /// The verdict of each row of a block that is not encoded, in order.
    pub fn verdicts(&mut self, class: EventClass, block: &Block) -> Vec<Verdict> {
        let mut all = Vec::with_capacity(block.len());
        let rows: Vec<usize> = (0..block.len()).collect();
        for rows in rows.chunks(BATCH_EVENTS) {
            let features = self.features(class, block.select(rows));
            all.extend(self.decide(&features).1);
        }
        all
    }

    /// One answer for each row of a batch whose features were extracted with this bundle.
    pub fn batch(&mut self, features: &FeatureBatch) -> Vec<Judged> {
        let (answers, verdicts) = self.decide(features);
        let labelled = |event: u32| self.labelled(features, &answers, event);
        verdicts
            .into_iter()
            .zip(&features.repeats)
            .map(|(v, &repeats)| Judged {
                score: v.score,
                threat: v.threat,
                repeat: repeats >= REPEAT_LIMIT,
                tails: v
                    .votes
                    .iter()
                    .filter_map(|vote| match vote.ballot {
                        Ballot::Voted { tail, .. } => Some((vote.detector, tail)),
                        _ => None,
                    })
                    .chain(labelled(v.event).map(|tail| (DetectorKind::Labelled, tail)))
                    .collect(),
            })
            .collect()
    }

    /// One answer for each row of a block that is not encoded, in order; `seen` hears how many
    /// there are so far.
    pub fn table(
        &mut self,
        class: EventClass,
        block: &Block,
        mut seen: impl FnMut(usize),
    ) -> Vec<Judged> {
        let mut judged = Vec::with_capacity(block.len());
        let rows: Vec<usize> = (0..block.len()).collect();
        for rows in rows.chunks(BATCH_EVENTS) {
            judged.extend(self.batch(&self.features(class, block.select(rows))));
            seen(judged.len());
        }
        judged
    }

    /// The labelled detector's tail of an event, whatever its share in the answer.
    fn labelled(&self, features: &FeatureBatch, answers: &Answers, event: u32) -> Option<f32> {
        let scores = answers.get(&DetectorKind::Labelled)?.as_ref().ok()?;
        features.blocks.iter().zip(scores).find_map(|((class, _, places), scores)| {
            let row = places.iter().position(|&p| features.rows[p as usize] == event)?;
            let (_, calibrator) = self.bundle.classes.get(class)?.model(DetectorKind::Labelled)?;
            match scores.as_ref()?.get(row)? {
                RowScore::Score(score) => Some(calibrator.tail(*score)),
                RowScore::Abstain => None,
            }
        })
    }

    /// A block encoded as the class's models read it.
    pub fn encoded(&self, class: EventClass, mut block: Block) -> Block {
        if let Some(models) = self.bundle.classes.get(&class) {
            block.encoded = models.encoder.encode(block.raw.view(), block.categories.view());
        }
        block
    }

    fn features(&self, class: EventClass, block: Block) -> FeatureBatch {
        let block = self.encoded(class, block);
        let places: Vec<u32> = (0..block.len() as u32).collect();
        FeatureBatch {
            batch: Arc::new(EventBatch::default()),
            windows: vec![Default::default(); places.len()],
            repeats: vec![0; places.len()],
            rows: places.clone(),
            blocks: vec![(class, block, places)],
            bundle: Some(Arc::clone(&self.bundle)),
        }
    }
}
