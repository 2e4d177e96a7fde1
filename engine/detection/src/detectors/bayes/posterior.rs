//! Labelled posterior: which class of threat do binned pieces of evidence speak for, and how
//! surely?
//!
//! Naive Bayes with Dirichlet counts (Murphy 2012, chapter 3.5): conjugate, so each labelled row is
//! one increment. Beside the classes stands `unknown`, which knows only the prior; it wins where no
//! class has seen such evidence. Not here: how evidence is binned, and where labels come from.

use super::special::trigamma;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use threat::codec;

/// The name of the class for what no other class explains.
pub const UNKNOWN: &str = "unknown";

/// Classes at most: several times the threat classes that there are.
pub const CLASSES: usize = 64;

/// Pieces of evidence at most.
pub const PIECES: usize = 64;

/// Bins of one piece of evidence at most.
pub const BINS: u32 = 4_096;

/// Prior rows in each bin (Jeffreys).
const BIN_PRIOR: f64 = 0.5;

/// Prior rows of each class, and of `unknown`, which never gets others.
const CLASS_PRIOR: f64 = 1.0;

/// Standard deviations on each side of an interval of 95%.
const WIDTH: f64 = 1.959_964;

/// Probabilities stay so far from 0 and 1, so that their logit exists.
const EDGE: f64 = 1e-12;

/// Version of the encoded bytes.
const FORMAT: u8 = 1;

/// Why labelled evidence was refused.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another number of pieces than the posterior was made for.
    #[error("evidence has {got} pieces, expected {expected}")]
    Pieces {
        /// Wanted.
        expected: usize,
        /// Given.
        got: usize,
    },
    /// No room for another class, or `unknown`, which cannot be taught.
    #[error("cannot learn the class {0:?}")]
    Class(String),
    /// A base rate that is not a positive number.
    #[error("{0} rows are no base rate")]
    Rate(f64),
    /// Over [`PIECES`] or [`BINS`], or a piece without bins.
    #[error("the shape of the evidence is over its limits")]
    Shape,
    /// The bytes are no posterior.
    #[error("posterior: {0}")]
    Codec(#[from] codec::Error),
    /// The bytes decode, but counts are negative, not finite or of another shape.
    #[error("posterior: counts are invalid")]
    Counts,
}

/// What is believed of one class.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Belief {
    /// Its name.
    pub class: String,
    /// Posterior probability.
    pub mean: f64,
    /// Lower end of the 95% credible interval.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// What one class has seen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Counts {
    /// Rows behind its base rate.
    rows: f64,
    /// Rows in each bin of each piece.
    bins: Vec<Vec<f64>>,
}

/// Dirichlet counts of each class.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Posterior {
    bins: Vec<u32>,
    classes: BTreeMap<String, Counts>,
}

impl Posterior {
    /// Knows nothing yet; `bins[i]` is the number of bins of evidence piece `i`.
    ///
    /// # Errors
    /// [`Error::Shape`].
    pub fn new(bins: Vec<u32>) -> Result<Self, Error> {
        let fits = bins.len() <= PIECES && bins.iter().all(|b| (1..=BINS).contains(b));
        if fits { Ok(Self { bins, classes: BTreeMap::new() }) } else { Err(Error::Shape) }
    }

    fn nothing(&self) -> Counts {
        Counts { rows: 0.0, bins: self.bins.iter().map(|&b| vec![0.0; b as usize]).collect() }
    }

    /// Learns one labelled row. A bin that does not exist stands for evidence that is missing.
    ///
    /// # Errors
    /// [`Error::Pieces`], [`Error::Class`].
    pub fn observe(&mut self, label: &str, evidence: &[u32]) -> Result<(), Error> {
        self.check(evidence)?;
        let full = self.classes.len() >= CLASSES && !self.classes.contains_key(label);
        if full || label == UNKNOWN {
            return Err(Error::Class(label.into()));
        }
        let nothing = self.nothing();
        let class = self.classes.entry(label.into()).or_insert(nothing);
        class.rows += 1.0;
        for (counts, &bin) in class.bins.iter_mut().zip(evidence) {
            if let Some(count) = counts.get_mut(bin as usize) {
                *count += 1.0;
            }
        }
        Ok(())
    }

