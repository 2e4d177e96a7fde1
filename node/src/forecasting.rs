//! Forecasts of tables of series: each window is fitted, forecast and written; what is critical is
//! told, and how good the forecasts would have been.

mod asking;
pub mod needs;
mod notes;
pub mod table;

pub use actors::response::forecaster::Wanted;
pub use asking::{Heard, ask, of_state};
pub use notes::notes;

use forecast::backtest::{self, Line, Origins, Report};
use forecast::forecaster::Judged;
use forecast::series::Treated;
use forecast::shift::{self, Shift};
use forecast::strength::Strength;
use forecast::windows::score::Scores;
use forecast::windows::{self, Rule};
use forecast::{Forecast, Grid, Model, Outlook, Series, Settings, Treatment};
use std::fmt::Write as _;
use table::Window;

/// Horizons back from the end at which a page shows what would have been forecast.
const PAST: usize = 3;

/// How a table is forecast.
#[derive(Clone, Debug)]
pub struct Request {
    /// How time is cut.
    pub grid: Grid,
    /// What odd rows mean.
    pub treatment: Treatment,
    /// How far, and the levels of intervals.
    pub settings: Settings,
    /// What is critical.
    pub rule: Rule,
    /// Whether past forecasts are made, too, for a page.
    pub past: bool,
}

/// Why there is no forecast.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The rows.
    #[error(transparent)]
    Table(#[from] table::Error),
    /// The series.
    #[error("series {name}: {error}")]
    Model {
        /// Its name, with its origin.
        name: String,
        /// What is wrong.
        error: forecast::model::Error,
    },
}

/// A window with its forecast.
#[derive(Clone, Debug)]
pub struct Made {
    /// The window.
    pub window: Window,
    /// Its series.
    pub series: Series,
    /// What was odd in its rows.
    pub treated: Treated,
    /// What comes.
    pub forecast: Forecast,
    /// When it may get too much.
    pub critical: Vec<windows::Window>,
    /// What was forecast from earlier origins, the earliest first.
    pub past: Vec<Forecast>,
    /// How strong trend and seasons are.
    pub strength: Option<Strength>,
    /// Changes of level in the series, in order.
    pub shifts: Vec<Shift>,
    /// How earlier forecasts did as values came, by days ahead; where somebody kept account.
    pub judged: Vec<Judged>,
}

impl Made {
    /// What a forecaster tells of a subject.
    ///
    /// # Errors
    /// What it gives as the reason when there is no forecast.
    pub fn of(outlook: Outlook, hours: usize, rule: &Rule) -> Result<Self, String> {
        let Outlook { subject, series, forecast, said, judged, strength, shifts } = outlook;
        let forecast = forecast?.first(hours);
        let critical = windows::critical(&forecast, &series, rule);
        let window = Window::of(subject.to_string());
        let treated = Treated::default();
        Ok(Self {
            window,
            series,
            treated,
            forecast,
            critical,
            past: said,
            strength,
            shifts,
            judged,
        })
    }
}

/// Forecasts one window.
///
/// # Errors
/// Any [`Error`].
pub fn make(window: Window, request: &Request) -> Result<Made, Error> {
    let (series, treated) = window.series(request.grid, request.treatment)?;
    let of = |series: &Series| {
        let model = Model::fit(series, &request.settings)?;
        Ok((model.forecast(series)?, model.strength()))
    };
    let (forecast, strength) =
        of(&series).map_err(|error| Error::Model { name: window.name(), error })?;
    let critical = windows::critical(&forecast, &series, &request.rule);
    let mut past = Vec::new();
    if request.past {
        let places = (1..=PAST).rev();
        let places = places.filter_map(|k| series.len().checked_sub(k * request.settings.horizon));
        // Where too little was known there is no forecast to show.
        past.extend(places.filter_map(|place| Some(of(&series.until(place)).ok()?.0)));
    }
    let (strength, shifts) = (Some(strength), shift::all(&series));
    let judged = Vec::new();
    Ok(Made { window, series, treated, forecast, critical, past, strength, shifts, judged })
}

/// The header of what [`rows`] writes.
pub fn header(levels: &[f64]) -> String {
    let mut header = String::from("series,origin,t,mean");
    for level in levels {
        let percent = percent(*level);
        // Writing to a string does not fail.
        let _ = write!(header, ",lo{percent},hi{percent}");
    }
    header + "\n"
}

/// A level as a number of percent, as short as it can be.
pub fn percent(level: f64) -> f64 {
    (level * 1e6).round() / 1e4
}

/// A line for each step of a forecast.
pub fn rows(made: &Made, grid: Grid) -> String {
    let (series, origin) = (quoted(&made.window.series), quoted(&made.window.origin));
    let mut text = String::new();
    for (step, mean) in made.forecast.mean.iter().enumerate() {
        let time = made.window.written(grid, made.forecast.time(step));
        let _ = write!(text, "{series},{origin},{time},{mean}");
        for band in &made.forecast.bands {
            let _ = write!(text, ",{},{}", band.low[step], band.high[step]);
        }
        text.push('\n');
    }
    text
}

