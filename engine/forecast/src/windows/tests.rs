use super::*;
use crate::{Grid, Model, Settings};

/// Ten an hour, but a hundred at 3, 4 and 6 o'clock.
fn busy_nights() -> (Series, Forecast) {
    let value = |h: usize| if [3, 4, 6].contains(&(h % 24)) { 100.0 } else { 10.0 };
    let values = (0..24 * 28).map(|h| value(h) + (h % 5) as f64).collect();
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
    assert!(window.upper >= window.expected && window.expected > window.excess);
    assert_eq!(critical(&forecast, &series, &Rule { gap: 0, ..rule }).len(), 2);
}

#[test]
fn the_usual_is_known_by_hour() {
    let (series, forecast) = busy_nights();
    assert_eq!(usual(&series, 24)[3], 102.0);
    assert_eq!(critical(&forecast, &series, &Rule::default()), []);
    assert!(forecast.probability_above(0, 1e9) < 0.01);
    assert!(forecast.probability_above(0, -1.0) > 0.99);
}
