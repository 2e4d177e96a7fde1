//! Autoregression of the differences from the same hour of the day before, which follows a level
//! and a daily shape that move (Box and Jenkins: "Time series analysis", 1970, chapter 9, has
//! seasonal differences).

use super::lags;
use crate::linear::{Design, Prior};
use crate::member::{Member, Past};
use crate::series::Seasons;
use crate::stats::deviation;
use serde::{Deserialize, Serialize};

/// Shrinkage of the coefficients to 0: as much as 30 more differences that are 0 would give.
const RIDGE: f64 = 30.0;

/// Recent lags.
const NEAR: usize = 12;

/// Rounds of weighting large residuals down.
const ROUNDS: usize = 2;

/// The fitted autoregression.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Daily {
    season: usize,
    spread: f64,
    lags: Vec<usize>,
    coefficients: Vec<f64>,
    most: f64,
}

impl Daily {
    fn differences(z: &[f64], season: usize, spread: f64) -> Vec<f64> {
        z.iter().skip(season).zip(z).map(|(now, before)| (now - before) / spread).collect()
    }
}

impl Member for Daily {
    const NAME: &'static str = "daily";
    const SUMMARY: &'static str = "autoregression of the differences from the day before";

    fn needs(seasons: Seasons) -> usize {
        4 * seasons.short
    }

    fn fit(past: &Past<'_>) -> Option<Self> {
        let Seasons { short, long } = past.seasons;
        let spread = deviation(&Self::differences(past.z, short, 1.0));
        if spread <= 0.0 {
            return None;
        }
        let x = Self::differences(past.z, short, spread);
        let days = [short - 1, short, short + 1, 2 * short, 3 * short, 4 * short, 5 * short];
        let wanted = (1..=NEAR).chain(days).chain([long - short, long]);
        let lags = lags(wanted, x.len());
        let longest = *lags.last()?;
        let mut design = Design::new(lags.len(), x.len() - longest);
        for at in longest..x.len() {
            design.push(lags.iter().map(|lag| x[at - lag]), x[at]);
        }
        let priors = vec![Prior { strength: RIDGE, mean: 0.0 }; lags.len()];
        let coefficients = design.solve_robustly(&priors, ROUNDS)?;
        let most = x.iter().fold(0.0, |m: f64, x| m.max(x.abs()));
        Some(Self { season: short, spread, lags, coefficients, most })
    }

    fn forecast(&self, past: &Past<'_>, horizon: usize) -> Vec<f64> {
        let longest = self.lags.last().copied().unwrap_or(0);
        let known = past.last(longest + self.season);
        let mut z = known.to_vec();
        let mut x = Self::differences(known, self.season, self.spread);
        for _ in 0..horizon {
            let now = x.len();
            let next: f64 =
                self.lags.iter().zip(&self.coefficients).map(|(lag, c)| x[now - lag] * c).sum();
            let next = next.clamp(-self.most, self.most);
            x.push(next);
            z.push(z[z.len() - self.season] + self.spread * next);
        }
        z.split_off(known.len())
    }
}
