//! A fitted forecaster of one series, and the rule by which it chose.
//!
//! One rule serves every series. The four methods of [`Kind::MIXED`] are mixed by their
//! errors. Where the seasons are weak ([`crate::strength::WEAK`]) simpler methods get
//! their chance: the profile for counts, where it is about as good; otherwise any of the others
//! that is better on the whole and on most origins. Strongly seasonal series are never given to a
//! simple method: one that won there on a few origins lost on the next.

use crate::forecast::{Band, Forecast, Method};
use crate::limits::{HORIZON_SEASONS, LEVELS};
use crate::members::{Fit, Kind};
use crate::mix;
use crate::scale::Scale;
use crate::series::Series;
use crate::shift::{self, Shift};
use crate::spread::Spread;
use crate::stats::mean;
use crate::strength::{Strength, WEAK};
use crate::validation::{Measured, Record, Scaled, Validation};
use serde::{Deserialize, Serialize};

/// Why there is no forecast.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    /// Nothing can be measured on so little.
    #[error("{found} steps are too few: {least} are needed, two short seasons")]
    Short {
        /// Steps of the series.
        found: usize,
        /// Steps needed.
        least: usize,
    },
    /// A horizon of nothing, or beyond the limit.
    #[error("a horizon of {asked} steps; 1 to {most} can be forecast")]
    Horizon {
        /// Steps asked for.
        asked: usize,
        /// Steps at most.
        most: usize,
    },
    /// A level that is no probability.
    #[error("an interval at level {0}; levels lie between 0 and 1")]
    Level(f64),
    /// Too many levels.
    #[error("{0} levels; at most {LEVELS}")]
    Levels(usize),
    /// A value came that the model's scale has no place for: the first 0 of a series that had only
    /// positive values, or the first negative one.
    #[error("a value has come that the model's scale has no place for: fit anew")]
    Scale,
    /// A series on another grid than the model's.
    #[error("the series has another grid than the one that the model was fitted to")]
    Grid,
}

/// What is forecast.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// Steps.
    pub horizon: usize,
    /// Probabilities of the intervals.
    pub levels: Vec<f64>,
}

impl Default for Settings {
    /// Three days of hours at 80 and 95 %.
    fn default() -> Self {
        Self { horizon: 72, levels: vec![0.8, 0.95] }
    }
}

/// A method with its part in the forecast.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Part {
    weight: f64,
    fit: Fit,
}

/// A fitted forecaster: parameters, weights, residuals. Plain data, to be stored; it forecasts from
/// any later state of its series, and is fitted anew when it pleases the caller.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Model {
    settings: Settings,
    grid: crate::Grid,
    scale: Scale,
    parts: Vec<Part>,
    spread: Spread,
    errors: Errors,
    strength: Strength,
    shift: Option<Shift>,
    weak: bool,
}

/// Mean absolute errors on past origins, in the units of the series.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Errors {
    /// Of what was chosen.
    pub chosen: f64,
    /// Of each method alone.
    pub alone: Vec<(Kind, f64)>,
}

/// An alternative replaces the mix when it wins this many of eight origins: fewer are luck.
const WINS: (usize, usize) = (6, 8);

/// The profile may be this much worse than the mix, for counts with weak seasons: it is the simpler
/// one, and its error on a week of origins is a matter of luck.
const TOLERANCE: f64 = 1.05;

/// What was chosen, and how it did.
struct Choice {
    parts: Vec<(f64, Kind)>,
    measured: Measured,
}

impl Choice {
    fn alone(record: &Record) -> Self {
        Self { parts: vec![(1.0, record.kind)], measured: record.measured.clone() }
    }

    /// A mix of the records.
    fn mixed(pool: &[&Record], validation: &Validation<'_>) -> Self {
        let measured = validation.measured(mix::validated(pool, &validation.plan));
        let all = 0..validation.plan.origins.len();
        let weights = mix::weights(&mix::errors(pool, all));
        let parts = weights.iter().zip(pool).map(|(w, r)| (*w, r.kind)).collect();
        Self { parts, measured }
    }

    /// The rule; see the module.
    fn of(records: &[Record], validation: &Validation<'_>, strength: Strength) -> Self {
        let (pool, others): (Vec<&Record>, Vec<&Record>) =
            records.iter().partition(|r| Kind::MIXED.contains(&r.kind));
        if pool.is_empty() {
            return Self::mixed(&others, validation);
        }
        let mix = Self::mixed(&pool, validation);
        if strength.short.max(strength.long) >= WEAK {
            return mix;
        }
        let error = mean(&mix.measured.errors);
        let profile = others.iter().find(|r| {
            r.kind == Kind::Profile
                && validation.scaled.series.is_of_counts()
                && mean(&r.measured.errors) <= TOLERANCE * error
        });
        let better = others.iter().filter(|r| {
            let won =
                r.measured.errors.iter().zip(&mix.measured.errors).filter(|(a, b)| a < b).count();
            mean(&r.measured.errors) <= error && won * WINS.1 >= WINS.0 * mix.measured.errors.len()
        });
        let of = |r: &&&Record| mean(&r.measured.errors);
        let best = || better.min_by(|a, b| of(a).total_cmp(&of(b)));
        profile.or_else(best).map_or(mix, |record| Self::alone(record))
    }
}