    /// Sets the rows behind a class's base rate and leaves what it knows of evidence as it is: for
    /// a place where threats are as in training, but rarer or more frequent.
    ///
    /// # Errors
    /// [`Error::Class`] when nothing is known of the class, [`Error::Rate`].
    pub fn set_rate(&mut self, label: &str, rows: f64) -> Result<(), Error> {
        if !(rows.is_finite() && rows >= 0.0) {
            return Err(Error::Rate(rows));
        }
        let class = self.classes.get_mut(label).ok_or_else(|| Error::Class(label.into()))?;
        class.rows = rows;
        Ok(())
    }

    fn check(&self, evidence: &[u32]) -> Result<(), Error> {
        let (expected, got) = (self.bins.len(), evidence.len());
        if expected == got { Ok(()) } else { Err(Error::Pieces { expected, got }) }
    }

    /// What the evidence says of each class and of `unknown`, the likeliest first.
    ///
    /// The interval comes from the uncertainty of the counts alone: the variance of the logarithm
    /// of a Dirichlet share is a difference of trigammas, these add up along a class's evidence,
    /// and the delta method carries them to the logit, where a normal interval is taken.
    ///
    /// # Errors
    /// [`Error::Pieces`].
    pub fn posterior(&self, evidence: &[u32]) -> Result<Vec<Belief>, Error> {
        self.check(evidence)?;
        let nothing = self.nothing();
        let all = self.classes.iter().map(|(name, counts)| (name.as_str(), counts));
        let all: Vec<_> = all.chain([(UNKNOWN, &nothing)]).collect();
        let joint: Vec<(f64, f64)> = all.iter().map(|(_, c)| c.joint(evidence)).collect();
        let most = joint.iter().map(|j| j.0).fold(f64::NEG_INFINITY, f64::max);
        let total: f64 = joint.iter().map(|j| (j.0 - most).exp()).sum();
        let p: Vec<f64> = joint.iter().map(|j| (j.0 - most).exp() / total).collect();
        let mut beliefs: Vec<Belief> = (0..all.len())
            .map(|c| {
                let rest: f64 = (0..p.len()).filter(|&j| j != c).map(|j| p[j]).sum();
                let others = (0..p.len()).filter(|&j| j != c && rest > 0.0);
                let theirs: f64 = others.map(|j| (p[j] / rest).powi(2) * joint[j].1).sum();
                let deviation = WIDTH * (joint[c].1 + theirs).sqrt();
                let logit = p[c].max(EDGE).ln() - rest.max(EDGE).ln();
                let probability = |logit: f64| 1.0 / (1.0 + (-logit).exp());
                Belief {
                    class: all[c].0.into(),
                    mean: p[c],
                    low: probability(logit - deviation).min(p[c]),
                    high: probability(logit + deviation).max(p[c]),
                }
            })
            .collect();
        beliefs.sort_by(|a, b| b.mean.total_cmp(&a.mean).then_with(|| a.class.cmp(&b.class)));
        Ok(beliefs)
    }

    /// Canonical bytes.
    ///
    /// # Errors
    /// [`Error::Codec`].
    pub fn encode(&self) -> Result<Vec<u8>, Error> {
        Ok(codec::encode(FORMAT, self)?)
    }

    /// The posterior of [`Posterior::encode`].
    ///
    /// # Errors
    /// [`Error::Codec`], [`Error::Shape`], [`Error::Counts`].
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let read: Self = codec::decode(FORMAT, bytes)?;
        let shape = Self::new(read.bins.clone())?.nothing();
        let amount = |x: &f64| x.is_finite() && *x >= 0.0;
        let valid = |c: &Counts| {
            let same = c.bins.iter().map(Vec::len).eq(shape.bins.iter().map(Vec::len));
            same && amount(&c.rows) && c.bins.iter().flatten().all(amount)
        };
        let named = read.classes.len() <= CLASSES && !read.classes.contains_key(UNKNOWN);
        if named && read.classes.values().all(valid) { Ok(read) } else { Err(Error::Counts) }
    }
}

impl Counts {
    /// ln(rate · likelihood), up to what all classes share, and its variance.
    fn joint(&self, evidence: &[u32]) -> (f64, f64) {
        let rate = CLASS_PRIOR + self.rows;
        let (mut log, mut variance) = (rate.ln(), trigamma(rate));
        for (counts, &bin) in self.bins.iter().zip(evidence) {
            if let Some(count) = counts.get(bin as usize) {
                let own = BIN_PRIOR + count;
                let all = BIN_PRIOR * counts.len() as f64 + counts.iter().sum::<f64>();
                log += (own / all).ln();
                variance += trigamma(own) - trigamma(all);
            }
        }
        (log, variance.max(0.0))
    }
}

#[cfg(test)]
#[path = "posterior_tests.rs"]
mod tests;
