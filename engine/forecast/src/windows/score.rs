//! How good critical windows were, beside the plainest rule: what was critical at the same step of
//! the long season before will be critical again.
//!
//! Windows alone do not tell a good rule from a shy or a loud one: a single window over everything
//! has a precision and a recall of 1. So the steps are counted, too, and those decide.

use super::{Rule, merged, steps};
use crate::forecast::Forecast;
use crate::series::Series;
use crate::stats::median;
use serde::{Deserialize, Serialize};

/// What was said and what came, counted over origins. An episode, or a window, is counted anew from
/// each origin whose horizon it lies in.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Tally {
    /// Windows that were said, but for those of which nothing was observed.
    pub windows: usize,
    /// Of these, those with a critical step in them or as near as the rule merges.
    pub windows_right: usize,
    /// Runs of steps that were critical, merged as windows are.
    pub episodes: usize,
    /// Of these, those that a window covers a step of.
    pub episodes_found: usize,
    /// Observed steps that were said to be critical.
    pub steps_said: usize,
    /// Steps that were critical.
    pub steps_critical: usize,
    /// Steps that were said and were critical.
    pub steps_right: usize,
    /// For each episode found, the steps from the origin to the first one covered.
    pub leads: Vec<usize>,
}

/// The share; `None` of nothing.
fn share(part: usize, all: usize) -> Option<f64> {
    (all > 0).then(|| part as f64 / all as f64)
}

/// The harmonic mean; `None` where one of them is unknown.
fn harmonic(precision: Option<f64>, recall: Option<f64>) -> Option<f64> {
    let (p, r) = (precision?, recall?);
    Some(if p + r > 0.0 { 2.0 * p * r / (p + r) } else { 0.0 })
}

impl Tally {
    /// Of one origin: the steps that were said to be critical, whether they were (`None` where
    /// nothing was observed), and the gap of the rule.
    pub fn of(said: &[bool], came: &[Option<bool>], gap: usize) -> Self {
        let critical: Vec<bool> = came.iter().map(|c| *c == Some(true)).collect();
        let observed = |step: &usize| came.get(*step).is_some_and(Option::is_some);
        let any_critical = |first: usize, last: usize| {
            critical.iter().take(last + 1).skip(first).any(|critical| *critical)
        };
        let windows = merged(said, gap);
        let mut tally = Self::default();
        for (first, last) in windows.iter().copied() {
            if (first..=last).any(|step| observed(&step)) {
                tally.windows += 1;
                let right = any_critical(first.saturating_sub(gap), last + gap);
                tally.windows_right += usize::from(right);
            }
        }
        for (first, last) in merged(&critical, gap) {
            tally.episodes += 1;
            let covered = |step: &usize| windows.iter().any(|w| (w.0..=w.1).contains(step));
            if let Some(step) = (first..=last).find(covered) {
                tally.episodes_found += 1;
                tally.leads.push(step);
            }
        }
        for step in (0..said.len()).filter(observed) {
            tally.steps_said += usize::from(said[step]);
            tally.steps_critical += usize::from(critical[step]);
            tally.steps_right += usize::from(said[step] && critical[step]);
        }
        tally
    }

    /// Adds what another one counted.
    pub fn add(&mut self, other: &Self) {
        self.windows += other.windows;
        self.windows_right += other.windows_right;
        self.episodes += other.episodes;
        self.episodes_found += other.episodes_found;
        self.steps_said += other.steps_said;
        self.steps_critical += other.steps_critical;
        self.steps_right += other.steps_right;
        self.leads.extend(&other.leads);
    }

    /// The share of windows that were right.
    pub fn precision(&self) -> Option<f64> {
        share(self.windows_right, self.windows)
    }

    /// The share of episodes that were found.
    pub fn recall(&self) -> Option<f64> {
        share(self.episodes_found, self.episodes)
    }

    /// The harmonic mean of both. Nothing said of something is 0.
    pub fn f1(&self) -> Option<f64> {
        harmonic(self.precision().or((self.episodes > 0).then_some(0.0)), self.recall())
    }

    /// The share of steps said that were critical.
    pub fn step_precision(&self) -> Option<f64> {
        share(self.steps_right, self.steps_said)
    }

    /// The share of critical steps that were said.
    pub fn step_recall(&self) -> Option<f64> {
        share(self.steps_right, self.steps_critical)
    }

    /// The harmonic mean of both. Nothing said of something is 0.
    pub fn step_f1(&self) -> Option<f64> {
        let none_said = (self.steps_critical > 0).then_some(0.0);
        harmonic(self.step_precision().or(none_said), self.step_recall())
    }

    /// The median of [`Tally::leads`], in steps; `None` where nothing was found.
    pub fn median_lead(&self) -> Option<f64> {
        (!self.leads.is_empty()).then(|| median(self.leads.iter().map(|lead| *lead as f64)))
    }
}

/// A forecaster's windows beside those of the plainest rule, counted alike.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Scores {
    /// Of the forecaster.
    pub forecast: Tally,
    /// Of the same step of the long season before.
    pub last_season: Tally,
}

impl Scores {
    /// Of one origin: a forecast of what comes after `known`, and what came, by step (`None` where
    /// nothing was observed).
    pub fn of(forecast: &Forecast, known: &Series, actual: &[Option<f64>], rule: &Rule) -> Self {
        let thresholds = rule.threshold.by_step(known, forecast.mean.len());
        let came: Vec<Option<bool>> = thresholds
            .iter()
            .enumerate()
            .map(|(step, threshold)| Some(actual.get(step).copied().flatten()? > *threshold))
            .collect();
        let tally = |said: &[bool]| Tally::of(said, &came, rule.gap);
        Self {
            forecast: tally(&steps(forecast, known, rule)),
            last_season: tally(&last_season(known, &thresholds)),
        }
    }

    /// Adds what other ones counted.
    pub fn add(&mut self, other: &Self) {
        self.forecast.add(&other.forecast);
        self.last_season.add(&other.last_season);
    }
}

/// Which steps after a series the plainest rule says to be critical: those at which the value a
/// long season before passed the threshold. Where that was not yet observed, none.
pub fn last_season(known: &Series, thresholds: &[f64]) -> Vec<bool> {
    let long = known.grid().seasons().long;
    let before = |step: usize| {
        // Beyond one season the latest one known is taken again.
        let at = (known.len() + step % long).checked_sub(long)?;
        known.values().get(at).copied()
    };
    let passes = |(step, threshold): (usize, &f64)| before(step).is_some_and(|v| v > *threshold);
    thresholds.iter().enumerate().map(passes).collect()
}

#[cfg(test)]
mod tests;
