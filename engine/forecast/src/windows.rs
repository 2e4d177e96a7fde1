//! Critical windows: when a forecast may pass what can be borne.

use crate::forecast::Forecast;
use crate::series::Series;
use crate::stats::median;
use serde::{Deserialize, Serialize};
use threat::Timestamp;

/// What is too much.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Threshold {
    /// More than this value in a step.
    Value(f64),
    /// More than this multiple of what is usual at that step of the short season.
    TimesUsual(f64),
}

/// When a window is critical.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rule {
    /// What is too much.
    pub threshold: Threshold,
    /// A step is critical when the upper bound of the interval at this level passes the threshold.
    pub level: f64,
    /// Critical steps with at most this many others between them are one window.
    pub gap: usize,
}

impl Default for Rule {
    /// Three times the usual, by the upper bound of the 80 % interval, over gaps of two steps.
    fn default() -> Self {
        Self { threshold: Threshold::TimesUsual(3.0), level: 0.8, gap: 2 }
    }
}

/// A critical window.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Window {
    /// When its first critical step begins.
    pub start: Timestamp,
    /// When its last critical step ends.
    pub end: Timestamp,
    /// The first critical step.
    pub first: usize,
    /// The last critical step.
    pub last: usize,
    /// The step at which passing is likeliest.
    pub peak: usize,
    /// The probability that the peak passes the threshold. That any step of the window does is at
    /// least as likely; how much more is not claimed, as errors of neighbouring steps go together.
    pub probability: f64,
    /// The sum of the points over the window.
    pub expected: f64,
    /// The expected sum of what is above the threshold, over the window.
    pub excess: f64,
    /// The sum of the upper bounds over the window: what to be prepared for.
    pub upper: f64,
}

/// What is usual at each step after a series: the median of that step of the short season over the
/// latest four long seasons.
pub fn usual(series: &Series, steps: usize) -> Vec<f64> {
    let seasons = series.grid().seasons();
    let recent = series.since(series.len().saturating_sub(4 * seasons.long));
    let mut hours = vec![Vec::new(); seasons.short];
    for (at, value) in recent.values().iter().enumerate() {
        hours[(recent.phase() + at) % seasons.short].push(*value);
    }
    let usual: Vec<f64> = hours.into_iter().map(median).collect();
    (0..steps).map(|step| usual[(recent.phase() + recent.len() + step) % seasons.short]).collect()
}

/// The critical windows of a forecast of what comes after `series`, in order.
pub fn critical(forecast: &Forecast, series: &Series, rule: &Rule) -> Vec<Window> {
    let steps = forecast.mean.len();
    let thresholds: Vec<f64> = match rule.threshold {
        Threshold::Value(value) => vec![value; steps],
        Threshold::TimesUsual(times) => {
            usual(series, steps).into_iter().map(|usual| times * usual).collect()
        }
    };
    let band = forecast.band(rule.level);
    let critical: Vec<usize> = (0..steps).filter(|s| band.high[*s] > thresholds[*s]).collect();
    let near = |a: &usize, b: &usize| b - a <= rule.gap + 1;
    critical.chunk_by(near).filter_map(|c| window(forecast, &thresholds, &band.high, c)).collect()
}

fn window(
    forecast: &Forecast,
    thresholds: &[f64],
    high: &[f64],
    critical: &[usize],
) -> Option<Window> {
    let (first, last) = (*critical.first()?, *critical.last()?);
    let probability = |step: &usize| forecast.probability_above(*step, thresholds[*step]);
    let mut peak = first;
    for step in critical {
        // Of equal ones the first.
        if probability(step) > probability(&peak) {
            peak = *step;
        }
    }
    let sum = |of: &dyn Fn(usize) -> f64| (first..=last).map(of).sum();
    Some(Window {
        start: forecast.time(first),
        end: forecast.time(last + 1),
        first,
        last,
        peak,
        probability: probability(&peak),
        expected: sum(&|step| forecast.mean[step]),
        excess: sum(&|step| forecast.excess_above(step, thresholds[step])),
        upper: sum(&|step| high[step]),
    })
}

#[cfg(test)]
mod tests;
