use super::*;
use crate::windows::Threshold;
use crate::{Grid, Kind};
use threat::Timestamp;

fn saw(hours: usize) -> Series {
    let value = |h: usize| (h % 24) as f64 + 10.0 * (h / 168) as f64 + 1.0;
    Series::new(Grid::HOURLY, Timestamp::default(), (0..hours).map(value).collect()).unwrap()
}

const SETTINGS: fn() -> Settings = || Settings { horizon: 24, levels: vec![0.8] };

#[test]
fn floors_are_measured_as_by_hand() {
    // Within a week each day is the one before, so the seasonal forecast has no error.
    let series = saw(168 * 3);
    let report = backtest(&series, &SETTINGS(), Origins { count: 1, every: 24 }, &[12]).unwrap();
    assert_eq!(report.windows, 1);
    let line = |name: &str| report.lines.iter().find(|l| l.name == name).unwrap();
    let seasonal = &line(Kind::Seasonal.name()).measures[0];
    assert!(seasonal.mae < 1e-9 && seasonal.smape < 1e-9);
    // The week before holds 11 to 34 once and 21 to 44 six times: its median is 31. What comes is
    // 21 to 32, with errors of 10, 9, …, 0 and 1.
    let flat = &line(Kind::Flat.name()).measures[0];
    assert!((flat.mae - 56.0 / 12.0).abs() < 1e-9, "{}", flat.mae);
    assert!(flat.intervals.is_empty());
    let chosen = &line("chosen").measures[0];
    assert_eq!((chosen.horizon, chosen.intervals.len()), (12, 1));
}

#[test]
fn too_few_values_for_one_origin_are_said() {
    let wrong = backtest(&saw(60), &SETTINGS(), Origins { count: 9, every: 1 }, &[24]);
    assert_eq!(wrong, Err(Error::Short { found: 60, least: 72 }));
    let right = backtest(&saw(80), &SETTINGS(), Origins { count: 9, every: 4 }, &[24, 99]);
    assert_eq!(right.unwrap().windows, 3);
}

#[test]
fn critical_windows_are_counted_over_all_origins() {
    // Above 40 are the last steps of the days of the third week: 41 to 44, that is four a day.
    let rule = Rule { threshold: Threshold::Value(40.0), ..Rule::default() };
    let origins = Origins { count: 3, every: 24 };
    let report = with_rule(&saw(168 * 3), &SETTINGS(), origins, &[24], &rule).unwrap();
    let Scores { forecast, last_season } = report.critical;
    assert_eq!((forecast.episodes, forecast.steps_critical), (3, 12));
    assert_eq!((forecast.episodes_found, forecast.steps_right), (3, 12));
    // The week before was lower by ten, and never passed.
    assert_eq!((last_season.episodes, last_season.steps_said), (3, 0));
    let usual = backtest(&saw(168 * 3), &SETTINGS(), origins, &[24]).unwrap();
    assert_eq!((usual.lines, usual.critical.forecast.episodes), (report.lines, 0));
}
