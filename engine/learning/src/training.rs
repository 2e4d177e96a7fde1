//! From a sample to a bundle: hold out, train, calibrate every voter and the vote, train again on
//! all.

use detection::block::Block;
use detection::bundle::{Bundle, ClassModels, Reference};
use detection::calibration::Calibrator;
use detection::detector::{Model, RowScore, TrainOptions};
use detection::detectors::CATALOGUE;
use detection::encoder::Encoder;
use detection::ensemble::voters;
use std::collections::BTreeMap;
use std::sync::Arc;
use threat::{DetectorKind, EventClass};

/// Rows of known-good data that a class needs before it gets models.
pub const CLASS_MIN_ROWS: usize = 400;

/// The sample is cut into so many stretches, and the end of each is held out, so that calibration
/// sees every part of a capture (or every capture of several) and still only later rows.
const STRETCHES: usize = 10;

/// Share of each stretch that is held out for calibration (see the study of detectors).
const HELD_OUT: f64 = 0.3;

/// Why no bundle was made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No class had enough rows for two voters.
    #[error("no class of events has the {needed} rows that models need; most: {most} of {class}")]
    TooFewRows {
        /// Rows that a class needs.
        needed: usize,
        /// Rows of the largest class.
        most: usize,
        /// Its name.
        class: &'static str,
    },
    /// The bundle could not be put together.
    #[error(transparent)]
    Bundle(#[from] detection::bundle::Error),
}

/// How a bundle is to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Same rows, same seed: same bytes.
    pub seed: u64,
    /// The bundle's version.
    pub version: u32,
    /// What it was learnt from, in words.
    pub origin: String,
    /// Rows that a class needs before it gets models: [`CLASS_MIN_ROWS`] of data known to be good,
    /// more of data that is only watched.
    pub class_rows: usize,
}

/// Learns a bundle from benign rows by class. Classes with too few rows get no models.
///
/// # Errors
/// When no class has enough rows.
pub fn train(blocks: &BTreeMap<EventClass, Block>, settings: &Settings) -> Result<Bundle, Error> {
    let mut classes = BTreeMap::new();
    for (&class, block) in blocks {
        if block.len() >= settings.class_rows
            && let Some(models) = train_class(class, block, settings.seed)
        {
            classes.insert(class, models);
        }
    }
    if classes.is_empty() {
        let largest = blocks.iter().max_by_key(|(_, b)| b.len());
        return Err(Error::TooFewRows {
            needed: settings.class_rows,
            most: largest.map_or(0, |(_, b)| b.len()),
            class: largest.map_or("any class", |(c, _)| c.name()),
        });
    }
    Ok(Bundle::new(settings.version, settings.seed, settings.origin.clone(), classes)?)
}

/// Rows to learn from and rows to calibrate on, both in event order.
pub fn hold_out(rows: usize) -> (Vec<usize>, Vec<usize>) {
    let stretch = rows.div_ceil(STRETCHES).max(1);
    let learnt = ((stretch as f64) * (1.0 - HELD_OUT)).ceil() as usize;
    (0..rows).partition(|row| row % stretch < learnt)
}

type Trained = Vec<(DetectorKind, Arc<dyn Model>)>;

fn encoded(block: &Block, encoder: &Encoder) -> Block {
    Block { encoded: encoder.encode(block.raw.view(), block.categories.view()), ..block.clone() }
}

fn train_all(class: EventClass, block: &Block, seed: u64) -> Trained {
    let options = TrainOptions { seed };
    CATALOGUE
        .iter()
        .filter(|entry| voters(class).contains(&entry.kind))
        .filter_map(|entry| Some((entry.kind, (entry.train)(block, &options).ok()?)))
        .collect()
}

fn train_class(class: EventClass, block: &Block, seed: u64) -> Option<ClassModels> {
    let (learn, held) = hold_out(block.len());
    let (learn, held) = (block.select(&learn), block.select(&held));
    let encoder = Encoder::fit(&block.schema, &learn.raw, &learn.categories);
    let first = train_all(class, &encoded(&learn, &encoder), seed);
    let held = encoded(&held, &encoder);
    let mut calibrators: BTreeMap<DetectorKind, Calibrator> = BTreeMap::new();
    let mut tails: Vec<Vec<f32>> = vec![Vec::new(); held.len()];
    for (kind, model) in first {
        let mut out = Vec::new();
        Arc::clone(&model).scorer().score(&held, &mut out).ok()?;
        let scores: Vec<f32> = out
            .iter()
            .filter_map(|s| if let RowScore::Score(s) = s { Some(*s) } else { None })
            .collect();
        let Ok(calibrator) = Calibrator::fit(&scores) else { continue };
        for (row, score) in out.iter().enumerate() {
            if let RowScore::Score(s) = score {
                tails[row].push(calibrator.tail(*s));
            }
        }
        calibrators.insert(kind, calibrator);
    }
    let seconds: Vec<f32> = tails
        .into_iter()
        .filter_map(|mut t| {
            t.sort_by(|a, b| b.total_cmp(a));
            t.get(1).copied()
        })
        .collect();
    let ensemble = Calibrator::fit(&seconds).ok()?;
    let encoder = Encoder::fit(&block.schema, &block.raw, &block.categories);
    let block = encoded(block, &encoder);
    let models: Vec<_> = train_all(class, &block, seed)
        .into_iter()
        .filter_map(|(kind, model)| Some((kind, model, calibrators.remove(&kind)?)))
        .collect();
    if models.len() < 2 {
        return None;
    }
    let window = (block.time.iter().min().copied()?, block.time.iter().max().copied()?);
    Some(ClassModels {
        schema: Arc::clone(&block.schema),
        reference: Reference::record(&block, &encoder, &models).ok()?,
        encoder,
        voters: voters(class),
        models,
        metrics: BTreeMap::new(),
        ensemble,
        rows: block.len() as u64,
        window,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holdout_is_three_tenths_of_every_stretch_and_disjoint() {
        for rows in [CLASS_MIN_ROWS, 999, 20_000] {
            let (learn, held) = hold_out(rows);
            assert_eq!(learn.len() + held.len(), rows);
            let share = held.len() as f64 / rows as f64;
            assert!((0.15..=0.35).contains(&share), "{rows}: {share}");
        }
        let (_, held) = hold_out(1_000);
        assert!(held.contains(&99) && held.contains(&999) && !held.contains(&100));
    }
}
