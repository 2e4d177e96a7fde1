use super::*;
use crate::{Grid, Model, Settings};

/// Ten an hour, but a hundred at 3, 4 and 6 o'clock.
fn busy_nights() -> (Series, Forecast) {
    let value = |h: usize| if [3, 4, 6].contains(&(h % 24)) { 100.0 } else { 10.0 };
    of(|h| value(h) + (h % 5) as f64)
}

fn of(value: impl Fn(usize) -> f64) -> (Series, Forecast) {
    let values = (0..24 * 28).map(value).collect();
    let series = Series::new(Grid::HOURLY, Timestamp::default(), values).unwrap();
    let settings = Settings { horizon: 24, ..Settings::default() };
    let forecast = Model::fit(&series, &settings).unwrap().forecast(&series).unwrap();
    (series, forecast)
}

#[test]
fn critical_steps_near_each_other_are_one_window() {
    let (series, forecast) = busy_nights();
    let rule = Rule { threshold: Threshold::Value(50.0), level: 0.8, gap: 1 };
    let found = critical(&forecast, &series, &rule);
    assert_eq!(found.len(), 1);
    let window = found[0];
    assert_eq!((window.first, window.last), (3, 6));
    assert_eq!(window.end.since(window.start), 4.0 * 3_600.0);
    assert!(window.probability > 0.9 && window.excess > 100.0);
    // Three steps that are all but sure to pass: the first.
    assert_eq!(window.peak, 3);
    assert!(window.upper >= window.expected && window.expected > window.excess);
    assert_eq!(critical(&forecast, &series, &Rule { gap: 0, ..rule }).len(), 2);
}

#[test]
fn a_window_is_as_likely_as_any_of_its_steps() {
    // From 0 to 96 in an order that no method finds; more than 80 comes once in six steps.
    let (series, forecast) = of(|h| (h * h * 31 % 97) as f64);
    let rule = Rule { threshold: Threshold::Value(80.0), level: 0.8, gap: 1 };
    let found = critical(&forecast, &series, &rule);
    let window = found.iter().max_by_key(|window| window.last - window.first).unwrap();
    let alone = |step| forecast.probability_above(step, 80.0);
    assert!(window.first < window.last && (window.first..=window.last).contains(&window.peak));
    assert!((window.first..=window.last).all(|step| alone(step) <= alone(window.peak)));
    assert!(window.probability > alone(window.peak) && window.probability < 1.0);
    let thresholds = [80.0; 24];
    assert_eq!(
        window.probability,
        forecast.probability_any_above(window.first, &thresholds[window.first..=window.last])
    );
    // Steps beyond the forecast do not count.
    let last = forecast.probability_any_above(23, &thresholds[..2]);
    assert_eq!((last, forecast.probability_any_above(24, &thresholds)), (alone(23), 0.0));
}

#[test]
fn marked_steps_are_critical_alone_and_windows_reach_over_gaps() {
    let (series, forecast) = busy_nights();
    let rule = Rule { threshold: Threshold::Value(50.0), level: 0.8, gap: 1 };
    let marked = steps(&forecast, &series, &rule);
    let at: Vec<usize> = (0..24).filter(|step| marked[*step]).collect();
    assert_eq!(at, [3, 4, 6]);
    assert_eq!(merged(&marked, 1), [(3, 6)]);
    assert_eq!(merged(&marked, 0), [(3, 4), (6, 6)]);
    assert_eq!(merged(&[], 1), []);
}

#[test]
fn the_usual_is_known_by_hour() {
    let (series, forecast) = busy_nights();
    assert_eq!(usual(&series, 24)[3], 102.0);
    assert_eq!(critical(&forecast, &series, &Rule::default()), []);
    assert!(forecast.probability_above(0, 1e9) < 0.01);
    assert!(forecast.probability_above(0, -1.0) > 0.99);
}

#[test]
fn of_rare_events_not_everything_is_critical() {
    // One event at noon of every other day.
    let rare = |h: usize| f64::from(u8::from(h % 48 == 12));
    let grid = crate::series::Grid::HOURLY;
    let values = (0..28 * 24).map(rare).collect();
    let series = Series::new(grid, grid.time_of(0), values).unwrap();
    let usual = usual(&series, 24);
    assert_eq!(usual[12], 0.5, "a median of none says nothing");
    assert!((usual[3] - 1.0 / 48.0).abs() < 1e-9, "the mean of all hours");
    let model = crate::Model::fit(&series, &crate::Settings::default()).unwrap();
    let forecast = model.forecast(&series).unwrap();
    let windows = critical(&forecast, &series, &Rule::default());
    let steps: usize = windows.iter().map(|w| w.last - w.first + 1).sum();
    assert!(steps <= 9, "{windows:?}");
    // Points are 0 where an event is less likely than not; what they add up to is not.
    let sum = forecast.sum(0..48, 0.8);
    assert!((0.3..3.0).contains(&sum.expected), "{sum:?}");
    assert!(sum.low <= sum.expected && sum.expected <= sum.high);
    assert_eq!(forecast.sum(90..99, 0.8).expected, 0.0, "beyond the forecast");
}
