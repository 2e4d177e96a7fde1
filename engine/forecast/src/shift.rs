//! Shifts of level: after one, what was before is of another series, and a model starts anew.
//!
//! The place is where the rank statistic of Pettitt ("A non-parametric approach to the change-point
//! problem", Applied Statistics 1979) is largest over the medians of days. That test alone also
//! fires on trends and slow swings, which models follow well with their whole past. So a shift must
//! besides be several times as large as the spread of days on both sides: half of a straight line
//! differs from its other half by under three of those spreads.

use crate::scale::Scale;
use crate::series::Series;
use crate::stats::{MAD_TO_SD, median, sorted};
use serde::{Deserialize, Serialize};
use threat::Timestamp;

/// Chance of a shift where there is none, of independent days.
const SIGNIFICANCE: f64 = 0.01;

/// Spreads between the levels, at least: far more than a straight line has, as a needless restart
/// costs more than a late one.
const SPREADS: f64 = 10.0;

/// Short seasons on both sides, at least: a week, so that no weekend is a shift.
const LEAST: usize = 7;

/// How often the places of splits are corrected by each other.
const SWEEPS: usize = 3;

/// Shifts that are listed, at most: who has more of them has no levels.
pub const MOST: usize = 16;

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

/// All sure shifts, in order of time; of more than [`MOST`] the latest.
///
/// Binary segmentation (Vostrikova: "Detecting disorder in multidimensional random processes",
/// 1981): both sides of a split are searched as series of their own. A side that still has shifts
/// in it spreads widely, so splits are first made where the ranks alone ask for one; those that are
/// no shift between the parts beside them are then given up, the weakest first. Levels and chances
/// are those of these parts. Of levels that stay for less than two weeks some are missed.
pub fn all(series: &Series) -> Vec<Shift> {
    let days = Days::of(series);
    let mut bounds = vec![0, days.levels.len()];
    let mut parts = vec![(0, days.levels.len())];
    while let Some((from, to)) = parts.pop() {
        let (split, chance) = likeliest(&days.levels[from..to]);
        if chance <= SIGNIFICANCE && split >= LEAST && to - from - split >= LEAST {
            bounds.push(from + split);
            parts.extend([(from, from + split), (from + split, to)]);
        }
    }
    bounds.sort_unstable();
    let steps = prune(&days.levels, &mut bounds);
    let shift = |(step, at): (&Step, &usize)| days.shift(series, step, *at);
    let found: Vec<Shift> = steps.iter().zip(&bounds[1..]).map(shift).collect();
    found[found.len().saturating_sub(MOST)..].to_vec()
}

/// Moves each bound to the likeliest split between its neighbours, and gives up those that are no
/// sure shift there; the bounds that stay have the steps that are returned between them.
fn prune(days: &[f64], bounds: &mut Vec<usize>) -> Vec<Step> {
    let judged = |near: &[usize]| Step::of(&days[near[0]..near[2]], near[1] - near[0]);
    // Every round but the last leaves fewer bounds: it ends.
    loop {
        settle(days, bounds);
        let mut steps: Vec<Step> = bounds.windows(3).map(judged).collect();
        let before = steps.len();
        while let Some(weakest) = weakest(&steps).filter(|at| !steps[*at].is_sure()) {
            // The parts beside it become one, which moves the judgement of its neighbours.
            bounds.remove(weakest + 1);
            steps.remove(weakest);
            for at in weakest.saturating_sub(1)..(weakest + 1).min(steps.len()) {
                steps[at] = judged(&bounds[at..at + 3]);
            }
        }
        if steps.len() == before {
            return steps;
        }
    }
}

fn settle(days: &[f64], bounds: &mut [usize]) {
    for _ in 0..SWEEPS {
        for at in 1..bounds.len().saturating_sub(1) {
            let (from, to) = (bounds[at - 1], bounds[at + 1]);
            let (split, _) = likeliest(&days[from..to]);
            if split >= LEAST && to - from - split >= LEAST {
                bounds[at] = from + split;
            }
        }
    }
}

