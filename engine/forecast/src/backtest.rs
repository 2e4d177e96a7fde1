//! Backtests: what the forecaster would have said at past origins, fitted anew at each, beside the
//! floors; and the measures by which forecasts are compared.
//!
//! MASE: Hyndman and Koehler: "Another look at measures of forecast accuracy", IJF 2006. Interval
//! score: Gneiting and Raftery: "Strictly proper scoring rules", JASA 2007; scaled as in the M4
//! competition (Makridakis et al., IJF 2020). Values that were filled in are not scored. Critical
//! windows are counted over whole horizons, beside the same hour of the week before.

use crate::forecast::Forecast;
use crate::model::{Error, Model, Settings};
use crate::series::Series;
use crate::stats::mean;
use crate::windows::Rule;
use crate::windows::score::Scores;
use serde::{Deserialize, Serialize};

/// Origins of a backtest, at most: a year of weeks.
pub const ORIGINS: usize = 53;

/// Where to forecast from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origins {
    /// How many, the latest a horizon before the end; fewer where the series is too short. At most
    /// [`ORIGINS`] are taken.
    pub count: usize,
    /// Steps between them.
    pub every: usize,
}

/// Measures over the first steps of all windows; lower is better, but for coverage.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measures {
    /// Steps from each origin.
    pub horizon: usize,
    /// Mean absolute error.
    pub mae: f64,
    /// The mean over windows of the error over that of the seasonal naive forecast within what was
    /// known; `None` where that error is 0 in every window.
    pub mase: Option<f64>,
    /// Mean of 200·|y − f| / (|y| + |f|), in percent; 0 where both are 0.
    pub smape: f64,
    /// By level: the share of values inside, and the scaled interval score. Empty for floors, which
    /// have no intervals.
    pub intervals: Vec<Interval>,
}

/// How good the intervals of a level were.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// The level.
    pub level: f64,
    /// The share of values inside.
    pub coverage: f64,
    /// Width plus `2 / (1 − level)` times what values were outside by, scaled as MASE is.
    pub msis: Option<f64>,
}

/// A method, or `chosen` for what the forecaster said, with its measures by horizon.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// `chosen`, or the floor's name.
    pub name: String,
    /// One for each horizon.
    pub measures: Vec<Measures>,
}

/// The result of a backtest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Windows that were forecast.
    pub windows: usize,
    /// The forecaster first, then the floors.
    pub lines: Vec<Line>,
    /// Critical windows, over all steps of all windows.
    pub critical: Scores,
}

/// One window: a forecast, what came (`None` where it was not observed), and the scale of errors.
struct Scored {
    forecast: Forecast,
    actual: Vec<Option<f64>>,
    scale: f64,
}

/// Forecasts from past origins and measures over each of `horizons` (clipped to the settings').
/// What is critical is what [`Rule::default`] says.
///
/// # Errors
/// Those of [`with_rule`].
pub fn backtest(
    series: &Series,
    settings: &Settings,
    origins: Origins,
    horizons: &[usize],
) -> Result<Report, Error> {
    with_rule(series, settings, origins, horizons, &Rule::default())
}

/// [`backtest`] with another rule of what is critical.
///
/// # Errors
/// Those of [`Model::fit`]; [`Error::Short`] when not one origin leaves two short seasons before it
/// and a horizon after it.
pub fn with_rule(
    series: &Series,
    settings: &Settings,
    origins: Origins,
    horizons: &[usize],
    rule: &Rule,
) -> Result<Report, Error> {
    let least = 2 * series.grid().seasons().short;
    let every = origins.every.max(1);
    let count = origins.count.clamp(1, ORIGINS);
    let last = series.len().saturating_sub(settings.horizon);
    let places = (0..count).filter_map(|k| last.checked_sub(k * every)).filter(|at| *at >= least);
    let (mut scored, mut critical) = (Vec::new(), Scores::default());
    for place in places {
        let one = score(series, settings, place)?;
        critical.add(&Scores::of(&one.forecast, &series.until(place), &one.actual, rule));
        scored.push(one);
    }
    let Some(first) = scored.first() else {
        return Err(Error::Short { found: series.len(), least: least + settings.horizon });
    };
    let horizons: Vec<usize> = horizons.iter().map(|h| (*h).clamp(1, settings.horizon)).collect();
    let measures = |floor: Option<usize>| -> Vec<Measures> {
        horizons.iter().map(|h| measure(&scored, *h, floor)).collect()
    };
    let mut lines = vec![Line { name: "chosen".into(), measures: measures(None) }];
    for (i, (kind, _)) in first.forecast.floors.iter().enumerate() {
        lines.push(Line { name: kind.name().into(), measures: measures(Some(i)) });
    }
    Ok(Report { windows: scored.len(), lines, critical })
}

