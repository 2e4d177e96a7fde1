//! The median shape of the week around a moving average, and an autoregression of what is left
//! (classical decomposition with medians: Cleveland et al.: "STL: a seasonal-trend decomposition
//! procedure based on loess", 1990, is its smooth relative).

use super::lags;
use crate::linear::{Design, Prior};
use crate::member::{Member, Past};
use crate::series::Seasons;
use crate::stats::{mean, median};
use serde::{Deserialize, Serialize};

/// Shrinkage of the coefficients, for inputs of variance 1.
const RIDGE: f64 = 3.0;

/// Forecasts of what is left stay within this multiple of its largest value in the past.
const MOST: f64 = 1.2;

/// The fitted shape and autoregression.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Decomposed {
    /// By step of the long season.
    shape: Vec<f64>,
    lags: Vec<usize>,
    coefficients: Vec<f64>,
    most: f64,
}

/// The centred moving average over `season` steps, half a weight at both ends where it is even; and
/// the place of its first value.
pub(crate) fn moving_average(z: &[f64], season: usize) -> (usize, Vec<f64>) {
    let half = season / 2;
    let even = season.is_multiple_of(2);
    let width = if even { season + 1 } else { season };
    if z.len() < width {
        return (half, Vec::new());
    }
    // Sums are taken anew every so often, so that roundings do not add up.
    let averages = z.windows(width).map(|w| {
        let all: f64 = w.iter().sum();
        let ends = if even { (w[0] + w[width - 1]) / 2.0 } else { 0.0 };
        (all - ends) / season as f64
    });
    (half, averages.collect())
}

impl Decomposed {
    /// The median of each step of the long season around the moving average, centred on 0.
    fn shape(past: &Past<'_>) -> Vec<f64> {
        let long = past.seasons.long;
        let (first, averages) = moving_average(past.z, long);
        let mut steps = vec![Vec::new(); long];
        for (i, average) in averages.iter().enumerate() {
            steps[past.long(first + i)].push(past.z[first + i] - average);
        }
        let mut shape: Vec<f64> = steps.into_iter().map(median).collect();
        let centre = mean(&shape);
        shape.iter_mut().for_each(|s| *s -= centre);
        shape
    }

    /// What is left of the values from `from` on, and the level that was taken from them.
    fn rest(shape: &[f64], past: &Past<'_>, from: usize) -> (Vec<f64>, f64) {
        let level = median(past.last(past.seasons.long).iter().copied());
        let of = |at: usize| past.z[at] - shape[past.long(at)] - level;
        ((from..past.z.len()).map(of).collect(), level)
    }
}

impl Member for Decomposed {
    const NAME: &'static str = "decomposed";
    const SUMMARY: &'static str = "median shape of the week and an autoregression of the rest";

    fn needs(seasons: Seasons) -> usize {
        2 * seasons.long + seasons.short
    }

    fn fit(past: &Past<'_>) -> Option<Self> {
        let Seasons { short, long } = past.seasons;
        let shape = Self::shape(past);
        let (x, _) = Self::rest(&shape, past, 0);
        let variance = x.iter().map(|x| x * x).sum::<f64>() / x.len() as f64;
        if variance <= 0.0 {
            return None;
        }
        let lags = lags([1, 2, short, short + 1, 2 * short, long], x.len());
        let longest = *lags.last()?;
        let mut design = Design::new(lags.len(), x.len() - longest);
        for at in longest..x.len() {
            design.push(lags.iter().map(|lag| x[at - lag]), x[at]);
        }
        let priors = vec![Prior { strength: RIDGE * variance, mean: 0.0 }; lags.len()];
        let coefficients = design.solve(&priors, &[])?;
        let most = MOST * x.iter().fold(0.0, |m: f64, x| m.max(x.abs()));
        Some(Self { shape, lags, coefficients, most })
    }

    fn forecast(&self, past: &Past<'_>, horizon: usize) -> Vec<f64> {
        let longest = self.lags.last().copied().unwrap_or(0);
        let from = past.z.len().saturating_sub(longest);
        let (mut x, level) = Self::rest(&self.shape, past, from);
        let known = x.len();
        for _ in 0..horizon {
            let now = x.len();
            let next: f64 =
                self.lags.iter().zip(&self.coefficients).map(|(lag, c)| x[now - lag] * c).sum();
            x.push(next.clamp(-self.most, self.most));
        }
        let added =
            |(step, x): (usize, &f64)| level + self.shape[past.long(past.z.len() + step)] + x;
        x[known..].iter().enumerate().map(added).collect()
    }
}
