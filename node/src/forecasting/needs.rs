//! What the next days will ask of analysts and machines, from what is forecast.

use super::Made;
use crate::report::forecasts::short;
use forecast::needs::{self, Error, Need, needs};
use std::fmt;
use std::ops::Range;

/// What one threat and one event cost.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Costs {
    /// Minutes of an analyst per new threat.
    pub minutes_per_threat: f64,
    /// Microseconds of one core per event.
    pub core_micros: f64,
    /// The share of a core that may be busy.
    pub utilisation: f64,
    /// How much faster than on average events arrive in the busiest second of an hour.
    pub peak_to_mean: f64,
}

/// A number with the upper bound of its interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Upto {
    /// What is expected.
    pub mean: f64,
    /// What to be prepared for.
    pub high: f64,
}

impl fmt::Display for Upto {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let told = |value: f64| {
            if value > 0.0 && value < LEAST { format!("under {LEAST}") } else { short(value) }
        };
        write!(f, "{} up to {}", told(self.mean), told(self.high))
    }
}

/// Smaller needs are told as smaller.
const LEAST: f64 = 0.01;

/// What a day needs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Day {
    /// Its number, from 1.
    pub day: usize,
    /// Minutes of analysts in all of it.
    pub analyst_minutes: Upto,
    /// Cores that score in its busiest hour.
    pub scoring_cores: Upto,
    /// Events that streams carry in its busiest second.
    pub events_per_sec: Upto,
}

/// The level of the interval whose upper bound is told.
const LEVEL: f64 = 0.8;

/// The needs of each day of forecasts of events and of new threats.
///
/// # Errors
/// [`Error::Cost`].
pub fn days(events: &Made, threats: &Made, costs: &Costs) -> Result<Vec<Day>, Error> {
    let each = needs::Costs {
        incidents_per_event: 1.0,
        minutes_per_incident: costs.minutes_per_threat,
        core_secs_per_event: costs.core_micros / 1e6,
        utilisation: costs.utilisation,
        peak_to_mean: costs.peak_to_mean,
    };
    // Refuses costs that are none, those of threats too.
    let load = needs(&events.forecast, &each)?;
    let day = events.series.grid().seasons().short.max(1);
    let steps = events.forecast.mean.len().min(threats.forecast.mean.len());
    let of = |from: usize| {
        let steps = from..(from + day).min(steps);
        let threats = threats.forecast.sum(steps.clone(), LEVEL);
        let minutes = |threats: f64| threats.max(0.0) * costs.minutes_per_threat;
        Day {
            day: from / day + 1,
            analyst_minutes: Upto { mean: minutes(threats.expected), high: minutes(threats.high) },
            scoring_cores: most(&load.scoring_cores, steps.clone()),
            events_per_sec: most(&load.stream_events_per_sec, steps),
        }
    };
    Ok((0..steps).step_by(day).map(of).collect())
}

/// Of the step that needs most.
fn most(need: &Need, steps: Range<usize>) -> Upto {
    let band = need.bands.iter().find(|band| band.level == LEVEL).or(need.bands.first());
    let high = band.map_or(&need.mean, |band| &band.high);
    let most = |values: &[f64]| values[steps.clone()].iter().copied().fold(0.0, f64::max);
    Upto { mean: most(&need.mean), high: most(high) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forecasting::{Request, make, table};
    use forecast::windows::Rule;
    use forecast::{Grid, Settings, Treatment};

    fn made(value: impl Fn(usize) -> usize) -> Made {
        let mut text = String::from("series,t,value\n");
        for hour in 0..28 * 24 {
            text += &format!("x,{hour},{}\n", value(hour));
        }
        let window = table::read(text.as_bytes(), Grid::HOURLY, |_| {}).unwrap().remove(0);
        let request = Request {
            grid: Grid::HOURLY,
            treatment: Treatment::default(),
            settings: Settings { horizon: 36, levels: vec![0.8] },
            rule: Rule::default(),
            past: false,
        };
        make(window, &request).unwrap()
    }

    #[test]
    fn a_day_needs_the_minutes_of_its_threats_and_the_cores_of_its_busiest_hour() {
        let events = made(|hour| if hour % 24 == 12 { 7_200_000 } else { 3_600_000 });
        let threats = made(|_| 2);
        let costs = Costs {
            minutes_per_threat: 10.0,
            core_micros: 100.0,
            utilisation: 0.5,
            peak_to_mean: 3.0,
        };
        let days = days(&events, &threats, &costs).unwrap();
        assert_eq!(days.iter().map(|d| d.day).collect::<Vec<_>>(), [1, 2]);
        let near = |found: f64, wanted: f64| {
            assert!((found / wanted - 1.0).abs() < 0.05, "{found} for {wanted}");
        };
        near(days[0].analyst_minutes.mean, 480.0);
        near(days[1].analyst_minutes.mean, 240.0);
        // 2,000 events a second of 100 µs each, with half of a core to be had.
        near(days[0].scoring_cores.mean, 0.4);
        near(days[0].events_per_sec.mean, 6_000.0);
        assert!(days[0].scoring_cores.high >= days[0].scoring_cores.mean);
        // The second day ends before its busy hour is over only after hour 12.
        near(days[1].scoring_cores.mean, 0.2);
    }
}
