//! A series: values on a regular grid of time, without a gap. Rows become one in `rows`.

mod rows;

pub use rows::{Duplicates, Gaps, Negatives, NotANumber, Treated, Treatment};

use crate::limits::{FITTED_SEASONS, LONG_SEASON, STEPS, VALUE};
use crate::member::Past;
use crate::scale::Scale;
use serde::{Deserialize, Serialize};
use threat::Timestamp;

/// Why there is no series.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    /// The grid has no seasons that a forecast could use.
    #[error(
        "steps of {step_secs} s do not divide a day into 4 to 288 parts, nor are they days; \
         give the lengths of the seasons"
    )]
    Step {
        /// Seconds of a step.
        step_secs: u32,
    },
    /// Seasons that do not fit each other, or are too long.
    #[error(
        "a season of {long} steps with one of {short} in it: each must be 2 to {LONG_SEASON} \
         steps, and the short one divide the long one"
    )]
    Seasons {
        /// Steps of the short season.
        short: usize,
        /// Steps of the long season.
        long: usize,
    },
    /// No rows, or none with a value.
    #[error("there is no row with a value")]
    Empty,
    /// Over a limit.
    #[error("{found} {what}; at most {most} make a series")]
    TooMany {
        /// Rows or steps.
        what: &'static str,
        /// How many there are.
        found: usize,
        /// How many may be.
        most: usize,
    },
    /// A row cannot be used.
    #[error("row {row}: {value} {problem}")]
    Row {
        /// Counted from 0, in the order given.
        row: usize,
        /// Its value.
        value: f64,
        /// What is wrong with it.
        problem: &'static str,
    },
}

/// The lengths of two seasons, in steps; a day and a week for an hourly grid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seasons {
    /// The short one. It divides the long one.
    pub short: usize,
    /// The long one; equal to the short one where there is only one.
    pub long: usize,
}

/// How time is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grid {
    step_secs: u32,
    seasons: Seasons,
}

impl Grid {
    /// Hours, with a day and a week.
    pub const HOURLY: Self = Self { step_secs: 3_600, seasons: Seasons { short: 24, long: 168 } };

    /// Steps of `step_secs` seconds, with a day and a week; for steps of a day with a week alone.
    ///
    /// # Errors
    /// [`Error::Step`] where a day is not 4 to 288 steps, or one.
    pub fn of_step(step_secs: u32) -> Result<Self, Error> {
        const DAY: u32 = 86_400;
        if step_secs == DAY {
            return Ok(Self { step_secs, seasons: Seasons { short: 7, long: 7 } });
        }
        if step_secs == 0
            || !DAY.is_multiple_of(step_secs)
            || !(4..=288).contains(&(DAY / step_secs))
        {
            return Err(Error::Step { step_secs });
        }
        let short = (DAY / step_secs) as usize;
        Ok(Self { step_secs, seasons: Seasons { short, long: 7 * short } })
    }

    /// Steps of `step_secs` seconds with other seasons.
    ///
    /// # Errors
    /// [`Error::Step`] for a step of nothing, [`Error::Seasons`].
    pub fn with_seasons(step_secs: u32, seasons: Seasons) -> Result<Self, Error> {
        let Seasons { short, long } = seasons;
        if step_secs == 0 {
            return Err(Error::Step { step_secs });
        }
        if short < 2 || long > LONG_SEASON || !long.is_multiple_of(short) || long == 0 {
            return Err(Error::Seasons { short, long });
        }
        Ok(Self { step_secs, seasons })
    }

    /// Seconds of a step.
    pub const fn step_secs(&self) -> u32 {
        self.step_secs
    }

    /// The seasons.
    pub const fn seasons(&self) -> Seasons {
        self.seasons
    }

    /// The step that a time is in, counted from the Unix epoch.
    pub fn step_of(&self, time: Timestamp) -> i64 {
        time.secs().div_euclid(i64::from(self.step_secs))
    }

    /// When a step begins.
    pub fn time_of(&self, step: i64) -> Timestamp {
        let secs = step.saturating_mul(i64::from(self.step_secs));
        Timestamp::from_micros(secs.saturating_mul(1_000_000))
    }
}

/// Values on a grid, without a gap.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Series {
    grid: Grid,
    first: i64,
    values: Vec<f64>,
    /// Places of values that were not observed, ascending.
    filled: Vec<usize>,
}

