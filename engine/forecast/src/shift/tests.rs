use super::*;
use crate::Grid;
use threat::entropy::Rng;

fn series(days: usize, level: impl Fn(usize) -> f64) -> Series {
    let mut rng = Rng::new(7);
    let value = |h: usize| (level(h) + 3.0 * rng.normal()).max(1.0);
    Series::new(Grid::HOURLY, Timestamp::default(), (0..24 * days).map(value).collect()).unwrap()
}

#[test]
fn a_jump_is_found_within_a_day() {
    let found = latest(&series(28, |h| if h < 24 * 16 { 50.0 } else { 120.0 })).unwrap();
    assert_eq!(found.at.hour(), 24 * 16);
    assert!((found.before - 50.0).abs() < 3.0 && (found.after - 120.0).abs() < 3.0);
    assert!(found.chance <= SIGNIFICANCE);
}

#[test]
fn noise_trends_and_weekends_are_no_shifts() {
    assert_eq!(latest(&series(28, |_| 50.0)), None);
    assert_eq!(latest(&series(28, |h| 50.0 + h as f64 / 5.0)), None);
    assert_eq!(latest(&series(28, |h| if h / 24 % 7 < 5 { 100.0 } else { 40.0 })), None);
}

#[test]
fn the_statistic_is_that_of_the_paper() {
    // All of the first three are below all of the last three: 3 · 3 pairs.
    assert_eq!(pettitt(&[1.0, 2.0, 3.0, 11.0, 12.0, 13.0]), (3, 9.0));
    // Equal days count for neither side: 3 · 3 pairs less one are no more than the 2 · 4 before.
    assert_eq!(pettitt(&[1.0, 2.0, 3.0, 3.0, 12.0, 13.0]), (2, 8.0));
}

#[test]
fn all_shifts_are_found_in_order_of_time() {
    let level = |h: usize| [50.0, 120.0, 300.0, 20.0][(h / 24 / 14).min(3)];
    let found = all(&series(56, level));
    let days: Vec<i64> = found.iter().map(|shift| shift.at.hour() / 24).collect();
    assert_eq!(days, [14, 28, 42]);
    let last = found.last().unwrap();
    assert!((last.before - 300.0).abs() < 3.0 && (last.after - 20.0).abs() < 3.0);
    assert!(all(&series(28, |_| 50.0)).is_empty());
}

#[test]
fn of_more_shifts_than_the_limit_the_latest_are_listed() {
    let periods = MOST + 4;
    let level = |h: usize| 100.0 * 1.5_f64.powi((h / 24 / 16) as i32);
    let found = all(&series(16 * periods, level));
    assert_eq!(found.len(), MOST);
    assert_eq!(found[MOST - 1].at.hour(), 24 * 16 * (periods as i64 - 1));
}

#[test]
fn a_trend_and_a_swing_are_not_many_shifts() {
    assert!(all(&series(100, |h| 50.0 + h as f64 / 5.0)).is_empty());
    assert!(all(&series(100, |h| 200.0 + 100.0 * (h as f64 / 400.0).sin())).is_empty());
}

#[test]
fn too_few_days_have_no_shift() {
    let short = series(3, |h| if h < 36 { 50.0 } else { 500.0 });
    assert!(all(&short).is_empty() && all(&short.until(5)).is_empty());
}

#[test]
fn twenty_years_of_hours_are_searched() {
    assert!(all(&series(7_300, |h| 50.0 + h as f64 / 500.0)).is_empty());
}