impl Model {
    /// Fits and chooses.
    ///
    /// # Errors
    /// [`Error::Short`] for less than two short seasons; [`Error::Horizon`], [`Error::Level`],
    /// [`Error::Levels`].
    pub fn fit(series: &Series, settings: &Settings) -> Result<Self, Error> {
        check(series, settings)?;
        let series = series.fitted_part();
        let shift = shift::latest(&series);
        let series = match &shift {
            Some(shift) => series.since(series.place(shift.at)),
            None => series,
        };
        let validation = Validation::new(&series, settings.horizon);
        let (scaled, plan) = (&validation.scaled, &validation.plan);
        let records: Vec<Record> = Kind::ALL.iter().filter_map(|k| validation.of(*k)).collect();
        let strength = Strength::of(&scaled.past());
        let choice = Choice::of(&records, &validation, strength);
        let spread = Spread::of(&validation, &choice.measured.forecasts, settings.horizon);
        let fitted = |(weight, kind): &(f64, Kind)| {
            Some(Part { weight: *weight, fit: kind.fit(&scaled.past())? })
        };
        let alone = records.iter().map(|r| (r.kind, mean(&r.measured.errors))).collect();
        Ok(Self {
            settings: settings.clone(),
            grid: series.grid(),
            scale: scaled.scale,
            parts: choice.parts.iter().filter_map(fitted).collect(),
            spread,
            errors: Errors { chosen: mean(&choice.measured.errors), alone },
            strength,
            shift,
            weak: plan.is_short(settings.horizon),
        })
    }

    /// What comes after `series`, which may have grown since the fit.
    ///
    /// # Errors
    /// [`Error::Grid`] and [`Error::Short`], when it is not the series of the fit; [`Error::Scale`]
    /// when the model has to be fitted anew.
    pub fn forecast(&self, series: &Series) -> Result<Forecast, Error> {
        if series.grid() != self.grid {
            return Err(Error::Grid);
        }
        check(series, &self.settings)?;
        let known = series.fitted_part();
        let known = match &self.shift {
            Some(shift) => known.since(known.place(shift.at)),
            None => known,
        };
        // In logarithms a 0 would be an enormous outlier.
        if !self.scale.holds(known.values()) {
            return Err(Error::Scale);
        }
        let horizon = self.settings.horizon;
        let scaled = Scaled::new(&known, self.scale);
        let of = |fit: &Fit| scaled.forecast(fit, known.len(), horizon);
        let each: Vec<Vec<f64>> = self.parts.iter().map(|p| of(&p.fit)).collect();
        let weights: Vec<f64> = self.parts.iter().map(|p| p.weight).collect();
        let mean = mix::mixed(&each.iter().map(Vec::as_slice).collect::<Vec<_>>(), &weights);
        let floors = Kind::FLOORS.iter().filter_map(|kind| {
            let fit = kind.fit(&scaled.past())?;
            Some((*kind, of(&fit)))
        });
        Ok(Forecast {
            start: series.end(),
            step_secs: self.grid.step_secs(),
            bands: Band::all(&self.spread, &mean, &self.settings.levels),
            mean,
            floors: floors.collect(),
            methods: self.methods(),
            spread: self.spread.clone(),
            shift: self.shift,
            weak: self.weak,
        })
    }

    /// The methods with their weights, which add up to 1.
    pub fn methods(&self) -> Vec<Method> {
        let of = |p: &Part| Method { kind: p.fit.kind(), weight: p.weight };
        self.parts.iter().map(of).collect()
    }

    /// How the methods did on past origins.
    pub const fn errors(&self) -> &Errors {
        &self.errors
    }

    /// How strong trend and seasons are.
    pub const fn strength(&self) -> Strength {
        self.strength
    }

    /// The shift after which the model starts.
    pub const fn shift(&self) -> Option<Shift> {
        self.shift
    }

    /// What is forecast.
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }
}

fn check(series: &Series, settings: &Settings) -> Result<(), Error> {
    let seasons = series.grid().seasons();
    let least = 2 * seasons.short;
    if series.len() < least {
        return Err(Error::Short { found: series.len(), least });
    }
    let most = HORIZON_SEASONS * seasons.long;
    if !(1..=most).contains(&settings.horizon) {
        return Err(Error::Horizon { asked: settings.horizon, most });
    }
    check_levels(&settings.levels)
}

/// Whether levels are few, and between 0 and 1.
pub(crate) fn check_levels(levels: &[f64]) -> Result<(), Error> {
    if levels.len() > LEVELS {
        return Err(Error::Levels(levels.len()));
    }
    match levels.iter().find(|l| !(**l > 0.0 && **l < 1.0)) {
        Some(level) => Err(Error::Level(*level)),
        None => Ok(()),
    }
}

#[cfg(test)]
mod law_tests;
#[cfg(test)]
mod tests;
