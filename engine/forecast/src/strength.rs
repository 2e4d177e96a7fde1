//! How strong trend and seasons are.
//!
//! Wang, Smith and Hyndman: "Characteristic-based clustering for time series data", 2006; Hyndman
//! and Athanasopoulos: "Forecasting: principles and practice", 4.3: with a series taken apart into
//! trend T, season S and rest R, the strength of the season is `max(0, 1 − Var(R) / Var(S + R))`,
//! that of the trend the same of T. Here the trend is a moving average over the long season, and
//! the season the median of each of its steps.

use crate::member::Past;
use crate::stats::{deviation, median};
use serde::{Deserialize, Serialize};

/// Below this strength a season is weak: the bound at which R's `nsdiffs` takes seasonal
/// differences (Hyndman and Khandakar: "Automatic time series forecasting", 2008, and later
/// versions of its package).
pub const WEAK: f64 = 0.64;

/// The strengths of a series, each from 0 to 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Strength {
    /// Of the trend.
    pub trend: f64,
    /// Of the short season: the day.
    pub short: f64,
    /// Of the long season: the week. With few weeks some of it is noise.
    pub long: f64,
}

impl Strength {
    /// Of values on the scale on which they are modelled. Shorter than a long season and a step,
    /// the trend is taken over the short season.
    pub(crate) fn of(past: &Past<'_>) -> Self {
        let seasons = past.seasons;
        let over = if past.z.len() > seasons.long { seasons.long } else { seasons.short };
        let (first, trend) = crate::members::moving_average(past.z, over);
        let flat: Vec<f64> =
            trend.iter().zip(&past.z[first.min(past.z.len())..]).map(|(t, z)| z - t).collect();
        let (short, rest) = season(&flat, seasons.short, |i| past.short(first + i));
        let long = if over == seasons.long {
            season(&flat, seasons.long, |i| past.long(first + i)).0
        } else {
            0.0
        };
        let with_trend: Vec<f64> = rest.iter().zip(&trend).map(|(r, t)| r + t).collect();
        Self { trend: share(&rest, &with_trend), short, long }
    }
}

/// The strength of a season, and the rest.
fn season(flat: &[f64], length: usize, step: impl Fn(usize) -> usize) -> (f64, Vec<f64>) {
    let mut steps = vec![Vec::new(); length];
    for (i, v) in flat.iter().enumerate() {
        steps[step(i)].push(*v);
    }
    let shape: Vec<f64> = steps.into_iter().map(median).collect();
    let rest: Vec<f64> = flat.iter().enumerate().map(|(i, v)| v - shape[step(i)]).collect();
    (share(&rest, flat), rest)
}

fn share(rest: &[f64], all: &[f64]) -> f64 {
    let (rest, all) = (deviation(rest), deviation(all));
    if all > 0.0 { (1.0 - (rest / all) * (rest / all)).max(0.0) } else { 0.0 }
}

#[cfg(test)]
mod tests;