fn score(series: &Series, settings: &Settings, place: usize) -> Result<Scored, Error> {
    let known = series.until(place);
    let forecast = Model::fit(&known, settings)?.forecast(&known)?;
    let observed = |at: usize| series.filled().binary_search(&at).is_err();
    let actual = (place..place + settings.horizon)
        .map(|at| series.values().get(at).copied().filter(|_| observed(at)))
        .collect();
    let season = series.grid().seasons().short;
    let values = known.values();
    let steps: Vec<f64> =
        values.iter().skip(season).zip(values).map(|(now, before)| (now - before).abs()).collect();
    Ok(Scored { forecast, actual, scale: mean(&steps) })
}

impl Scored {
    /// Observed values of the first steps, with their step.
    fn pairs(&self, horizon: usize) -> impl Iterator<Item = (usize, f64)> + '_ {
        let first = self.actual.iter().take(horizon).enumerate();
        first.filter_map(|(step, actual)| Some((step, (*actual)?)))
    }

    fn points(&self, floor: Option<usize>) -> &[f64] {
        match floor.and_then(|i| self.forecast.floors.get(i)) {
            Some((_, points)) => points,
            None => &self.forecast.mean,
        }
    }

    fn mean_of(&self, horizon: usize, of: impl Fn(usize, f64) -> f64) -> f64 {
        mean(&self.pairs(horizon).map(|(step, y)| of(step, y)).collect::<Vec<f64>>())
    }
}

/// The mean over windows; `None` of none.
fn over(values: impl Iterator<Item = f64>) -> Option<f64> {
    let values: Vec<f64> = values.collect();
    (!values.is_empty()).then(|| mean(&values))
}

fn measure(scored: &[Scored], horizon: usize, floor: Option<usize>) -> Measures {
    let error = |s: &Scored| s.mean_of(horizon, |step, y| (y - s.points(floor)[step]).abs());
    let percent = |s: &Scored| {
        s.mean_of(horizon, |step, y| {
            let f = s.points(floor)[step];
            let both = y.abs() + f.abs();
            if both > 0.0 { 200.0 * (y - f).abs() / both } else { 0.0 }
        })
    };
    let with_scale = || scored.iter().filter(|s| s.scale > 0.0);
    let levels = if floor.is_none() { scored[0].forecast.bands.len() } else { 0 };
    let interval = |i: usize| {
        let level = scored[0].forecast.bands[i].level;
        let inside = |s: &Scored| {
            let band = &s.forecast.bands[i];
            let within = |step: usize, y: f64| band.low[step] <= y && y <= band.high[step];
            s.mean_of(horizon, |step, y| f64::from(u8::from(within(step, y))))
        };
        let penalty = |s: &Scored| {
            let band = &s.forecast.bands[i];
            s.mean_of(horizon, |step, y| {
                let (low, high) = (band.low[step], band.high[step]);
                high - low + 2.0 / (1.0 - level) * ((low - y).max(0.0) + (y - high).max(0.0))
            })
        };
        Interval {
            level,
            coverage: over(scored.iter().map(inside)).unwrap_or(0.0),
            msis: over(with_scale().map(|s| penalty(s) / s.scale)),
        }
    };
    Measures {
        horizon,
        mae: over(scored.iter().map(error)).unwrap_or(0.0),
        mase: over(with_scale().map(|s| error(s) / s.scale)),
        smape: over(scored.iter().map(percent)).unwrap_or(0.0),
        intervals: (0..levels).map(interval).collect(),
    }
}

#[cfg(test)]
mod tests;
