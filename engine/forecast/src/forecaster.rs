//! The forecaster of one series while it goes on: fits on a schedule and after shifts of level,
//! keeps what it said, compares it with what comes, and steps back behind a floor that does better.
//!
//! What it said is judged by how far ahead it was said: each day ahead has intervals of its own
//! that adapt (see [`crate::online`]), as those of tomorrow tell nothing of those of the day after.

use crate::forecast::{Band, Forecast};
use crate::members::Kind;
use crate::model::{self, Model, Settings};
use crate::online::Online;
use crate::series::Series;
use crate::shift::{self, Shift};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use threat::Timestamp;

/// Forecasts that are kept after they were judged, to be shown: a week of days.
pub const PAST: usize = 7;

/// Why a model was fitted.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Why {
    /// There was none.
    First,
    /// A day has passed.
    Schedule,
    /// The level of the series has shifted.
    Shift(Shift),
    /// A value came that the old model had no place for.
    Scale,
}

/// What has happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// A model was fitted, and a forecast made with it.
    Fitted(Why),
    /// So many days ahead, counted from 0, this floor is shown now: it has done better.
    FellBack(usize, Kind),
    /// So many days ahead the forecast is shown again.
    CameBack(usize),
}

/// How forecasts of one day ahead have done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Judged {
    /// Days ahead: 1 is the first 24 steps of an hourly series.
    pub day: usize,
    /// Its intervals and errors.
    pub online: Online,
}

/// A forecaster; its state is plain data but for the model, which is fitted anew after a restart.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Forecaster {
    settings: Settings,
    days: Vec<Online>,
    /// What was said, the latest first.
    said: VecDeque<Forecast>,
    /// Up to where values were compared with it.
    seen: Option<Timestamp>,
    fits: u64,
    #[serde(skip)]
    model: Option<Model>,
}

impl Forecaster {
    /// One that has said nothing yet.
    ///
    /// # Errors
    /// [`model::Error::Level`], [`model::Error::Levels`].
    pub fn new(settings: Settings) -> Result<Self, model::Error> {
        let days = vec![Online::new(&settings.levels)?];
        Ok(Self { settings, days, said: VecDeque::new(), seen: None, fits: 0, model: None })
    }

    /// Takes in a series that has grown since the last call, or is seen for the first time. One
    /// that has not grown changes nothing.
    ///
    /// # Errors
    /// Those of [`Model::fit`], such as that the series is too short; it may grow then.
    pub fn step(&mut self, series: &Series, effects: &mut Vec<Effect>) -> Result<(), model::Error> {
        let over = self.seen.is_some_and(|seen| series.end() < seen);
        if over || (self.seen == Some(series.end()) && self.model.is_some()) {
            return Ok(());
        }
        let day = series.grid().seasons().short;
        let days = self.settings.horizon.div_ceil(day).max(1);
        while self.days.len() < days {
            self.days.push(Online::new(&self.settings.levels)?);
        }
        self.judge(series, day, effects);
        self.seen = Some(series.end());
        let why = match self.why(series, day) {
            Some(why) => why,
            // After a restart what was said stands; only the model is fitted anew.
            None if self.model.is_none() => {
                self.model = Some(Model::fit(series, &self.settings)?);
                return Ok(());
            }
            None => return Ok(()),
        };
        let model = Model::fit(series, &self.settings)?;
        let forecast = model.forecast(series)?;
        self.model = Some(model);
        self.said.push_front(forecast);
        self.said.truncate(PAST + self.days.len());
        for said in &mut self.said {
            // All of it came: it is only shown from now on.
            if said.step_of(series.end()).is_none() {
                *said = said.clone().shown();
            }
        }
        self.fits += 1;
        effects.push(Effect::Fitted(why));
        Ok(())
    }

