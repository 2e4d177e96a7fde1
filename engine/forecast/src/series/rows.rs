//! Rows of time and value become a series: every oddity is treated as stated, and counted.

use super::{Error, Grid, Series, check};
use crate::limits::{ROWS, STEPS};
use crate::stats::mean;
use serde::{Deserialize, Serialize};
use threat::Timestamp;

/// What a step without a row means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Gaps {
    /// Nothing happened: its value is 0. For counts of events from a source that was up.
    #[default]
    Zero,
    /// It was not observed: the mean of the same step of the season before and after it, as far as
    /// these were observed, else of the nearest steps that were. Filled values are no evidence:
    /// no error is measured on them.
    Unknown,
}

/// What several rows of one step mean.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Duplicates {
    /// Parts of one number: they are added.
    #[default]
    Sum,
    /// Readings of one level: their mean.
    Mean,
    /// Readings of one level: the largest.
    Largest,
    /// A mistake.
    Refuse,
}

/// What a value below 0 means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Negatives {
    /// A value like others.
    Keep,
    /// Noise around nothing: 0.
    Zero,
    /// A mistake, as counts have none.
    #[default]
    Refuse,
}

/// What a value that is not a number means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum NotANumber {
    /// The row was not observed; the step is treated as one without a row.
    Missing,
    /// A mistake.
    #[default]
    Refuse,
}

/// How oddities of rows are treated. By default rows are counts of events. An infinite value is
/// always refused; order never matters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Treatment {
    /// Steps without a row.
    pub gaps: Gaps,
    /// Steps with several rows.
    pub duplicates: Duplicates,
    /// Values below 0.
    pub negatives: Negatives,
    /// Values that are not numbers.
    pub not_a_number: NotANumber,
}

/// How often each oddity was met.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Treated {
    /// Steps without a row, between the first and the last one.
    pub gaps: usize,
    /// Rows beyond the first of their step.
    pub duplicates: usize,
    /// Negative values that became 0.
    pub negatives: usize,
    /// Rows without a number.
    pub not_a_number: usize,
}

impl Series {
    /// A series of rows in any order. A row counts for the step that its time is in.
    ///
    /// # Errors
    /// [`Error::Row`] names the first row that the treatment refuses; [`Error::TooMany`] and
    /// [`Error::Empty`].
    pub fn from_rows(
        grid: Grid,
        rows: &[(Timestamp, f64)],
        treatment: Treatment,
    ) -> Result<(Self, Treated), Error> {
        if rows.len() > ROWS {
            return Err(Error::TooMany { what: "rows", found: rows.len(), most: ROWS });
        }
        let mut treated = Treated::default();
        let mut kept: Vec<(i64, f64, usize)> = Vec::with_capacity(rows.len());
        for (row, (time, value)) in rows.iter().enumerate() {
            if let Some(value) = accept(row, *value, treatment, &mut treated)? {
                kept.push((grid.step_of(*time), value, row));
            }
        }
        // By value within a step, so that a sum is the same in any order of the rows.
        kept.sort_unstable_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)).then(a.2.cmp(&b.2)));
        let (Some(first), Some(last)) = (kept.first(), kept.last()) else {
            return Err(Error::Empty);
        };
        let (first, steps) = (first.0, last.0.abs_diff(first.0).saturating_add(1));
        if steps > STEPS as u64 {
            let found = usize::try_from(steps).unwrap_or(usize::MAX);
            return Err(Error::TooMany { what: "steps", found, most: STEPS });
        }
        let mut values = vec![None; steps as usize];
        for same in kept.chunk_by(|a, b| a.0 == b.0) {
            treated.duplicates += same.len() - 1;
            let value = join(same, treatment.duplicates)?;
            check(same[0].2, value)?;
            values[same[0].0.abs_diff(first) as usize] = Some(value);
        }
        treated.gaps = values.iter().filter(|v| v.is_none()).count();
        let (values, filled) = match treatment.gaps {
            Gaps::Zero => (values.iter().map(|v| v.unwrap_or(0.0)).collect(), Vec::new()),
            Gaps::Unknown => fill(&values, grid.seasons().short),
        };
        Ok((Self { grid, first, values, filled }, treated))
    }
}

/// The value of a row as it counts, `None` for one that was not observed.
fn accept(
    row: usize,
    value: f64,
    treatment: Treatment,
    treated: &mut Treated,
) -> Result<Option<f64>, Error> {
    if value.is_nan() && treatment.not_a_number == NotANumber::Missing {
        treated.not_a_number += 1;
        return Ok(None);
    }
    check(row, value)?;
    if value >= 0.0 {
        return Ok(Some(value));
    }
    match treatment.negatives {
        Negatives::Keep => Ok(Some(value)),
        Negatives::Zero => {
            treated.negatives += 1;
            Ok(Some(0.0))
        }
        Negatives::Refuse => Err(Error::Row { row, value, problem: "is negative" }),
    }
}

/// One value of the rows of one step, which are sorted by value.
fn join(same: &[(i64, f64, usize)], duplicates: Duplicates) -> Result<f64, Error> {
    let sum: f64 = same.iter().map(|r| r.1).sum();
    match duplicates {
        Duplicates::Sum => Ok(sum),
        Duplicates::Mean => Ok(sum / same.len() as f64),
        Duplicates::Largest => Ok(same[same.len() - 1].1),
        Duplicates::Refuse if same.len() == 1 => Ok(sum),
        Duplicates::Refuse => {
            let later = same.iter().max_by_key(|r| r.2).unwrap_or(&same[0]);
            let problem = "is of a step that already has a row";
            Err(Error::Row { row: later.2, value: later.1, problem })
        }
    }
}

/// Values for the steps that have none, and their places.
fn fill(values: &[Option<f64>], season: usize) -> (Vec<f64>, Vec<usize>) {
    let nearest = nearest(values);
    let mut filled = Vec::new();
    let all = values.iter().enumerate().map(|(at, value)| {
        value.unwrap_or_else(|| {
            filled.push(at);
            let before = at.checked_sub(season).and_then(|b| values[b]);
            let after = values.get(at + season).copied().flatten();
            match (before, after) {
                (Some(a), Some(b)) => mean(&[a, b]),
                (Some(one), None) | (None, Some(one)) => one,
                (None, None) => nearest[at],
            }
        })
    });
    (all.collect(), filled)
}

/// For each place the mean of the observed values next to it on both sides.
fn nearest(values: &[Option<f64>]) -> Vec<f64> {
    let mut after = vec![None; values.len()];
    let mut seen = None;
    for (at, value) in values.iter().enumerate().rev() {
        seen = value.or(seen);
        after[at] = seen;
    }
    let mut seen = None;
    let both = values.iter().zip(after).map(|(value, after)| {
        seen = value.or(seen);
        mean(&[seen.or(after).unwrap_or(0.0), after.or(seen).unwrap_or(0.0)])
    });
    both.collect()
}
