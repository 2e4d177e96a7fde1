//! How well each method would have forecast what is known: fitted once, then forecasting from
//! several origins with updated states (rolling origin with fixed coefficients; Tashman:
//! "Out-of-sample tests of forecasting accuracy", IJF 2000). Fitting once costs a tenth of fitting
//! anew at each origin, and is harder on methods that fit noise.

use crate::member::Past;
use crate::members::{Fit, Kind, range};
use crate::scale::Scale;
use crate::series::{Seasons, Series};
use crate::stats::mean;

/// Origins, where there is room for them: each hour of the week is forecast at least once.
const ORIGINS: usize = 8;

/// Origins that are worth giving up half of the past for, where room is short.
const FEW: usize = 4;

/// Where to fit and from where to forecast.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    /// Values that the members are fitted to.
    pub(crate) fitted: usize,
    /// Steps forecast from each origin.
    pub(crate) horizon: usize,
    /// Values known at each origin, the latest first.
    pub(crate) origins: Vec<usize>,
}

impl Plan {
    /// For `values` values and a wanted horizon. Short series get a shorter one, then fewer and
    /// closer origins. There are at least two short seasons.
    pub(crate) fn of(values: usize, horizon: usize, seasons: Seasons) -> Self {
        let short = seasons.short;
        let ample = 2 * seasons.long + short;
        let (horizon, base) = if values >= horizon + ample + (ORIGINS - 1) * short {
            (horizon, values - horizon - (ORIGINS - 1) * short)
        } else {
            let horizon = horizon.min((values / 4).max(1));
            let room = values - horizon;
            let base = [ample, 4 * short].into_iter().find(|b| room >= b + (FEW - 1) * short);
            (horizon, base.unwrap_or((room / 2).max(short.min(room))))
        };
        let room = values - horizon - base;
        let step = if room >= (FEW - 1) * short { short } else { (room / FEW).max(1) };
        let count = (room / step + 1).min(ORIGINS);
        let origins: Vec<usize> = (0..count).map(|k| values - horizon - k * step).collect();
        Self { fitted: values - horizon - (count - 1) * step, horizon, origins }
    }

    /// Whether less was validated than was asked for.
    pub(crate) fn is_short(&self, horizon: usize) -> bool {
        self.horizon < horizon || self.origins.len() < ORIGINS
    }

    /// The origins whose windows of forecasts do not overlap much with that of origin `k`.
    pub(crate) fn others(&self, k: usize) -> impl Iterator<Item = usize> + '_ {
        let count = self.origins.len();
        let far = move |other: &usize| other.abs_diff(k) > 1;
        let any = (0..count).any(|other| far(&other));
        (0..count).filter(move |other| !any || far(other))
    }
}

/// What was forecast from each origin, and how it did.
#[derive(Clone, Debug)]
pub(crate) struct Measured {
    /// By origin and step, in the units of the series.
    pub(crate) forecasts: Vec<Vec<f64>>,
    /// Mean absolute error by origin, of observed values; 0 where none was.
    pub(crate) errors: Vec<f64>,
    /// The same on the scale, on which no few large values decide.
    pub(crate) scaled_errors: Vec<f64>,
}

/// What one method did.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    pub(crate) kind: Kind,
    pub(crate) measured: Measured,
}

/// A series on the scale on which its errors are even.
#[derive(Debug)]
pub(crate) struct Scaled<'a> {
    pub(crate) series: &'a Series,
    pub(crate) scale: Scale,
    z: Vec<f64>,
}

impl<'a> Scaled<'a> {
    pub(crate) fn new(series: &'a Series, scale: Scale) -> Self {
        Self { series, scale, z: series.on(scale) }
    }

    /// What members see.
    pub(crate) fn past(&self) -> Past<'_> {
        self.series.past(&self.z)
    }

    /// What a method forecasts after `origin` values, in the units of the series. It stays in the
    /// range of the values, widened.
    pub(crate) fn forecast(&self, fit: &Fit, origin: usize, steps: usize) -> Vec<f64> {
        let (low, high) = range(&self.z);
        let z = fit.forecast(&self.past().until(origin), steps);
        z.into_iter().map(|z| self.scale.from(z.clamp(low, high))).collect()
    }
}

/// A series with a plan: measures whatever forecasts from the origins.
#[derive(Debug)]
pub(crate) struct Validation<'a> {
    pub(crate) scaled: Scaled<'a>,
    pub(crate) plan: Plan,
    observed: Vec<bool>,
}

impl<'a> Validation<'a> {
    pub(crate) fn new(series: &'a Series, horizon: usize) -> Self {
        let scaled = Scaled::new(series, Scale::of(series.values()));
        let plan = Plan::of(series.len(), horizon, series.grid().seasons());
        let mut observed = vec![true; series.len()];
        series.filled().iter().for_each(|at| observed[*at] = false);
        Self { scaled, plan, observed }
    }

    /// Fits a method at the first origin and forecasts from all.
    pub(crate) fn of(&self, kind: Kind) -> Option<Record> {
        let fit = kind.fit(&self.scaled.past().until(self.plan.fitted))?;
        let from = |origin: &usize| self.scaled.forecast(&fit, *origin, self.plan.horizon);
        let forecasts = self.plan.origins.iter().map(from).collect();
        Some(Record { kind, measured: self.measured(forecasts) })
    }

    /// Forecasts from the origins with their errors.
    pub(crate) fn measured(&self, forecasts: Vec<Vec<f64>>) -> Measured {
        let scale = self.scaled.scale;
        let (mut errors, mut scaled_errors) = (Vec::new(), Vec::new());
        for (origin, forecast) in self.plan.origins.iter().zip(&forecasts) {
            let pairs: Vec<(f64, f64)> =
                self.observed(*origin).map(|(step, y)| (y, forecast[step])).collect();
            let error = |change: fn(Scale, f64) -> f64| {
                let of = |(y, f): &(f64, f64)| (change(scale, *y) - change(scale, *f)).abs();
                mean(&pairs.iter().map(of).collect::<Vec<f64>>())
            };
            errors.push(error(|_, value| value));
            scaled_errors.push(error(Scale::to));
        }
        Measured { forecasts, errors, scaled_errors }
    }

    /// Observed values after an origin, with their steps.
    pub(crate) fn observed(&self, origin: usize) -> impl Iterator<Item = (usize, f64)> + '_ {
        let values = self.scaled.series.values();
        let steps = 0..self.plan.horizon;
        steps.filter(move |h| self.observed[origin + h]).map(move |h| (h, values[origin + h]))
    }
}

#[cfg(test)]
mod tests;
