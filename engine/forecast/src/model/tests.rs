use super::*;
use crate::Grid;
use threat::Timestamp;
use threat::entropy::Rng;

fn series(values: Vec<f64>) -> Series {
    Series::new(Grid::HOURLY, Timestamp::default(), values).unwrap()
}

/// Four weeks with a shape of the day and of the week, and some noise.
fn shaped(hours: usize) -> Series {
    let mut rng = Rng::new(3);
    let value = |h: usize| {
        let day = (h as f64 / 24.0 * std::f64::consts::TAU).sin();
        let weekend = if h / 24 % 7 > 4 { 0.5 } else { 1.0 };
        weekend * (100.0 + 60.0 * day) * (1.0 + 0.05 * rng.normal())
    };
    series((0..hours).map(value).collect())
}

fn both(series: &Series, horizon: usize) -> (Model, Forecast) {
    let model = Model::fit(series, &Settings { horizon, ..Settings::default() }).unwrap();
    let forecast = model.forecast(series).unwrap();
    (model, forecast)
}

#[test]
fn a_shaped_series_is_forecast_better_than_by_the_floors() {
    let all = shaped(24 * 35);
    let known = all.until(24 * 33);
    let (model, forecast) = both(&known, 48);
    let error = |points: &[f64]| {
        let of = |(y, f): (&f64, &f64)| (y - f).abs();
        all.values()[known.len()..].iter().zip(points).map(of).sum::<f64>() / 48.0
    };
    for (kind, points) in &forecast.floors {
        assert!(error(&forecast.mean) < 0.7 * error(points), "{}", kind.name());
    }
    assert_eq!(model.methods().len(), Kind::MIXED.len());
    assert!(!forecast.weak && forecast.shift.is_none());
    assert!(model.strength().short.max(model.strength().long) > WEAK);
}

#[test]
fn short_constant_and_empty_series_are_forecast_too() {
    let (_, forecast) = both(&shaped(48), 72);
    assert!(forecast.weak && forecast.mean.len() == 72);
    for constant in [0.0, 7.0, -3.0] {
        let (_, forecast) = both(&series(vec![constant; 400]), 24);
        let close = |f: &f64| (f - constant).abs() < 1e-9;
        assert!(forecast.mean.iter().all(close), "{constant}: {:?}", forecast.mean);
        assert!(forecast.bands[1].high.iter().all(close));
    }
}

#[test]
fn what_cannot_be_forecast_is_said() {
    let fit = |series: &Series, horizon, levels: &[f64]| {
        Model::fit(series, &Settings { horizon, levels: levels.to_vec() }).unwrap_err()
    };
    let series = shaped(60);
    assert_eq!(fit(&series.until(47), 24, &[0.8]), Error::Short { found: 47, least: 48 });
    assert_eq!(fit(&series, 0, &[0.8]), Error::Horizon { asked: 0, most: 168 });
    assert_eq!(fit(&series, 169, &[0.8]), Error::Horizon { asked: 169, most: 168 });
    assert_eq!(fit(&series, 24, &[1.0]), Error::Level(1.0));
    assert_eq!(fit(&series, 24, &[0.5; 17]), Error::Levels(17));
}

#[test]
fn a_model_starts_anew_after_a_shift_and_says_so() {
    let mut values = shaped(24 * 28).values().to_vec();
    values[24 * 14..].iter_mut().for_each(|v| *v *= 20.0);
    let (model, forecast) = both(&series(values), 24);
    assert_eq!(model.shift().unwrap().at.hour(), 24 * 14);
    assert!(forecast.mean.iter().all(|f| *f > 300.0), "{:?}", forecast.mean);
}

#[test]
fn a_stored_model_gives_the_same_bytes() {
    let known = shaped(24 * 30);
    let (model, forecast) = both(&known, 48);
    let json = |value: &Forecast| serde_json::to_string(value).unwrap();
    let stored: Model = serde_json::from_str(&serde_json::to_string(&model).unwrap()).unwrap();
    assert_eq!(stored, model);
    assert_eq!(json(&stored.forecast(&known).unwrap()), json(&forecast));
    let (again, _) = both(&known, 48);
    assert_eq!(again, model);
}

#[test]
fn every_method_has_a_name_of_its_own_and_says_what_it_does() {
    let names: std::collections::BTreeSet<&str> = Kind::ALL.iter().map(|k| k.name()).collect();
    assert_eq!(names.len(), Kind::ALL.len());
    assert!(Kind::ALL.iter().all(|k| !k.summary().is_empty()));
}

#[test]
fn a_first_zero_asks_for_a_new_fit() {
    let mut known = shaped(24 * 30);
    let (model, _) = both(&known, 24);
    known.push(50.0).unwrap();
    assert!(model.forecast(&known).is_ok());
    known.push(0.0).unwrap();
    assert_eq!(model.forecast(&known), Err(Error::Scale));
}
