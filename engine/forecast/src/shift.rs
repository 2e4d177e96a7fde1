//! Shifts of level: after one, what was before is of another series, and a model starts anew.
//!
//! The place is where the rank statistic of Pettitt ("A non-parametric approach to the change-point
//! problem", Applied Statistics 1979) is largest over the medians of days. That test alone also
//! fires on trends and slow swings, which models follow well with their whole past. So a shift must
//! besides be several times as large as the spread of days on both sides: half of a straight line
//! differs from its other half by under three of those spreads.

use crate::scale::Scale;
use crate::series::Series;
use crate::stats::{MAD_TO_SD, median};
use serde::{Deserialize, Serialize};
use threat::Timestamp;

/// Chance of a shift where there is none, of independent days.
const SIGNIFICANCE: f64 = 0.01;

/// Spreads between the levels, at least: far more than a straight line has, as a needless restart
/// costs more than a late one.
const SPREADS: f64 = 10.0;

/// Short seasons on both sides, at least: a week, so that no weekend is a shift.
const LEAST: usize = 7;

/// A shift of level.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Shift {
    /// When the new level begins.
    pub at: Timestamp,
    /// The median level before, in the units of the series.
    pub before: f64,
    /// The median level since.
    pub after: f64,
    /// The chance of such a statistic without a shift.
    pub chance: f64,
}

/// The latest shift, if one is sure: after an earlier one was found, what follows is searched too.
pub fn latest(series: &Series) -> Option<Shift> {
    let mut from = 0;
    let mut found = None;
    // Every round leaves less than before: it ends.
    while let Some((at, shift)) = one(&series.since(from)) {
        from += at;
        found = Some(shift);
    }
    found
}

/// The most likely shift of a series, with its place.
fn one(series: &Series) -> Option<(usize, Shift)> {
    let short = series.grid().seasons().short;
    let scale = Scale::of(series.values());
    let z = series.on(scale);
    let offset = z.len() % short;
    let days: Vec<f64> =
        z[offset..].chunks_exact(short).map(|day| median(day.iter().copied())).collect();
    if days.len() < 2 * LEAST {
        return None;
    }
    let (split, statistic) = pettitt(&days);
    if split < LEAST || days.len() - split < LEAST {
        return None;
    }
    let n = days.len() as f64;
    let chance = (2.0 * (-6.0 * statistic * statistic / (n * n * n + n * n)).exp()).min(1.0);
    let (before, after) = days.split_at(split);
    let levels = [before, after].map(|side| median(side.iter().copied()));
    let around = before
        .iter()
        .map(|d| (d - levels[0]).abs())
        .chain(after.iter().map(|d| (d - levels[1]).abs()));
    let spread = MAD_TO_SD * median(around);
    let large = (levels[1] - levels[0]).abs() > SPREADS * spread;
    if chance > SIGNIFICANCE || !large || levels[0] == levels[1] {
        return None;
    }
    let at = offset + split * short;
    let [before, after] = levels.map(|level| scale.from(level));
    Some((at, Shift { at: series.time(at), before, after, chance }))
}

/// The split at which the ranks of both sides differ most, and Pettitt's statistic there.
fn pettitt(days: &[f64]) -> (usize, f64) {
    let mut best = (0, 0.0);
    let mut sum = 0.0;
    for (at, day) in days.iter().enumerate() {
        let order = |other: &f64| f64::from(day.total_cmp(other) as i8);
        sum += days.iter().map(order).sum::<f64>();
        if sum.abs() > best.1 {
            best = (at + 1, sum.abs());
        }
    }
    best
}

#[cfg(test)]
mod tests;
