use super::*;
use crate::series::Seasons;

const HOURLY: Seasons = Seasons { short: 24, long: 168 };

fn of(z: &[f64]) -> Strength {
    Strength::of(&Past { z, phase: 5, seasons: HOURLY })
}

#[test]
fn a_shape_alone_is_all_season() {
    let shape: Vec<f64> = (0..24 * 21).map(|h| f64::from(h % 24)).collect();
    assert_eq!(of(&shape), Strength { trend: 0.0, short: 1.0, long: 1.0 });
}

#[test]
fn a_line_alone_is_all_trend() {
    let line: Vec<f64> = (0..24 * 21).map(f64::from).collect();
    assert_eq!(of(&line), Strength { trend: 1.0, short: 0.0, long: 0.0 });
}

#[test]
fn a_constant_has_neither() {
    assert_eq!(of(&[7.0; 400]), Strength::default());
    assert_eq!(of(&[7.0; 10]), Strength::default());
}

#[test]
fn within_a_week_no_week_is_seen() {
    let shape: Vec<f64> = (0..24 * 4).map(|h| f64::from(h % 24)).collect();
    assert_eq!(of(&shape), Strength { trend: 0.0, short: 1.0, long: 0.0 });
}

#[test]
fn the_rest_of_a_season_weakens_it() {
    // Medians 3 and 6; the rest −2, −3, 2, 3 has variance 6.5, all have 8.75.
    let (strength, rest) = season(&[1.0, 3.0, 5.0, 9.0], 2, |i| i % 2);
    assert_eq!(rest, [-2.0, -3.0, 2.0, 3.0]);
    assert!((strength - (1.0 - 6.5 / 8.75)).abs() < 1e-12);
}
