//! How far values fall from their forecasts: intervals at any level, and the probability of a
//! value above any threshold.
//!
//! Residuals on past origins, each over the size that is usual at its step, are exchangeable
//! enough to be pooled; their quantiles, times the usual size, are the interval. This is split
//! conformal prediction with a normalised score (Vovk, Gammerman, Shafer: "Algorithmic learning in
//! a random world", 2005; Lei et al.: "Distribution-free predictive inference for regression",
//! JASA 2018). A quarter of each bound comes from signed residuals, a quarter from their sizes:
//! signed ones alone take a drift of a few weeks for a law, sizes alone give skewed series bad
//! tails. The other half is that of a normal law of the usual size. A few hundred residuals of
//! overlapping forecasts are few: at 95 % a bad day or two decide the quantile, and the law keeps
//! it from being far off either way.
//!
//! In logarithms a few large residuals ask for bounds that are many times anything seen. Bounds
//! therefore stay within the range of the past, or of the point where it lies outside, and some
//! margin.

use crate::scale::Scale;
use crate::stats::{NORMAL_SIZE, mean, normal_above, quantile, sorted};
use crate::validation::Validation;
use serde::{Deserialize, Serialize};

/// The share of a step's own error in its size; the rest is that of all steps.
const OWN: f64 = 0.5;

/// Steps on each side whose errors are averaged into a step's size.
const SMOOTHED: usize = 2;

/// Bounds go beyond the range of the past by this share of it, at most.
const MARGIN: f64 = 0.05;

/// The share of a normal law in a bound; signed residuals and their sizes halve the rest.
const NORMAL: f64 = 0.5;

/// The pooled residuals of a forecast.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    scale: Scale,
    /// The least and the largest value of the past.
    range: (f64, f64),
    /// Usual size of an error at each step, on the scale.
    sizes: Vec<f64>,
    /// Residuals over their sizes by origin and step, where a value was observed.
    paths: Vec<Vec<Option<f64>>>,
    /// All of them, ascending.
    signed: Vec<f64>,
    /// Their absolute values, ascending.
    absolute: Vec<f64>,
}

/// Sizes by step, of residuals by origin and step.
fn sizes(residuals: &[&Vec<Option<f64>>], horizon: usize) -> Vec<f64> {
    let mut sums = vec![(0.0, 0u32); horizon];
    for row in residuals {
        for (sum, residual) in sums.iter_mut().zip(row.iter()) {
            if let Some(r) = residual {
                *sum = (sum.0 + r.abs(), sum.1 + 1);
            }
        }
    }
    let overall = {
        let (sum, count) = sums.iter().fold((0.0, 0), |a, b| (a.0 + b.0, a.1 + b.1));
        sum / f64::from(count.max(1))
    };
    let own: Vec<f64> =
        sums.iter().map(|(s, n)| if *n == 0 { overall } else { s / f64::from(*n) }).collect();
    let smooth = |h: usize| {
        let near = &own[h.saturating_sub(SMOOTHED)..(h + SMOOTHED + 1).min(horizon)];
        OWN * mean(near) + (1.0 - OWN) * overall
    };
    (0..horizon).map(smooth).collect()
}

impl Spread {
    /// Of forecasts from the origins of a validation, extended to `horizon` steps.
    pub(crate) fn of(validation: &Validation<'_>, forecasts: &[Vec<f64>], horizon: usize) -> Self {
        let (plan, scale) = (&validation.plan, validation.scaled.scale);
        let residual = |(origin, forecast): (&usize, &Vec<f64>)| {
            let mut row = vec![None; plan.horizon];
            for (h, y) in validation.observed(*origin) {
                row[h] = Some(scale.to(y) - scale.to(forecast[h]));
            }
            row
        };
        let residuals: Vec<Vec<Option<f64>>> =
            plan.origins.iter().zip(forecasts).map(residual).collect();
        let path = |(k, row): (usize, &Vec<Option<f64>>)| {
            let others: Vec<_> = plan.others(k).map(|other| &residuals[other]).collect();
            let sizes = sizes(&others, plan.horizon);
            let over = |(r, s): (&Option<f64>, &f64)| r.map(|r| if *s > 0.0 { r / s } else { 0.0 });
            row.iter().zip(&sizes).map(over).collect()
        };
        let paths: Vec<Vec<Option<f64>>> = residuals.iter().enumerate().map(path).collect();
        let signed = sorted(paths.iter().flatten().copied().flatten());
        let mut sizes = sizes(&residuals.iter().collect::<Vec<_>>(), plan.horizon);
        // Beyond what could be validated errors grow as those of a random walk.
        let last = sizes.last().copied().unwrap_or(0.0);
        let validated = sizes.len().max(1) as f64;
        sizes.extend((sizes.len()..horizon).map(|h| last * ((h + 1) as f64 / validated).sqrt()));
        sizes.truncate(horizon);
        let absolute = sorted(signed.iter().map(|q| q.abs()));
        let values = validation.scaled.series.values().iter().copied();
        let range = (
            values.clone().fold(f64::INFINITY, f64::min),
            values.fold(f64::NEG_INFINITY, f64::max),
        );
        Self { scale, range, sizes, paths, signed, absolute }
    }

