use super::*;
use crate::series::{Gaps, Treatment};
use crate::{Grid, Series};
use threat::Timestamp;

const HOURLY: Seasons = Seasons { short: 24, long: 168 };

#[test]
fn a_month_of_hours_has_eight_origins_a_day_apart() {
    let plan = Plan::of(700, 48, HOURLY);
    assert_eq!(plan.origins, [652, 628, 604, 580, 556, 532, 508, 484]);
    assert_eq!((plan.fitted, plan.horizon), (484, 48));
    assert!(!plan.is_short(48));
}

#[test]
fn two_days_have_close_origins_and_a_short_horizon() {
    // A horizon of a quarter; a day to fit to; the twelve hours between in four steps.
    let plan = Plan::of(48, 72, HOURLY);
    assert_eq!(plan.origins, [36, 33, 30, 27, 24]);
    assert_eq!((plan.fitted, plan.horizon), (24, 12));
    assert!(plan.is_short(72));
}

#[test]
fn every_plan_stays_within_the_series() {
    for values in 48..800 {
        for horizon in [1, 24, 72, 168] {
            let plan = Plan::of(values, horizon, HOURLY);
            assert!(plan.horizon >= 1 && plan.horizon <= horizon);
            assert_eq!(plan.origins[0] + plan.horizon, values);
            assert_eq!(plan.origins.last(), Some(&plan.fitted));
            assert!(plan.fitted >= HOURLY.short, "{values} {horizon}");
        }
    }
}

#[test]
fn neighbours_are_left_out_where_others_are_left() {
    let plan = |count: usize| Plan { fitted: 1, horizon: 1, origins: vec![1; count] };
    assert_eq!(plan(5).others(1).collect::<Vec<_>>(), [3, 4]);
    assert_eq!(plan(3).others(1).collect::<Vec<_>>(), [0, 1, 2]);
    assert_eq!(plan(1).others(0).collect::<Vec<_>>(), [0]);
}

#[test]
fn only_observed_values_are_scored() {
    // 5 everywhere, but 13 at hour 66; hour 90 has no row and is filled with the 13 of a day
    // before. Origins: 84, 74, 64, 54, 44, of twelve hours each.
    let rows: Vec<(Timestamp, f64)> = (0..96)
        .filter(|h| *h != 90)
        .map(|h| (Timestamp::from_micros(h * 3_600_000_000), if h == 66 { 13.0 } else { 5.0 }))
        .collect();
    let treatment = Treatment { gaps: Gaps::Unknown, ..Treatment::default() };
    let (series, _) = Series::from_rows(Grid::HOURLY, &rows, treatment).unwrap();
    assert_eq!((series.values()[90], series.filled()), (13.0, &[90][..]));
    let validation = Validation::new(&series, 12);
    assert_eq!(validation.plan.origins, [84, 74, 64, 54, 44]);
    assert_eq!(validation.observed(84).count(), 11);
    let measured = validation.of(Kind::Flat).unwrap().measured;
    let near = |found: &[f64], at_64: f64| {
        let close = |(f, e): (&f64, f64)| (f - e).abs() < 1e-12;
        assert!(found.iter().zip([0.0, 0.0, at_64, 0.0, 0.0]).all(close), "{found:?}");
    };
    near(&measured.errors, 8.0 / 12.0);
    near(&measured.scaled_errors, (13.0_f64 / 5.0).ln() / 12.0);
}
