//! From a sample to a bundle: hold out, train, calibrate every voter and the vote, train again on
//! all.

use crate::disturbed;
use crate::labels::{self, Labelled, Voted};
use detection::blend::{Blend, Tails};
use detection::block::Block;
use detection::bundle::{Bundle, ClassModels, Reference};
use detection::calibration::Calibrator;
use detection::detector::{Model, RowScore, Train, TrainOptions};
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

/// The metric that says what a voter counts in the ranking.
pub const WEIGHT: &str = "weight";

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
            && let Some(models) = train_class(class, block, None, settings.seed)
        {
            classes.insert(class, models);
        }
    }
    bundle(blocks, classes, settings)
}

/// Learns a bundle for one class from labelled rows: what has no labels learns from the benign rows
/// alone, and the labelled detector joins as far as its labels hold.
///
/// # Errors
/// When there are too few benign rows.
pub fn train_labelled(
    class: EventClass,
    rows: &Labelled,
    settings: &Settings,
) -> Result<Bundle, Error> {
    let benign = rows.block.select(&rows.places(false));
    let enough = benign.len() >= settings.class_rows;
    let models = enough.then(|| train_class(class, &benign, Some(rows), settings.seed)).flatten();
    let classes = models.into_iter().map(|models| (class, models)).collect();
    bundle(&BTreeMap::from([(class, benign)]), classes, settings)
}

fn bundle(
    blocks: &BTreeMap<EventClass, Block>,
    classes: BTreeMap<EventClass, ClassModels>,
    settings: &Settings,
) -> Result<Bundle, Error> {
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
        .filter_map(|entry| match entry.train {
            Train::Benign(train) => Some((entry.kind, train(block, &options).ok()?)),
            Train::Labelled(_) => None,
        })
        .collect()
}

/// The models that the calibrations are measured with: they did not see the rows held out.
struct First {
    encoder: Encoder,
    models: Vec<(DetectorKind, Arc<dyn Model>, Calibrator)>,
}

impl First {
    fn train(class: EventClass, learn: &Block, held: &Block, seed: u64) -> Self {
        let encoder = Encoder::fit(&learn.schema, &learn.raw, &learn.categories);
        let held = encoded(held, &encoder);
        let calibrated = |(kind, model): (DetectorKind, Arc<dyn Model>)| {
            let mut out = Vec::new();
            Arc::clone(&model).scorer().score(&held, &mut out).ok()?;
            let score = |s: RowScore| if let RowScore::Score(s) = s { Some(s) } else { None };
            let scores: Vec<f32> = out.into_iter().filter_map(score).collect();
            Some((kind, model, Calibrator::fit(&scores).ok()?))
        };
        let trained = train_all(class, &encoded(learn, &encoder), seed);
        Self { models: trained.into_iter().filter_map(calibrated).collect(), encoder }
    }

    /// What the voters say of rows.
    fn tails(&self, block: &Block) -> Option<Vec<Tails>> {
        let block = encoded(block, &self.encoder);
        let mut all = vec![Tails::default(); block.len()];
        for (kind, model, calibrator) in &self.models {
            let mut out = Vec::new();
            Arc::clone(model).scorer().score(&block, &mut out).ok()?;
            for (tails, score) in all.iter_mut().zip(&out) {
                if let RowScore::Score(s) = score {
                    tails.voters.push((*kind, calibrator.tail(*s)));
                }
            }
        }
        Some(all)
    }

    /// What each voter counts in the ranking.
    fn weights(&self, held: &Block, seed: u64) -> Vec<(DetectorKind, f32)> {
        let disturbed = encoded(&disturbed::disturb(held, seed), &self.encoder);
        let held = encoded(held, &self.encoder);
        let weight = |model| disturbed::weight(model, &held, &disturbed);
        self.models.iter().map(|(kind, model, _)| (*kind, weight(model))).collect()
    }
}

fn train_class(
    class: EventClass,
    block: &Block,
    labelled: Option<&Labelled>,
    seed: u64,
) -> Option<ClassModels> {
    let (learn, held) = hold_out(block.len());
    let (learn, held) = (block.select(&learn), block.select(&held));
    let first = First::train(class, &learn, &held, seed);
    let mut tails = first.tails(&held)?;
    let taught = labelled.and_then(|rows| {
        let places = rows.places(true);
        let attacks = rows.block.select(&places);
        let names: Vec<u16> = places.iter().map(|&r| rows.labels[r]).collect();
        let of_attacks = first.tails(&attacks)?;
        let taught = labels::teach(
            &Voted {
                learn: &learn,
                held: &held,
                attacks: &attacks,
                names: &names,
                of_held: &tails,
                of_attacks: &of_attacks,
            },
            seed,
        )?;
        Some((taught, attacks))
    });
    let weights = first.weights(&held, seed);
    let share = taught.as_ref().map_or(0.0, |(taught, _)| taught.share);
    if let Some((taught, _)) = &taught {
        tails.iter_mut().zip(&taught.of_held).for_each(|(t, &labelled)| t.labelled = labelled);
    }
    let ensemble = Blend::fit(weights.clone(), share, &tails).ok()?;
    let encoder = Encoder::fit(&block.schema, &block.raw, &block.categories);
    let encoded = encoded(block, &encoder);
    let calibrators: BTreeMap<DetectorKind, Calibrator> =
        first.models.into_iter().map(|(kind, _, calibrator)| (kind, calibrator)).collect();
    let mut models: Vec<_> = train_all(class, &encoded, seed)
        .into_iter()
        .filter_map(|(kind, model)| Some((kind, model, calibrators.get(&kind)?.clone())))
        .collect();
    if models.len() < 2 {
        return None;
    }
    if let Some((taught, attacks)) = taught {
        let model = labels::train(block, &attacks, seed)?;
        models.push((DetectorKind::Labelled, model, taught.calibrator));
    }
    let window = (block.time.iter().min().copied()?, block.time.iter().max().copied()?);
    let metric = |&(kind, weight)| (kind, BTreeMap::from([(WEIGHT.to_owned(), f64::from(weight))]));
    Some(ClassModels {
        schema: Arc::clone(&block.schema),
        reference: Reference::record(&encoded, &encoder, &models).ok()?,
        encoder,
        voters: voters(class),
        metrics: weights.iter().map(metric).collect(),
        models,
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
