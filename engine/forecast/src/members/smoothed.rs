//! Exponential smoothing with two seasons and an autocorrelated error.
//!
//! Taylor: "Short-term electricity demand forecasting using double seasonal exponential
//! smoothing", JORS 2003; "Triple seasonal methods for short-term electricity demand forecasting",
//! EJOR 2010. Instead of the one best set of parameters the mean of several good ones forecasts,
//! which errs less (Hyndman and Athanasopoulos: "Forecasting: principles and practice", 13.4).

use crate::member::{Member, Past};
use crate::series::Seasons;
use crate::stats::mean;
use serde::{Deserialize, Serialize};

/// Tried gains of the level.
const LEVEL: [f64; 4] = [0.002, 0.01, 0.04, 0.1];
/// Tried gains of the short season.
const SHORT: [f64; 4] = [0.01, 0.05, 0.15, 0.3];
/// Tried gains of the long season.
const LONG: [f64; 4] = [0.03, 0.1, 0.25, 0.45];
/// Tried autocorrelations of the error.
const CARRY: [f64; 3] = [0.5, 0.8, 0.95];

/// Sets of gains.
const SETS: usize = LEVEL.len() * SHORT.len() * LONG.len();

/// Sets that forecast together.
const BEST: usize = 8;

/// A set of parameters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Set {
    level: f64,
    short: f64,
    long: f64,
    carry: f64,
}

/// The chosen sets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Smoothed {
    sets: [Set; BEST],
}

/// States of `N` sets side by side, so that one pass over the values moves all of them.
struct States<const N: usize> {
    level: [f64; N],
    /// By step of the short season.
    short: Vec<[f64; N]>,
    /// By step of the long season.
    long: Vec<[f64; N]>,
    error: [f64; N],
}

impl<const N: usize> States<N> {
    /// From the first two long seasons, or what there is of them.
    fn start(past: &Past<'_>) -> Self {
        let Seasons { short, long } = past.seasons;
        let first = &past.z[..past.z.len().min(2 * long)];
        let centre = mean(first);
        let mut shorts = vec![(0.0, 0u32); short];
        for (at, z) in first.iter().enumerate() {
            let sum = &mut shorts[past.short(at)];
            *sum = (sum.0 + z - centre, sum.1 + 1);
        }
        let short: Vec<f64> = shorts.into_iter().map(average).collect();
        let mut longs = vec![(0.0, 0u32); long];
        for (at, z) in first.iter().enumerate() {
            let sum = &mut longs[past.long(at)];
            *sum = (sum.0 + z - centre - short[past.short(at)], sum.1 + 1);
        }
        Self {
            level: [mean(&past.z[..past.z.len().min(long)]); N],
            short: short.into_iter().map(|s| [s; N]).collect(),
            long: longs.into_iter().map(average).map(|s| [s; N]).collect(),
            error: [0.0; N],
        }
    }

    /// Takes the next value in; gives the errors before it and at it.
    fn step(&mut self, z: f64, short: usize, long: usize, gains: &[[f64; N]; 3]) -> [f64; N] {
        let (daily, weekly) = (&mut self.short[short], &mut self.long[long]);
        let before = self.error;
        for i in 0..N {
            let error = z - self.level[i] - daily[i] - weekly[i];
            self.level[i] += gains[0][i] * error;
            daily[i] += gains[1][i] * error;
            weekly[i] += gains[2][i] * error;
            self.error[i] = error;
        }
        before
    }
}

fn average((sum, count): (f64, u32)) -> f64 {
    sum / f64::from(count.max(1))
}

/// Gains of the tried sets.
fn grid() -> [[f64; SETS]; 3] {
    let mut gains = [[0.0; SETS]; 3];
    for i in 0..SETS {
        gains[0][i] = LEVEL[i / (SHORT.len() * LONG.len())];
        gains[1][i] = SHORT[i / LONG.len() % SHORT.len()];
        gains[2][i] = LONG[i % LONG.len()];
    }
    gains
}

impl Member for Smoothed {
    const NAME: &'static str = "smoothed";
    const SUMMARY: &'static str = "double seasonal exponential smoothing, mean of eight";

    fn needs(seasons: Seasons) -> usize {
        2 * seasons.long + seasons.short
    }

    fn fit(past: &Past<'_>) -> Option<Self> {
        let long = past.seasons.long;
        let burn_in = if past.z.len() < 3 * long { long } else { 2 * long };
        let gains = grid();
        let mut states = States::<SETS>::start(past);
        let mut losses = [[0.0; SETS]; CARRY.len()];
        for (at, z) in past.z.iter().enumerate() {
            let before = states.step(*z, past.short(at), past.long(at), &gains);
            if at < burn_in {
                continue;
            }
            for (carry, losses) in CARRY.iter().zip(&mut losses) {
                for i in 0..SETS {
                    losses[i] += (states.error[i] - carry * before[i]).abs();
                }
            }
        }
        let mut tried: Vec<(f64, Set)> = Vec::with_capacity(SETS * CARRY.len());
        for (carry, losses) in CARRY.iter().zip(&losses) {
            let set = |i: usize| Set {
                level: gains[0][i],
                short: gains[1][i],
                long: gains[2][i],
                carry: *carry,
            };
            tried.extend((0..SETS).map(|i| (losses[i], set(i))));
        }
        // Stable: of equal ones the earlier in the grid, so that the choice repeats.
        tried.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut sets = [Set::default(); BEST];
        sets.iter_mut().zip(&tried).for_each(|(set, (_, best))| *set = *best);
        Some(Self { sets })
    }

    fn forecast(&self, past: &Past<'_>, horizon: usize) -> Vec<f64> {
        let gains =
            [self.sets.map(|s| s.level), self.sets.map(|s| s.short), self.sets.map(|s| s.long)];
        let mut states = States::<BEST>::start(past);
        for (at, z) in past.z.iter().enumerate() {
            states.step(*z, past.short(at), past.long(at), &gains);
        }
        let mut carried = states.error;
        let level = mean(&states.level);
        let mut forecast = Vec::with_capacity(horizon);
        for at in past.z.len()..past.z.len() + horizon {
            carried.iter_mut().zip(&self.sets).for_each(|(c, set)| *c *= set.carry);
            let (short, long) = (past.short(at), past.long(at));
            let season = mean(&states.short[short]) + mean(&states.long[long]);
            forecast.push(level + season + mean(&carried));
        }
        forecast
    }
}
