//! One numeric column: how far an amount lies from the usual one, and where it stands among the
//! benign ones.
//!
//! Distance alone squeezes a skewed column's usual rows into one place, rank alone calls every
//! amount beyond the greatest benign one equal; their mean keeps both. Both grow with the amount,
//! so that the mean does, too, and in a city-block distance it stands for two columns exactly.

use super::{ln_from_one, signed_log};
use serde::{Deserialize, Serialize};

/// Deviations at which the distance is clipped: far enough to keep outliers apart, near enough that
/// one wild column does not drown all others.
pub const CLIP: f32 = 20.0;

/// The smallest standard deviation of a signed log that a number is divided by: one percent of an
/// amount. Below it, noise in an almost constant column would be blown up to look like signal.
pub const DEVIATION_FLOOR: f32 = 0.01;

/// The training quantiles that [`Encoder::baseline`](super::Encoder::baseline) gives.
pub const BASELINE: [f64; 3] = [0.05, 0.50, 0.95];

/// Places of equal share of the training rows at which a rank is kept, at most; between them it is
/// drawn straight. A power of two, so that a search takes equal steps without a branch.
const KNOTS: usize = 64;

/// The score of the least and the greatest training amount, and of all beyond: the normal score of
/// one row in seven hundred. At the ends an amount counts as all of its ties, so that "something"
/// is far from "nothing" in a column that is nearly always 0.
const RANK_END: f64 = 3.0;

/// Halvings that find the amount of a code: to the last bit of an `f32`.
const HALVINGS: usize = 48;

/// How one numeric column is encoded.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "Stored", into = "Stored")]
pub(super) struct NumericCode {
    pub(super) stored: Stored,
    /// 1/deviation, or 0 for a constant column.
    scale: f32,
    /// Ready to be searched; `None` for a constant column.
    ranks: Option<Box<Ranks>>,
}

/// What is kept of a numeric column.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Stored {
    /// Mean of the signed logs.
    pub(super) mean: f32,
    /// Their standard deviation, at least [`DEVIATION_FLOOR`]; 0 when the column was constant.
    pub(super) deviation: f32,
    /// The [`BASELINE`] quantiles in the feature's own unit.
    pub(super) quantiles: [f32; 3],
    /// Distance and rank of some training amounts, ascending in both; empty for a constant column.
    knots: Vec<(f32, f32)>,
}

impl From<Stored> for NumericCode {
    fn from(stored: Stored) -> Self {
        let scale = if stored.deviation > 0.0 { 1.0 / stored.deviation } else { 0.0 };
        let ranks = (!stored.knots.is_empty()).then(|| Box::new(Ranks::of(&stored.knots)));
        Self { scale, ranks, stored }
    }
}

impl From<NumericCode> for Stored {
    fn from(code: NumericCode) -> Self {
        code.stored
    }
}

/// Ranks by distance, laid out for a search without branches.
#[derive(Clone, Debug, PartialEq)]
struct Ranks {
    /// Ascending; infinite beyond the last.
    places: [f32; KNOTS],
    /// The line that holds up to each place, and one beyond: where it starts, its rank there, and
    /// its rise.
    lines: [(f32, f32, f32); KNOTS + 1],
}

impl Ranks {
    /// Of at least one knot and at most [`KNOTS`].
    fn of(knots: &[(f32, f32)]) -> Self {
        let last = knots.last().map_or(0.0, |k| k.1);
        let mut ranks =
            Self { places: [f32::INFINITY; KNOTS], lines: [(0.0, last, 0.0); KNOTS + 1] };
        for (i, &(place, rank)) in knots.iter().enumerate().take(KNOTS) {
            ranks.places[i] = place;
            ranks.lines[i] = match i.checked_sub(1).map(|before| knots[before]) {
                None => (place, rank, 0.0),
                Some((from, low)) => (from, low, (rank - low) / (place - from)),
            };
        }
        ranks
    }

    #[inline]
    fn at(&self, place: f32) -> f32 {
        let mut at = 0;
        let mut step = KNOTS / 2;
        while step > 0 {
            at += if self.places[at + step - 1] < place { step } else { 0 };
            step /= 2;
        }
        // The last step leaves the greatest place out.
        at += usize::from(self.places[at] < place);
        let (from, low, rise) = self.lines[at];
        low + rise * (place - from)
    }
}

impl NumericCode {
    pub(super) fn fit(mut values: Vec<f32>) -> Self {
        let stored = Stored { mean: 0.0, deviation: 0.0, quantiles: [0.0; 3], knots: Vec::new() };
        values.iter_mut().for_each(|v| *v = finite(*v));
        let Some(&first) = values.first() else { return Self::from(stored) };
        let n = values.len() as f64;
        let mean = values.iter().map(|&v| signed_log(v)).sum::<f64>() / n;
        let variance = values.iter().map(|&v| (signed_log(v) - mean).powi(2)).sum::<f64>() / n;
        let constant = values.iter().all(|&v| v == first);
        let deviation = if constant { 0.0 } else { (variance.sqrt() as f32).max(DEVIATION_FLOOR) };
        values.sort_unstable_by(f32::total_cmp);
        let quantiles = BASELINE.map(|q| values[((n - 1.0) * q).round() as usize]);
        let stored = Stored { mean: mean as f32, deviation, quantiles, ..stored };
        let code = Self::from(stored.clone());
        if constant { code } else { Self::from(Stored { knots: code.knots(&values), ..stored }) }
    }

