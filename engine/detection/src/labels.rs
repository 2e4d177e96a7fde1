//! What a bundle learns from findings that analysts labelled, at once and without a training.
//!
//! A false positive is a benign row that was seen: the Bayes density absorbs it, and the
//! thresholds of its class rise a little, as benign rows that score so high are less rare than was
//! thought. A true positive that the voters told is where that ends: no false one that scores as
//! high moves a threshold. Always taught anew from the bundle as it was trained, so that a label
//! may be changed or taken back. What is not done: rows like a labelled one are not let through
//! for being like it, so a false positive far beyond the threshold is told again.

use crate::bundle::{Bundle, ClassModels};
use crate::detector::{self, Model};
use crate::detectors::bayes::Bayes;
use crate::dossier::tails;
use crate::explain::{self, block_of};
use std::sync::Arc;
use threat::verdict::Ballot;
use threat::{DetectorKind, Disposition, EventClass, Example, Label};

/// The metric of a taught Bayes model: how many rows it was taught.
const TAUGHT: &str = "taught";

/// Why a bundle could not be taught.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A model refused a row.
    #[error("a labelled row: {0}")]
    Model(#[from] detector::Error),
    /// The taught bundle does not hold together.
    #[error(transparent)]
    Bundle(#[from] crate::bundle::Error),
    /// A row does not fit the bundle.
    #[error("a labelled row: {0}")]
    Row(#[from] explain::Error),
}

/// Whether a bundle is one that [`teach`] made.
pub fn is_taught(bundle: &Bundle) -> bool {
    bundle.classes.values().any(|m| {
        m.metrics.get(&DetectorKind::Bayes).is_some_and(|metrics| metrics.contains_key(TAUGHT))
    })
}

/// The bundle after what the labels teach; `None` when they teach it nothing, as rows of classes or
/// schemas that it has no models for do.
///
/// # Errors
/// When a model refuses a row that fits its schema.
pub fn teach(bundle: &Bundle, labels: &[Label]) -> Result<Option<Bundle>, Error> {
    let mut classes = bundle.classes.clone();
    for (&class, models) in &mut classes {
        let benign = rows(bundle, class, labels, Disposition::FalsePositive);
        if !benign.is_empty() {
            absorb(bundle, class, models, &benign)?;
        }
    }
    let made = |classes| Bundle::new(bundle.version, bundle.seed, &*bundle.created_from, classes);
    let absorbed = made(classes.clone())?;
    if absorbed.hash == bundle.hash {
        return Ok(None);
    }
    for (&class, models) in &mut classes {
        let said = |examples: Vec<&Example>| {
            let tails = examples.into_iter().map(|e| tails(&absorbed, class, &e.replay));
            tails.collect::<Result<Vec<_>, _>>()
        };
        let benign = said(rows(&absorbed, class, labels, Disposition::FalsePositive))?;
        let mut told = rows(&absorbed, class, labels, Disposition::TruePositive);
        told.retain(|e| voted(e));
        models.ensemble = models.ensemble.taught(&benign, &said(told)?);
    }
    Ok(Some(made(classes)?))
}

/// The examples of a class that were labelled so, as far as they fit its schema.
fn rows<'a>(
    bundle: &Bundle,
    class: EventClass,
    labels: &'a [Label],
    disposition: Disposition,
) -> Vec<&'a Example> {
    let labels = labels.iter().filter(|l| l.disposition == disposition);
    let examples = labels.flat_map(|l| &l.examples).filter(|e| e.class == class);
    examples.filter(|e| block_of(bundle, class, &e.replay).is_ok()).collect()
}

/// Two voters took it for a threat.
fn voted(example: &Example) -> bool {
    let threat = |b: &Ballot| matches!(b, Ballot::Voted { threat: true, .. });
    example.verdict.votes.iter().filter(|v| threat(&v.ballot)).count() > 1
}

fn absorb(
    bundle: &Bundle,
    class: EventClass,
    models: &mut ClassModels,
    benign: &[&Example],
) -> Result<(), Error> {
    let place = models.models.iter().position(|m| m.0 == DetectorKind::Bayes);
    let Some(model) = place.and_then(|at| models.models.get_mut(at)) else { return Ok(()) };
    let mut bayes = Bayes::decode(&model.1.encode()?)?;
    for example in benign {
        bayes = bayes.absorb(&block_of(bundle, class, &example.replay)?, 1.0)?;
    }
    let bayes: Arc<dyn Model> = Arc::new(bayes);
    model.1 = Arc::clone(&bayes);
    let shape = (&models.schema, &models.encoder);
    models.reference.renew(DetectorKind::Bayes, shape, &bayes)?;
    let metrics = models.metrics.entry(DetectorKind::Bayes).or_default();
    metrics.insert(TAUGHT.into(), benign.len() as f64);
    Ok(())
}
