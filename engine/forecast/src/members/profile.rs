//! For counts: a flat level, plus as much of the hour's profile as stands out of the noise.
//!
//! Counts of attacks are mostly noise around a level; a shape of the day that is estimated from a
//! month of them does harm at its full size. It is shrunk by the share of its variance that is
//! estimation error, after James and Stein ("Estimation with quadratic loss", 1961).

use crate::member::{Member, Past};
use crate::series::Seasons;
use crate::stats::{MAD_TO_SD, absolute_deviation, mean, median, weighted_quantiles};
use serde::{Deserialize, Serialize};

/// Long seasons looked at.
const WEEKS: usize = 4;

/// Short seasons in which a level's weight halves.
const HALF_LIFE: f64 = 2.0;

/// The level is the mean of these quantiles: near a median, but less of a lottery between counts.
const QUANTILES: [f64; 5] = [0.4, 0.45, 0.5, 0.55, 0.6];

/// A median's standard error is this times a mean's.
const MEDIAN_ERROR: f64 = 1.25;

/// The share of the estimation error's variance that is taken off.
const SHRINKAGE: f64 = 0.5;

/// The shrunk profile.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Profile {
    /// By step of the short season.
    shape: Vec<f64>,
}

impl Profile {
    fn level(&self, past: &Past<'_>) -> f64 {
        let short = past.seasons.short;
        let recent = past.last(WEEKS * past.seasons.long);
        let from = past.z.len() - recent.len();
        let weighted = recent.iter().enumerate().map(|(i, z)| {
            let age = (recent.len() - 1 - i) as f64 / (short as f64 * HALF_LIFE);
            (z - self.shape[past.short(from + i)], (-age).exp2())
        });
        mean(&weighted_quantiles(weighted.collect(), &QUANTILES))
    }
}

impl Member for Profile {
    const NAME: &'static str = "profile";
    const SUMMARY: &'static str = "recent level and the shrunk shape of the day, for counts";

    fn needs(seasons: Seasons) -> usize {
        2 * seasons.short
    }

    fn fit(past: &Past<'_>) -> Option<Self> {
        let short = past.seasons.short;
        let recent = past.last(WEEKS * past.seasons.long);
        let days = recent.len() / short;
        let from = past.z.len() - days * short;
        let mut hours = vec![Vec::with_capacity(days); short];
        for (day, values) in past.z[from..].chunks_exact(short).enumerate() {
            let level = median(values.iter().copied());
            for (i, z) in values.iter().enumerate() {
                hours[past.short(from + day * short + i)].push(z - level);
            }
        }
        let raw: Vec<f64> = hours.iter().map(|h| median(h.iter().copied())).collect();
        let centre = median(raw.iter().copied());
        let mut shape: Vec<f64> = raw.iter().map(|r| r - centre).collect();
        let root = (days as f64).sqrt();
        let error = |(hour, raw): (&Vec<f64>, &f64)| {
            let error = MEDIAN_ERROR * MAD_TO_SD * absolute_deviation(hour, *raw) / root;
            error * error
        };
        let noise = mean(&hours.iter().zip(&raw).map(error).collect::<Vec<f64>>());
        let signal = mean(&shape.iter().map(|s| s * s).collect::<Vec<f64>>());
        let kept = if signal > 0.0 { (1.0 - SHRINKAGE * noise / signal).max(0.0) } else { 0.0 };
        shape.iter_mut().for_each(|s| *s *= kept);
        Some(Self { shape })
    }

    fn forecast(&self, past: &Past<'_>, horizon: usize) -> Vec<f64> {
        let level = self.level(past);
        let end = past.z.len();
        (end..end + horizon).map(|at| level + self.shape[past.short(at)]).collect()
    }
}
