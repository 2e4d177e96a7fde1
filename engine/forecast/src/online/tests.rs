use super::*;
use crate::{Grid, Model, Series, Settings};
use threat::Timestamp;
use threat::entropy::Rng;

fn noise(hours: usize, level: f64, size: f64) -> Vec<f64> {
    let mut rng = Rng::new(11);
    (0..hours).map(|_| level + size * rng.normal()).collect()
}

fn forecast(values: Vec<f64>) -> Forecast {
    let series = Series::new(Grid::HOURLY, Timestamp::default(), values).unwrap();
    Model::fit(&series, &Settings::default()).unwrap().forecast(&series).unwrap()
}

#[test]
fn coverage_comes_back_when_the_noise_doubles() {
    let forecast = forecast(noise(672, 100.0, 5.0));
    let mut online = Online::new(&[0.8]).unwrap();
    for (i, y) in noise(2_000, 100.0, 10.0).into_iter().enumerate() {
        online.observe(&forecast, i % 24, y);
    }
    let share = online.coverage()[0].share().unwrap();
    assert!((share - 0.8).abs() < 0.03, "{share}");
    let wide = &online.adapted(&forecast).bands[0];
    assert!(
        wide.high[0] - wide.low[0] > 1.5 * (forecast.bands[0].high[0] - forecast.bands[0].low[0])
    );
}

#[test]
fn a_floor_that_does_better_takes_over_and_gives_back() {
    let mut forecast = forecast(noise(672, 100.0, 5.0));
    forecast.floors = vec![(Kind::Flat, vec![200.0; 72])];
    let mut online = Online::new(&[0.8]).unwrap();
    for step in 0..23 {
        online.observe(&forecast, step, 200.0);
    }
    assert_eq!(online.fallen_back(), None);
    online.observe(&forecast, 23, 200.0);
    assert_eq!(online.fallen_back(), Some(Kind::Flat));
    assert_eq!(online.adapted(&forecast).mean[0], 200.0);
    for i in 0..100 {
        online.observe(&forecast, i % 24, 100.0);
    }
    assert_eq!(online.fallen_back(), None);
}

#[test]
fn what_is_no_value_changes_nothing() {
    let forecast = forecast(noise(100, 10.0, 1.0));
    let mut online = Online::new(&[0.8, 0.95]).unwrap();
    online.observe(&forecast, 0, f64::NAN);
    online.observe(&forecast, 72, 1.0);
    assert_eq!(online, Online::new(&[0.8, 0.95]).unwrap());
    assert_eq!(online.coverage()[0].share(), None);
    assert!(Online::new(&[0.0]).is_err());
}
