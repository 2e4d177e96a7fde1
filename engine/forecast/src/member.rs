//! What a forecasting method is to the rest: it is fitted to a past, and forecasts from any later
//! past with the parameters it has. Methods stand in `members`, one file each.
//!
//! To add one: a file there with a type that implements [`Member`], and a line in the catalogue at
//! the end of `members.rs`. Whether it takes part is decided by its errors, series by series.

use crate::series::Seasons;

/// What a member sees: the values up to an origin, on the scale on which they are modelled.
#[derive(Clone, Copy, Debug)]
pub struct Past<'a> {
    /// Values in order of time, one per step, without a gap.
    pub z: &'a [f64],
    /// The step of the long season that the first value is in.
    pub phase: usize,
    /// The lengths of the seasons, in steps.
    pub seasons: Seasons,
}

impl<'a> Past<'a> {
    /// The step of the long season of the value at `at`, which may be in the future.
    pub fn long(&self, at: usize) -> usize {
        (self.phase + at) % self.seasons.long
    }

    /// The step of the short season of the value at `at`, which may be in the future.
    pub fn short(&self, at: usize) -> usize {
        self.long(at) % self.seasons.short
    }

    /// The same past, as it was after its first `values` values.
    pub fn until(self, values: usize) -> Self {
        Self { z: &self.z[..values.min(self.z.len())], ..self }
    }

    /// The last `values` values, or all.
    pub fn last(&self, values: usize) -> &'a [f64] {
        &self.z[self.z.len().saturating_sub(values)..]
    }
}

/// A fitted method.
pub trait Member: Sized {
    /// One word for tables.
    const NAME: &'static str;
    /// What it does, in one line.
    const SUMMARY: &'static str;

    /// Values that it needs to be fitted.
    fn needs(seasons: Seasons) -> usize;

    /// Fits it; `None` where the values do not determine it.
    fn fit(past: &Past<'_>) -> Option<Self>;

    /// The `horizon` values after `past`, which may have grown since the fit.
    fn forecast(&self, past: &Past<'_>, horizon: usize) -> Vec<f64>;
}
