//! Regression on the values of an hour, a day and a week ago and their neighbours, on the hour of
//! the day and on the course of the week; applied to its own forecasts.
//!
//! The coefficients are shrunk towards a mix of yesterday, last week and the hour before, which is
//! a double seasonal autoregression (Taylor: "Short-term electricity demand forecasting using
//! double seasonal exponential smoothing", JORS 2003, has it as the ARMA rival).

use super::{lags, range};
use crate::linear::{Design, Prior};
use crate::member::{Member, Past};
use crate::series::Seasons;
use crate::stats::{deviation, median};
use serde::{Deserialize, Serialize};
use std::f64::consts::TAU;

/// Shrinkage of the coefficients: weak, since the prior is only the best guess for most series.
const RIDGE: f64 = 0.03;

/// Shrinkage of the intercept: all but none.
const RIDGE_INTERCEPT: f64 = 1e-3;

/// Indicators of the time of day, at most: hours, also on finer grids.
const HOURS: usize = 24;

/// Waves of the long season.
const WAVES: usize = 2;

/// The fitted regression.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Lagged {
    centre: f64,
    spread: f64,
    lags: Vec<usize>,
    hours: usize,
    /// Of the lags, the waves, the intercept and the hours, in this order.
    coefficients: Vec<f64>,
    low: f64,
    high: f64,
}

impl Lagged {
    fn hour(past: &Past<'_>, hours: usize, at: usize) -> usize {
        past.short(at) * hours / past.seasons.short
    }

    fn waves(past: &Past<'_>, at: usize) -> impl Iterator<Item = f64> {
        let turn = TAU * past.long(at) as f64 / past.seasons.long as f64;
        (1..=WAVES).flat_map(move |k| {
            let angle = turn * k as f64;
            [angle.sin(), angle.cos()]
        })
    }
}

/// The prior mean of a lag.
fn prior(lag: usize, seasons: Seasons, all: &[usize]) -> f64 {
    let Seasons { short, long } = seasons;
    if !all.contains(&long) {
        // Too short for the long season: the day before stands in for it.
        return match lag {
            1 => 0.6,
            l if l == short => 0.7,
            l if l == short + 1 => -0.4,
            _ => 0.0,
        };
    }
    match lag {
        l if l == long => 0.75,
        l if l == long + 1 => -0.45,
        l if l == short => 0.25,
        l if l == short + 1 => -0.15,
        1 => 0.6,
        _ => 0.0,
    }
}

impl Member for Lagged {
    const NAME: &'static str = "lagged";
    const SUMMARY: &'static str =
        "regression on the last hours, days and week, shrunk to a seasonal prior";

    fn needs(seasons: Seasons) -> usize {
        4 * seasons.short
    }

    fn fit(past: &Past<'_>) -> Option<Self> {
        let Seasons { short, long } = past.seasons;
        let (centre, spread) = (median(past.z.iter().copied()), deviation(past.z));
        if spread <= 0.0 {
            return None;
        }
        let x: Vec<f64> = past.z.iter().map(|z| (z - centre) / spread).collect();
        let wanted = [1, 2, 3, short - 1, short, short + 1, 2 * short, 3 * short];
        let wanted = wanted.into_iter().chain([long - short, long - 1, long, long + 1]);
        let lags = lags(wanted, x.len());
        let longest = *lags.last()?;
        let hours = short.min(HOURS);
        let columns = lags.len() + 2 * WAVES + 1 + hours;
        let mut design = Design::new(columns, x.len() - longest);
        for at in longest..x.len() {
            let hour = Self::hour(past, hours, at);
            let before = lags.iter().map(|lag| x[at - lag]);
            let indicators = (0..hours).map(|h| f64::from(u8::from(h == hour)));
            let row = before.chain(Self::waves(past, at)).chain([1.0]).chain(indicators);
            design.push(row, x[at]);
        }
        let mut priors = vec![Prior { strength: RIDGE, mean: 0.0 }; columns];
        for (column, lag) in priors.iter_mut().zip(&lags) {
            column.mean = prior(*lag, past.seasons, &lags);
        }
        priors[lags.len() + 2 * WAVES].strength = RIDGE_INTERCEPT;
        let coefficients = design.solve(&priors, &[])?;
        let (low, high) = range(&x);
        Some(Self { centre, spread, lags, hours, coefficients, low, high })
    }

    fn forecast(&self, past: &Past<'_>, horizon: usize) -> Vec<f64> {
        let longest = self.lags.last().copied().unwrap_or(0);
        let known = past.last(longest);
        let mut x: Vec<f64> = known.iter().map(|z| (z - self.centre) / self.spread).collect();
        x.reserve(horizon);
        let (of_lags, rest) = self.coefficients.split_at(self.lags.len());
        let (of_waves, rest) = rest.split_at(2 * WAVES);
        for step in 0..horizon {
            let at = past.z.len() + step;
            let now = x.len();
            let hour = Self::hour(past, self.hours, at);
            let waves: f64 = Self::waves(past, at).zip(of_waves).map(|(w, c)| w * c).sum();
            let before: f64 = self.lags.iter().zip(of_lags).map(|(l, c)| x[now - l] * c).sum();
            let next = before + waves + rest[0] + rest[1 + hour];
            x.push(next.clamp(self.low, self.high));
        }
        x[known.len()..].iter().map(|x| self.centre + self.spread * x).collect()
    }
}