fn weakest(steps: &[Step]) -> Option<usize> {
    let strength = |at: &usize| {
        let step = &steps[*at];
        if step.chance > SIGNIFICANCE { 0.0 } else { step.spreads }
    };
    (0..steps.len()).min_by(|a, b| strength(a).total_cmp(&strength(b)))
}

/// The most likely shift of a series, with its place.
fn one(series: &Series) -> Option<(usize, Shift)> {
    let days = Days::of(series);
    let (split, _) = likeliest(&days.levels);
    if split < LEAST || days.levels.len() - split < LEAST {
        return None;
    }
    let step = Step::of(&days.levels, split);
    step.is_sure().then(|| (days.place(split), days.shift(series, &step, split)))
}

/// The medians of whole short seasons, counted back from the end.
struct Days {
    scale: Scale,
    short: usize,
    /// Values before the first of them.
    offset: usize,
    levels: Vec<f64>,
}

impl Days {
    fn of(series: &Series) -> Self {
        let short = series.grid().seasons().short;
        let scale = Scale::of(series.values());
        let z = series.on(scale);
        let offset = z.len() % short;
        let median_of = |day: &[f64]| median(day.iter().copied());
        let levels = z[offset..].chunks_exact(short).map(median_of).collect();
        Self { scale, short, offset, levels }
    }

    fn place(&self, day: usize) -> usize {
        self.offset + day * self.short
    }

    fn shift(&self, series: &Series, step: &Step, day: usize) -> Shift {
        let [before, after] = step.levels.map(|level| self.scale.from(level));
        Shift { at: series.time(self.place(day)), before, after, chance: step.chance }
    }
}

/// What a split of days is.
struct Step {
    levels: [f64; 2],
    /// How large it is, in spreads of the days on both sides.
    spreads: f64,
    chance: f64,
}

impl Step {
    fn of(days: &[f64], split: usize) -> Self {
        let (before, after) = days.split_at(split);
        let levels = [before, after].map(|side| median(side.iter().copied()));
        let around = |(side, level): (&[f64], f64)| -> Vec<f64> {
            side.iter().map(|day| (day - level).abs()).collect()
        };
        let around = [(before, levels[0]), (after, levels[1])].map(around).concat();
        let spread = MAD_TO_SD * median(around);
        let size = (levels[1] - levels[0]).abs();
        let spreads = match spread {
            s if s > 0.0 => size / s,
            _ if size > 0.0 => f64::INFINITY,
            _ => 0.0,
        };
        Self { levels, spreads, chance: likeliest(days).1 }
    }

    fn is_sure(&self) -> bool {
        self.chance <= SIGNIFICANCE && self.spreads > SPREADS
    }
}

/// The likeliest split of days, and the chance of its statistic where there is none.
fn likeliest(days: &[f64]) -> (usize, f64) {
    let (split, statistic) = pettitt(days);
    let n = days.len() as f64;
    let chance = 2.0 * (-6.0 * statistic * statistic / (n * n * n + n * n)).exp();
    (split, if n > 0.0 { chance.min(1.0) } else { 1.0 })
}

/// The split at which the ranks of both sides differ most, and Pettitt's statistic there.
fn pettitt(days: &[f64]) -> (usize, f64) {
    let ranked = sorted(days.iter().copied());
    let mut best = (0, 0.0);
    let mut sum = 0.0;
    for (at, day) in days.iter().enumerate() {
        let below = ranked.partition_point(|other| other.total_cmp(day).is_lt());
        let up_to = ranked.partition_point(|other| other.total_cmp(day).is_le());
        // How many days this one is above, less how many it is below.
        sum += (below + up_to) as f64 - days.len() as f64;
        if sum.abs() > best.1 {
            best = (at + 1, sum.abs());
        }
    }
    best
}

#[cfg(test)]
mod tests;
