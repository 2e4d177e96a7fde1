//! From a detector's score to the probability that a benign event scores as high, and from a
//! stated budget of false verdicts to the threshold on that probability.
//!
//! The tail is −log10 p: 0 is ordinary, 3 is one benign event in a thousand. Up to the 95th
//! percentile of held-out benign scores p is their empirical share; beyond it the excesses follow a
//! generalised Pareto law (Pickands 1975), whose shape is estimated too: an exponential one told
//! benign rows of a day later that they were one in 10^14. Which scores are held out, and whose
//! verdict the threshold makes, is decided elsewhere.

use serde::{Deserialize, Serialize};

mod budget;
mod taught;
pub use budget::{Budget, EVENTS_PER_DAY};

/// Held-out scores needed: with fewer, under three lie beyond the 95th percentile and their mean
/// excess says nothing.
pub const CALIBRATION_ROWS: usize = 60;

/// Scores kept of the empirical part: a step between two is a thousandth of the rows, far finer
/// than any budget, and a lookup stays within a few cache lines.
pub const QUANTILES_KEPT: usize = 1_024;

/// The greatest tail: no sample supports less than one event in 10^100, and sums stay finite.
pub const TAIL_MAX: f32 = 100.0;

/// Where the parametric part starts.
const EMPIRICAL_SHARE: f64 = 0.95;

/// Why scores could not be calibrated, or a budget not be read.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    /// Too few held-out scores.
    #[error("calibration needs {CALIBRATION_ROWS} held-out benign scores, got {0}")]
    TooFew(usize),
    /// A score that is no number.
    #[error("score {index} of the held-out benign scores is {value}")]
    NotFinite {
        /// Its place.
        index: usize,
        /// What it is.
        value: f32,
    },
    /// A budget that cannot be read.
    #[error("`{text}` is no budget: {reason}; write 5/day, 10/million or 1%")]
    Budget {
        /// What was written.
        text: String,
        /// What is wrong with it.
        reason: &'static str,
    },
}

/// Excesses from which a shape is estimated; with fewer it is mostly prior.
const SHAPE_ROWS: usize = 20;

/// The usual shape of benign scores' excesses on the sets of the study: between exponential and a
/// tail without a variance (.5).
const SHAPE_PRIOR: f64 = 0.25;

/// Beyond this an excess has hardly a mean, and no threshold would ever be reached.
const SHAPE_MAX: f64 = 0.8;

/// Below this a shape is exponential for all that an f64 can tell.
const EXPONENTIAL: f64 = 1e-6;

/// Turns scores into tails.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Parts", into = "Parts")]
pub struct Calibrator {
    parts: Parts,
}

/// The serialised form.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Parts {
    /// Held-out scores.
    rows: u64,
    /// Scores, strictly ascending, the last one being the 95th percentile; each with its tail.
    knots: Vec<(f32, f32)>,
    /// Tail just beyond the last knot.
    beyond: f64,
    /// Scale of the excesses over the last knot, in units of the score.
    scale: f64,
    /// Shape of the excesses: 0 is exponential, more is heavier.
    shape: f64,
}

impl From<Calibrator> for Parts {
    fn from(c: Calibrator) -> Self {
        c.parts
    }
}

impl TryFrom<Parts> for Calibrator {
    type Error = &'static str;

    fn try_from(parts: Parts) -> Result<Self, &'static str> {
        let finite = parts.knots.iter().all(|k| k.0.is_finite() && k.1.is_finite() && k.1 >= 0.0);
        let ascending = parts.knots.is_sorted_by(|a, b| a.0 < b.0 && a.1 <= b.1);
        let last = parts.knots.last().map_or(f64::INFINITY, |k| f64::from(k.1));
        if !finite || !ascending || parts.knots.len() > 2 * QUANTILES_KEPT {
            return Err("calibration knots out of order");
        }
        if !(parts.beyond.is_finite() && parts.beyond >= last) {
            return Err("calibration tail falls");
        }
        if !(parts.scale.is_finite() && parts.scale > 0.0) {
            return Err("calibration without a scale");
        }
        if !(0.0..=SHAPE_MAX).contains(&parts.shape) {
            return Err("calibration shape out of range");
        }
        Ok(Self { parts })
    }
}

impl Calibrator {
    /// Learns from the scores of benign rows that the detector did not learn from, in any order.
    pub fn fit(scores: &[f32]) -> Result<Self, Error> {
        if scores.len() < CALIBRATION_ROWS {
            return Err(Error::TooFew(scores.len()));
        }
        if let Some(index) = scores.iter().position(|s| !s.is_finite()) {
            return Err(Error::NotFinite { index, value: scores[index] });
        }
        // −0 and 0 are one score.
        let mut sorted: Vec<f32> = scores.iter().map(|&s| s + 0.0).collect();
        sorted.sort_unstable_by(f32::total_cmp);
        let n = sorted.len();
        let last = sorted[(n as f64 * EMPIRICAL_SHARE).ceil() as usize - 1];
        let above = sorted.partition_point(|&s| s <= last);
        let count = n - above;
        let beyond = ((n + 1) as f64 / count.max(1) as f64).log10();
        let (scale, shape) = excesses(&sorted, above, last);
        let knots = knots(&sorted[..above], n);
        let parts = Parts { rows: n as u64, knots, beyond, scale, shape };
        Ok(Self { parts })
    }

