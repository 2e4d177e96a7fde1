//! What a forecast will cost: analysts' minutes, scoring cores, room in streams.

use crate::forecast::{Band, Forecast};
use serde::{Deserialize, Serialize};

/// Why no need can be told.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    /// A cost that is no cost.
    #[error("{name} of {value}: it must be finite and {must}")]
    Cost {
        /// Which.
        name: &'static str,
        /// Its value.
        value: f64,
        /// What it must be.
        must: &'static str,
    },
}

/// What one event costs. The forecast counts events per step.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Costs {
    /// Incidents that an event leads to, on average.
    pub incidents_per_event: f64,
    /// Minutes of an analyst per incident.
    pub minutes_per_incident: f64,
    /// Seconds of one core that scoring an event takes.
    pub core_secs_per_event: f64,
    /// The share of a core that may be busy: queues grow without bound near 1.
    pub utilisation: f64,
    /// How much faster than on average events arrive in the busiest second of a step.
    pub peak_to_mean: f64,
}

/// A need by step, with its intervals.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Need {
    /// The expected need of each step.
    pub mean: Vec<f64>,
    /// Its intervals, at the levels of the forecast.
    pub bands: Vec<Band>,
}

impl Need {
    /// Needs are proportional to events, so that intervals scale with the points.
    fn of(forecast: &Forecast, factor: f64) -> Self {
        let scaled = |values: &[f64]| values.iter().map(|v| v.max(0.0) * factor).collect();
        let band = |b: &Band| Band { level: b.level, low: scaled(&b.low), high: scaled(&b.high) };
        Self { mean: scaled(&forecast.mean), bands: forecast.bands.iter().map(band).collect() }
    }

    /// The expected sum over all steps.
    pub fn total(&self) -> f64 {
        self.mean.iter().sum()
    }

    /// The largest upper bound of a band over all steps; `None` where there is no such band.
    pub fn peak(&self, level: f64) -> Option<f64> {
        let band = self.bands.iter().find(|b| b.level == level)?;
        Some(band.high.iter().copied().fold(0.0, f64::max))
    }
}

/// What a forecast needs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Needs {
    /// Minutes of analysts in each step.
    pub analyst_minutes: Need,
    /// Cores that score, during each step.
    pub scoring_cores: Need,
    /// Events per second that streams must carry in the busiest second of each step.
    pub stream_events_per_sec: Need,
}

/// The needs of a forecast of events per step. Values below 0 need nothing.
///
/// # Errors
/// [`Error::Cost`] for a cost that is negative or not finite, a utilisation that is not above 0 and
/// at most 1, or a peak below the mean.
pub fn needs(forecast: &Forecast, costs: &Costs) -> Result<Needs, Error> {
    let from = |name, value: f64, least: f64, must| {
        let fits = value.is_finite() && value >= least;
        if fits { Ok(value) } else { Err(Error::Cost { name, value, must }) }
    };
    let incidents = from("incidents per event", costs.incidents_per_event, 0.0, "not negative")?;
    let minutes = from("minutes per incident", costs.minutes_per_incident, 0.0, "not negative")?;
    let core_secs = from("core seconds per event", costs.core_secs_per_event, 0.0, "not negative")?;
    let peak = from("a peak to mean", costs.peak_to_mean, 1.0, "at least 1")?;
    let busy = costs.utilisation;
    if !(busy > 0.0 && busy <= 1.0) {
        let must = "above 0 and at most 1";
        return Err(Error::Cost { name: "a utilisation", value: busy, must });
    }
    let step = f64::from(forecast.step_secs.max(1));
    Ok(Needs {
        analyst_minutes: Need::of(forecast, incidents * minutes),
        scoring_cores: Need::of(forecast, core_secs / step / busy),
        stream_events_per_sec: Need::of(forecast, peak / step),
    })
}

#[cfg(test)]
mod tests;