impl Series {
    /// A series of `values`, the first of which is of the step that `start` is in.
    ///
    /// # Errors
    /// [`Error::Empty`], [`Error::TooMany`], and [`Error::Row`] for a value that is not finite or
    /// beyond [`VALUE`].
    pub fn new(grid: Grid, start: Timestamp, values: Vec<f64>) -> Result<Self, Error> {
        if values.is_empty() {
            return Err(Error::Empty);
        }
        if values.len() > STEPS {
            return Err(Error::TooMany { what: "steps", found: values.len(), most: STEPS });
        }
        for (row, value) in values.iter().enumerate() {
            check(row, *value)?;
        }
        Ok(Self { grid, first: grid.step_of(start), values, filled: Vec::new() })
    }

    /// Adds the value of the next step. Of a series that is as long as it may be, the oldest value
    /// goes.
    ///
    /// # Errors
    /// [`Error::Row`] for a value that is not finite or beyond [`VALUE`].
    pub fn push(&mut self, value: f64) -> Result<(), Error> {
        check(self.values.len(), value)?;
        if self.values.len() == STEPS {
            self.values.remove(0);
            self.first += 1;
            self.filled.retain(|at| *at > 0);
            self.filled.iter_mut().for_each(|at| *at -= 1);
        }
        self.values.push(value);
        Ok(())
    }

    /// How time is cut.
    pub const fn grid(&self) -> Grid {
        self.grid
    }

    /// The values, in order of time.
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// How many steps it has.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// No series is empty.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// When the value at a place begins, which may be in the future.
    pub fn time(&self, at: usize) -> Timestamp {
        self.grid.time_of(self.first.saturating_add(at as i64))
    }

    /// When the step after the last one begins.
    pub fn end(&self) -> Timestamp {
        self.time(self.len())
    }

    /// Places of values that no row gave, ascending.
    pub fn filled(&self) -> &[usize] {
        &self.filled
    }

    /// Whether the values are counts: whole and not negative.
    pub fn is_of_counts(&self) -> bool {
        self.values.iter().all(|v| *v >= 0.0 && v.fract() == 0.0)
    }

    /// The first `steps` steps of it, at least one.
    #[must_use]
    pub fn until(&self, steps: usize) -> Self {
        let steps = steps.clamp(1, self.len());
        let filled = self.filled.iter().copied().filter(|at| *at < steps).collect();
        Self { values: self.values[..steps].to_vec(), filled, ..*self }
    }

    /// What is left without the first `steps` steps; at least the last one stays.
    #[must_use]
    pub fn since(&self, steps: usize) -> Self {
        let steps = steps.min(self.len() - 1);
        let filled = self.filled.iter().filter(|at| **at >= steps).map(|at| at - steps).collect();
        let first = self.first + steps as i64;
        Self { grid: self.grid, first, values: self.values[steps..].to_vec(), filled }
    }

    /// The latest part, which models are fitted to.
    pub(crate) fn fitted_part(&self) -> Self {
        let most = FITTED_SEASONS * self.grid.seasons.long;
        self.since(self.len().saturating_sub(most))
    }

    /// The place of a time, within the series.
    pub(crate) fn place(&self, time: Timestamp) -> usize {
        let steps = self.grid.step_of(time).saturating_sub(self.first);
        usize::try_from(steps).unwrap_or(0).min(self.len() - 1)
    }

    /// The step of the long season that the first value is in.
    pub(crate) fn phase(&self) -> usize {
        self.first.rem_euclid(self.grid.seasons.long as i64) as usize
    }

    /// The values on a scale.
    pub(crate) fn on(&self, scale: Scale) -> Vec<f64> {
        self.values.iter().map(|v| scale.to(*v)).collect()
    }

    /// What members see of values on a scale.
    pub(crate) fn past<'a>(&self, z: &'a [f64]) -> Past<'a> {
        Past { z, phase: self.phase(), seasons: self.grid.seasons }
    }
}

fn check(row: usize, value: f64) -> Result<(), Error> {
    let problem = match value {
        v if v.is_nan() => "is not a number",
        v if v.is_infinite() => "is not finite",
        v if v.abs() > VALUE => "is too large",
        _ => return Ok(()),
    };
    Err(Error::Row { row, value, problem })
}

#[cfg(test)]
mod tests;
