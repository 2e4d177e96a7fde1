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
}
