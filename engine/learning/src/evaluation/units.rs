//! Judging whole units (a session, a block of commands) by the scores of their rows.
//!
//! A unit's score is one number made of its rows' scores; calibrated on units of training data that
//! the model did not learn from, it is held against the budget. This is what the ensemble does with
//! a single voter's row.

use detection::block::Block;
use detection::calibration::{Budget, Calibrator};
use detection::detector::{Model, RowScore, Train, TrainOptions};
use detection::detectors::CATALOGUE;
use std::sync::Arc;
use threat::DetectorKind;

/// Why a set could not be judged.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The catalogue has no such detector, or it learns from labels alone.
    #[error("no detector {0} learns from benign rows alone")]
    NoDetector(&'static str),
    /// A detector refused its rows.
    #[error(transparent)]
    Detector(#[from] detection::detector::Error),
    /// Too little was held out.
    #[error("too little to calibrate on: {0}")]
    Calibration(#[from] detection::calibration::Error),
    /// More kinds of events than a token can number.
    #[error("{0} kinds of events are more than tokens can number")]
    Alphabet(usize),
}

/// What the system says about units.
#[derive(Clone, Debug, PartialEq)]
pub struct Judged {
    /// The detector's score of each unit.
    pub scores: Vec<f32>,
    /// −log10 of the probability that a benign unit scores as high.
    pub tails: Vec<f32>,
    /// Whether the unit is over the threshold of the budget.
    pub verdicts: Vec<bool>,
    /// Held-out units that the threshold was made of.
    pub held_out: usize,
}

/// Decides `scores` within `budget`, by what benign `held` units scored.
///
/// # Errors
/// When too few units were held out.
pub fn decide(held: &[f32], scores: Vec<f32>, budget: &Budget) -> Result<Judged, Error> {
    let calibrator = Calibrator::fit(held)?;
    let threshold = calibrator.score_at(budget.threshold_tail(None));
    Ok(Judged {
        tails: scores.iter().map(|&s| calibrator.tail(s)).collect(),
        verdicts: scores.iter().map(|&s| s >= threshold).collect(),
        held_out: held.len(),
        scores,
    })
}

/// Trains a detector of the catalogue.
///
/// # Errors
/// When there is no such detector, or it refuses the rows.
pub fn train(kind: DetectorKind, block: &Block, seed: u64) -> Result<Arc<dyn Model>, Error> {
    match CATALOGUE.iter().find(|e| e.kind == kind).map(|e| e.train) {
        Some(Train::Benign(train)) => Ok(train(block, &TrainOptions { seed })?),
        // One that learns from labels has none to learn from here.
        Some(Train::Labelled(_)) | None => Err(Error::NoDetector(kind.name())),
    }
}

/// One score a unit: `fold` over the scores of its rows, where `unit[row]` says whose a row is.
/// Rows on which the detector abstains do not count; a unit without any other row scores `empty`.
///
/// # Errors
/// When the detector refuses the rows.
pub fn score(
    model: &Arc<dyn Model>,
    block: &Block,
    unit: &[usize],
    units: usize,
    empty: f32,
    fold: impl Fn(&[f32]) -> f32,
) -> Result<Vec<f32>, Error> {
    let mut out = Vec::new();
    Arc::clone(model).scorer().score(block, &mut out)?;
    let mut rows: Vec<Vec<f32>> = vec![Vec::new(); units];
    for (score, &unit) in out.iter().zip(unit) {
        if let RowScore::Score(s) = score {
            rows[unit].push(*s);
        }
    }
    Ok(rows.iter().map(|r| if r.is_empty() { empty } else { fold(r) }).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_threshold_keeps_the_budget_on_what_was_held_out() {
        let held: Vec<f32> = (0..2_000).map(|i| ((i * 7_919) % 2_000) as f32).collect();
        let judged = decide(&held, held.clone(), &Budget::Percent(1.0)).unwrap();
        let over = judged.verdicts.iter().filter(|v| **v).count();
        assert!((10..=30).contains(&over), "{over} of 2,000");
        let least = |wanted| {
            let rows = judged.tails.iter().zip(&judged.verdicts);
            rows.filter(move |r| *r.1 == wanted).map(|r| *r.0)
        };
        assert!(least(true).fold(f32::MAX, f32::min) >= least(false).fold(0.0, f32::max));
        assert!(decide(&held[..10], held.clone(), &Budget::Percent(1.0)).is_err());
    }
}