    /// Compares what was said with what came.
    fn judge(&mut self, series: &Series, day: usize, effects: &mut Vec<Effect>) {
        let before: Vec<Option<Kind>> = self.days.iter().map(Online::fallen_back).collect();
        let from = self.seen.map_or(series.len(), |seen| series.place(seen));
        for at in from..series.len() {
            let (time, value) = (series.time(at), series.values()[at]);
            let known = self.seen.is_some_and(|seen| time < seen);
            if known || series.filled().binary_search(&at).is_ok() {
                continue;
            }
            // Of what was said so far ahead the latest word, so that each value counts once a day.
            let mut judged = vec![false; self.days.len()];
            for said in &self.said {
                let Some(step) = said.step_of(time) else { continue };
                if let (Some(online), Some(done @ false)) =
                    (self.days.get_mut(step / day), judged.get_mut(step / day))
                {
                    *done = true;
                    online.observe(said, step, value);
                }
            }
        }
        for (at, (before, online)) in before.iter().zip(&self.days).enumerate() {
            match (before, online.fallen_back()) {
                (old, Some(kind)) if *old != Some(kind) => effects.push(Effect::FellBack(at, kind)),
                (Some(_), None) => effects.push(Effect::CameBack(at)),
                _ => {}
            }
        }
    }

    /// Why a model is to be fitted now.
    fn why(&self, series: &Series, day: usize) -> Option<Why> {
        let Some(last) = self.said.front() else { return Some(Why::First) };
        let step = last.step_of(series.end());
        if step.is_none_or(|step| step >= day) {
            return Some(Why::Schedule);
        }
        let known = last.shift.map(|shift| shift.at);
        // The place of a shift moves a little as more of it is seen: only one that is new counts.
        let new = |shift: &Shift| known.is_none_or(|k| shift.at > k.plus_secs(DAY_SECS));
        let fresh = step.is_some_and(|step| step > 0);
        if fresh && let Some(shift) = shift::latest(&series.fitted_part()).filter(new) {
            return Some(Why::Shift(shift));
        }
        let model = self.model.as_ref()?;
        matches!(model.forecast(series), Err(model::Error::Scale)).then_some(Why::Scale)
    }

    /// What comes after the series that was taken in last, as it should be shown; nothing before
    /// there is a model.
    ///
    /// # Errors
    /// Those of [`Model::forecast`].
    pub fn forecast(&self, series: &Series) -> Result<Option<Forecast>, model::Error> {
        let Some(model) = &self.model else { return Ok(None) };
        let plain = model.forecast(series)?;
        Ok(Some(self.adapted(&plain, series.grid().seasons().short)))
    }

    /// A forecast whose steps of each day ahead are as that day's past says.
    fn adapted(&self, plain: &Forecast, day: usize) -> Forecast {
        let days: Vec<Forecast> = self.days.iter().map(|online| online.adapted(plain)).collect();
        let of = |step: usize| days.get(step / day.max(1)).unwrap_or(plain);
        let steps = 0..plain.mean.len();
        let band = |(at, band): (usize, &Band)| Band {
            level: band.level,
            low: steps.clone().map(|step| of(step).bands[at].low[step]).collect(),
            high: steps.clone().map(|step| of(step).bands[at].high[step]).collect(),
        };
        Forecast {
            mean: steps.clone().map(|step| of(step).mean[step]).collect(),
            bands: plain.bands.iter().enumerate().map(band).collect(),
            ..plain.clone()
        }
    }

    /// What was said, the earliest first.
    pub fn said(&self) -> impl Iterator<Item = &Forecast> {
        self.said.iter().rev()
    }

    /// How it has done, by days ahead.
    pub fn judged(&self) -> Vec<Judged> {
        let of = |(at, online): (usize, &Online)| Judged { day: at + 1, online: online.clone() };
        self.days.iter().enumerate().map(of).collect()
    }

    /// The model in use.
    pub const fn model(&self) -> Option<&Model> {
        self.model.as_ref()
    }

    /// Models that were fitted so far.
    pub const fn fits(&self) -> u64 {
        self.fits
    }
}

/// Within this a shift is the one that was known.
const DAY_SECS: f64 = 86_400.0;

#[cfg(test)]
mod tests;
