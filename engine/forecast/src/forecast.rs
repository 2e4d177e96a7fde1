//! A forecast: points, intervals, floors beside them, and where it comes from.

use crate::members::Kind;
use crate::shift::Shift;
use crate::spread::Spread;
use crate::stats::{mean, quantile};
use serde::{Deserialize, Serialize};
use std::ops::Range;
use threat::Timestamp;

/// An interval at one level, by step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Band {
    /// The probability that a value lies in it.
    pub level: f64,
    /// Lower bounds, never above the point.
    pub low: Vec<f64>,
    /// Upper bounds, never below the point.
    pub high: Vec<f64>,
}

impl Band {
    /// At one level around points.
    pub(crate) fn of(spread: &Spread, points: &[f64], level: f64) -> Self {
        let at = |(step, point): (usize, &f64)| spread.interval(step, *point, level);
        let (low, high) = points.iter().enumerate().map(at).unzip();
        Self { level, low, high }
    }

    /// At each of the levels.
    pub(crate) fn all(spread: &Spread, points: &[f64], levels: &[f64]) -> Vec<Self> {
        levels.iter().map(|level| Self::of(spread, points, *level)).collect()
    }
}

/// A method's part in a forecast.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Method {
    /// The method.
    pub kind: Kind,
    /// Its weight; the weights of a forecast add up to 1.
    pub weight: f64,
}

/// What several steps may add up to.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sum {
    /// What is expected: the mean, where points are what is as likely passed as not, which for rare
    /// events is 0.
    pub expected: f64,
    /// The lower bound of its interval.
    pub low: f64,
    /// The upper bound of its interval.
    pub high: f64,
}

/// What comes next, by step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Forecast {
    /// When the first step begins.
    pub start: Timestamp,
    /// Seconds of a step.
    pub step_secs: u32,
    /// The point forecast, in the units of the series.
    pub mean: Vec<f64>,
    /// Intervals at the levels asked for.
    pub bands: Vec<Band>,
    /// What the floors forecast, to be compared with.
    pub floors: Vec<(Kind, Vec<f64>)>,
    /// Where the points come from.
    pub methods: Vec<Method>,
    /// Residuals: intervals at other levels, probabilities.
    pub spread: Spread,
    /// The shift of level before which nothing was used.
    pub shift: Option<Shift>,
    /// Whether the series was too short for a full validation: fewer origins, a shorter horizon or
    /// fewer methods stand behind the intervals.
    pub weak: bool,
}

impl Forecast {
    /// When a step begins.
    pub fn time(&self, step: usize) -> Timestamp {
        self.start.plus_secs(step as f64 * f64::from(self.step_secs))
    }

    /// What can be shown of it: points, and intervals as they were. No others can be told any more.
    #[must_use]
    pub fn shown(mut self) -> Self {
        self.spread.forget();
        self.floors = Vec::new();
        self
    }

    /// The first steps of it, at least one.
    #[must_use]
    pub fn first(mut self, steps: usize) -> Self {
        let steps = steps.max(1);
        let bounds = self.bands.iter_mut().flat_map(|band| [&mut band.low, &mut band.high]);
        let floors = self.floors.iter_mut().map(|(_, values)| values);
        bounds.chain(floors).for_each(|values| values.truncate(steps));
        self.mean.truncate(steps);
        self
    }

    /// The step that a time is in, if it is one of the forecast's.
    pub fn step_of(&self, time: Timestamp) -> Option<usize> {
        let step = (time.since(self.start) / f64::from(self.step_secs.max(1))).floor();
        let known = step >= 0.0 && step < self.mean.len() as f64;
        known.then_some(step as usize)
    }

    /// The interval at any level between 0 and 1, in the units of the series.
    pub fn band(&self, level: f64) -> Band {
        Band::of(&self.spread, &self.mean, level.clamp(0.0, 1.0))
    }

    /// What the values of some steps add up to, with the interval at `level`; those beyond the
    /// forecast count nothing.
    pub fn sum(&self, steps: Range<usize>, level: f64) -> Sum {
        let (first, last) = (steps.start.min(self.mean.len()), steps.end.min(self.mean.len()));
        let points = &self.mean[first..last.max(first)];
        let sums = self.spread.sums(first, points);
        if sums.is_empty() {
            // Nothing is known of how errors go together: as if they all did.
            let band = self.band(level);
            let over = |values: &[f64]| values[first..first + points.len()].iter().sum();
            let each = points.iter().enumerate();
            let expected = each.map(|(i, point)| self.spread.expected(first + i, *point)).sum();
            let (low, high): (f64, f64) = (over(&band.low), over(&band.high));
            return Sum { expected, low: low.min(expected), high: high.max(expected) };
        }
        let tail = (1.0 - level.clamp(0.0, 1.0)) / 2.0;
        let expected = mean(&sums);
        let at = |share: f64| quantile(&sums, share);
        Sum { expected, low: at(tail).min(expected), high: at(1.0 - tail).max(expected) }
    }

    /// The probability that the value of a step is above `threshold`.
    pub fn probability_above(&self, step: usize, threshold: f64) -> f64 {
        self.mean.get(step).map_or(0.0, |point| self.spread.above(step, *point, threshold).0)
    }

    /// The probability that any value from step `first` on is above its threshold, of as many steps
    /// as there are thresholds; steps beyond the forecast do not count.
    pub fn probability_any_above(&self, first: usize, thresholds: &[f64]) -> f64 {
        let points = self.mean.get(first..).unwrap_or_default();
        let points = &points[..points.len().min(thresholds.len())];
        self.spread.any_above(first, points, thresholds)
    }

    /// How far the value of a step is expected to be above `threshold`, counting 0 where it is not.
    pub fn excess_above(&self, step: usize, threshold: f64) -> f64 {
        self.mean.get(step).map_or(0.0, |point| self.spread.above(step, *point, threshold).1)
    }
}