/// A field of a table, quoted where it has to be.
fn quoted(field: &str) -> String {
    if field.contains(['"', ',', '\n', '\r']) {
        format!("\"{}\"", field.replace('"', "\"\""))
    } else {
        field.to_owned()
    }
}

/// What a backtest of several series came to: the mean over series of each measure.
#[derive(Clone, Debug, Default)]
pub struct Backtested {
    /// Series that were measured.
    pub series: usize,
    /// Forecasts that were made.
    pub windows: usize,
    /// Too short ones, by name.
    pub short: Vec<String>,
    reports: Vec<Report>,
}

impl Backtested {
    /// Adds the backtest of a window.
    ///
    /// # Errors
    /// Any [`Error`] but that the series is too short, which is noted.
    pub fn add(
        &mut self,
        window: &Window,
        request: &Request,
        origins: Origins,
        horizons: &[usize],
    ) -> Result<(), Error> {
        let (series, _) = window.series(request.grid, request.treatment)?;
        let (settings, rule) = (&request.settings, &request.rule);
        match backtest::with_rule(&series, settings, origins, horizons, rule) {
            Ok(report) => {
                self.series += 1;
                self.windows += report.windows;
                self.reports.push(report);
                Ok(())
            }
            Err(forecast::model::Error::Short { .. }) => {
                self.short.push(window.name());
                Ok(())
            }
            Err(error) => Err(Error::Model { name: window.name(), error }),
        }
    }

    /// How right critical windows were, beside the same steps of the long season before.
    pub fn critical(&self) -> Scores {
        let mut all = Scores::default();
        self.reports.iter().for_each(|report| all.add(&report.critical));
        all
    }

    /// The lines of all, each measure the mean over the series that have it.
    pub fn lines(&self) -> Vec<Line> {
        let Some(first) = self.reports.first() else { return Vec::new() };
        let mut lines = first.lines.clone();
        for line in &mut lines {
            let same =
                self.reports.iter().filter_map(|r| r.lines.iter().find(|l| l.name == line.name));
            let same: Vec<&Line> = same.collect();
            for (at, measures) in line.measures.iter_mut().enumerate() {
                let all = || same.iter().filter_map(move |line| line.measures.get(at));
                measures.mae = mean(all().map(|m| m.mae)).unwrap_or_default();
                measures.mase = mean(all().filter_map(|m| m.mase));
                measures.smape = mean(all().map(|m| m.smape)).unwrap_or_default();
                for (level, interval) in measures.intervals.iter_mut().enumerate() {
                    let of = || all().filter_map(move |m| m.intervals.get(level));
                    interval.coverage = mean(of().map(|i| i.coverage)).unwrap_or_default();
                    interval.msis = mean(of().filter_map(|i| i.msis));
                }
            }
        }
        lines
    }
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (mut sum, mut count) = (0.0, 0u32);
    for value in values {
        (sum, count) = (sum + value, count + 1);
    }
    (count > 0).then(|| sum / f64::from(count))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> Request {
        Request {
            grid: Grid::HOURLY,
            treatment: Treatment::default(),
            settings: Settings { horizon: 24, levels: vec![0.8, 0.975] },
            rule: Rule::default(),
            past: true,
        }
    }

    fn daily(days: usize, burst: Option<usize>) -> Vec<Window> {
        let mut text = String::from("series,t,value\n");
        for hour in 0..days * 24 {
            let value = if hour % 24 < 8 { 2 } else { 20 + hour % 5 };
            let value = if burst == Some(hour) { 400 } else { value };
            let _ = writeln!(text, "\"a \"\"b\"\", c\",{hour},{value}");
        }
        table::read(text.as_bytes(), Grid::HOURLY, |_| {}).unwrap()
    }

    #[test]
    fn a_forecast_is_written_with_its_bounds_and_what_was_forecast_before() {
        let window = daily(28, None).remove(0);
        let made = make(window, &request()).unwrap();
        assert_eq!(made.past.len(), PAST);
        assert_eq!(header(&[0.8, 0.975]), "series,origin,t,mean,lo80,hi80,lo97.5,hi97.5\n");
        let rows = rows(&made, Grid::HOURLY);
        assert_eq!(rows.lines().count(), 24);
        assert!(rows.starts_with("\"a \"\"b\"\", c\",,672,"), "{rows}");
        // Nights are quiet.
        assert!(made.forecast.mean[3] < 6.0 && made.forecast.mean[12] > 15.0);
    }

    #[test]
    fn a_backtest_is_the_mean_over_series_and_names_the_short_ones() {
        let mut all = Backtested::default();
        let origins = Origins { count: 3, every: 24 };
        for window in [daily(28, None), daily(1, None)].concat() {
            all.add(&window, &request(), origins, &[12, 24]).unwrap();
        }
        assert_eq!((all.series, all.windows, all.short.len()), (1, 3, 1));
        let lines = all.lines();
        assert_eq!(lines[0].name, "chosen");
        assert!(lines[0].measures[1].mae < 6.0 && lines.len() > 1);
    }
}