    /// Without the residuals: there are no intervals any more, and little to be stored.
    pub(crate) fn forget(&mut self) {
        (self.sizes, self.signed, self.absolute) = (Vec::new(), Vec::new(), Vec::new());
        self.paths = Vec::new();
    }

    /// The bounds of the interval around `point` at a step that holds a value with probability
    /// `level`. They always hold the point.
    pub fn interval(&self, step: usize, point: f64, level: f64) -> (f64, f64) {
        let tail = (1.0 - level) / 2.0;
        let size = self.size(step);
        let even = quantile(&self.absolute, level);
        let low = (quantile(&self.signed, tail) - even) / 2.0;
        let high = (quantile(&self.signed, 1.0 - tail) + even) / 2.0;
        // Sizes are means, hence those of the law are told by theirs.
        let normal = normal_above(tail) / NORMAL_SIZE;
        let low = (1.0 - NORMAL) * low - NORMAL * normal;
        let high = (1.0 - NORMAL) * high + NORMAL * normal;
        let at = |q: f64| self.value(point, q * size);
        (at(low).min(point), at(high).max(point))
    }

    /// The probability of a value above `threshold`, and how far above it is expected to be. Each
    /// residual is as likely as any other, and one more is taken for both sides, so that nothing is
    /// certain (the predictive distributions of Vovk et al.: "Nonparametric predictive
    /// distributions based on conformal prediction", Machine Learning 2019).
    pub(crate) fn above(&self, step: usize, point: f64, threshold: f64) -> (f64, f64) {
        let size = self.size(step);
        if size <= 0.0 || self.signed.is_empty() {
            return (f64::from(u8::from(point > threshold)), (point - threshold).max(0.0));
        }
        let over = |q: &f64| self.value(point, q * size) - threshold;
        let above = self.signed.iter().map(over).filter(|over| *over > 0.0);
        let (count, sum) = above.fold((0.0, 0.0), |a, over| (a.0 + 1.0, a.1 + over));
        let all = self.signed.len() as f64;
        ((count + 0.5) / (all + 1.0), sum / all)
    }

    /// The probability that any value from step `first` on is above its threshold, of as many steps
    /// as there are points. Errors of neighbouring steps go together, so each stretch of that many
    /// residuals in a row on a past origin is as likely as any other. Residuals near the ends of
    /// their paths are in fewer stretches, hence the likeliest step alone is the least it can be;
    /// it stands for all where no stretch is as long. Of no steps it is 0.
    pub(crate) fn any_above(&self, first: usize, points: &[f64], thresholds: &[f64]) -> f64 {
        if points.is_empty() {
            return 0.0;
        }
        let each = || points.iter().zip(thresholds).enumerate();
        let alone = each().map(|(i, (point, t))| self.above(first + i, *point, *t).0);
        let least = alone.fold(0.0, f64::max);
        let (mut passed, mut all) = (0.0, 0.0);
        let stretches = self.paths.iter().flat_map(|path| path.windows(points.len()));
        for stretch in stretches.filter(|stretch| stretch.iter().all(Option::is_some)) {
            let passes = each().zip(stretch).any(|((i, (point, threshold)), residual)| {
                let residual = residual.unwrap_or(0.0) * self.size(first + i);
                self.value(*point, residual) > *threshold
            });
            all += 1.0;
            passed += f64::from(u8::from(passes));
        }
        if all > 0.0 { least.max((passed + 0.5) / (all + 1.0)) } else { least }
    }

    /// The mean of what a value may be, as each residual is as likely as any other.
    pub(crate) fn expected(&self, step: usize, point: f64) -> f64 {
        if self.signed.is_empty() {
            return point;
        }
        let size = self.size(step);
        let values = self.signed.iter().map(|residual| self.value(point, residual * size));
        values.sum::<f64>() / self.signed.len() as f64
    }

    /// What as many values from step `first` on as there are points may add up to: a sum for each
    /// stretch of that many residuals in a row on a past origin, ascending; none where no stretch
    /// is as long.
    pub(crate) fn sums(&self, first: usize, points: &[f64]) -> Vec<f64> {
        let stretches = self.paths.iter().flat_map(|path| path.windows(points.len().max(1)));
        let sum = |stretch: &[Option<f64>]| {
            let each = points.iter().zip(stretch).enumerate();
            each.map(|(i, (point, residual))| {
                Some(self.value(*point, (*residual)? * self.size(first + i)))
            })
            .sum()
        };
        sorted(stretches.filter_map(sum))
    }

    /// The value at a residual from `point`, kept within reach of the past.
    fn value(&self, point: f64, residual: f64) -> f64 {
        let (low, high) = self.range;
        let margin = MARGIN * (high - low);
        let value = self.scale.from(self.scale.to(point) + residual);
        value.clamp(low.min(point) - margin, high.max(point) + margin)
    }

    fn size(&self, step: usize) -> f64 {
        self.sizes.get(step).or(self.sizes.last()).copied().unwrap_or(0.0)
    }
}

#[cfg(test)]
mod tests;
