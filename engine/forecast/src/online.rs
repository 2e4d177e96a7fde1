//! What happens to a forecast as values arrive: its intervals widen or narrow until they hold the
//! share of values that they promise, and its errors run beside those of the floors.
//!
//! Adaptive conformal inference (Gibbs and Candès: "Adaptive conformal inference under distribution
//! shift", NeurIPS 2021): after each value the tail that is left out moves by a small step against
//! what was seen. Whatever the values do, the share outside comes within `(1 + step) / (step · n)`
//! of the promise after n values.

use crate::forecast::{Band, Forecast};
use crate::members::Kind;
use crate::model::{Error, check_levels};
use serde::{Deserialize, Serialize};

/// How far a tail moves after a value, as in the paper's volatility study the order of 1 %: the
/// share is right after a few days of hours, without intervals that jump.
const STEP: f64 = 0.01;

/// A running error forgets with this half-life, in values: two days of hours.
const HALF_LIFE: f64 = 48.0;

/// Values before a floor may take over: a day of hours.
const LEAST: u64 = 24;

/// A floor takes over when its running error is below this share of the forecast's; the forecast
/// comes back when it is no worse than the floor. The gap keeps them from alternating.
const BETTER: f64 = 0.9;

/// The tail that an interval leaves out is kept in this range: an interval of everything, which the
/// theory has beyond it, helps nobody.
const TAILS: (f64, f64) = (0.001, 0.999);

/// How often an interval held what came.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Coverage {
    /// The share that is promised.
    pub level: f64,
    /// Values seen.
    pub seen: u64,
    /// Values that were inside the adapted interval.
    pub inside: u64,
    /// The tail that the interval leaves out now; `1 − level` to begin with.
    pub tail: f64,
}

impl Coverage {
    /// The share inside; `None` before the first value.
    pub fn share(&self) -> Option<f64> {
        (self.seen > 0).then(|| self.inside as f64 / self.seen as f64)
    }

    /// The level at which the interval is taken now.
    pub fn adapted_level(&self) -> f64 {
        1.0 - self.tail.clamp(TAILS.0, TAILS.1)
    }
}

/// A running mean absolute error that forgets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Running {
    sum: f64,
    weight: f64,
}

impl Running {
    fn add(&mut self, error: f64) {
        let kept = (-1.0 / HALF_LIFE).exp2();
        *self = Self { sum: kept * self.sum + error, weight: kept * self.weight + 1.0 };
    }

    fn mean(&self) -> f64 {
        if self.weight > 0.0 { self.sum / self.weight } else { 0.0 }
    }
}

/// The state of a series' forecasts: plain data, to be stored; of a fixed size.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Online {
    coverage: Vec<Coverage>,
    own: Running,
    floors: Vec<(Kind, Running)>,
    seen: u64,
    fallen_back: Option<Kind>,
}

impl Online {
    /// For intervals at `levels`.
    ///
    /// # Errors
    /// [`Error::Level`], [`Error::Levels`].
    pub fn new(levels: &[f64]) -> Result<Self, Error> {
        check_levels(levels)?;
        let of = |level: &f64| Coverage { level: *level, seen: 0, inside: 0, tail: 1.0 - level };
        Ok(Self {
            coverage: levels.iter().map(of).collect(),
            own: Running::default(),
            floors: Kind::FLOORS.iter().map(|kind| (*kind, Running::default())).collect(),
            seen: 0,
            fallen_back: None,
        })
    }

    /// Takes in the value that came at a step of a forecast, as the model gave it. A step beyond
    /// the forecast, or a value that is not finite, changes nothing.
    pub fn observe(&mut self, forecast: &Forecast, step: usize, actual: f64) {
        let Some(mean) = forecast.mean.get(step).filter(|_| actual.is_finite()) else { return };
        let shown = self.point(forecast, step).unwrap_or(*mean);
        for coverage in &mut self.coverage {
            let level = coverage.adapted_level();
            let (low, high) = forecast.spread.interval(step, shown, level);
            let inside = (low..=high).contains(&actual);
            coverage.seen += 1;
            coverage.inside += u64::from(inside);
            let left_out = 1.0 - coverage.level;
            coverage.tail += STEP * (left_out - f64::from(u8::from(!inside)));
        }
        self.own.add((actual - mean).abs());
        for (kind, running) in &mut self.floors {
            if let Some(point) = floor(forecast, *kind, step) {
                running.add((actual - point).abs());
            }
        }
        self.seen += 1;
        self.fallen_back = self.better_floor();
    }

    /// The floor that should be shown instead of the forecast.
    fn better_floor(&self) -> Option<Kind> {
        let used = self.floors.iter().filter(|(_, running)| running.weight > 0.0);
        let (kind, best) = used.min_by(|a, b| a.1.mean().total_cmp(&b.1.mean()))?;
        let bound = if self.fallen_back.is_some() { 1.0 } else { BETTER };
        (self.seen >= LEAST && best.mean() < bound * self.own.mean()).then_some(*kind)
    }

    fn point(&self, forecast: &Forecast, step: usize) -> Option<f64> {
        self.fallen_back.and_then(|kind| floor(forecast, kind, step))
    }

    /// A forecast as it should be shown: with adapted intervals and, where a floor has done
    /// better, with the floor's points.
    #[must_use]
    pub fn adapted(&self, forecast: &Forecast) -> Forecast {
        let of = |(step, mean): (usize, &f64)| self.point(forecast, step).unwrap_or(*mean);
        let mean: Vec<f64> = forecast.mean.iter().enumerate().map(of).collect();
        let band = |c: &Coverage| {
            let adapted = Band::of(&forecast.spread, &mean, c.adapted_level());
            Band { level: c.level, ..adapted }
        };
        let bands = self.coverage.iter().map(band).collect();
        Forecast { mean, bands, ..forecast.clone() }
    }

    /// How often each interval held what came.
    pub fn coverage(&self) -> &[Coverage] {
        &self.coverage
    }

    /// The running mean absolute error of the forecasts.
    pub fn error(&self) -> f64 {
        self.own.mean()
    }

    /// The running mean absolute errors of the floors.
    pub fn floor_errors(&self) -> Vec<(Kind, f64)> {
        self.floors.iter().map(|(kind, running)| (*kind, running.mean())).collect()
    }

    /// The floor that is shown instead of the forecast, as it has done better lately.
    pub const fn fallen_back(&self) -> Option<Kind> {
        self.fallen_back
    }
}

fn floor(forecast: &Forecast, kind: Kind, step: usize) -> Option<f64> {
    let floor = forecast.floors.iter().find(|(k, _)| *k == kind)?;
    floor.1.get(step).copied()
}

#[cfg(test)]
mod tests;