    /// Held-out scores that this was learnt from.
    pub fn rows(&self) -> u64 {
        self.parts.rows
    }

    /// −log10 of the probability that a benign event scores as high. Never falls as the score
    /// grows; from 0 to [`TAIL_MAX`]; 0 for what is no number.
    pub fn tail(&self, score: f32) -> f32 {
        let knots = &self.parts.knots;
        let at = knots.partition_point(|k| k.0 < score);
        if let Some(knot) = knots.get(at) {
            return knot.1.min(TAIL_MAX);
        }
        if score.is_nan() {
            return 0.0;
        }
        let last = knots.last().map_or(0.0, |k| f64::from(k.0));
        let Parts { beyond, scale, shape, .. } = self.parts;
        let excess = (f64::from(score) - last) / scale;
        let decades = if shape < EXPONENTIAL {
            excess * std::f64::consts::LOG10_E
        } else {
            (1.0 + shape * excess).log10() / shape
        };
        (beyond + decades).min(f64::from(TAIL_MAX)) as f32
    }

    /// A score whose tail is at least `tail`: the least kept one up to the 95th percentile, beyond
    /// it the least that the score's type can tell.
    pub fn score_at(&self, tail: f32) -> f32 {
        let knots = &self.parts.knots;
        if let Some(knot) = knots.get(knots.partition_point(|k| k.1 < tail)) {
            return knot.0;
        }
        let last = knots.last().map_or(0.0, |k| k.0);
        let over = (f64::from(tail.min(TAIL_MAX)) - self.parts.beyond).max(0.0);
        let Parts { scale, shape, .. } = self.parts;
        let excess = if shape < EXPONENTIAL {
            over / std::f64::consts::LOG10_E
        } else {
            (10f64.powf(over * shape) - 1.0) / shape
        };
        let score = f64::from(last) + excess * scale;
        (score.min(f64::from(f32::MAX)) as f32).max(last.next_up())
    }
}

/// Scale and shape of a generalised Pareto law for the excesses of `sorted[above..]` over `last`,
/// by probability-weighted moments (Hosking, Wallis: "Parameter and quantile estimation for the
/// generalized Pareto distribution", Technometrics 1987). Benign scores have heavier tails than an
/// exponential; a shape keeps a few hundred rows from claiming one in a billion.
fn excesses(sorted: &[f32], above: usize, last: f32) -> (f64, f64) {
    let mean = mean_excess(sorted, above, last);
    let beyond = &sorted[above..];
    if beyond.len() < SHAPE_ROWS {
        return (mean * (1.0 - SHAPE_PRIOR), SHAPE_PRIOR);
    }
    let n = beyond.len() as f64;
    let weighted = beyond.iter().enumerate().map(|(i, &s)| {
        let rank = (i as f64 + 0.65) / n;
        (f64::from(s) - f64::from(last)) * (1.0 - rank)
    });
    let second = weighted.sum::<f64>() / n;
    let raw = 2.0 - mean / (mean - 2.0 * second).max(mean * 1e-6);
    // Few excesses tell little of the shape: the estimate is drawn to the usual one.
    let drawn = (raw * n + SHAPE_PRIOR * SHAPE_ROWS as f64) / (n + SHAPE_ROWS as f64);
    let shape = drawn.clamp(0.0, SHAPE_MAX);
    (mean * (1.0 - shape), shape)
}

/// Mean excess of `sorted[above..]` over `last`. Where no score exceeds it, or by nothing that the
/// type can hold, the scale comes from the body: an exponential falls from its median to its 95th
/// percentile in ln 10 scales. A constant detector gets a scale relative to its one score.
fn mean_excess(sorted: &[f32], above: usize, last: f32) -> f64 {
    let last = f64::from(last);
    let beyond = &sorted[above..];
    let sum: f64 = beyond.iter().map(|&s| f64::from(s) - last).sum();
    let body = (last - f64::from(sorted[sorted.len() / 2])) / std::f64::consts::LN_10;
    let floor = last.abs().max(1e-3) * 1e-4;
    if beyond.is_empty() { body.max(floor) } else { (sum / beyond.len() as f64).max(1e-30) }
}

/// At most about [`QUANTILES_KEPT`] of the distinct scores in `body` with the tail of each among
/// `n`, (#{≥ s} + 1)/(n + 1). A score is left out only if the next kept one above it is within a
/// thousandth of the rows, so a value with many ties always stays.
fn knots(body: &[f32], n: usize) -> Vec<(f32, f32)> {
    let step = n.div_ceil(QUANTILES_KEPT);
    let exact = body.chunk_by(|a, b| a == b).count() <= QUANTILES_KEPT;
    let mut kept: Vec<(f32, f32)> = Vec::new();
    let mut start = body.len();
    let mut kept_start = None;
    for same in body.chunk_by(|a, b| a == b).rev() {
        start -= same.len();
        if exact || kept_start.is_none_or(|k| k - start >= step) {
            let p = (n - start + 1) as f64 / (n + 1) as f64;
            kept.push((same[0], -p.log10() as f32 + 0.0));
            kept_start = Some(start);
        }
    }
    kept.reverse();
    kept
}

#[cfg(test)]
mod tests;