    /// Whether a stored column keeps the rules.
    pub(super) fn is_valid(&self) -> bool {
        let Stored { mean, deviation, quantiles, knots } = &self.stored;
        let finite = mean.is_finite() && quantiles.iter().all(|q| q.is_finite());
        let ranks = knots.iter().all(|k| k.0.is_finite() && k.1.is_finite());
        let ascending = knots.is_sorted_by(|a, b| a.0 < b.0 && a.1 <= b.1);
        finite
            && ranks
            && ascending
            && knots.len() <= KNOTS
            && *deviation >= 0.0
            && (*deviation == 0.0) == knots.is_empty()
    }

    /// Ranks of sorted amounts as normal scores, their mean over the rows taken off.
    fn knots(&self, sorted: &[f32]) -> Vec<(f32, f32)> {
        let n = sorted.len();
        let mut knots: Vec<(f32, f32)> = Vec::with_capacity(KNOTS);
        let mut last = None;
        for i in 0..KNOTS {
            let value = sorted[(n - 1) * i / (KNOTS - 1)];
            // Two amounts may lie too close together for their distances to differ.
            let place = self.distance(value);
            if last.is_some_and(|l| place <= l) {
                continue;
            }
            last = Some(place);
            let below = sorted.partition_point(|&v| v < value);
            let upto = sorted.partition_point(|&v| v <= value);
            let share = (below + upto) as f64 / (2 * n) as f64;
            let score = match (below, upto) {
                (0, _) => -RANK_END,
                (_, upto) if upto == n => RANK_END,
                _ => normal_score(share).clamp(-RANK_END, RANK_END),
            };
            knots.push((place, score as f32));
        }
        let raw = Ranks::of(&knots);
        let ranks = sorted.iter().map(|&v| f64::from(raw.at(self.distance(v))));
        let mean = (ranks.sum::<f64>() / n as f64) as f32;
        knots.iter_mut().for_each(|k| k.1 -= mean);
        knots
    }

    fn distance(&self, x: f32) -> f32 {
        ((signed_log(x) as f32 - self.stored.mean) * self.scale).clamp(-CLIP, CLIP)
    }

    #[inline]
    fn code(&self, place: f32) -> f32 {
        (place + self.ranks.as_ref().map_or(0.0, |ranks| ranks.at(place))) / 2.0
    }

    pub(super) fn encode(&self, x: f32) -> f32 {
        self.code(self.distance(finite(x)))
    }

    /// The amount that encodes to `code`, or the nearest that there is.
    pub(super) fn decode(&self, code: f32) -> f32 {
        let amount = |place: f64| {
            let log = f64::from(self.stored.mean) + place * f64::from(self.stored.deviation);
            let amount = log.abs().exp_m1().min(f64::from(f32::MAX));
            if log < 0.0 { -amount as f32 } else { amount as f32 }
        };
        if self.ranks.is_none() {
            return amount(0.0);
        }
        let (mut low, mut high) = (f64::from(-CLIP), f64::from(CLIP));
        for _ in 0..HALVINGS {
            let middle = (low + high) / 2.0;
            if self.code(middle as f32) < code { low = middle } else { high = middle }
        }
        amount(high)
    }
}

/// A finite number for any: NaN counts as 0, infinities as the greatest amounts.
fn finite(x: f32) -> f32 {
    if x.is_nan() { 0.0 } else { x.clamp(f32::MIN, f32::MAX) }
}

/// The standard normal quantile of a share within (0, 1) (Abramowitz, Stegun: "Handbook of
/// Mathematical Functions", 26.2.23; within 4.5e-4), by basic operations alone.
fn normal_score(share: f64) -> f64 {
    let tail = share.min(1.0 - share);
    let t = (2.0 * ln_from_one(1.0 / tail)).sqrt();
    let above = 2.515_517 + t * (0.802_853 + t * 0.010_328);
    let below = 1.0 + t * (1.432_788 + t * (0.189_269 + t * 0.001_308));
    let z = t - above / below;
    if share < 0.5 { -z } else { z }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normal_scores_are_those_of_the_tables() {
        for (share, z) in [(0.5, 0.0), (0.841_344_7, 1.0), (0.025, -1.959_964), (0.998_65, 3.0)] {
            assert!((normal_score(share) - z).abs() < 5e-4, "{share}: {}", normal_score(share));
        }
    }

    #[test]
    fn something_is_far_from_nothing_and_more_is_further() {
        let values: Vec<f32> = (0..1_000).map(|i| if i < 970 { 0.0 } else { i as f32 }).collect();
        let code = NumericCode::fit(values);
        let at = [0.0, 5.0, 975.0, 999.0, 1e6, 1e9].map(|x| code.encode(x));
        assert!(at.is_sorted_by(|a, b| a < b), "{at:?}");
        // Halfway up its range in log, but beyond 97% of the rows by rank.
        assert!(at[2] - at[0] > 4.0, "{at:?}");
        assert!(NumericCode::fit(vec![3.0; 9]).encode(8.0) == 0.0);
    }
}
